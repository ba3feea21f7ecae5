//! Addresses, networks and ranges: what is printed is read as the same, and sets agree with their members one by
//! one. The ranges stand on lines of their own.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use tokenwarden::model::{AddressSet, network::AddressRange};

/// So many ranges are looked at: the work grows with their square.
const AT_MOST: usize = 24;

fuzz_target!(|text: &str| {
    let mut ranges = Vec::new();
    for line in text.lines().take(AT_MOST) {
        match line.parse::<AddressRange>() {
            Ok(range) => ranges.push(range),
            Err(error) => {
                assert!(error.to_string().contains(line), "{error} does not say what is wrong: {line:?}");
            }
        }
    }
    for range in &ranges {
        assert_eq!(range.to_string().parse(), Ok(*range), "{range} is printed");
        assert!(range.first() <= range.last());
    }
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let (a, b): (AddressSet, AddressSet) = (left.iter().copied().collect(), right.iter().copied().collect());
    let holds = |of: &[AddressRange], address: IpAddr| {
        of.iter().any(|range| {
            range.first().is_ipv4() == address.is_ipv4() && (range.first()..=range.last()).contains(&address)
        })
    };
    for address in ranges.iter().flat_map(|range| edges(*range)) {
        let (in_a, in_b) = (holds(left, address), holds(right, address));
        assert_eq!(a.contains(address), in_a, "{address} in {a}");
        assert_eq!(a.union(&b).contains(address), in_a || in_b, "{address} in {a} or {b}");
        assert_eq!(a.intersection(&b).contains(address), in_a && in_b, "{address} in {a} and {b}");
        assert_eq!(a.difference(&b).contains(address), in_a && !in_b, "{address} in {a} without {b}");
    }
    let networks: AddressSet = a.pieces().into_iter().collect();
    assert_eq!(networks, a, "the pieces of {a}");
    let networks = a.networks().into_iter().map(|network| network.to_string().parse::<AddressRange>());
    assert_eq!(networks.map(|network| network.expect("a network")).collect::<AddressSet>(), a);
});

/// Both ends of `range`, and the addresses beside them.
fn edges(range: AddressRange) -> impl Iterator<Item = IpAddr> {
    [range.first(), range.last()].into_iter().flat_map(|end| match end {
        IpAddr::V4(v4) => [-1, 0, 1].map(|by| IpAddr::V4(v4.to_bits().wrapping_add_signed(by).into())),
        IpAddr::V6(v6) => {
            [-1, 0, 1].map(|by| IpAddr::V6(v6.to_bits().wrapping_add_signed(by).into()).to_canonical())
        }
    })
}
