//! The address of a client behind proxies: another reading of the same headers comes to the same, and what the
//! client itself wrote changes nothing. The first line is the peer, the others are lines of the header.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    access::client_address,
    model::{ClientAddressSource, HeaderName, network::AddressRange},
};

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let Some(peer) = lines.next().and_then(|line| line.parse::<IpAddr>().ok()) else { return };
    let lines: Vec<&str> = lines.collect();
    let proxies = ["10.0.0.0/24", "fd00::/64"].map(|text| text.parse::<AddressRange>().expect("a network"));
    let source = ClientAddressSource::Header {
        name: HeaderName::new("X-Forwarded-For").expect("a header"),
        trusted_proxies: proxies.into_iter().collect(),
    };
    let found = client_address(&source, peer, &lines);
    assert_eq!(found.ok(), read(peer.to_canonical(), &lines));
    assert_eq!(client_address(&ClientAddressSource::Peer, peer, &lines), Ok(peer.to_canonical()));
    if let Ok(client) = found
        && !is_proxy(client)
    {
        let forged = [&["10.0.0.9, 192.0.2.1", "no address"][..], &lines].concat();
        assert_eq!(client_address(&source, peer, &forged), Ok(client), "a client chooses its address");
    }
});

fn is_proxy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[..3] == [10, 0, 0],
        IpAddr::V6(v6) => v6.segments()[..4] == [0xfd00, 0, 0, 0],
    }
}

/// The same, from the left: the last address that is no proxy counts, and all behind it must be addresses.
fn read(peer: IpAddr, lines: &[&str]) -> Option<IpAddr> {
    if !is_proxy(peer) || lines.is_empty() {
        return Some(peer);
    }
    let entries: Vec<Option<IpAddr>> = lines.join(",").split(',').map(address).collect();
    match entries.iter().rposition(|entry| !entry.is_some_and(is_proxy)) {
        Some(last) => entries[last],
        None => entries[0],
    }
}

fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_start_matches([' ', '\t']).trim_end_matches([' ', '\t']);
    let bare = match (entry.strip_prefix('['), entry.strip_suffix(']')) {
        (Some(_), Some(_)) => entry[1..entry.len() - 1].parse().ok().filter(IpAddr::is_ipv6),
        _ => entry.parse().ok().or(entry.parse::<SocketAddr>().ok().map(|socket| socket.ip())),
    };
    bare.filter(|_| !entry.contains('%')).map(|address| address.to_canonical())
}
