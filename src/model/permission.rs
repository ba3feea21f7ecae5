//! The holders of a permission: everyone, nobody or groups.

use std::{collections::BTreeSet, fmt, sync::Arc};

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

    /// Whether somebody who is in `groups`, in the order of their names, is a holder.
    #[must_use]
    pub fn include_one_of(&self, groups: &[GroupName]) -> bool {
        match self {
            Self::Everyone => true,
            Self::Nobody => false,
            Self::Groups(holders) => holders.have_one_of(groups),
        }
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
pub struct Groups {
    names: BTreeSet<GroupName>,
    marked: Arc<Marked>,
}

impl Groups {
    /// The given groups, or nobody when there are none.
    #[must_use]
    pub fn new(groups: impl IntoIterator<Item = GroupName>) -> Option<Self> {
        let names: BTreeSet<_> = groups.into_iter().collect();
        (!names.is_empty()).then(|| Self { marked: Arc::new(Marked::new(&names)), names })
    }

    /// Each group, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = &GroupName> {
        self.names.iter()
    }

    /// Whether `group` is one of them.
    #[must_use]
    pub fn contains(&self, group: &GroupName) -> bool {
        self.marked.contains(group)
    }

    /// Whether one of them is one of `others`, which are in the order of their names.
    #[must_use]
    pub fn have_one_of(&self, others: &[GroupName]) -> bool {
        /// So much longer a search in a list of names takes than one by their marks.
        const LONGER: usize = 8;
        if others.len() > LONGER * self.names.len() {
            self.names.iter().any(|group| others.binary_search(group).is_ok())
        } else {
            others.iter().any(|group| self.contains(group))
        }
    }
}

/// Groups by their marks: of most groups it takes one look to say that they are none of these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marked {
    /// A bit is set for each mark that there is.
    sieve: [u64; Self::WORDS],
    /// In the order of the marks.
    groups: Box<[(u64, GroupName)]>,
}

impl Marked {
    const WORDS: usize = 16;

    fn new(groups: &BTreeSet<GroupName>) -> Self {
        let mut sieve = [0; Self::WORDS];
        let mut groups: Box<[_]> = groups.iter().map(|group| (group.mark(), group.clone())).collect();
        groups.sort_unstable();
        for (mark, _) in &groups {
            let (word, bit) = Self::place(*mark);
            if let Some(word) = sieve.get_mut(word) {
                *word |= bit;
            }
        }
        Self { sieve, groups }
    }

    fn contains(&self, group: &GroupName) -> bool {
        let mark = group.mark();
        let (word, bit) = Self::place(mark);
        self.sieve.get(word).is_some_and(|word| word & bit != 0) && {
            let first = self.groups.partition_point(|(other, _)| *other < mark);
            let same = self.groups.iter().skip(first).take_while(|(other, _)| *other == mark);
            same.into_iter().any(|(_, other)| other == group)
        }
    }

    /// The word of the sieve, and the bit in it.
    fn place(mark: u64) -> (usize, u64) {
        let [word, bit, ..] = mark.to_le_bytes();
        (usize::from(word) % Self::WORDS, 1 << (bit % 64))
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.names.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            group.fmt(f)?;
        }
        Ok(())
    }
}
