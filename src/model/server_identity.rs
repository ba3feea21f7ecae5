//! What a server is known by, whatever a config file calls it.
//!
//! Several ways may lead to one server: an alias, another port of the same address, its store. Anyone who has
//! one thing in common with a server that is known is taken for the same: that costs a run at most, while
//! a server that is taken for two could be changed twice as much.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// What a server is known by: its address in one form for all ways to write it, and what it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ServerIdentity(BTreeSet<String>);

impl ServerIdentity {
    /// That of the server at `url`.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self([canonical_address(url)].into())
    }

    /// Adds the identifier of a store, as our own server tells it.
    pub fn add_store(&mut self, id: &str) {
        self.0.insert(format!("store {id}"));
    }

    /// Adds everything that `other` is known by.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// What it is known by.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both have something in common, so that they may be one server.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }

    /// Everything that it is known by.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The address of a server, in one form for all ways to write `url`: without scheme, credentials, the port
/// that goes without saying, empty and dotted segments and a slash at the end. Every name of this machine
/// is `localhost`.
#[must_use]
pub fn canonical_address(url: &str) -> String {
    let url = url.trim();
    let Ok(parsed) = Url::parse(url) else { return url.to_lowercase() };
    let host = match parsed.host() {
        Some(Host::Domain(name)) => canonical_name(name),
        Some(Host::Ipv4(address)) => canonical_ip(address.into()),
        Some(Host::Ipv6(address)) => canonical_ip(address.into()),
        None => String::new(),
    };
    // The same server is often behind both of the usual ports.
    let port = parsed.port().filter(|port| !matches!(port, 80 | 443));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let segments = parsed.path_segments().into_iter().flatten().map(canonical_segment);
    let path = segments
        .filter(|segment| !segment.is_empty())
        .fold(String::new(), |path, segment| path + "/" + &segment);
    format!("{host}{port}{path}")
}

/// Whether the server at `url` is on this machine for certain, so that nobody can listen in on the way to it.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let Ok(parsed) = Url::parse(url.trim()) else { return false };
    match parsed.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case(THIS_MACHINE),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

const THIS_MACHINE: &str = "localhost";

fn canonical_name(name: &str) -> String {
    let name = name.trim_end_matches('.').to_lowercase();
    if name == THIS_MACHINE || name.ends_with(".localhost") { THIS_MACHINE.to_owned() } else { name }
}

fn canonical_ip(address: IpAddr) -> String {
    // What leads to no particular address leads to this machine.
    match address.to_canonical() {
        address if address.is_loopback() || address.is_unspecified() => THIS_MACHINE.to_owned(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => bracketed(address),
    }
}

fn bracketed(address: Ipv6Addr) -> String {
    format!("[{address}]")
}

/// A segment of a path without what needs not be encoded, and without parameters behind a semicolon.
fn canonical_segment(segment: &str) -> String {
    let segment = segment.split(';').next().unwrap_or_default();
    let mut parts = segment.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let decoded = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        match (decoded, part.get(2..)) {
            (Some(c), Some(rest)) if c.is_ascii_alphanumeric() || "-._~".contains(c) => {
                text.push(c);
                text.push_str(rest);
            }
            _ => {
                text.push('%');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_is_the_same_server() {
        for url in [
            "https://H.example",
            "https://h.example:443",
            "HTTPS://h.EXAMPLE:443/",
            "http://h.example",
            "https://somebody:secret@h.example//",
            "https://h.example./",
            "https://h.example/ctx/..",
            " https://h.example/./",
        ] {
            assert_eq!(canonical_address(url), "h.example", "{url}");
        }
        for url in ["https://h/Ctx/", "https://h//Ctx", "https://h/a/../Ctx", "https://h/%43tx;jsessionid=1"]
        {
            assert_eq!(canonical_address(url), "h/Ctx", "{url}");
        }
        for url in [
            "http://localhost:7990",
            "http://LOCALHOST.:7990/",
            "http://127.0.0.1:7990",
            "http://127.1:7990",
            "http://0x7f000001:7990",
            "http://127.0.0.2:7990",
            "http://[::1]:7990",
            "http://[0:0::1]:7990",
            "http://[::ffff:127.0.0.1]:7990",
            "http://0.0.0.0:7990",
            "http://bitbucket.localhost:7990",
        ] {
            assert_eq!(canonical_address(url), "localhost:7990", "{url}");
        }
        assert_eq!(canonical_address("https://[2001:DB8::0:1]:8443"), "[2001:db8::1]:8443");
    }

    #[test]
    fn only_what_is_on_this_machine_for_certain_is_loopback() {
        for url in [
            "http://localhost:1",
            "http://LOCALHOST/x",
            "https://127.0.0.1",
            "http://127.1",
            "http://[::1]:7",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://localhost.example",
            "http://bitbucket.localhost",
            "http://0.0.0.0",
            "http://10.0.0.1",
            "x",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn other_hosts_ports_and_paths_are_other_servers() {
        let one = canonical_address("https://h.example/ctx");
        for other in [
            "https://h.example/Ctx",
            "https://h.example",
            "https://h.example:8443/ctx",
            "https://i.example/ctx",
        ] {
            assert_ne!(canonical_address(other), one, "{other}");
        }
    }
}
