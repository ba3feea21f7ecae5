//! What a directory answers, as the people of an inventory.

use std::collections::BTreeSet;

use crate::{
    inventory::{Missing, People},
    model::{GroupName, UserName},
    target::http::{HttpError, Listing, Refusal},
};

/// The members of a group, as far as a server tells.
pub(super) enum Members {
    /// All of them.
    All(Vec<UserName>),
    /// Some, and why there may be others.
    Some(Vec<UserName>, String),
    /// The server does not know the group.
    Unknown,
}

impl From<Listing<UserName>> for Members {
    fn from(listing: Listing<UserName>) -> Self {
        match listing.doubt() {
            None => Self::All(listing.values),
            Some(reason) => Self::Some(listing.values, reason),
        }
    }
}

impl Members {
    /// What the answer to the question for the members of one group comes to.
    ///
    /// # Errors
    ///
    /// When other groups would fare no better.
    pub(super) fn of(answer: Result<Listing<UserName>, HttpError>) -> Result<Self, HttpError> {
        match answer {
            Ok(listing) => Ok(listing.into()),
            Err(error) => match (error.refusal(), error.of_one_resource()) {
                (Some(Refusal::NotFound), _) => Ok(Self::Unknown),
                (None, Some(reason)) => Ok(Self::Some(Vec::new(), reason)),
                _ => Err(error),
            },
        }
    }
}

/// The people of a server with `users`, of each whether that one is active where it is told, and `groups`.
pub(super) fn people<'a>(
    users: impl IntoIterator<Item = (&'a UserName, Option<bool>)>,
    doubt: Option<String>,
    groups: impl IntoIterator<Item = (GroupName, Members)>,
) -> People {
    let (mut people, mut unclear) = (People::default(), BTreeSet::new());
    for (name, active) in users {
        people.add_user(name.clone(), active.unwrap_or(true));
        if active.is_none() {
            unclear.insert(name);
        }
    }
    if let Some(such_as) = unclear.first() {
        let such_as = (*such_as).clone();
        people.lack(Missing::Activity { users: unclear.len() as u64, such_as });
    }
    if let Some(reason) = doubt {
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
