//! The rules: one rule, one file, one name.
//!
//! From one token with its owner, the policy and the time to a verdict. A rule knows neither other tokens
//! nor what is done about its finding.

mod creator_not_permitted;
mod description;
mod expired;
mod idle;
mod lifetime;
mod never_used;
mod own;
mod owner_inactive;
mod owner_not_permitted;
mod owner_unknown;
mod scope;
mod scope_unset;

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    inventory::{Membership, People, Unsure},
    model::{Limit, LimitKey, Permission, Rule, RuleCode, Scope, SettingKey, Token, expression::NeededFacts},
    policy::{LimitEntry, Policy},
    yaml::Place,
};

use super::owner::{LimitChoice, OwnerStanding};

/// One token and all that a rule may look at.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The token.
    pub token: &'a Token,
    /// How its owner stands.
    pub owner: Arc<OwnerStanding>,
    /// What should be.
    pub policy: &'a Policy,
    /// The users and groups of the target.
    pub people: &'a People,
    /// The moment of the check, UTC.
    pub now: Timestamp,
    /// Whether the end of its description was cut, so that its mark had room.
    pub is_cut: bool,
    /// What the policy's own rules ask for.
    pub asked: Arc<NeededFacts>,
}

/// What a rule says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleVerdict {
    /// The rule has no parameter for this token, or is not for tokens of this kind.
    NotTried(NotTried),
    /// Nothing is wrong.
    Complies {
        /// The line of the policy that is complied with, when the rule has a parameter.
        place: Option<Place>,
    },
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
        reason: Doubt,
    },
}

/// Why a rule cannot be decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It rests on the groups of somebody who is not in the directory. That comes to pass wherever people leave, and
    /// is found by `owner-unknown`.
    Stranger,
    /// Something could not be seen that there is, in words.
    Unseen(String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger => Unsure::Stranger.fmt(f),
            Self::Unseen(words) => f.write_str(words),
        }
    }
}

impl RuleVerdict {
    /// Nothing is wrong, for a rule without a parameter.
    const COMPLIES: Self = Self::Complies { place: None };
}

/// Why a rule is not tried on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTried {
    /// The policy does not manage this key, or says nothing of it for this owner.
    NoParameter(&'static str),
    /// The owner is a project or a repository.
    NoUser,
    /// The directory does not know the owner, whom it would have to call active or not.
    OwnerUnknown,
    /// The owner is not active, or not in the directory.
    OwnerNotActive,
    /// The token expired, and that is all there is to say of it.
    Expired,
    /// The token has not expired.
    NotExpired,
    /// The token was used before.
    Used,
    /// The token was never used.
    NeverUsed,
    /// The server does not tell who made the token.
    UnknownCreator,
    /// The token is revoked for another rule.
    Revoked,
    /// No own rule failed to run.
    NoError,
}

impl fmt::Display for NotTried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::NoParameter(key) => return write!(f, "the policy sets no `{key}` for the owner"),
            Self::NoUser => "the owner is no user",
            Self::OwnerUnknown => "the owner is not in the directory",
            Self::OwnerNotActive => "the owner is not active, or not in the directory",
            Self::Expired => "the token has expired",
            Self::NotExpired => "the token has not expired",
            Self::Used => "the token was used before",
            Self::NeverUsed => "the token was never used",
            Self::UnknownCreator => "the server does not tell who made the token",
            Self::Revoked => "the token is revoked for another rule",
            Self::NoError => "no own rule failed to run",
        };
        f.write_str(words)
    }
}

/// Tries every rule on `subject`: the built-in ones in their order, then the policy's own ones.
pub(super) fn check_all(subject: &Subject<'_>) -> impl Iterator<Item = (Rule, RuleVerdict)> {
    // `rule-error` results from own rules.
    let built_in = RuleCode::ALL.into_iter().filter(|&rule| rule != RuleCode::RuleError);
    built_in.map(|rule| (rule.into(), check(rule, subject))).chain(own::check_all(subject))
}

/// Tries `rule` on `subject`.
///
/// `per-owner` looks at all tokens of an owner together and is tried by the fold; here it only
/// says when it cannot be decided.
#[must_use]
pub fn check(rule: RuleCode, subject: &Subject<'_>) -> RuleVerdict {
    if rule == RuleCode::Expired {
        return expired::check(subject);
    }
    if subject.token.is_expired(subject.now) {
        return RuleVerdict::NotTried(NotTried::Expired);
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
        RuleCode::PerOwner => {
            subject.limited(LimitKey::MaxPerOwner, |limit| limit.max_per_owner.as_ref(), |_| None)
        }
        RuleCode::Description => description::check(subject),
        RuleCode::CreatorNotPermitted => creator_not_permitted::check(subject),
        // It was tried above.
        RuleCode::Expired => RuleVerdict::NotTried(NotTried::NotExpired),
        // It results from own rules.
        RuleCode::RuleError => RuleVerdict::NotTried(NotTried::NoError),
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
    /// `None` when the limit is not known.
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

    /// The verdict of a rule whose parameter is in the limits at `key`: `fails` is given the
    /// parameter and returns what is wrong.
    fn limited<T>(
        &self,
        key: LimitKey,
        parameter: impl Fn(&Limit) -> Option<&T>,
        fails: impl Fn(&T) -> Option<String>,
    ) -> RuleVerdict {
        if let LimitChoice::Undecided(unsure) = &self.owner.limit {
            // Of a stranger every entry may be the right one: it does not matter which when none is broken.
            let is_broken = |value| *unsure != Unsure::Stranger || fails(value).is_some();
            let matters = self.limits().iter().any(|entry| parameter(&entry.limit).is_some_and(is_broken));
            return if matters {
                undecided(unsure)
            } else {
                RuleVerdict::NotTried(NotTried::NoParameter(key.key()))
            };
        }
        let set = self.limit().and_then(|entry| Some((entry, parameter(&entry.limit)?)));
        let Some((entry, value)) = set else {
            return RuleVerdict::NotTried(NotTried::NoParameter(key.key()));
        };
        let place = Some(entry.place_of(key.key()).clone());
        match fails(value) {
            None => RuleVerdict::Complies { place },
            Some(message) => RuleVerdict::Fails { message, place },
        }
    }

    /// The verdict of a rule that demands of somebody to hold `permission`, who is in its groups as
    /// `membership` says.
    fn permitted(
        &self,
        permission: Permission,
        membership: &Membership,
        message: impl FnOnce() -> String,
    ) -> RuleVerdict {
        let key = SettingKey::Permission(permission).path();
        let Some((_, place)) = self.policy.holders(permission) else {
            return RuleVerdict::NotTried(NotTried::NoParameter(key));
        };
        let place = Some(place.clone());
        match membership {
            Membership::Member => RuleVerdict::Complies { place },
            Membership::NotMember => RuleVerdict::Fails { message: message(), place },
            Membership::Unsure(unsure) => undecided(unsure),
        }
    }
}

fn undecided(unsure: &Unsure) -> RuleVerdict {
    let reason = match unsure {
        Unsure::Stranger => Doubt::Stranger,
        Unsure::Group(_) | Unsure::Members(_) | Unsure::Users => Doubt::Unseen(unsure.to_string()),
    };
    RuleVerdict::Undecided { reason }
}

/// The verdict of a rule that needs the scope of a token whose server does not say it.
fn scope_not_known() -> RuleVerdict {
    let reason = Doubt::Unseen("the server does not say how far the token reaches".to_owned());
    RuleVerdict::Undecided { reason }
}

/// The verdict of a rule that needs the words of a token that are no longer there.
pub(super) fn words_not_known() -> RuleVerdict {
    let reason = "its description was cut, so that its mark had room: write it anew, in fewer words";
    RuleVerdict::Undecided { reason: Doubt::Unseen(reason.to_owned()) }
}

/// The day of a moment in UTC, as people write it.
fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}
