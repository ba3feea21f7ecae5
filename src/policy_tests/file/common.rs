//! What the cases of a file of policy tests have in common.

use std::{collections::BTreeMap, ops::Bound};

use jiff::Timestamp;

use crate::{
    model::{Owner, UserName},
    yaml::{node::At, values},
};

use super::{TestUser, WrittenWord};

/// What all cases of a file have in common.
pub(super) struct Common<'a> {
    pub(super) now: Timestamp,
    /// By name, in the form in which names compare.
    pub(super) owners: BTreeMap<String, (&'a str, Owner)>,
    pub(super) users: BTreeMap<UserName, TestUser>,
    pub(super) token: Option<At<'a>>,
}

impl Common<'_> {
    /// The owner that `name` means: one of the file, otherwise what plans show as that.
    pub(super) fn owner(&self, name: &str) -> Option<Owner> {
        let declared = self.owners.get(&values::without_case(name)).map(|(_, owner)| owner.clone());
        declared.or_else(|| name.parse().ok())
    }

    /// The names of the file that `name` may mean, as they are written there: those near it in their order, which is
    /// looked through for each mistake.
    pub(super) fn names_near(&self, name: &str) -> impl Iterator<Item = &str> {
        const EACH_WAY: usize = 100;
        let name = values::without_case(name);
        let before = (Bound::Unbounded, Bound::Excluded(name.as_str()));
        let behind = (Bound::Included(name.as_str()), Bound::Unbounded);
        let before: Vec<_> = self.owners.range::<str, _>(before).rev().take(EACH_WAY).collect();
        let behind: Vec<_> = self.owners.range::<str, _>(behind).take(EACH_WAY).collect();
        before.into_iter().rev().chain(behind).map(|(_, (written, _))| *written)
    }
}

/// The word at `at`, with its place.
pub(super) fn written(at: &At<'_>) -> Option<WrittenWord> {
    Some(WrittenWord { text: at.text()?.to_owned(), span: at.span().clone(), key: at.path.clone().into() })
}
