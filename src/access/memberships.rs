//! The groups that somebody is in.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use crate::model::GroupName;

/// The groups that somebody is in, each once, in the order of their names. Copies share them: there is one in every
/// request, and people may be in many groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memberships(Arc<[GroupName]>);

impl Memberships {
    /// These and `more`.
    #[must_use]
    pub fn with(self, more: impl IntoIterator<Item = GroupName>) -> Self {
        self.0.iter().cloned().chain(more).collect()
    }

    /// Whether `group` is one of them.
    #[must_use]
    pub fn contains(&self, group: &GroupName) -> bool {
        self.0.binary_search(group).is_ok()
    }
}

impl Default for Memberships {
    /// None.
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl Deref for Memberships {
    type Target = [GroupName];

    fn deref(&self) -> &[GroupName] {
        &self.0
    }
}

impl From<BTreeSet<GroupName>> for Memberships {
    fn from(groups: BTreeSet<GroupName>) -> Self {
        Self(groups.into_iter().collect())
    }
}

impl FromIterator<GroupName> for Memberships {
    fn from_iter<I: IntoIterator<Item = GroupName>>(groups: I) -> Self {
        let mut groups: Vec<GroupName> = groups.into_iter().collect();
        groups.sort();
        groups.dedup();
        Self(groups.into())
    }
}
