//! Ways in which a server finds its clients, and where each finds one, for tests.

use std::net::IpAddr;

use crate::model::{AddressSet, ClientAddressSource, HeaderName, network::AddressRange};

use super::client_address;

/// The addresses in `texts`.
pub(crate) fn set(texts: &[&str]) -> AddressSet {
    texts.iter().map(|text| text.parse::<AddressRange>().unwrap()).collect()
}

/// The source that believes `header` from `proxies`.
pub(crate) fn behind(header: &str, proxies: &[&str]) -> ClientAddressSource {
    ClientAddressSource::Header { name: HeaderName::new(header).unwrap(), trusted_proxies: set(proxies) }
}

/// Sources of every kind, with proxies that are the same, others, more.
pub(crate) fn sources() -> Vec<ClientAddressSource> {
    vec![
        ClientAddressSource::Peer,
        behind("X-Real-IP", &["10.0.0.1"]),
        behind("X-Forwarded-For", &["10.0.0.1"]),
        behind("X-Forwarded-For", &["10.0.0.2"]),
        behind("X-Forwarded-For", &["10.0.0.0/24"]),
        behind("X-Forwarded-For", &["10.0.0.0/24", "192.0.2.9"]),
    ]
}

/// The address of a client that comes from `peer` with these lines of `X-Forwarded-For` and `X-Real-IP`.
pub(crate) fn seen(source: &ClientAddressSource, peer: IpAddr, forwarded: &[&str], real: &[&str]) -> IpAddr {
    let is_real = matches!(source, ClientAddressSource::Header { name, .. } if name.as_str() == "X-Real-IP");
    client_address(source, peer, if is_real { real } else { forwarded }).unwrap()
}
