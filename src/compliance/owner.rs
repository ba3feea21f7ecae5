//! The standing of an owner under the policy: present, permitted, and under which entry of the limits.
//! Every owner is looked up once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    inventory::{Census, Membership, People, Presence, Unsure},
    model::{GroupName, Holders, Owner, OwnerKind, Permission, UserName},
    policy::{LimitEntry, Policy},
    yaml::Place,
};

/// Which owner of a book: to look by it takes less than by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnerNumber(usize);

/// Owners of a book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerSet {
    /// Whether the owner of a number is among them.
    has: Vec<bool>,
}

impl OwnerSet {
    /// Adds an owner.
    pub fn insert(&mut self, OwnerNumber(number): OwnerNumber) {
        if number >= self.has.len() {
            self.has.resize(number + 1, false);
        }
        if let Some(has) = self.has.get_mut(number) {
            *has = true;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.has.iter().filter(|has| **has).count() as u64
    }

    /// How many of them are not among `others`.
    #[must_use]
    pub fn count_without(&self, others: &Self) -> u64 {
        let is_other = |number: usize| others.has.get(number).copied().unwrap_or(false);
        self.has.iter().enumerate().filter(|(number, has)| **has && !is_other(*number)).count() as u64
    }
}

/// The standing of owners under the policy; those who stand alike share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnerStanding {
    /// What the directory says of the user; `None` for projects and repositories.
    pub presence: Option<Presence>,
    /// Whether the user may use tokens; always for projects and repositories, and when the
    /// permission is not managed.
    pub may_use: Membership,
    /// Which entry of the limits counts.
    pub limit: LimitChoice,
    /// Whether the owner may have more tokens than that admits; no with tokens that were counted beforehand and are
    /// no more than that.
    pub may_exceed: bool,
}

/// Which entry of the limits counts for an owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LimitChoice {
    /// None matches.
    None,
    /// The entry at this index.
    Entry(usize),
    /// It depends on groups that could not be seen.
    Undecided(Unsure),
}

/// Every owner that was looked up, and the limits in a form that is quick to search.
pub struct OwnerBook<'a> {
    policy: &'a Policy,
    people: &'a People,
    limits: &'a [LimitEntry],
    first_of_group: HashMap<&'a GroupName, usize>,
    first_unknown: Option<(usize, &'a GroupName)>,
    first_of_any_group: Option<usize>,
    first_for_rest: Option<usize>,
    /// How many tokens each owner has, when that is known beforehand.
    census: Option<&'a Census>,
    numbers: Numbers,
    /// That of each owner, by number.
    standings: Vec<Arc<OwnerStanding>>,
    /// Every one there is, once.
    different: HashSet<Arc<OwnerStanding>>,
}

/// The owners who have a number. Most are users, and a table of names alone takes a third of the memory.
#[derive(Default)]
struct Numbers {
    users: HashMap<UserName, OwnerNumber>,
    others: HashMap<Owner, OwnerNumber>,
}

impl Numbers {
    fn get(&self, owner: &Owner) -> Option<OwnerNumber> {
        let known = match owner {
            Owner::User(user) => self.users.get(user),
            Owner::Project(_) | Owner::Repository { .. } => self.others.get(owner),
        };
        known.copied()
    }

    fn insert(&mut self, owner: &Owner, number: OwnerNumber) {
        match owner {
            Owner::User(user) => self.users.insert(user.clone(), number),
            Owner::Project(_) | Owner::Repository { .. } => self.others.insert(owner.clone(), number),
        };
    }
}

impl<'a> OwnerBook<'a> {
    /// A book without entries, for the owners of tokens under `policy`, as `people` shows them.
    #[must_use]
    pub fn new(policy: &'a Policy, people: &'a People) -> Self {
        let limits = policy.limits.get().map_or(&[][..], |limits| &limits.value);
        let mut book = Self {
            policy,
            people,
            limits,
            first_of_group: HashMap::new(),
            first_unknown: None,
            first_of_any_group: None,
            first_for_rest: None,
            census: None,
            numbers: Numbers::default(),
            standings: Vec::new(),
            different: HashSet::new(),
        };
        let for_users =
            limits.iter().enumerate().filter(|(_, entry)| entry.limit.kinds().contains(&OwnerKind::User));
        for (index, entry) in for_users {
            let Some(groups) = &entry.limit.groups else {
                book.first_for_rest.get_or_insert(index);
                continue;
            };
            book.first_of_any_group.get_or_insert(index);
            for group in groups.iter() {
                book.first_of_group.entry(group).or_insert(index);
                if people.is_unknown(group) {
                    book.first_unknown.get_or_insert((index, group));
                }
            }
        }
        book
    }

    /// The same for owners whose tokens `census` has counted.
    pub(super) fn counted(self, census: Option<&'a Census>) -> Self {
        Self { census, ..self }
    }

    pub(super) fn people(&self) -> &'a People {
        self.people
    }

    /// How `owner` stands; looked up once.
    pub fn standing(&mut self, owner: &Owner) -> Arc<OwnerStanding> {
        self.entry(owner).1
    }

    /// Which one `owner` is, and how it stands.
    pub(super) fn entry(&mut self, owner: &Owner) -> (OwnerNumber, Arc<OwnerStanding>) {
        let known = self.numbers.get(owner);
        if let Some((number, standing)) =
            known.and_then(|number| Some((number, self.standings.get(number.0)?)))
        {
            return (number, Arc::clone(standing));
        }
        let standing = Arc::new(self.look_up(owner));
        let standing = self.different.get(&standing).cloned().unwrap_or(standing);
        self.different.insert(Arc::clone(&standing));
        let number = OwnerNumber(self.standings.len());
        self.standings.push(Arc::clone(&standing));
        self.numbers.insert(owner, number);
        (number, standing)
    }

    /// Where the entry that counts for `owner` has `key`.
    pub(super) fn limit_place(&mut self, owner: &Owner, key: &str) -> Option<Place> {
        match self.standing(owner).limit {
            LimitChoice::Entry(index) => self.limits.get(index).map(|entry| entry.place_of(key).clone()),
            LimitChoice::None | LimitChoice::Undecided(_) => None,
        }
    }

    fn look_up(&self, owner: &Owner) -> OwnerStanding {
        let (presence, may_use, limit) = match owner {
            Owner::User(user) => (
                Some(self.people.presence(user)),
                holding(self.policy, self.people, Permission::Use, user),
                self.limit_of_user(user),
            ),
            Owner::Project(_) | Owner::Repository { .. } => (
                None,
                Membership::Member,
                self.limits
                    .iter()
                    .position(|entry| entry.limit.groups.is_none() && entry.limit.selects(owner))
                    .map_or(LimitChoice::None, LimitChoice::Entry),
            ),
        };
        let at_most = match limit {
            LimitChoice::Entry(index) => self.limits.get(index).and_then(|entry| entry.limit.max_per_owner),
            LimitChoice::None | LimitChoice::Undecided(_) => None,
        };
        let may_exceed =
            at_most.is_some_and(|most| self.census.is_none_or(|census| census.may_exceed(owner, most)));
        OwnerStanding { presence, may_use, limit, may_exceed }
    }

    fn limit_of_user(&self, user: &UserName) -> LimitChoice {
        let by_group =
            self.people.groups_of(user).filter_map(|group| self.first_of_group.get(group).copied()).min();
        let sure = [by_group, self.first_for_rest].into_iter().flatten().min();
        let unsure = match self.people.unsure_of(user) {
            Some(unsure) => self.first_of_any_group.map(|index| (index, unsure)),
            None => self.first_unknown.map(|(index, group)| (index, self.people.unsure_about(group))),
        };
        match (sure, unsure) {
            (Some(index), Some((before, unsure))) if before < index => LimitChoice::Undecided(unsure),
            (None, Some((_, unsure))) => LimitChoice::Undecided(unsure),
            (Some(index), _) => LimitChoice::Entry(index),
            (None, None) => LimitChoice::None,
        }
    }
}

/// Whether `user` holds `permission` under the policy; everybody does when it is not managed.
pub(super) fn holding(
    policy: &Policy,
    people: &People,
    permission: Permission,
    user: &UserName,
) -> Membership {
    match policy.holders(permission).map(|(holders, _)| holders) {
        None | Some(Holders::Everyone) => Membership::Member,
        Some(Holders::Nobody) => Membership::NotMember,
        Some(Holders::Groups(groups)) => people.membership(user, groups),
    }
}
