//! A moment as servers write it: milliseconds since the epoch, as a number or as text.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What a server writes where a moment belongs.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub(super) enum Millis {
    /// The field is missing.
    #[default]
    Missing,
    /// It is 0 or null, by which servers mean never.
    Never,
    /// A moment.
    At(Timestamp),
    /// One behind the last moment of the calendar, that is in the year 9999.
    TooLate,
    /// Something else, such as a negative number.
    Odd,
}

/// No server of these has anything from before the year 2000. Seconds in place of milliseconds look like that.
const EARLIEST: Timestamp = Timestamp::constant(946_684_800, 0);

/// The value means no moment.
#[derive(Debug, PartialEq)]
pub(super) struct NoMoment;

impl Millis {
    /// When something happened, if it ever did. What is too early to be true does not count.
    pub(super) fn past(self) -> Result<Option<Timestamp>, NoMoment> {
        match self {
            Self::Missing | Self::Never => Ok(None),
            Self::At(at) if at >= EARLIEST => Ok(Some(at)),
            Self::At(_) | Self::TooLate | Self::Odd => Err(NoMoment),
        }
    }

    /// When something ends, if it ever does. An end behind the calendar is as late as can be, not never: a limit
    /// on lifetimes is broken by both.
    pub(super) fn end(self) -> Result<Option<Timestamp>, NoMoment> {
        match self {
            Self::TooLate => Ok(Some(Timestamp::MAX)),
            other => other.past(),
        }
    }
}

impl From<i64> for Millis {
    fn from(millis: i64) -> Self {
        match millis {
            0 => Self::Never,
            ..0 => Self::Odd,
            _ => Timestamp::from_millisecond(millis).map_or(Self::TooLate, Self::At),
        }
    }
}

impl From<&Value> for Millis {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Never,
            Value::Number(number) => match number.as_i64() {
                Some(millis) => millis.into(),
                // A number without a fraction that is larger than any of 64 bits.
                None if number.as_f64().is_some_and(|number| number >= 9.2e18) => Self::TooLate,
                None => Self::Odd,
            },
            Value::String(text) => {
                let digits = text.trim();
                let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
                match digits.parse::<i64>() {
                    Ok(millis) => millis.into(),
                    Err(_) if is_number => Self::TooLate,
                    Err(_) => Self::Odd,
                }
            }
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Self::Odd,
        }
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&Value::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_moment_behind_the_calendar_is_the_latest_end_and_nothing_else_is_guessed() {
        for (value, end) in [
            (json!(null), Ok(None)),
            (json!(0), Ok(None)),
            (json!("0"), Ok(None)),
            (json!(946_684_800_000_i64), Ok(Some("2000-01-01T00:00:00Z".parse().unwrap()))),
            (json!(" 1767225600000 "), Ok(Some("2026-01-01T00:00:00Z".parse().unwrap()))),
            // In seconds, and before there was any such server.
            (json!(1_767_225_600), Err(NoMoment)),
            (json!("1767225600"), Err(NoMoment)),
            (json!(86_400_000), Err(NoMoment)),
            (json!(946_684_799_999_i64), Err(NoMoment)),
            (json!(253_402_300_799_999_i64), Ok(Some(Timestamp::MAX))),
            (json!(u64::MAX), Ok(Some(Timestamp::MAX))),
            (json!(1e300), Ok(Some(Timestamp::MAX))),
            (json!("99999999999999999999999999"), Ok(Some(Timestamp::MAX))),
            (json!(-1), Err(NoMoment)),
            (json!("-1"), Err(NoMoment)),
            (json!(1.5), Err(NoMoment)),
            (json!("soon"), Err(NoMoment)),
            (json!(""), Err(NoMoment)),
            (json!(true), Err(NoMoment)),
            (json!([1]), Err(NoMoment)),
        ] {
            assert_eq!(Millis::from(&value).end(), end, "{value}");
            let past = end.and_then(|end| if end == Some(Timestamp::MAX) { Err(NoMoment) } else { Ok(end) });
            assert_eq!(Millis::from(&value).past(), past, "{value}");
        }
    }
}
