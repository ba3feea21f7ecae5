//! A waiver, from one valid entry of `waivers`: which tokens and rules it is for, and until when.

use std::{collections::BTreeSet, fmt};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    model::{Action, Owner, Period, Rule, RuleCode, Token, TokenId, wildcard},
    yaml::{Place, Span},
};

/// A declared exception: findings of these rules on these tokens are shown, and nothing is done about
/// them until the end of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Which tokens it is for.
    pub subject: WaiverSubject,
    /// Which rules it is for; never empty.
    pub rules: BTreeSet<Rule>,
    /// Why there is an exception.
    pub reason: String,
    /// Who approved it, when that is said.
    pub approved_by: Option<String>,
    /// The last day on which it holds, UTC.
    pub until: Date,
    /// Where the entry begins.
    pub place: Place,
    /// Where `until` stands, for what there is to say of the day.
    pub(super) until_span: Span,
    /// The path of the entry in its file, such as `waivers[0]`.
    pub(super) path: String,
}

/// Which tokens a waiver is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaiverSubject {
    /// One token.
    Token(TokenId),
    /// The tokens of an owner.
    Owner {
        /// Whose, in the form of [`Owner::folded`].
        owner: Owner,
        /// Those with such a description alone; `*` is any text.
        description: Option<String>,
    },
}

impl Waiver {
    /// A waiver that somebody tells of, such as a saved plan: what it says and where it begins, without
    /// what only the file itself can tell.
    #[must_use]
    pub fn told(
        subject: WaiverSubject,
        rules: BTreeSet<Rule>,
        reason: String,
        approved_by: Option<String>,
        until: Date,
        place: Place,
    ) -> Self {
        let until_span = Span { place: place.clone(), start: 0, end: 0 };
        Self { subject, rules, reason, approved_by, until, place, until_span, path: String::new() }
    }

    /// How long a token still lives at least when its waiver ended: nobody looks at a waiver every day.
    pub const GRACE: Period = Period::days(14);

    /// The moment from which on it does not hold: the midnight, UTC, that ends its last day.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let morning = self.until.tomorrow().ok().and_then(|day| day.to_zoned_datetime(TimeZone::UTC).ok());
        morning.map_or(Timestamp::MAX, |morning| morning.timestamp())
    }

    /// The moment from which on a token is narrowed again, when it has ended.
    #[must_use]
    pub fn narrows_from(&self) -> Timestamp {
        Self::GRACE.after(self.end())
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.end()
    }

    /// Whether it holds at `now`, and ends within `warn` from then.
    #[must_use]
    pub fn ends_soon(&self, warn: Period, now: Timestamp) -> bool {
        self.holds(now) && warn.before(self.end()) <= now
    }

    /// Whether the description of `token`, whose identifier or owner is the right one, is right too.
    #[must_use]
    pub fn describes(&self, token: &Token) -> bool {
        match &self.subject {
            WaiverSubject::Token(_) | WaiverSubject::Owner { description: None, .. } => true,
            WaiverSubject::Owner { description: Some(pattern), .. } => wildcard(pattern, &token.description),
        }
    }

    /// What happens at `now` on a finding of `rule` that this waiver held until it ended, when `action`
    /// is what happens without it: nothing that stops a token from working within fourteen days.
    #[must_use]
    pub fn soften(&self, rule: &Rule, action: Action, now: Timestamp) -> Action {
        match action {
            // An expired token does not work anyway.
            Action::Revoke if *rule == RuleCode::Expired => action,
            Action::Revoke => Action::Expire { grace: Self::GRACE },
            Action::Expire { grace } => Action::Expire { grace: grace.max(Self::GRACE) },
            Action::Narrow if now < self.narrows_from() => Action::Report,
            Action::Narrow | Action::Report => action,
        }
    }
}

impl fmt::Display for WaiverSubject {
    /// `token 4711`, `mary`, `project PLAT with the description "nightly *"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token {id}"),
            Self::Owner { owner, description: None } => owner.fmt(f),
            Self::Owner { owner, description: Some(pattern) } => {
                write!(f, "{owner} with the description {pattern:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn until(day: &str) -> Waiver {
        let file = Arc::from("policy.yaml");
        Waiver {
            subject: WaiverSubject::Token(TokenId::new("1")),
            rules: BTreeSet::from([RuleCode::Lifetime.into()]),
            reason: "a reason".to_owned(),
            approved_by: None,
            until: day.parse().unwrap(),
            place: Span::of_file(&file).place,
            until_span: Span::of_file(&file),
            path: "waivers[0]".to_owned(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_waiver_holds_through_the_end_of_its_day_in_utc() {
        let waiver = until("2026-12-31");
        assert!(waiver.holds(at("2026-12-31T23:59:59.999Z")));
        assert!(!waiver.holds(at("2027-01-01T00:00:00Z")));
        assert!(until("9999-12-31").holds(at("2026-12-31T00:00:00Z")), "the last day there is");
    }

    #[test]
    fn the_end_comes_near_exactly_as_early_as_the_policy_says() {
        let (waiver, warn) = (until("2026-12-31"), Period::days(14));
        assert!(!waiver.ends_soon(warn, at("2026-12-17T23:59:59Z")));
        assert!(waiver.ends_soon(warn, at("2026-12-18T00:00:00Z")));
        assert!(!waiver.ends_soon(warn, at("2027-01-01T00:00:00Z")), "it has ended");
    }

    #[test]
    fn nothing_stops_working_within_two_weeks_of_the_end_of_a_waiver() {
        let (waiver, now) = (until("2026-12-31"), at("2027-01-05T00:00:00Z"));
        let expire = |days| Action::Expire { grace: Period::days(days) };
        for (rule, action, softened) in [
            (RuleCode::Idle, Action::Revoke, expire(14)),
            (RuleCode::Idle, expire(3), expire(14)),
            (RuleCode::Idle, expire(30), expire(30)),
            (RuleCode::Idle, Action::Report, Action::Report),
            (RuleCode::Scope, Action::Narrow, Action::Report),
            (RuleCode::Expired, Action::Revoke, Action::Revoke),
        ] {
            assert_eq!(waiver.soften(&rule.into(), action, now), softened, "{rule} {action:?}");
        }
        let later = at("2027-01-15T00:00:00Z");
        assert_eq!(waiver.soften(&RuleCode::Scope.into(), Action::Narrow, later), Action::Narrow);
    }
}
