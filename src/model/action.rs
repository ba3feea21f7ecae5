//! What may happen on a finding.

use std::fmt;

use jiff::Timestamp;

use super::Period;

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
    /// on it. `None` for the actions that set no expiry.
    #[must_use]
    pub fn deadline(self, now: Timestamp) -> Option<Timestamp> {
        const DAY: i64 = 24 * 60 * 60;
        let Self::Expire { grace } = self else { return None };
        let end = grace.after(now);
        let seconds = end.as_second() + i64::from(end.subsec_nanosecond() > 0);
        let days = seconds.div_euclid(DAY) + i64::from(seconds.rem_euclid(DAY) > 0);
        Some(Timestamp::from_second(days * DAY).unwrap_or(end))
    }

    /// How much time is left at least; `None` for the actions that set no expiry.
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
