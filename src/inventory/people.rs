//! In: users and members as the directory lists them. Out: who is active and who is in which of
//! the groups that matter. It refuses to know what a group is good for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{GroupName, UserName, permission::Groups};

/// What the directory says of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The user is there and active.
    Active,
    /// The user is there and not active.
    Inactive,
    /// The directory does not know the user. That is not the same as inactive.
    Unknown,
}

/// Whether somebody is in one of several groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// In at least one of them.
    Member,
    /// In none of them.
    NotMember,
    /// In none of those that the server knows, and this one it does not know.
    Unsure(GroupName),
}

/// The users of a target and their membership in the groups that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    active: HashMap<UserName, bool>,
    groups_of: HashMap<UserName, BTreeSet<GroupName>>,
    known: BTreeSet<GroupName>,
    unknown: BTreeSet<GroupName>,
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

    /// Takes those of `asked` of which nothing was said as unknown.
    pub fn account_for(&mut self, asked: &BTreeSet<GroupName>) {
        let missing = asked.difference(&self.known).cloned().collect::<Vec<_>>();
        self.unknown.extend(missing);
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

    /// What the directory says of `user`.
    #[must_use]
    pub fn presence(&self, user: &UserName) -> Presence {
        match self.active.get(user) {
            Some(true) => Presence::Active,
            Some(false) => Presence::Inactive,
            None => Presence::Unknown,
        }
    }

    /// The name of `user` as the directory writes it; nothing when it does not know the user.
    #[must_use]
    pub fn written(&self, user: &UserName) -> Option<&UserName> {
        self.active.get_key_value(user).map(|(name, _)| name)
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

    /// Whether `user` is in one of `groups`. The time grows with the groups of the user and with the
    /// unknown ones, not with `groups`.
    #[must_use]
    pub fn membership(&self, user: &UserName, groups: &Groups) -> Membership {
        if self.groups_of(user).any(|group| groups.contains(group)) {
            return Membership::Member;
        }
        let unknown = self.unknown_groups().find(|group| groups.contains(group));
        unknown.map_or(Membership::NotMember, |group| Membership::Unsure(group.clone()))
    }
}
