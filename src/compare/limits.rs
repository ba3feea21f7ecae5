//! What two lists of limits let owners have: the entry that counts for each of them on both sides, key by key.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    access::cells::{TextSet, text_classes},
    model::{GroupName, Limit, LimitKey, LimitText, Owner, OwnerKind, Shift, permission::Groups},
    policy::LimitEntry,
};

/// A key of the limits that says something else of the tokens of some owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitChange {
    /// What that lets through or stops.
    pub shift: Shift,
    /// The key.
    pub key: LimitKey,
    /// What it said; `None` for no limit.
    pub before: Option<LimitText>,
    /// What it says.
    pub after: Option<LimitText>,
    /// Some of the owners, one of each kind that is told apart.
    pub owners: BTreeSet<OwnerExample>,
    /// The number of the entry that counts for them now, and of the one that did.
    pub entries: (Option<usize>, Option<usize>),
}

/// An owner whom the entries of limits tell from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerExample {
    /// A user who is in these groups.
    User(BTreeSet<GroupName>),
    /// A project with such a key.
    Project(String),
    /// A repository in a project with such a key.
    Repository(String),
}

/// What `after` says differently from `before`; `None` when there are too many patterns of projects to tell.
pub(super) fn limit_changes(before: &[LimitEntry], after: &[LimitEntry]) -> Option<Vec<LimitChange>> {
    let limits = |entries: &[LimitEntry]| entries.iter().map(|entry| entry.limit.clone()).collect::<Vec<_>>();
    let (before, after) = (limits(before), limits(after));
    if before == after {
        return Some(Vec::new());
    }
    let nothing = Limit::default();
    let mut changes: Vec<LimitChange> = Vec::new();
    for (owner, (old, new)) in owners(&before, &after)? {
        let at = |limits: &'_ [Limit], index: Option<usize>| {
            index.and_then(|index| limits.get(index)).unwrap_or(&nothing).clone()
        };
        let (was, is) = (at(&before, old), at(&after, new));
        for (key, shift) in is.shifts_from(&was).into_iter().filter(|(_, shift)| *shift != Shift::SAME) {
            let (before, after) = (was.text(key), is.text(key));
            let same =
                |known: &&mut LimitChange| known.key == key && known.before == before && known.after == after;
            match changes.iter_mut().find(same) {
                Some(known) => {
                    known.owners.insert(owner.clone());
                }
                None => changes.push(LimitChange {
                    shift,
                    key,
                    before,
                    after,
                    owners: BTreeSet::from([owner.clone()]),
                    entries: (new, old),
                }),
            }
        }
    }
    Some(changes)
}

/// The number of the entry that counts, before and after; `None` where none does.
type Entries = (Option<usize>, Option<usize>);

/// An owner for every pair of entries that can count for one.
fn owners(before: &[Limit], after: &[Limit]) -> Option<Vec<(OwnerExample, Entries)>> {
    let mut owners: Vec<_> = users(before, after)
        .into_iter()
        .map(|(entries, groups)| (OwnerExample::User(groups), entries))
        .collect();
    for (kind, example) in [
        (OwnerKind::Project, OwnerExample::Project as fn(String) -> OwnerExample),
        (OwnerKind::Repository, OwnerExample::Repository),
    ] {
        owners
            .extend(projects(kind, before, after)?.into_iter().map(|(entries, key)| (example(key), entries)));
    }
    Some(owners)
}

/// The fewest groups that put a user under each pair of entries that there can be.
///
/// What counts is the first entry that one of his groups is named in, so that one group for either side is enough,
/// whatever else he is in.
fn users(before: &[Limit], after: &[Limit]) -> BTreeMap<Entries, BTreeSet<GroupName>> {
    let named: BTreeSet<&GroupName> =
        before.iter().chain(after).filter_map(|limit| limit.groups.as_ref()).flat_map(Groups::iter).collect();
    let first = |limits: &[Limit], group: Option<&GroupName>| {
        limits.iter().position(|limit| {
            let is_in = |groups: &Groups| group.is_some_and(|group| groups.contains(group));
            limit.kinds().contains(&OwnerKind::User) && limit.groups.as_ref().is_none_or(is_in)
        })
    };
    // The entry that counts for whoever is in one group, or in none, beside the groups of the others.
    let mut of_one: BTreeMap<Entries, BTreeSet<GroupName>> = BTreeMap::new();
    for group in [None].into_iter().chain(named.into_iter().map(Some)) {
        let entries = (first(before, group), first(after, group));
        of_one.entry(entries).or_insert_with(|| group.cloned().into_iter().collect());
    }
    let earlier = |a: Option<usize>, b: Option<usize>| a.into_iter().chain(b).min();
    let mut of_two = of_one.clone();
    for (one, groups) in &of_one {
        for (other, more) in &of_one {
            let entries = (earlier(one.0, other.0), earlier(one.1, other.1));
            of_two.entry(entries).or_insert_with(|| groups.union(more).cloned().collect());
        }
    }
    of_two
}

/// A project for each entry of `limits` that can count for one, and a repository for each that can count for one of those;
/// `None` when there are too many patterns to tell.
#[must_use]
pub fn project_examples(limits: &[Limit]) -> Option<Vec<Owner>> {
    let of = |kind| Some(projects(kind, limits, limits)?.into_values());
    let of_projects = of(OwnerKind::Project)?.map(Owner::Project);
    let repository = |project| Owner::Repository { project, slug: "repository".to_owned() };
    Some(of_projects.chain(of(OwnerKind::Repository)?.map(repository)).collect())
}

/// A key of a project for each pair of entries that can count for an owner of this `kind`.
fn projects(kind: OwnerKind, before: &[Limit], after: &[Limit]) -> Option<BTreeMap<Entries, String>> {
    let sides = [before, after].map(|limits| {
        let is_for = |limit: &&Limit| limit.kinds().contains(&kind) && limit.groups.is_none();
        let patterns = |limit: &Limit| {
            let any = limit.projects.is_empty().then(|| "*".to_owned());
            limit.projects.iter().map(|pattern| pattern.to_lowercase()).chain(any).collect()
        };
        let numbered = limits.iter().enumerate().filter(|(_, limit)| is_for(limit));
        numbered.map(|(index, limit)| (index, TextSet { patterns: patterns(limit) })).collect::<Vec<_>>()
    });
    let [old, new] = &sides;
    let sets: Vec<TextSet> = sides.iter().flatten().map(|(_, set)| set.clone()).collect();
    if sets.len() > 64 {
        return None;
    }
    let first = |entries: &[(usize, TextSet)], from: usize, holds: u64| {
        let held = entries.iter().enumerate().find(|(index, _)| holds >> (from + index) & 1 == 1);
        held.map(|(_, (index, _))| *index)
    };
    let mut found = BTreeMap::new();
    for (holds, key) in text_classes(&sets, "")? {
        let entries = (first(old, 0, holds), first(new, old.len(), holds));
        found.entry(entries).or_insert_with(|| key.to_uppercase());
    }
    Some(found)
}
