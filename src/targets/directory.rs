//! What a directory answers, as the people of an inventory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use crate::{
    http::{HttpError, PagedList, RefusalKind},
    inventory::{Missing, People},
    model::{GroupName, UserName, brief},
};

/// How many users a message names.
const NAMED: usize = 3;

/// The members of a group, as far as a server tells.
pub(super) enum Members {
    /// All of them.
    All(Vec<UserName>),
    /// Some, and why there may be others.
    Some(Vec<UserName>, String),
    /// The server does not know the group.
    Unknown,
}

impl From<PagedList<UserName>> for Members {
    fn from(listing: PagedList<UserName>) -> Self {
        match listing.doubt() {
            None => Self::All(listing.values),
            Some(reason) => Self::Some(listing.values, reason),
        }
    }
}

impl Members {
    /// Those that are known.
    fn names(&self) -> &[UserName] {
        match self {
            Self::All(members) | Self::Some(members, _) => members,
            Self::Unknown => &[],
        }
    }

    /// What the answer to the question for the members of one group comes to.
    ///
    /// # Errors
    ///
    /// When other groups would fare no better.
    pub(super) fn of(answer: Result<PagedList<UserName>, HttpError>) -> Result<Self, HttpError> {
        match answer {
            Ok(listing) => Ok(listing.into()),
            Err(error) => match (error.refusal(), error.of_one_resource()) {
                (Some(RefusalKind::NotFound), _) => Ok(Self::Unknown),
                (None, Some(reason)) => Ok(Self::Some(Vec::new(), reason)),
                _ => Err(error),
            },
        }
    }
}

/// What proves that a user exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The server takes this run for that user.
    Caller,
    Administrator,
    Member,
}

impl Role {
    fn words(self) -> &'static str {
        match self {
            Self::Caller => "whom the server takes this run for",
            Self::Administrator => "whom the server calls administrators",
            Self::Member => "whom groups have as members",
        }
    }
}

/// Users whom a server names elsewhere than in its list of users, which cannot be whole without them.
#[derive(Default)]
pub(super) struct Named(Mutex<BTreeMap<Role, BTreeSet<UserName>>>);

impl Named {
    /// Remembers those whom the server names in this `role`, in place of those whom it named before.
    pub(super) fn note(&self, role: Role, users: impl IntoIterator<Item = UserName>) {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.insert(role, users.into_iter().collect());
    }

    /// Who of them is not among `listed`, in words; `None` when all are.
    fn missing_from(&self, listed: &HashSet<&UserName>) -> Option<String> {
        let named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = named.iter().filter_map(|(role, users)| {
            let missing = users.iter().filter(|user| !listed.contains(user));
            Some(format!("{}, {}", some_of(missing)?, role.words()))
        });
        let missing: Vec<_> = missing.collect();
        (!missing.is_empty()).then(|| format!("it lacks {}", missing.join("; and ")))
    }
}

/// The first of `users` by name, and how many others there are; `None` when there are none.
fn some_of<'a>(mut users: impl Iterator<Item = &'a UserName>) -> Option<String> {
    let first: Vec<_> = users.by_ref().take(NAMED).map(|user| format!("`{}`", brief(user))).collect();
    let others = users.count();
    let others = match others {
        0 => None,
        1 => Some("1 other".to_owned()),
        others => Some(format!("{others} others")),
    };
    let names: Vec<_> = first.into_iter().chain(others).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

/// The people of a server with `users`, of whom `of` tells the name and, where it is known, whether that one is
/// active, and `groups`. The list is doubted where it lacks somebody who is `named`, or a member of a group.
pub(super) fn people<U>(
    users: &mut PagedList<U>,
    of: impl Fn(&U) -> (&UserName, Option<bool>),
    named: &Named,
    groups: Vec<(GroupName, Members)>,
) -> People {
    let mut people = People::default();
    let mut told: HashMap<&UserName, Option<bool>> = HashMap::with_capacity(users.values.len());
    for (name, active) in users.values.iter().map(of) {
        let of_user = told.entry(name).or_insert(active);
        // Who is listed as active and as not is not known to be either.
        *of_user = of_user.filter(|before| active == Some(*before));
    }
    for (name, active) in &told {
        people.add_user((*name).clone(), active.unwrap_or(true));
    }
    let unclear = || told.iter().filter(|(_, active)| active.is_none()).map(|(name, _)| *name);
    if let Some(such_as) = unclear().min().cloned() {
        people.lack(Missing::Activity { users: unclear().count() as u64, such_as });
    }
    let members = groups.iter().flat_map(|(_, members)| members.names()).cloned();
    named.note(Role::Member, members);
    let belied = named.missing_from(&told.into_keys().collect());
    if let Some(reason) = belied {
        users.belie(reason);
    }
    if let Some(reason) = users.doubt() {
        people.lack_users(reason);
    }
    for (group, members) in groups {
        match members {
            Members::All(members) => people.add_group(&group, members),
            Members::Some(members, reason) => people.add_partial_group(group, members, reason),
            Members::Unknown => people.add_unknown_group(group),
        }
    }
    people
}
