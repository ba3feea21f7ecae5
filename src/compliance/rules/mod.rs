//! The rules: one rule, one file, one name.
//!
//! In: one token with its owner, the policy and the time. Out: a verdict. A rule refuses to know
//! other tokens, and what is done about its finding.

mod creator_not_permitted;
mod description;
mod expired;
mod idle;
mod lifetime;
mod never_used;
pub(super) mod own;
mod owner_inactive;
mod owner_not_permitted;
mod owner_unknown;
mod scope;
mod scope_unset;

use jiff::Timestamp;

use super::owner::{LimitChoice, Standing};
use crate::{
    inventory::{Membership, People},
    model::{GroupName, Limit, Permission, RuleCode, Scope, Token, UserName},
    policy::{LimitEntry, Place, Policy},
};

/// One token and all that a rule may look at.
pub struct Subject<'a> {
    /// The token.
    pub token: &'a Token,
    /// How its owner stands.
    pub owner: Standing,
    /// What should be.
    pub policy: &'a Policy,
    /// The users and groups of the target.
    pub people: &'a People,
    /// The moment of the check, UTC.
    pub now: Timestamp,
}

/// What a rule says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rule has no parameter for this token, or is not for tokens of this kind.
    NotTried,
    /// Nothing is wrong.
    Complies,
    /// Something is wrong.
    Fails {
        /// What is wrong.
        message: String,
        /// The line of the policy that demands it, when the rule has a parameter.
        place: Option<Place>,
    },
    /// It rests on something that could not be seen.
    Undecided {
        /// On what.
        reason: String,
    },
}

/// Tries `rule` on `subject`.
///
/// `per-owner` looks at all tokens of an owner together and is tried by the fold; here it only
/// says when it cannot be decided.
#[must_use]
pub fn check(rule: RuleCode, subject: &Subject<'_>) -> Verdict {
    if rule == RuleCode::Expired {
        return expired::check(subject);
    }
    if subject.token.is_expired(subject.now) {
        return Verdict::NotTried;
    }
    match rule {
        RuleCode::OwnerInactive => owner_inactive::check(subject),
        RuleCode::OwnerUnknown => owner_unknown::check(subject),
        RuleCode::OwnerNotPermitted => owner_not_permitted::check(subject),
        RuleCode::Scope => scope::check(subject),
        RuleCode::ScopeUnset => scope_unset::check(subject),
        RuleCode::Lifetime => lifetime::check(subject),
        RuleCode::Idle => idle::check(subject),
        RuleCode::NeverUsed => never_used::check(subject),
        RuleCode::PerOwner => subject.limited("max_per_owner", |limit| limit.max_per_owner, |_| None),
        RuleCode::Description => description::check(subject),
        RuleCode::CreatorNotPermitted => creator_not_permitted::check(subject),
        // The one was tried above, the other comes of own rules.
        RuleCode::Expired | RuleCode::RuleError => Verdict::NotTried,
    }
}

impl Subject<'_> {
    /// The entry of the limits that counts for the token.
    #[must_use]
    pub fn limit(&self) -> Option<&LimitEntry> {
        match self.owner.limit {
            LimitChoice::Entry(index) => self.limits().get(index),
            LimitChoice::None | LimitChoice::Undecided(_) => None,
        }
    }

    /// What `narrow` lowers the scope to: the limit's `max_scope`, read-only where there is none;
    /// nothing when the limit is not known.
    #[must_use]
    pub fn narrow_to(&self) -> Option<Scope> {
        match self.owner.limit {
            LimitChoice::Undecided(_) => None,
            LimitChoice::None | LimitChoice::Entry(_) => {
                Some(self.limit().and_then(|entry| entry.limit.max_scope).unwrap_or(Scope::ReadOnly))
            }
        }
    }

    fn limits(&self) -> &[LimitEntry] {
        self.policy.limits.get().map_or(&[], |limits| &limits.value)
    }

    /// The verdict of a rule whose parameter stands in the limits at `key`: `fails` is given the
    /// parameter and answers what is wrong.
    fn limited<T>(
        &self,
        key: &str,
        parameter: impl Fn(&Limit) -> Option<T>,
        fails: impl FnOnce(T) -> Option<String>,
    ) -> Verdict {
        if let LimitChoice::Undecided(group) = &self.owner.limit {
            let matters = self.limits().iter().any(|entry| parameter(&entry.limit).is_some());
            return if matters { undecided(group) } else { Verdict::NotTried };
        }
        let Some(entry) = self.limit() else { return Verdict::NotTried };
        let Some(value) = parameter(&entry.limit) else { return Verdict::NotTried };
        match fails(value) {
            None => Verdict::Complies,
            Some(message) => Verdict::Fails { message, place: Some(entry.place_of(key).clone()) },
        }
    }

    /// The verdict of a rule that demands of `user` to hold `permission`.
    fn permitted(
        &self,
        user: &UserName,
        permission: Permission,
        message: impl FnOnce() -> String,
    ) -> Verdict {
        let Some(set) = self.policy.permissions.get(&permission) else { return Verdict::NotTried };
        match super::owner::holding(self.policy, self.people, permission, user) {
            Membership::Member => Verdict::Complies,
            Membership::NotMember => Verdict::Fails { message: message(), place: Some(set.place.clone()) },
            Membership::Unsure(group) => undecided(&group),
        }
    }
}

fn undecided(group: &GroupName) -> Verdict {
    Verdict::Undecided { reason: format!("group `{group}` is not known to the server") }
}

/// The verdict of a rule that needs the scope of a token whose server does not say it.
fn scope_not_known() -> Verdict {
    Verdict::Undecided { reason: "the server does not say how far the token reaches".to_owned() }
}

/// The day of a moment in UTC, as people write it.
fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}
