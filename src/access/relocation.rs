//! Where clients may be seen once a server finds their addresses in another way.
//!
//! What a server writes down is where a client was seen, neither the other end of the connection nor what the
//! proxies say. So another source of addresses can leave a client where it is, move it to the address of a
//! proxy that is no longer believed, or anywhere, when a header decides that was not read before.

use crate::model::{AddressSet, ClientAddressSource, HeaderName};

/// What another source of client addresses does to the addresses at which clients are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Proxies that are no longer believed: anyone who comes through them is seen there.
    dropped: AddressSet,
    /// Proxies that are believed from then on: anyone who was seen there can be anywhere.
    believed: AddressSet,
    /// Whether proxies that stay believed are asked for another header: anyone who comes through them can be
    /// anywhere.
    other_header: bool,
}

impl Relocation {
    /// What the way from the source `before` to the source `after` does.
    #[must_use]
    pub fn between(before: &ClientAddressSource, after: &ClientAddressSource) -> Self {
        let (before_name, before) = header_of(before);
        let (after_name, after) = header_of(after);
        let stay_believed = !before.intersection(&after).is_empty();
        Self {
            dropped: before.difference(&after),
            believed: after.difference(&before),
            other_header: before_name != after_name && stay_believed,
        }
    }

    /// Where else clients may be seen that were seen at addresses of `seen`: nowhere when all of them stay
    /// where they are.
    #[must_use]
    pub fn elsewhere(&self, seen: &AddressSet) -> AddressSet {
        if self.other_header || !self.believed.intersection(seen).is_empty() {
            AddressSet::everything()
        } else {
            self.dropped.clone()
        }
    }
}

/// The name of the header and the proxies that are believed: for the peer of a connection, none.
fn header_of(source: &ClientAddressSource) -> (Option<&HeaderName>, AddressSet) {
    match source {
        ClientAddressSource::Peer => (None, AddressSet::default()),
        ClientAddressSource::Header { name, trusted_proxies } => (Some(name), trusted_proxies.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::samples::{behind, seen, set, sources};

    #[test]
    fn wherever_a_client_is_seen_then_is_where_it_was_seen_or_one_of_the_addresses_that_are_told() {
        let lines = [&[][..], &["192.0.2.9"], &["198.51.100.1, 192.0.2.9, 10.0.0.2"], &["10.0.0.2"]];
        let (mut stayed, mut moved) = (0, 0);
        for (now, then) in sources().iter().flat_map(|now| sources().into_iter().map(move |then| (now, then)))
        {
            for (peer, forwarded) in ["10.0.0.1", "10.0.0.2", "192.0.2.9", "203.0.113.7"]
                .iter()
                .flat_map(|peer| lines.map(|lines| (peer, lines)))
            {
                for real in [&[][..], &["203.0.113.1"]] {
                    let peer = peer.parse().unwrap();
                    let before = seen(now, peer, forwarded, real);
                    let after = seen(&then, peer, forwarded, real);
                    let elsewhere = Relocation::between(now, &then).elsewhere(&set(&[&before.to_string()]));
                    assert!(
                        after == before || elsewhere.contains(after),
                        "{now} -> {then}, from {peer} with {forwarded:?} and {real:?}: {before} became {after}"
                    );
                    if elsewhere.is_empty() { stayed += 1 } else { moved += 1 }
                }
            }
        }
        assert!(stayed > 100 && moved > 100, "{stayed} stayed, {moved} may have moved");
    }

    #[test]
    fn nobody_is_said_to_move_without_a_reason() {
        let elsewhere = |before: &ClientAddressSource, after: &ClientAddressSource, at: &str| {
            Relocation::between(before, after).elsewhere(&set(&[at]))
        };
        let (peer, header) = (ClientAddressSource::Peer, behind("X-Forwarded-For", &["10.0.0.1"]));
        for source in sources() {
            assert_eq!(elsewhere(&source, &source, "10.0.0.1"), AddressSet::default());
        }
        assert_eq!(elsewhere(&peer, &header, "192.0.2.9"), AddressSet::default());
        assert_eq!(elsewhere(&peer, &header, "10.0.0.1"), AddressSet::everything());
        assert_eq!(elsewhere(&header, &peer, "192.0.2.9"), set(&["10.0.0.1"]));
        let wider = behind("x-forwarded-for", &["10.0.0.0/24"]);
        assert_eq!(elsewhere(&header, &wider, "192.0.2.9"), AddressSet::default());
        assert_eq!(elsewhere(&header, &wider, "10.0.0.7"), AddressSet::everything());
    }
}
