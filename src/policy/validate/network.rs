//! The section `network`: the allowed networks with their names, where the address of a client is found,
//! and the mistakes in both.

use std::{cmp::Reverse, collections::HashMap};

use crate::{
    model::{
        AddressSet, AllowedNetworks, ClientAddressSource, HeaderName,
        network::{AddressRange, BadRange, LeadingZero},
        settings::client_address::BadHeaderName,
    },
    yaml::{Code, Diagnostic, Diagnostics, node::At, values::empty_list},
};

use super::{super::Managed, Extent, managed};

/// The allowed networks, and the sets that have a name.
pub(super) fn allowed(
    section: Option<&At<'_>>,
    out: &mut Diagnostics,
) -> (Managed<AllowedNetworks>, Vec<(String, AddressSet)>) {
    let Some(at) = section.and_then(|section| section.get("allow")) else {
        return (Managed::Unmanaged, Vec::new());
    };
    if at.text() == Some("anywhere") {
        return (managed(&at, Some(AllowedNetworks::Anywhere)), Vec::new());
    }
    if at.is_empty_list() {
        let help = "write `anywhere` to lift the restriction, or list at least one network";
        out.push(empty_list(&at, Code::EmptyNetworks, "allowed networks", help).replace_by("anywhere"));
        return (Managed::Unmanaged, Vec::new());
    }
    let mut ranges = Vec::new();
    let mut taken: HashMap<&str, At<'_>> = HashMap::new();
    let mut named = Vec::new();
    for entry in at.items() {
        if !entry.is_map() {
            ranges.extend(range(&entry, out).map(|range| (range, entry)));
            continue;
        }
        let own = named_ranges(&entry, out);
        if let Some((name, name_at)) = entry.get("name").and_then(|at| at.text().map(|name| (name, at))) {
            check_name(name, &name_at, &mut taken, out);
            named.push((name.to_owned(), own.iter().map(|(range, _)| *range).collect()));
        }
        ranges.extend(own);
    }
    warn_of_overlaps(&ranges, out);
    let networks = AllowedNetworks::only(ranges.iter().map(|(range, _)| *range).collect());
    (managed(&at, networks), named)
}

fn check_name<'a>(name: &'a str, at: &At<'a>, taken: &mut HashMap<&'a str, At<'a>>, out: &mut Diagnostics) {
    if name.trim().is_empty() {
        let message = "empty name";
        out.push(Diagnostic::error(Code::BlankName, at.span(), at.path.as_str(), message));
    } else if let Some(first) = taken.get(name) {
        let message = format!("duplicate name `{name}`");
        out.push(
            Diagnostic::error(Code::DuplicateEntry, at.span(), at.path.as_str(), message)
                .help("put the ranges of both into one entry")
                .relate(first.span(), "first given here"),
        );
    } else {
        taken.insert(name, at.clone());
    }
}

fn named_ranges<'a>(entry: &At<'a>, out: &mut Diagnostics) -> Vec<(AddressRange, At<'a>)> {
    let Some(list) = entry.get("ranges") else {
        return Vec::new();
    };
    if list.is_empty_list() {
        let help = "list at least one network, or remove the entry";
        out.push(empty_list(&list, Code::EmptyNetworks, "ranges", help));
    }
    range_list(&list, out)
}

/// The ranges of a list of texts, each with its place.
fn range_list<'a>(list: &At<'a>, out: &mut Diagnostics) -> Vec<(AddressRange, At<'a>)> {
    list.items().filter_map(|item| range(&item, out).map(|range| (range, item))).collect()
}

fn range(at: &At<'_>, out: &mut Diagnostics) -> Option<AddressRange> {
    match at.text()?.parse() {
        Ok(range) => Some(range),
        Err(error) => {
            out.push(bad_range(at, &error));
            None
        }
    }
}

fn bad_range(at: &At<'_>, error: &BadRange) -> Diagnostic {
    let mistake = |code, message: String| Diagnostic::error(code, at.span(), at.path.as_str(), message);
    match error {
        BadRange::HostBits { text, meant } => {
            let address = text.split('/').next().unwrap_or(text);
            mistake(Code::HostBits, format!("`{text}` has host bits set"))
                .help(format!("write `{meant}` for the network, or `{address}` for the one address"))
                .replace_by(meant)
        }
        BadRange::Reversed { text, meant } => {
            mistake(Code::ReversedRange, format!("`{text}` ends before it begins")).replace_by(meant)
        }
        BadRange::LeadingZero(LeadingZero { decimal, octal: None, .. }) => {
            mistake(Code::BadNetwork, error.to_string()).replace_by(decimal)
        }
        other => mistake(Code::BadNetwork, other.to_string()),
    }
}

/// Warns of each range that shares addresses with one before it in the order of the addresses.
/// Takes the time of sorting them.
fn warn_of_overlaps(ranges: &[(AddressRange, At<'_>)], out: &mut Diagnostics) {
    let mut sorted: Vec<&(AddressRange, At<'_>)> = ranges.iter().collect();
    sorted.sort_by_key(|(range, _)| (range.first().is_ipv6(), range.first(), Reverse(range.last())));
    let mut widest: Option<&(AddressRange, At<'_>)> = None;
    for current in sorted {
        if let Some(other) = widest
            && other.0.first().is_ipv4() == current.0.first().is_ipv4()
            && current.0.first() <= other.0.last()
        {
            out.push(overlap(&current.1, &other.1));
            if current.0.last() <= other.0.last() {
                continue;
            }
        }
        widest = Some(current);
    }
}

fn overlap(a: &At<'_>, b: &At<'_>) -> Diagnostic {
    let (earlier, later) = if a.span() <= b.span() { (a, b) } else { (b, a) };
    let (earlier_text, text) = (earlier.text().unwrap_or_default(), later.text().unwrap_or_default());
    let message = format!("`{text}` shares addresses with `{earlier_text}`");
    Diagnostic::warning(Code::OverlappingNetworks, later.span(), later.path.as_str(), message)
        .help("remove one of the two; keep the wider one if both are intended")
        .relate(earlier.span(), "the other one")
}

/// Where the address of a client is found.
pub(super) fn client_address(
    section: Option<&At<'_>>,
    extent: Extent,
    out: &mut Diagnostics,
) -> Managed<ClientAddressSource> {
    let Some(at) = section.and_then(|section| section.get("client_address")) else {
        return Managed::Unmanaged;
    };
    if at.text() == Some("peer") {
        return managed(&at, Some(ClientAddressSource::Peer));
    }
    let header = at.get("header");
    let proxies = at.get("trusted_proxies");
    if extent == Extent::Whole && at.is_map() {
        report_half(&at, header.as_ref(), proxies.as_ref(), out);
    }
    let name = header.and_then(|at| header_name(&at, out));
    let trusted_proxies = proxies.and_then(|at| trusted_proxies(&at, out));
    let source = name
        .zip(trusted_proxies)
        .map(|(name, trusted_proxies)| ClientAddressSource::Header { name, trusted_proxies });
    managed(&at, source)
}

/// Reports one of the two keys without the other.
fn report_half(at: &At<'_>, header: Option<&At<'_>>, proxies: Option<&At<'_>>, out: &mut Diagnostics) {
    let mistake = match (header, proxies) {
        (Some(_), Some(_)) => return,
        (Some(header), None) => {
            let message = "without `trusted_proxies`, any client could spoof this header";
            Diagnostic::error(Code::HeaderWithoutProxies, header.key, header.path.as_str(), message)
                .help("add `trusted_proxies`, or write `client_address: peer`")
        }
        (None, Some(proxies)) => {
            let message = "`trusted_proxies` has no effect without `header`";
            Diagnostic::error(Code::ProxiesWithoutHeader, proxies.key, proxies.path.as_str(), message)
                .help("add `header: X-Forwarded-For`, or write `client_address: peer`")
        }
        (None, None) => {
            let message = "the keys `header` and `trusted_proxies` are missing";
            Diagnostic::error(Code::MissingKey, at.span(), at.path.as_str(), message)
                .help("add them, or write `client_address: peer`")
        }
    };
    out.push(mistake);
}

fn header_name(at: &At<'_>, out: &mut Diagnostics) -> Option<HeaderName> {
    let mistake = match HeaderName::new(at.text()?) {
        Ok(name) => return Some(name),
        Err(BadHeaderName::Forwarded) => Diagnostic::error(
            Code::ForwardedHeader,
            at.span(),
            at.path.as_str(),
            "the header `Forwarded` (RFC 7239) is not supported",
        )
        .help("let the proxy send `X-Forwarded-For`, and write that")
        .replace_by("X-Forwarded-For"),
        Err(error @ BadHeaderName::NoFieldName(_)) => {
            Diagnostic::error(Code::BadHeader, at.span(), at.path.as_str(), error.to_string())
        }
    };
    out.push(mistake);
    None
}

fn trusted_proxies(at: &At<'_>, out: &mut Diagnostics) -> Option<AddressSet> {
    if at.is_empty_list() {
        let help = "list the proxies, or write `client_address: peer`";
        out.push(empty_list(at, Code::EmptyNetworks, "trusted proxies", help));
        return None;
    }
    let ranges = range_list(at, out);
    warn_of_overlaps(&ranges, out);
    let set: AddressSet = ranges.iter().map(|(range, _)| *range).collect();
    if set.covers_a_family() {
        out.push(unbounded(at, &ranges));
        return None;
    }
    (!set.is_empty()).then_some(set)
}

/// The mistake at the range that is too wide, or at the whole list when its ranges are so together.
fn unbounded(list: &At<'_>, ranges: &[(AddressRange, At<'_>)]) -> Diagnostic {
    let alone = |range: AddressRange| AddressSet::from_iter([range]).covers_a_family();
    let at = ranges.iter().find(|(range, _)| alone(*range)).map_or(list, |(_, at)| at);
    let message = "trusting all of IPv4 or IPv6 lets any client spoof its address";
    Diagnostic::error(Code::UnboundedProxies, at.span(), at.path.as_str(), message)
        .help("name the proxies, such as `10.0.0.5`, or write `client_address: peer`")
}
