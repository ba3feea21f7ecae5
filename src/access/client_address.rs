//! The address of a client, from the peer of the connection, the lines of a header and the settings that
//! say whom to believe.

use std::net::{IpAddr, SocketAddr};

use crate::model::{AddressSet, ClientAddressSource, network::canonical};

/// The address of the client of a connection from `peer`.
///
/// `lines` are the values of the declared header, in the order in which they came. They count only
/// when the peer is a trusted proxy: then the rightmost address that is not a trusted proxy is the
/// client's, and the leftmost when all are. Whatever stands to the left of that was written by the
/// client itself and is not looked at. Without the header a trusted proxy is the client itself.
/// `address:port` and `[address]:port` are understood. The answer is never an IPv4-mapped address.
///
/// # Errors
///
/// When a trusted proxy sent an invalid address.
pub fn client_address<L: AsRef<str>>(
    source: &ClientAddressSource,
    peer: IpAddr,
    lines: &[L],
) -> Result<IpAddr, BadClientAddress> {
    let peer = canonical(peer);
    match source {
        ClientAddressSource::Header { trusted_proxies, .. } if trusted_proxies.contains(peer) => {
            behind_proxies(trusted_proxies, peer, lines)
        }
        ClientAddressSource::Peer | ClientAddressSource::Header { .. } => Ok(peer),
    }
}

fn behind_proxies<L: AsRef<str>>(
    trusted: &AddressSet,
    peer: IpAddr,
    lines: &[L],
) -> Result<IpAddr, BadClientAddress> {
    let mut farthest = peer;
    for entry in lines.iter().rev().flat_map(|line| line.as_ref().rsplit(',')) {
        // INVARIANT: everything to the right of `entry` is a trusted proxy, so `entry` was written by one.
        farthest = address(entry).ok_or(BadClientAddress)?;
        if !trusted.contains(farthest) {
            break;
        }
    }
    Ok(farthest)
}

/// `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`; a zone is not a part of an address that
/// means anything to somebody else.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches([' ', '\t']);
    if entry.contains('%') {
        return None;
    }
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None => entry.parse().or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip())).ok()?,
    };
    Some(canonical(address))
}

/// A trusted proxy sent what is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trusted proxy sent an invalid address")]
pub struct BadClientAddress;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HeaderName, network::AddressRange};

    fn behind(proxies: &[&str]) -> ClientAddressSource {
        ClientAddressSource::Header {
            name: HeaderName::new("X-Forwarded-For").unwrap(),
            trusted_proxies: proxies.iter().map(|text| text.parse::<AddressRange>().unwrap()).collect(),
        }
    }

    fn found(peer: &str, lines: &[&str]) -> Option<String> {
        client_address(&behind(&["10.0.0.0/24", "fd00::/64"]), peer.parse().unwrap(), lines)
            .ok()
            .map(|address| address.to_string())
    }

    #[test]
    fn without_a_declared_header_the_peer_is_the_client() {
        let peer = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(
            client_address(&ClientAddressSource::Peer, peer, &["198.51.100.1"]).map(|a| a.to_string()),
            Ok("192.0.2.7".to_owned())
        );
    }

    #[test]
    fn a_header_from_a_peer_that_is_no_trusted_proxy_is_ignored() {
        assert_eq!(found("192.0.2.7", &["198.51.100.1"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(found("192.0.2.7", &["garbage"]).as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy_is_the_client() {
        assert_eq!(found("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]).as_deref(), Some("198.51.100.1"));
        assert_eq!(
            found("10.0.0.1", &["1.1.1.1", "198.51.100.1,10.0.0.2", "10.0.0.3"]).as_deref(),
            Some("198.51.100.1")
        );
        assert_eq!(found("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]).as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn the_leftmost_is_the_client_when_all_are_trusted_and_the_peer_when_there_is_no_header() {
        assert_eq!(found("10.0.0.1", &["10.0.0.9, 10.0.0.2"]).as_deref(), Some("10.0.0.9"));
        assert_eq!(found("10.0.0.1", &[]).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn ports_and_brackets_are_understood() {
        assert_eq!(found("10.0.0.1", &["198.51.100.1:4711"]).as_deref(), Some("198.51.100.1"));
        assert_eq!(found("10.0.0.1", &["[2001:db8::1]:4711"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(found("fd00::1", &["[2001:db8::1]"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(found("fd00::1", &["2001:db8::1"]).as_deref(), Some("2001:db8::1"));
    }

    #[test]
    fn garbage_and_zones_from_a_trusted_proxy_are_refused() {
        for garbage in
            ["", "unknown", "fe80::1%eth0", "[fe80::1%1]:80", "198.51.100.1, ", "1.2.3", "\u{fffd}"]
        {
            assert_eq!(found("10.0.0.1", &[garbage]), None, "{garbage}");
        }
    }

    #[test]
    fn what_the_client_itself_wrote_is_not_looked_at() {
        assert_eq!(found("10.0.0.1", &["garbage, 198.51.100.1"]).as_deref(), Some("198.51.100.1"));
    }
}
