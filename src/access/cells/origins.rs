//! The places that requests can come from, as far as settings tell them apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::ask::origin;
use crate::{
    access::{DenialReason, admit},
    model::{
        AddressSet, ClientAddressSource, HeaderName, Settings,
        network::{AddressRange, partition},
    },
};

/// What the settings say of where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginKey {
    /// Why it is not let in, for each of the settings; `None` where it is.
    pub refused: Vec<Option<DenialReason>>,
    /// Which of the given sets hold the address of the client as the first of the settings find it.
    pub within: u64,
}

/// Where requests come from that the settings do not tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginCell {
    /// What the settings say of them.
    pub key: OriginKey,
    /// The other end of the connection of one of them.
    pub peer: IpAddr,
    /// Its header lines.
    pub headers: Vec<(String, String)>,
    /// The addresses of their clients, where all settings find the client alike; it does not matter there through which
    /// proxy they come.
    pub clients: Option<AddressSet>,
}

impl OriginKey {
    /// What `views` and `sets` say of a request from `peer` with `headers`.
    #[must_use]
    pub fn of(views: &[&Settings], sets: &[AddressSet], peer: IpAddr, headers: &[(String, String)]) -> Self {
        let found = |settings: &Settings| origin(peer, headers, &settings.client_address);
        let refused = views.iter().map(|settings| admit(settings, &found(settings)).err()).collect();
        let client = views.first().and_then(|first| found(first).client(&first.client_address).ok());
        let holds = |set: &AddressSet| client.is_some_and(|client| set.contains(client));
        let within =
            sets.iter().enumerate().filter(|(_, set)| holds(set)).map(|(index, _)| 1_u64 << index).sum();
        Self { refused, within }
    }
}

/// Every cell of origins under `views`, two at most, and `sets`; the one that needs the least first.
///
/// Which addresses are named in a header is told apart only by the sets of addresses that the settings name. Two entries
/// of a header are as good as any number: what counts is the entry that either of the settings picks, what stands to the
/// right of it is trusted by the one that does not stop there, and the rest is not looked at. One entry is enough where
/// the settings trust the same proxies, or look at different headers.
#[must_use]
pub fn origin_cells(views: &[&Settings], sets: &[AddressSet]) -> Vec<OriginCell> {
    let (networks, trusted): (Vec<_>, Vec<_>) =
        views.iter().map(|settings| (settings.networks.addresses(), trusted(settings))).unzip();
    let named: Vec<&AddressSet> = networks.iter().chain(trusted.iter().flatten()).chain(sets).collect();
    let parts: Vec<(AddressSet, IpAddr)> =
        partition(&named).into_values().filter_map(|part| Some((part.clone(), example(&part)?))).collect();
    let alike = views.iter().all(|one| views.iter().all(|other| one.client_address == other.client_address));

    let mut cells: Vec<OriginCell> = Vec::new();
    let mut known: BTreeMap<OriginKey, usize> = BTreeMap::new();
    for headers in header_lists(views, &parts) {
        for (part, peer) in &parts {
            let key = OriginKey::of(views, sets, *peer, &headers);
            let index = *known.entry(key.clone()).or_insert_with(|| {
                cells.push(OriginCell {
                    key,
                    peer: *peer,
                    headers: headers.clone(),
                    clients: alike.then(AddressSet::default),
                });
                cells.len() - 1
            });
            // The peer is the client, or can be: a proxy may say so.
            if headers.is_empty()
                && let Some(clients) = cells.get_mut(index).and_then(|cell| cell.clients.as_mut())
            {
                *clients = clients.union(part);
            }
        }
    }
    cells
}

fn trusted(settings: &Settings) -> Option<AddressSet> {
    match &settings.client_address {
        ClientAddressSource::Peer => None,
        ClientAddressSource::Header { trusted_proxies, .. } => Some(trusted_proxies.clone()),
    }
}

/// What no server takes for an address.
const GARBAGE: &str = "unknown";

/// The header lines that are tried: none first.
fn header_lists(views: &[&Settings], parts: &[(AddressSet, IpAddr)]) -> Vec<Vec<(String, String)>> {
    let mut names: Vec<&HeaderName> = Vec::new();
    let mut sources: Vec<&ClientAddressSource> = Vec::new();
    for settings in views {
        if let source @ ClientAddressSource::Header { name, .. } = &settings.client_address
            && !sources.contains(&source)
        {
            sources.push(source);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let entries: Vec<String> =
        parts.iter().map(|(_, address)| address.to_string()).chain([GARBAGE.to_owned()]).collect();
    let line = |name: &HeaderName, value: &str| (name.as_str().to_owned(), value.to_owned());
    let single = |name: &HeaderName| entries.iter().map(|entry| line(name, entry)).collect::<Vec<_>>();
    let mut lists = vec![Vec::new()];
    match names.as_slice() {
        [] => {}
        [name] => {
            lists.extend(single(name).into_iter().map(|line| vec![line]));
            if sources.len() > 1 {
                let pairs =
                    entries.iter().flat_map(|one| entries.iter().map(move |two| format!("{one}, {two}")));
                lists.extend(pairs.map(|pair| vec![line(name, &pair)]));
            }
        }
        names => {
            let mut tails = vec![Vec::new()];
            for name in names {
                let longer = tails.iter().flat_map(|tail| {
                    single(name)
                        .into_iter()
                        .map(|line| tail.iter().cloned().chain([line]).collect::<Vec<_>>())
                });
                tails = tails.iter().cloned().chain(longer.collect::<Vec<_>>()).collect();
            }
            let known: BTreeSet<_> = lists.iter().cloned().collect();
            lists.extend(tails.into_iter().filter(|tail| !known.contains(tail)));
        }
    }
    lists
}

/// Addresses that are kept for examples (RFC 5737, RFC 3849).
const DOCUMENTATION: [&str; 4] = ["192.0.2.7", "198.51.100.7", "203.0.113.7", "2001:db8::7"];

/// An address of `part` that people can make something of: one that is kept for examples, or one of the largest range,
/// and there not that of a network.
fn example(part: &AddressSet) -> Option<IpAddr> {
    let kept = DOCUMENTATION.iter().filter_map(|text| text.parse::<IpAddr>().ok());
    kept.into_iter().find(|address| part.contains(*address)).or_else(|| {
        let largest = part.ranges().max_by_key(|range| (range.first().is_ipv4(), range.count()))?;
        Some(second(largest))
    })
}

/// The address behind the first one, where there are more than two.
fn second(range: AddressRange) -> IpAddr {
    let (first, last) = (range.first(), range.last());
    let next = match first {
        IpAddr::V4(v4) => IpAddr::V4(v4.to_bits().saturating_add(1).into()),
        IpAddr::V6(v6) => IpAddr::V6(v6.to_bits().saturating_add(1).into()),
    };
    if next < last { next } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lists of up to `longest` of `entries`.
    fn lists(entries: &[String], longest: usize) -> Vec<Vec<String>> {
        let mut all = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..longest {
            last = last
                .iter()
                .flat_map(|list| {
                    entries.iter().map(move |entry| list.iter().chain([entry]).cloned().collect())
                })
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn two_entries_of_a_header_are_as_good_as_any_number_for_any_two_sets_of_proxies() {
        let addresses: Vec<IpAddr> = (1..=5).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        let entries: Vec<String> =
            addresses.iter().map(ToString::to_string).chain([GARBAGE.to_owned()]).collect();
        let name = HeaderName::new("X-Forwarded-For").unwrap();
        // Whom each of the 32 sets of proxies takes for the client, of every request with such a list.
        let clients = |lists: &[Vec<String>]| -> Vec<Vec<usize>> {
            let sources = (0..1_u32 << addresses.len()).map(|set| ClientAddressSource::Header {
                name: name.clone(),
                trusted_proxies: addresses
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| set >> index & 1 == 1)
                    .map(|(_, address)| AddressRange::from(*address))
                    .collect(),
            });
            let header = |list: &[String]| match list {
                [] => Vec::new(),
                list => vec![(name.as_str().to_owned(), list.join(", "))],
            };
            let of = |source: ClientAddressSource| {
                let requests = lists.iter().flat_map(|list| addresses.iter().map(move |peer| (list, peer)));
                let client = |(list, peer): (&Vec<String>, &IpAddr)| {
                    let found = origin(*peer, &header(list), &source).client(&source);
                    // The one behind all addresses is that there is none.
                    found.map_or(addresses.len(), |client| {
                        addresses.iter().position(|address| *address == client).unwrap()
                    })
                };
                requests.map(client).collect()
            };
            sources.map(of).collect()
        };
        // A bit for every pair of clients.
        let pairs = |clients: &[Vec<usize>], one: usize, other: usize| {
            clients[one].iter().zip(&clients[other]).fold(0_u64, |all, (a, b)| all | 1 << (6 * a + b))
        };
        let [single, few, many] = [1, 2, 4].map(|longest| clients(&lists(&entries, longest)));
        for one in 0..few.len() {
            for other in 0..few.len() {
                assert_eq!(pairs(&few, one, other), pairs(&many, one, other), "{one:b} {other:b}");
            }
            assert_eq!(
                pairs(&single, one, one),
                pairs(&many, one, one),
                "one is enough for one set: {one:b}"
            );
        }
    }
}
