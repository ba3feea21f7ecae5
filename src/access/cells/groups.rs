//! The people there can be, as far as lists of groups tell them apart.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::{GroupName, Holders};

/// People whom no list of groups tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupClass {
    /// Bit `n` says whether they are holders in the list `n`.
    pub holds: u64,
    /// The fewest groups that make somebody one of them.
    pub groups: BTreeSet<GroupName>,
}

/// Every class that somebody can be in, whatever groups he is in; those of the fewest groups first. There are 64 `lists`
/// at most.
///
/// Somebody holds what any of his groups holds, so that the classes are what the groups that are named make when they
/// are joined, and the one of somebody in no group.
#[must_use]
pub fn group_classes(lists: &[&Holders]) -> Vec<GroupClass> {
    let bits = || (0..64).map(|index| 1_u64 << index);
    let mut holds: BTreeMap<&GroupName, u64> = BTreeMap::new();
    for (list, bit) in lists.iter().zip(bits()) {
        for group in list.groups() {
            *holds.entry(group).or_default() |= bit;
        }
    }
    // One group for each of what there is to hold.
    let mut named: BTreeMap<u64, &GroupName> = BTreeMap::new();
    for (group, holds) in holds {
        named.entry(holds).or_insert(group);
    }
    let everyone = lists.iter().zip(bits()).filter(|(list, _)| ***list == Holders::Everyone);
    let first = GroupClass { holds: everyone.map(|(_, bit)| bit).sum(), groups: BTreeSet::new() };
    let mut seen = HashSet::from([first.holds]);
    let mut classes = vec![first];
    let mut next = 0;
    while let Some(class) = classes.get(next).cloned() {
        next += 1;
        for (held, group) in &named {
            let holds = class.holds | held;
            if seen.insert(holds) {
                let groups = class.groups.iter().chain([*group]).cloned().collect();
                classes.push(GroupClass { holds, groups });
            }
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Holders {
        Holders::of(names.iter().map(|name| GroupName::new(*name)))
    }

    #[test]
    fn the_classes_are_what_groups_make_when_they_are_joined() {
        let (one, other) = (of(&["a", "b"]), of(&["b", "c"]));
        let classes = group_classes(&[&one, &other, &Holders::Everyone, &Holders::Nobody]);
        let told: Vec<(u64, String)> = classes
            .iter()
            .map(|class| {
                let groups: Vec<_> = class.groups.iter().map(ToString::to_string).collect();
                (class.holds, groups.join(" "))
            })
            .collect();
        let expected = [(0b100, ""), (0b101, "a"), (0b110, "c"), (0b111, "b")];
        assert_eq!(told, expected.map(|(holds, groups)| (holds, groups.to_owned())));
    }
}
