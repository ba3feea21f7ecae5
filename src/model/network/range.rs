//! One address, a network, or a range with both ends.

use std::{fmt, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};

use super::{AddressSet, canonical, network_text};

/// A single address, a network or a range with both ends, all of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
}

impl From<IpAddr> for AddressRange {
    /// The one address, an IPv4-mapped one as IPv4.
    fn from(address: IpAddr) -> Self {
        let address = canonical(address);
        Self { first: address, last: address }
    }
}

impl AddressRange {
    /// The lowest of its addresses.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// The highest of its addresses; of the same family as the lowest.
    #[must_use]
    pub fn last(self) -> IpAddr {
        self.last
    }

    /// How many addresses it holds; `u128::MAX` means that many or more.
    #[must_use]
    pub fn count(self) -> u128 {
        AddressSet::from_iter([self]).count()
    }

    /// The fewest networks that hold exactly this range, ascending.
    pub(super) fn networks(self) -> Vec<IpNet> {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The addresses of `network`, an IPv4-mapped one as IPv4; `None` when it is one that also
    /// holds other addresses than mapped ones, although its own address is mapped.
    pub(super) fn of_network(network: IpNet) -> Option<Self> {
        match network {
            IpNet::V4(v4) => Some(Self::of_v4(v4)),
            IpNet::V6(v6) => match v6.addr().to_ipv4_mapped() {
                None => Some(Self::of_v6(v6)),
                Some(mapped) => {
                    let length = v6.prefix_len().checked_sub(96)?;
                    Ipv4Net::new(mapped, length).ok().map(Self::of_v4)
                }
            },
        }
    }

    fn of_v4(network: Ipv4Net) -> Self {
        Self { first: network.network().into(), last: network.broadcast().into() }
    }

    fn of_v6(network: Ipv6Net) -> Self {
        Self { first: network.network().into(), last: network.broadcast().into() }
    }
}

impl fmt::Display for AddressRange {
    /// An address, a network, or both ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.networks().as_slice() {
            [network] => f.write_str(&network_text(*network)),
            _ => write!(f, "{}-{}", self.first, self.last),
        }
    }
}
