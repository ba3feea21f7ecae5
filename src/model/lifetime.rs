//! Lengths of calendar time in UTC, such as `90d`, `6mo` and `1y`. The time that they are counted from is
//! always an argument.

use std::{cmp::Ordering, fmt, str::FromStr};

use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shift, network::LeadingZero};

/// A length of calendar time, at least one hour and at most 100 years: `12h`, `90d`, `2w`, `6mo`, `1y`.
///
/// Months and years are calendar months and years in UTC: one month after 31 January is the last
/// day of February. `12mo` equals `1y`, `7d` equals `1w` and `24h` equals `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    months: u32,
    hours: u32,
}

/// How a [`Period`] is written, as a regular expression for schemas.
pub const PERIOD_PATTERN: &str = "^[0-9]+(h|d|w|mo|y)$";

const MONTHS_AT_MOST: u32 = 1_200;
const HOURS_AT_MOST: u32 = 876_000;
/// A month of the mean Gregorian year, for comparing months with days.
const HOURS_OF_MEAN_MONTH: u64 = 730;

impl Period {
    /// `count` hours.
    #[must_use]
    pub const fn hours(count: u16) -> Self {
        Self { months: 0, hours: count as u32 }
    }

    /// `count` days of 24 hours.
    #[must_use]
    pub const fn days(count: u16) -> Self {
        Self { months: 0, hours: count as u32 * 24 }
    }

    /// `count` months.
    #[must_use]
    pub const fn months(count: u16) -> Self {
        Self { months: count as u32, hours: 0 }
    }

    /// How many of `unit` it has, rounded up, a month taken at its mean.
    #[must_use]
    pub fn count(self, unit: Unit) -> u16 {
        let hours = match unit {
            Unit::Days => 24,
            Unit::Months => HOURS_OF_MEAN_MONTH,
        };
        u16::try_from(self.nominal_hours().div_ceil(hours)).unwrap_or(u16::MAX)
    }

    /// The time that lies this much later than `from`; the last one that can be written when
    /// that is beyond the calendar.
    #[must_use]
    pub fn after(self, from: Timestamp) -> Timestamp {
        let then = match self.exact() {
            Some(hours) => from.checked_add(hours),
            None => from.to_zoned_datetime(TimeZone::UTC).checked_add(self.span()).map(Into::into),
        };
        then.unwrap_or(Timestamp::MAX)
    }

    /// The time that lies this much earlier than `from`; the first one that can be written when
    /// that is beyond the calendar.
    #[must_use]
    pub fn before(self, from: Timestamp) -> Timestamp {
        let then = match self.exact() {
            Some(hours) => from.checked_sub(hours),
            None => from.to_zoned_datetime(TimeZone::UTC).checked_sub(self.span()).map(Into::into),
        };
        then.unwrap_or(Timestamp::MIN)
    }

    /// Its length, where no calendar is needed to tell it.
    fn exact(self) -> Option<SignedDuration> {
        (self.months == 0).then(|| SignedDuration::from_hours(self.hours.into()))
    }

    /// What having it as the longest time in the place of `before` lets through or stops: in a year of 365 days `1y` is
    /// no longer than `365d`, in one of 366 it is.
    #[must_use]
    pub fn shift(self, before: Self) -> Shift {
        let ((least, most), (least_before, most_before)) = (self.lengths(before), before.lengths(self));
        match (self == before, most <= least_before, least >= most_before) {
            (true, ..) => Shift::SAME,
            (_, true, _) => Shift::STRICTER,
            (_, _, true) => Shift::LOOSER,
            _ => Shift::MIXED,
        }
    }

    /// The least and the most that it is long, in months when `other` is counted in months too, otherwise in hours.
    fn lengths(self, other: Self) -> (u32, u32) {
        match (self.months, other.months) {
            (0, _) => (self.hours, self.hours),
            (months, 1..) => (months, months),
            (_, 0) => self.span_of_days().unwrap_or((0, u32::MAX)),
        }
    }

    /// The least and the most hours that a number of months is long, over the 400 years after which the calendar
    /// repeats itself.
    fn span_of_days(self) -> Option<(u32, u32)> {
        let months = (2000..2400).flat_map(|year| (1..=12).map(move |month| (year, month)));
        // From the last days of a month the way is the shortest, since there may be no such day.
        let days =
            months.flat_map(|(year, month)| [1, 28, 29, 30, 31].map(|day| Date::new(year, month, day)));
        let lengths = days.filter_map(|from| {
            let from = from.ok()?;
            let days = from.until(from.checked_add(self.span()).ok()?).ok()?.get_days();
            u32::try_from(days).ok()?.checked_mul(24)
        });
        lengths.map(|hours| (hours, hours)).reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))
    }

    fn span(self) -> Span {
        Span::new().months(self.months).hours(self.hours)
    }

    /// Its length in hours when a month is taken at its mean, for comparing two periods.
    fn nominal_hours(self) -> u64 {
        u64::from(self.months) * HOURS_OF_MEAN_MONTH + u64::from(self.hours)
    }
}

/// What a length of time is counted in where only whole numbers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Days.
    Days,
    /// Calendar months.
    Months,
}

impl Unit {
    /// `count` of it.
    #[must_use]
    pub const fn times(self, count: u16) -> Period {
        match self {
            Self::Days => Period::days(count),
            Self::Months => Period::months(count),
        }
    }

    /// The shortest period in whole units that is at least `period`; a month counts as its mean length.
    #[must_use]
    pub fn round_up(self, period: Period) -> Period {
        self.times(period.count(self))
    }
}

impl PartialOrd for Period {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Period {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.nominal_hours(), self.months).cmp(&(other.nominal_hours(), other.months))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.months, self.hours) {
            (0, hours) if hours % 24 == 0 => write!(f, "{}d", hours / 24),
            (0, hours) => write!(f, "{hours}h"),
            (months, _) if months % 12 == 0 => write!(f, "{}y", months / 12),
            (months, _) => write!(f, "{months}mo"),
        }
    }
}

/// The text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeriod {
    /// It does not have the form number and unit.
    #[error("`{0}` is not a duration; use a number and a unit (h, d, w, mo, y), e.g. `90d`")]
    Form(String),
    /// Its number begins with a zero.
    #[error("{0}")]
    LeadingZero(LeadingZero),
    /// It is zero.
    #[error("`{0}` is too short: a duration must be at least `1h`")]
    Zero(String),
    /// It is longer than a hundred years.
    #[error("`{0}` is longer than 100 years")]
    TooLong(String),
}

impl FromStr for Period {
    type Err = BadPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || BadPeriod::Form(text.to_owned());
        let too_long = || BadPeriod::TooLong(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
        let (number, unit) = text.split_at(split);
        if number.is_empty() {
            return Err(form());
        }
        let (hours_each, months_each) = match unit {
            "h" => (1, 0),
            "d" => (24, 0),
            "w" => (168, 0),
            "mo" => (0, 1),
            "y" => (0, 12),
            _ => return Err(form()),
        };
        let decimal = number.trim_start_matches('0');
        if decimal.is_empty() {
            return Err(BadPeriod::Zero(text.to_owned()));
        }
        if decimal != number {
            let decimal = format!("{decimal}{unit}");
            let octal = u64::from_str_radix(number, 8).ok().map(|number| format!("{number}{unit}"));
            let octal = octal.filter(|octal| *octal != decimal);
            return Err(BadPeriod::LeadingZero(LeadingZero { text: text.to_owned(), decimal, octal }));
        }
        let number: u32 = number.parse().map_err(|_| too_long())?;
        let months = number.checked_mul(months_each).ok_or_else(too_long)?;
        let hours = number.checked_mul(hours_each).ok_or_else(too_long)?;
        if months > MONTHS_AT_MOST || hours > HOURS_AT_MOST {
            return Err(too_long());
        }
        Ok(Self { months, hours })
    }
}

impl TryFrom<String> for Period {
    type Error = BadPeriod;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap_or(Period::days(0))
    }

    #[test]
    fn units_that_mean_the_same_are_equal_and_shown_in_the_largest() {
        assert_eq!(period("12mo"), period("1y"));
        assert_eq!(period("2w"), period("14d"));
        assert_eq!(period("48h"), period("2d"));
        assert_eq!(period("24mo").to_string(), "2y");
        assert_eq!(period("36h").to_string(), "36h");
    }

    #[test]
    fn a_month_is_a_calendar_month_in_utc() {
        let january: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap_or_default();
        assert_eq!(period("1mo").after(january).to_string(), "2026-02-28T12:00:00Z");
        assert_eq!(period("1y").before(january).to_string(), "2025-01-31T12:00:00Z");
    }

    #[test]
    fn a_year_of_365_days_is_no_longer_than_one_of_the_calendar_and_sometimes_shorter() {
        for (before, after, shift) in [
            ("1y", "365d", Shift::STRICTER),
            ("365d", "1y", Shift::LOOSER),
            ("366d", "1y", Shift::STRICTER),
            ("1mo", "30d", Shift::MIXED),
            ("1mo", "28d", Shift::STRICTER),
            ("1mo", "31d", Shift::LOOSER),
            ("12mo", "1y", Shift::SAME),
            ("6mo", "1y", Shift::LOOSER),
            ("48h", "2d", Shift::SAME),
            ("90d", "12h", Shift::STRICTER),
            ("4y", "1461d", Shift::LOOSER),
        ] {
            assert_eq!(period(after).shift(period(before)), shift, "{before} {after}");
        }
    }

    #[test]
    fn days_end_where_the_calendar_ends_as_months_do() {
        let moment: Timestamp = "2026-01-31T12:00:00.5Z".parse().unwrap_or_default();
        assert_eq!(period("90d").after(moment).to_string(), "2026-05-01T12:00:00.5Z");
        assert_eq!(period("36h").before(moment).to_string(), "2026-01-30T00:00:00.5Z");
        for long in ["876000h", "100y"].map(period) {
            assert_eq!(long.after(Timestamp::MAX), Timestamp::MAX);
            assert_eq!(long.before(Timestamp::MIN), Timestamp::MIN);
        }
    }

    #[test]
    fn what_is_no_period_says_what_to_write() {
        for bad in ["", "d", "90", "90 d", "-1d", "1.5d", "90days", "٣d"] {
            assert_eq!(bad.parse::<Period>(), Err(BadPeriod::Form(bad.to_owned())), "{bad}");
        }
        assert_eq!("0d".parse::<Period>(), Err(BadPeriod::Zero("0d".to_owned())));
        for (zero, words) in [
            ("010d", "write `10d` (read as decimal) or `8d` (read as octal)"),
            ("007mo", "write `7mo`"),
            ("090d", "write `90d`"),
        ] {
            let said = zero.parse::<Period>().map_err(|error| error.to_string());
            assert_eq!(said, Err(format!("`{zero}` has a number with a leading zero; {words}")));
        }
        for long in ["101y", "99999999999999999999d", "4294967295y"] {
            assert_eq!(long.parse::<Period>(), Err(BadPeriod::TooLong(long.to_owned())), "{long}");
        }
    }
}
