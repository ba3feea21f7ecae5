//! The groups that somebody is in.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use crate::model::GroupName;

/// The groups that somebody is in. Copies share them: there is one in every request, and people may be in many groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships(Arc<BTreeSet<GroupName>>);

impl Memberships {
    /// These and `more`.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = GroupName>) -> Self {
        Arc::make_mut(&mut self.0).extend(more);
        self
    }
}

impl Deref for Memberships {
    type Target = BTreeSet<GroupName>;

    fn deref(&self) -> &BTreeSet<GroupName> {
        &self.0
    }
}

impl From<BTreeSet<GroupName>> for Memberships {
    fn from(groups: BTreeSet<GroupName>) -> Self {
        Self(Arc::new(groups))
    }
}

impl FromIterator<GroupName> for Memberships {
    fn from_iter<I: IntoIterator<Item = GroupName>>(groups: I) -> Self {
        Self(Arc::new(groups.into_iter().collect()))
    }
}
