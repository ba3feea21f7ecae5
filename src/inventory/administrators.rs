//! The administrators of a server, as far as it tells.

use std::collections::BTreeSet;

use crate::model::{GroupName, UserName};

use super::{People, Unsure};

/// Who administers a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Administrators {
    /// The members of this group.
    Group(GroupName),
    /// These users, whatever makes them administrators.
    Users(BTreeSet<UserName>),
}

impl Administrators {
    /// The users, when the server names them.
    #[must_use]
    pub fn users(&self) -> Option<&BTreeSet<UserName>> {
        match self {
            Self::Group(_) => None,
            Self::Users(users) => Some(users),
        }
    }

    /// The group that makes administrators, when it is one.
    #[must_use]
    pub fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Group(group) => Some(group),
            Self::Users(_) => None,
        }
    }

    /// All of them; `people` has the members of the group.
    #[must_use]
    pub fn names<'a>(&'a self, people: &'a People) -> Vec<&'a UserName> {
        match self {
            Self::Group(group) => people.members_of(group).collect(),
            Self::Users(users) => users.iter().collect(),
        }
    }

    /// Whether there may be more of them than [`Self::names`], as not all could be seen.
    #[must_use]
    pub fn may_be_more(&self, people: &People) -> bool {
        self.group().is_some_and(|group| matches!(people.unsure_about(group), Unsure::Members(_)))
    }

    /// Whether `user` is one of them; `people` has the members of the group.
    #[must_use]
    pub fn include(&self, user: &UserName, people: &People) -> bool {
        match self {
            Self::Group(group) => people.groups_of(user).any(|of| of == group),
            Self::Users(users) => users.contains(user),
        }
    }
}
