//! A bound in time as people write one: a date, a timestamp, or a duration from now.

use std::str::FromStr;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::Period;

/// `2026-11-26`, `2026-11-26T12:00:00Z`, or `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBound {
    /// This moment, UTC; that of a date is its beginning.
    At(Timestamp),
    /// This long ago.
    Ago(Period),
}

/// The text is not a bound in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a date (2026-11-26, from 00:00 UTC), a timestamp (2026-11-26T12:00:00Z) or a duration back from now \
     (12h, 1d, 2w, 6mo, 1y)"
)]
pub struct BadTimeBound(String);

impl TimeBound {
    /// The time that is meant at `now`, UTC, where a duration counts ahead.
    #[must_use]
    pub fn ahead(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(period) => period.after(now),
        }
    }

    /// The time that is meant at `now`, UTC.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(period) => period.before(now),
        }
    }
}

impl FromStr for TimeBound {
    type Err = BadTimeBound;

    fn from_str(text: &str) -> Result<Self, BadTimeBound> {
        // A date is read from a longer text, too, of which the time of day would be lost.
        let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let moment = if is_date {
            let date = text.parse::<Date>().and_then(|date| date.to_zoned_datetime(TimeZone::UTC));
            date.map(|start| start.timestamp()).ok()
        } else {
            text.parse::<Timestamp>().ok()
        };
        let bound = moment.map(Self::At).or_else(|| text.parse().map(Self::Ago).ok());
        bound.ok_or_else(|| BadTimeBound(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_a_timestamp_and_a_period_are_bounds_and_nothing_else_is() {
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<TimeBound>().map(|bound| bound.at(now).to_string());
        for (text, moment) in [
            ("2026-11-26", "2026-11-26T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("2026-11-26T10:00:00Z", "2026-11-26T10:00:00Z"),
            ("2026-11-26T10:00:00+02:00", "2026-11-26T08:00:00Z"),
            ("1d", "2026-11-25T12:00:00Z"),
            ("1mo", "2026-10-26T12:00:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(moment), "{text}");
        }
        for text in [
            "",
            "soon",
            "1",
            "0d",
            "-1d",
            "2026-02-30",
            "2026-11",
            "20261126",
            "2026-11-26T10:00:00",
            "1795694400000",
        ] {
            let error = at(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a date (2026-11-26")), "{error}");
        }
    }
}
