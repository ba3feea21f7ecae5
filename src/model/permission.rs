//! The holders of a permission: everyone, nobody or groups.

use std::{collections::BTreeSet, fmt};

use super::{GroupName, Reach};

/// A permission over tokens, given to groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// To be let in with a token.
    Use,
    /// To create tokens for oneself.
    Create,
    /// To create read-write tokens for oneself; the others get read-only ones.
    CreateReadWrite,
    /// To create and revoke tokens for other people.
    ManageOthers,
}

impl Permission {
    /// All of them, in the order of the policy document.
    pub const ALL: [Self; 4] = [Self::Use, Self::Create, Self::CreateReadWrite, Self::ManageOthers];

    /// Its key in the policy and in the settings document.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Create => "create",
            Self::CreateReadWrite => "create_read_write",
            Self::ManageOthers => "manage_others",
        }
    }
}

/// Who holds a permission. "Everyone", "nobody" and "these" are three different things; a list
/// without a group cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holders {
    /// Everybody whom the directory knows.
    Everyone,
    /// Nobody at all.
    Nobody,
    /// The members of these groups; never empty.
    Groups(Groups),
}

impl Holders {
    /// The members of `groups`; nobody when there is none.
    #[must_use]
    pub fn of(groups: impl IntoIterator<Item = GroupName>) -> Self {
        Groups::new(groups).map_or(Self::Nobody, Self::Groups)
    }

    /// The groups that are named; none for everyone and nobody.
    pub fn groups(&self) -> impl Iterator<Item = &GroupName> {
        let groups = match self {
            Self::Groups(groups) => Some(groups),
            Self::Everyone | Self::Nobody => None,
        };
        groups.into_iter().flat_map(Groups::iter)
    }

    /// Whether somebody who is in the groups for which `is_member` answers yes is a holder.
    pub fn include(&self, is_member: impl FnMut(&GroupName) -> bool) -> bool {
        match self {
            Self::Everyone => true,
            Self::Nobody => false,
            Self::Groups(groups) => groups.iter().any(is_member),
        }
    }
}

impl Reach for Holders {
    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Everyone, _) | (_, Self::Everyone) => Self::Everyone,
            (Self::Nobody, holders) | (holders, Self::Nobody) => holders.clone(),
            (Self::Groups(a), Self::Groups(b)) => Self::of(a.iter().chain(b.iter()).cloned()),
        }
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::Nobody => f.write_str("nobody"),
            Self::Groups(groups) => groups.fmt(f),
        }
    }
}

/// One group or more, each once, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups(BTreeSet<GroupName>);

impl Groups {
    /// The given groups, or nobody when there are none.
    #[must_use]
    pub fn new(groups: impl IntoIterator<Item = GroupName>) -> Option<Self> {
        let groups: BTreeSet<_> = groups.into_iter().collect();
        (!groups.is_empty()).then_some(Self(groups))
    }

    /// Each group, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = &GroupName> {
        self.0.iter()
    }

    /// Whether `group` is one of them.
    #[must_use]
    pub fn contains(&self, group: &GroupName) -> bool {
        self.0.contains(group)
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            group.fmt(f)?;
        }
        Ok(())
    }
}
