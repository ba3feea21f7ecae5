//! Exact sets of addresses: `10.0.0.0/9` and `10.128.0.0/9` are `10.0.0.0/8`. Which request came from
//! where is the subject of `access`.

mod partition;
mod range;
mod written;

pub use partition::partition;
pub use range::AddressRange;
pub use written::{BadRange, LeadingZero, address};

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

use super::Reach;

/// The IPv4 form of an IPv4-mapped IPv6 address, any other address as it is: on a dual-stack
/// socket `::ffff:10.0.0.1` is `10.0.0.1`.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The networks from which a client is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedNetworks {
    /// No restriction.
    Anywhere,
    /// These addresses alone; never empty and never all there are.
    Only(AddressSet),
}

impl AllowedNetworks {
    /// Exactly `addresses`: no restriction when they are all addresses, `None` when there are none.
    #[must_use]
    pub fn only(addresses: AddressSet) -> Option<Self> {
        if addresses.is_empty() {
            None
        } else if addresses == AddressSet::everything() {
            Some(Self::Anywhere)
        } else {
            Some(Self::Only(addresses))
        }
    }

    /// Whether a client at `address` is accepted.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Only(addresses) => addresses.contains(address),
        }
    }

    /// The accepted addresses.
    #[must_use]
    pub fn addresses(&self) -> AddressSet {
        match self {
            Self::Anywhere => AddressSet::everything(),
            Self::Only(addresses) => addresses.clone(),
        }
    }
}

impl Reach for AllowedNetworks {
    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::only(a.union(b)).unwrap_or(Self::Anywhere),
            _ => Self::Anywhere,
        }
    }
}

impl fmt::Display for AllowedNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anywhere => f.write_str("anywhere"),
            Self::Only(addresses) => addresses.fmt(f),
        }
    }
}

/// Inclusive ranges of one address family as numbers: sorted, none empty, none touching another.
type Ranges = Vec<(u128, u128)>;

/// A set of addresses of both families. Two sets are equal when they hold the same addresses,
/// however they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: Ranges,
    v6: Ranges,
}

const V4_LAST: u128 = u32::MAX as u128;

impl AddressSet {
    /// All addresses of both families.
    #[must_use]
    pub fn everything() -> Self {
        Self { v4: vec![(0, V4_LAST)], v6: vec![(0, u128::MAX)] }
    }

    /// Whether it holds no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether it holds all addresses of IPv4, or all of IPv6.
    #[must_use]
    pub fn covers_a_family(&self) -> bool {
        let everything = Self::everything();
        self.v4 == everything.v4 || self.v6 == everything.v6
    }

    /// Whether it holds `address`; an IPv4-mapped one counts as IPv4. Takes logarithmic time.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ranges, number) = match canonical(address) {
            IpAddr::V4(v4) => (&self.v4, u128::from(v4.to_bits())),
            IpAddr::V6(v6) => (&self.v6, v6.to_bits()),
        };
        let behind = ranges.partition_point(|&(first, _)| first <= number);
        behind.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|&(_, last)| number <= last)
    }

    /// The addresses of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.ranges().chain(other.ranges()).collect()
    }

    /// The addresses of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self { v4: subtract(&self.v4, &other.v4), v6: subtract(&self.v6, &other.v6) }
    }

    /// The addresses of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.difference(&self.difference(other))
    }

    /// How many addresses it holds; `u128::MAX` means that many or more.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.v4
            .iter()
            .chain(&self.v6)
            .fold(0, |sum: u128, &(first, last)| sum.saturating_add((last - first).saturating_add(1)))
    }

    /// The fewest networks that hold exactly these addresses, IPv4 first, ascending.
    #[must_use]
    pub fn networks(&self) -> Vec<IpNet> {
        self.ranges().flat_map(AddressRange::networks).collect()
    }

    /// The addresses in the way people like to read them: as networks, or with both ends where that
    /// would take more than two networks. IPv4 first, ascending, disjoint.
    #[must_use]
    pub fn pieces(&self) -> Vec<AddressRange> {
        let as_people_read = |range: AddressRange| match range.networks() {
            networks if networks.len() <= 2 => networks
                .into_iter()
                .map(|net| AddressRange { first: net.network(), last: net.broadcast() })
                .collect(),
            _ => vec![range],
        };
        self.ranges().flat_map(as_people_read).collect()
    }

    /// Its addresses in as few ranges as can be, IPv4 first, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = AddressRange> {
        let v4 = self.v4.iter().filter_map(|&(first, last)| {
            let v4 = |number: u128| Some(IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).ok()?)));
            Some(AddressRange { first: v4(first)?, last: v4(last)? })
        });
        let v6 = self.v6.iter().map(|&(first, last)| AddressRange {
            first: IpAddr::V6(Ipv6Addr::from_bits(first)),
            last: IpAddr::V6(Ipv6Addr::from_bits(last)),
        });
        v4.chain(v6)
    }
}

impl FromIterator<AddressRange> for AddressSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        let mut set = Self::default();
        for range in ranges {
            match (range.first, range.last) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    set.v4.push((first.to_bits().into(), last.to_bits().into()));
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    set.v6.push((first.to_bits(), last.to_bits()));
                }
                // INVARIANT: both ends of a range are of one family; `AddressRange` has no other.
                _ => {}
            }
        }
        set.v4 = merge(set.v4);
        set.v6 = merge(set.v6);
        set
    }
}

impl fmt::Display for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.pieces().into_iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            piece.fmt(f)?;
        }
        Ok(())
    }
}

/// The text of a network: a single address is written without its length.
#[must_use]
pub fn network_text(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

fn merge(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut merged: Ranges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(previous) if first <= previous.1.saturating_add(1) => {
                previous.1 = previous.1.max(last);
            }
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// What is in `from` and not in `taken`, in one walk over both.
fn subtract(from: &Ranges, taken: &Ranges) -> Ranges {
    let mut left = Ranges::new();
    let mut taken = taken.iter().copied().peekable();
    for &(first, last) in from {
        let mut open = Some(first);
        while let (Some(start), Some(&(taken_first, taken_last))) = (open, taken.peek()) {
            if taken_last < start {
                taken.next();
                continue;
            }
            if taken_first > last {
                break;
            }
            if taken_first > start {
                left.push((start, taken_first - 1));
            }
            open = (taken_last < last).then(|| taken_last + 1);
        }
        left.extend(open.map(|start| (start, last)));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(texts: &[&str]) -> AddressSet {
        texts.iter().filter_map(|text| text.parse::<AddressRange>().ok()).collect()
    }

    #[test]
    fn the_same_addresses_are_the_same_set_however_they_were_written() {
        assert_eq!(set(&["10.0.0.0/9", "10.128.0.0/9"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["192.0.2.0-192.0.2.255"]), set(&["192.0.2.0/24"]));
        assert_eq!(set(&["::ffff:10.0.0.0/104"]), set(&["10.0.0.0/8"]));
        assert_eq!(AllowedNetworks::only(set(&["0.0.0.0/0", "::/0"])), Some(AllowedNetworks::Anywhere));
        assert_eq!(AllowedNetworks::only(AddressSet::default()), None);
    }

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        let office = set(&["10.0.0.0/8"]);
        assert!(office.contains("::ffff:10.1.2.3".parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))));
        let all_v6 = set(&["::/0"]);
        assert!(!all_v6.contains("::ffff:10.1.2.3".parse().unwrap_or(IpAddr::V6(Ipv6Addr::LOCALHOST))));
    }

    prop_compose! {
        fn small_sets()(ranges in proptest::collection::vec((0u32..64, 0u32..64), 0..6)) -> AddressSet {
            ranges.into_iter().map(|(a, b)| AddressRange {
                first: IpAddr::V4(Ipv4Addr::from_bits(a.min(b))),
                last: IpAddr::V4(Ipv4Addr::from_bits(a.max(b))),
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn sets_behave_like_sets(a in small_sets(), b in small_sets()) {
            let (union, difference) = (a.union(&b), a.difference(&b));
            let intersection = a.intersection(&b);
            for number in 0..64u32 {
                let at = IpAddr::V4(Ipv4Addr::from_bits(number));
                prop_assert_eq!(union.contains(at), a.contains(at) || b.contains(at));
                prop_assert_eq!(difference.contains(at), a.contains(at) && !b.contains(at));
                prop_assert_eq!(intersection.contains(at), a.contains(at) && b.contains(at));
            }
            prop_assert_eq!(difference.count() + intersection.count(), a.count());
            let parsed = |text: String| text.parse::<AddressRange>().ok();
            let networks: AddressSet = a.networks().into_iter().map(network_text).filter_map(parsed).collect();
            prop_assert_eq!(&networks, &a);
            let pieces: AddressSet = a.pieces().iter().map(ToString::to_string).filter_map(parsed).collect();
            prop_assert_eq!(&pieces, &a);
        }
    }
}
