//! In: words of the policy. Out: the rules there are and what may happen on a finding. It refuses
//! to know how a rule is checked.

use std::{fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;

use super::Period;

/// One way in which a token can fail to comply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleCode {
    /// The directory says that the owner is not active.
    OwnerInactive,
    /// The owner is not in the directory.
    OwnerUnknown,
    /// The owner is outside `permissions.use`.
    OwnerNotPermitted,
    /// The scope is more than the limit.
    Scope,
    /// The token is older than scopes and so counts as read-write.
    ScopeUnset,
    /// It never expires, or lives longer than the limit.
    Lifetime,
    /// Its last use lies too long ago.
    Idle,
    /// It was never used and is older than the limit.
    NeverUsed,
    /// Its owner has more tokens than the limit; the least recently used are too many.
    PerOwner,
    /// Its description does not match.
    Description,
    /// Somebody made it for somebody else without being permitted to.
    CreatorNotPermitted,
    /// It expired and is still listed.
    Expired,
    /// The expression of an own rule failed on it.
    RuleError,
}

impl RuleCode {
    /// All of them, in the order in which they are tried and shown.
    pub const ALL: [Self; 13] = [
        Self::OwnerInactive,
        Self::OwnerUnknown,
        Self::OwnerNotPermitted,
        Self::Scope,
        Self::ScopeUnset,
        Self::Lifetime,
        Self::Idle,
        Self::NeverUsed,
        Self::PerOwner,
        Self::Description,
        Self::CreatorNotPermitted,
        Self::Expired,
        Self::RuleError,
    ];

    /// Its code in policies and reports.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::OwnerInactive => "owner-inactive",
            Self::OwnerUnknown => "owner-unknown",
            Self::OwnerNotPermitted => "owner-not-permitted",
            Self::Scope => "scope",
            Self::ScopeUnset => "scope-unset",
            Self::Lifetime => "lifetime",
            Self::Idle => "idle",
            Self::NeverUsed => "never-used",
            Self::PerOwner => "per-owner",
            Self::Description => "description",
            Self::CreatorNotPermitted => "creator-not-permitted",
            Self::Expired => "expired",
            Self::RuleError => "rule-error",
        }
    }

    /// What a finding of it says of a token, as words that follow "the token".
    #[must_use]
    pub fn finds(self) -> &'static str {
        match self {
            Self::OwnerInactive => "belongs to somebody whom the directory calls inactive",
            Self::OwnerUnknown => "belongs to somebody who is not in the directory",
            Self::OwnerNotPermitted => "belongs to somebody outside `permissions.use`",
            Self::Scope => "has a larger scope than its limit",
            Self::ScopeUnset => "is older than scopes, and counts as read-write",
            Self::Lifetime => "never expires, or lives longer than its limit",
            Self::Idle => "was used last too long ago",
            Self::NeverUsed => "was never used, and is older than its limit",
            Self::PerOwner => "is one of too many of its owner, and among the least recently used",
            Self::Description => "has a description that does not match",
            Self::CreatorNotPermitted => {
                "was made for somebody else by somebody outside `permissions.manage_others`"
            }
            Self::Expired => "expired, and is still listed",
            Self::RuleError => "could not be judged by an own rule, whose expression failed",
        }
    }

    /// The kinds of action that make sense on this rule, in the order of their weight.
    #[must_use]
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Scope | Self::ScopeUnset => &["report", "narrow", "expire", "revoke"],
            Self::Expired => &["report", "revoke"],
            _ => &["report", "expire", "revoke"],
        }
    }

    /// Whether something other than `report` happens on it only when the policy names it: what it finds
    /// may be a gap in what was seen or written, and no fault of the token.
    #[must_use]
    pub fn acts_only_when_named(self) -> bool {
        matches!(self, Self::OwnerUnknown | Self::RuleError)
    }
}

impl fmt::Display for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A rule, built in or the policy's own. Built-in ones come first, in the order in which they are
/// tried, then own ones by their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// One that the program has.
    BuiltIn(RuleCode),
    /// One of the policy, by its name.
    Own(Arc<str>),
}

impl Rule {
    /// Its code in policies and reports.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::BuiltIn(code) => code.code(),
            Self::Own(name) => name,
        }
    }

    /// The kinds of action that make sense on it, in the order of their weight.
    #[must_use]
    pub fn actions(&self) -> &'static [&'static str] {
        match self {
            Self::BuiltIn(code) => code.actions(),
            Self::Own(_) => &["report", "narrow", "expire", "revoke"],
        }
    }

    /// Whether `action` makes sense on it.
    #[must_use]
    pub fn admits(&self, action: Action) -> bool {
        self.actions().contains(&action.word())
    }
}

impl From<RuleCode> for Rule {
    fn from(code: RuleCode) -> Self {
        Self::BuiltIn(code)
    }
}

impl PartialEq<RuleCode> for Rule {
    fn eq(&self, code: &RuleCode) -> bool {
        *self == Self::BuiltIn(*code)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is no rule code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rule")]
pub struct UnknownRule(pub String);

impl FromStr for RuleCode {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|rule| rule.code() == text).ok_or_else(|| UnknownRule(text.to_owned()))
    }
}

/// What happens on a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is shown, and nothing is changed.
    Report,
    /// The scope is lowered in place.
    Narrow,
    /// The expiry is brought nearer, `grace` from the first run that sees the finding.
    Expire {
        /// How long the token still lives.
        grace: Period,
    },
    /// The token is revoked. It cannot be undone.
    Revoke,
}

impl Action {
    /// How long an expiring token still lives when the policy does not say.
    pub const DEFAULT_GRACE: Period = Period::days(14);

    /// The moment to which it brings the expiry of a token whose finding is seen at `now`: the grace
    /// later, rounded up to midnight UTC, so that people can be told a date and runs on one day agree
    /// on it. Nothing for the actions that set no expiry.
    #[must_use]
    pub fn deadline(self, now: Timestamp) -> Option<Timestamp> {
        const DAY: i64 = 24 * 60 * 60;
        let Self::Expire { grace } = self else { return None };
        let end = grace.after(now);
        let seconds = end.as_second() + i64::from(end.subsec_nanosecond() > 0);
        let days = seconds.div_euclid(DAY) + i64::from(seconds.rem_euclid(DAY) > 0);
        Some(Timestamp::from_second(days * DAY).unwrap_or(end))
    }

    /// How much time is left at least; nothing for the actions that set no expiry.
    #[must_use]
    pub fn grace(self) -> Option<Period> {
        if let Self::Expire { grace } = self { Some(grace) } else { None }
    }

    /// Whether it ends the token, at once or later.
    #[must_use]
    pub fn ends_the_token(self) -> bool {
        matches!(self, Self::Expire { .. } | Self::Revoke)
    }

    /// Its word in policies and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Narrow => "narrow",
            Self::Expire { .. } => "expire",
            Self::Revoke => "revoke",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_midnight_that_leaves_at_least_the_grace() {
        let action = Action::Expire { grace: Period::days(14) };
        for (now, then) in [
            ("2026-11-23T00:00:00Z", "2026-12-07T00:00:00Z"),
            ("2026-11-23T00:00:00.001Z", "2026-12-08T00:00:00Z"),
            ("2026-11-23T23:59:59Z", "2026-12-08T00:00:00Z"),
        ] {
            let now: Timestamp = now.parse().unwrap();
            assert_eq!(action.deadline(now).unwrap().to_string(), then, "{now}");
        }
    }
}
