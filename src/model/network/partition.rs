//! All addresses there are, sorted by which of several sets hold them.

use std::collections::BTreeMap;

use super::{AddressSet, Ranges, V4_LAST};

/// Every address of both families by the `sets` that hold it: bit `n` of the key stands for the set `n`, of which
/// there are 64 at most. No value is empty. Takes the time of sorting the ends of all ranges.
#[must_use]
pub fn partition(sets: &[&AddressSet]) -> BTreeMap<u64, AddressSet> {
    let mut parts: BTreeMap<u64, AddressSet> = BTreeMap::new();
    let v4: Vec<&Ranges> = sets.iter().map(|set| &set.v4).collect();
    for (key, range) in pieces(&v4, (0, V4_LAST)) {
        parts.entry(key).or_default().v4.push(range);
    }
    let v6: Vec<&Ranges> = sets.iter().map(|set| &set.v6).collect();
    for (key, range) in pieces(&v6, (0, u128::MAX)) {
        parts.entry(key).or_default().v6.push(range);
    }
    parts
}

/// The longest ranges of `domain` that each lie inside or outside each of `sets`, ascending.
fn pieces(sets: &[&Ranges], domain: (u128, u128)) -> Vec<(u64, (u128, u128))> {
    let (first, last) = domain;
    let mut turns: Vec<(u128, u64)> = Vec::new();
    let mut inside = 0;
    for (index, ranges) in sets.iter().enumerate() {
        let bit = 1_u64 << (index % 64);
        for &(from, to) in ranges.iter().filter(|(from, to)| *to >= first && *from <= last) {
            if from <= first {
                inside |= bit;
            } else {
                turns.push((from, bit));
            }
            if to < last {
                turns.push((to + 1, bit));
            }
        }
    }
    turns.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = first;
    for (at, bit) in turns {
        if at > start {
            pieces.push((inside, (start, at - 1)));
            start = at;
        }
        inside ^= bit;
    }
    pieces.push((inside, (start, last)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> AddressSet {
        texts.iter().map(|text| text.parse::<super::super::AddressRange>().unwrap()).collect()
    }

    #[test]
    fn every_address_lies_in_exactly_one_part_and_each_part_is_what_its_key_says() {
        let (one, other) = (set(&["10.0.0.0/8", "::/0"]), set(&["10.0.0.0/9", "192.0.2.7", "2001:db8::/32"]));
        let parts = partition(&[&one, &other]);
        assert_eq!(parts.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        for (key, part) in &parts {
            for (bit, set) in [(1, &one), (2, &other)] {
                let expected = if key & bit == 0 { AddressSet::default() } else { part.clone() };
                assert_eq!(part.intersection(set), expected, "{key} {bit}");
            }
        }
        let all = parts.values().fold(AddressSet::default(), |all, part| {
            assert!(all.intersection(part).is_empty());
            all.union(part)
        });
        assert_eq!(all, AddressSet::everything());
    }
}
