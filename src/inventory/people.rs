//! Users and members as the directory lists them: who is active, and who is in which of the groups that
//! matter.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use crate::model::{GroupName, UserName, permission::Groups};

use super::{List, Missing};

/// What the directory says of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The user is there and active.
    Active,
    /// The user is there and not active.
    Inactive,
    /// The directory does not know the user. That is not the same as inactive.
    Unknown,
    /// The user is not in that part of the directory that could be read. That is not the same as unknown.
    NotSeen,
}

/// Whether somebody is in one of several groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// In at least one of them.
    Member,
    /// In none of them.
    NotMember,
    /// In none as far as that can be seen.
    Unsure(Unsure),
}

/// Why it cannot be told whether somebody is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unsure {
    /// The server does not know the group.
    Group(GroupName),
    /// Not all members of the group could be seen.
    Members(GroupName),
    /// The directory does not know the user.
    Stranger,
    /// The user is not in that part of the directory that could be read.
    Users,
}

impl fmt::Display for Unsure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "group `{group}` is not known to the server"),
            Self::Members(group) => write!(f, "not all members of group `{group}` could be seen"),
            Self::Stranger => f.write_str("the groups of somebody who is not in the directory are not known"),
            Self::Users => f.write_str("the directory could not be seen whole, and does not show the user"),
        }
    }
}

/// The users of a target and their membership in the groups that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    active: HashMap<UserName, bool>,
    groups_of: HashMap<UserName, BTreeSet<GroupName>>,
    known: BTreeSet<GroupName>,
    unknown: BTreeSet<GroupName>,
    /// What else could not be seen of users and groups.
    missing: BTreeSet<Missing>,
}

impl People {
    /// Adds a user.
    pub fn add_user(&mut self, name: UserName, active: bool) {
        self.active.insert(name, active);
    }

    /// Adds a group that the server knows, with all its members.
    pub fn add_group(&mut self, group: &GroupName, members: impl IntoIterator<Item = UserName>) {
        self.known.insert(group.clone());
        for member in members {
            self.groups_of.entry(member).or_default().insert(group.clone());
        }
    }

    /// Adds a group that the server does not know.
    pub fn add_unknown_group(&mut self, group: GroupName) {
        self.unknown.insert(group);
    }

    /// Adds a group that may have other members than these, for this reason: who is not among them may be one.
    pub fn add_partial_group(
        &mut self,
        group: GroupName,
        members: impl IntoIterator<Item = UserName>,
        reason: String,
    ) {
        for member in members {
            self.groups_of.entry(member).or_default().insert(group.clone());
        }
        self.missing.insert(Missing::List { of: List::Members(group.clone()), reason });
        self.unknown.insert(group);
    }

    /// Remembers that there may be other users than those that were added, for this `reason`.
    pub fn lack_users(&mut self, reason: String) {
        self.missing.insert(Missing::List { of: List::Users, reason });
    }

    /// Remembers what could not be seen of the users.
    pub fn lack(&mut self, missing: Missing) {
        self.missing.insert(missing);
    }

    /// What could not be seen of users and groups.
    pub fn missing(&self) -> impl Iterator<Item = Missing> {
        let unknown = self.unknown.iter().filter(|group| !self.is_partial(group)).cloned();
        unknown.map(Missing::Group).chain(self.missing.iter().cloned())
    }

    /// Why there may be other users than those that are known, when there may be.
    #[must_use]
    pub fn users_lacking(&self) -> Option<&str> {
        self.missing.iter().find_map(|missing| match missing {
            Missing::List { of: List::Users, reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// Takes those of `asked` of which nothing was said as unknown.
    pub fn account_for(&mut self, asked: &BTreeSet<GroupName>) {
        self.unknown.extend(asked.difference(&self.known).cloned());
    }

    /// The groups that were asked for and that the server does not know.
    pub fn unknown_groups(&self) -> impl Iterator<Item = &GroupName> {
        self.unknown.iter()
    }

    /// Whether the server does not know `group`, or nobody asked for it.
    #[must_use]
    pub fn is_unknown(&self, group: &GroupName) -> bool {
        !self.known.contains(group)
    }

    /// The name of `user` as the directory writes it, and whether it calls the user active; `None` when it does not know
    /// the user.
    #[must_use]
    pub fn find(&self, user: &UserName) -> Option<(&UserName, bool)> {
        self.active.get_key_value(user).map(|(name, active)| (name, *active))
    }

    /// What the directory says of `user`.
    #[must_use]
    pub fn presence(&self, user: &UserName) -> Presence {
        match self.find(user) {
            Some((_, true)) => Presence::Active,
            Some((_, false)) => Presence::Inactive,
            None if self.users_lacking().is_some() => Presence::NotSeen,
            None => Presence::Unknown,
        }
    }

    /// The name of `user` as the directory writes it; `None` when it does not know the user.
    #[must_use]
    pub fn written(&self, user: &UserName) -> Option<&UserName> {
        self.find(user).map(|(name, _)| name)
    }

    /// Every user and whether the directory calls the user active, in the order of the names.
    #[must_use]
    pub fn users(&self) -> BTreeMap<&UserName, bool> {
        self.active.iter().map(|(name, active)| (name, *active)).collect()
    }

    /// The groups that were asked for and that the server knows, with all their members, in the order of the
    /// names.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<&GroupName, BTreeSet<&UserName>> {
        let mut groups: BTreeMap<_, BTreeSet<_>> =
            self.known.iter().map(|group| (group, BTreeSet::new())).collect();
        for (user, of_user) in &self.groups_of {
            for group in of_user {
                groups.entry(group).or_default().insert(user);
            }
        }
        groups
    }

    /// The members of `group`, in no order; none when nobody asked for it.
    pub fn members_of(&self, group: &GroupName) -> impl Iterator<Item = &UserName> {
        self.groups_of.iter().filter(|(_, groups)| groups.contains(group)).map(|(user, _)| user)
    }

    /// The groups of `user`, of those that were asked for.
    pub fn groups_of(&self, user: &UserName) -> impl Iterator<Item = &GroupName> {
        self.groups_of.get(user).into_iter().flatten()
    }

    /// Whether `user` is in one of `groups`. Of a user who is not in the directory nothing but that is known. The time grows with the groups of the user and with the
    /// unknown ones, not with `groups`.
    #[must_use]
    pub fn membership(&self, user: &UserName, groups: &Groups) -> Membership {
        if self.groups_of(user).any(|group| groups.contains(group)) {
            return Membership::Member;
        }
        let unsure = self.unsure_of(user).or_else(|| {
            self.unknown_groups().find(|group| groups.contains(group)).map(|group| self.unsure_about(group))
        });
        unsure.map_or(Membership::NotMember, Membership::Unsure)
    }

    /// Why `user` may be in other groups than those that list the user as a member, when that may be.
    #[must_use]
    pub fn unsure_of(&self, user: &UserName) -> Option<Unsure> {
        match self.presence(user) {
            Presence::Active | Presence::Inactive => None,
            Presence::Unknown => Some(Unsure::Stranger),
            Presence::NotSeen => Some(Unsure::Users),
        }
    }

    /// Why nobody can be said not to be in `group`, which [`Self::is_unknown`].
    #[must_use]
    pub fn unsure_about(&self, group: &GroupName) -> Unsure {
        if self.is_partial(group) { Unsure::Members(group.clone()) } else { Unsure::Group(group.clone()) }
    }

    fn is_partial(&self, group: &GroupName) -> bool {
        let of =
            |missing: &Missing| matches!(missing, Missing::List { of: List::Members(of), .. } if of == group);
        self.missing.iter().any(of)
    }
}
