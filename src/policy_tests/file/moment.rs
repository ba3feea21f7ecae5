//! Times as policy tests write them: `2026-01-31`, `2026-01-31T08:00:00Z`, `30d ago`, `in 30d`, `never`.
//! Relative ones count from a time that is given.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    model::Period,
    yaml::{
        Code, Diagnostic, Diagnostics,
        node::{At, Value},
    },
};

/// A moment, or the word `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TestMoment {
    /// `never`.
    Never,
    /// A moment.
    At(Timestamp),
}

impl TestMoment {
    /// The moment; `None` for `never`.
    pub(super) fn at(self) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::At(at) => Some(at),
        }
    }
}

/// What may stand somewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MomentForm {
    /// A day or a time.
    Absolute,
    /// That, or a time counted from now.
    Relative,
    /// That, or `never`.
    OrNever,
}

/// What is written at `at`; `None` when it cannot be read, which is reported. Relative times count from
/// `now`.
pub(super) fn read(
    at: &At<'_>,
    form: MomentForm,
    now: Timestamp,
    out: &mut Diagnostics,
) -> Option<TestMoment> {
    let written = match &at.node.value {
        Value::Text(text) => text,
        Value::Number { written, .. } => written,
        _ => return None,
    };
    let moment =
        parse(written, now).filter(|(needs, _)| *needs as u8 <= form as u8).map(|(_, moment)| moment);
    if moment.is_none() {
        let ways = match form {
            MomentForm::Absolute => {
                "write a day such as `2026-12-01` or a time such as `2026-12-01T08:00:00Z`"
            }
            MomentForm::Relative => {
                "write a day such as `2026-12-01`, a time such as `2026-12-01T08:00:00Z`, or `30d ago`"
            }
            MomentForm::OrNever => "write a day such as `2026-12-01`, `30d ago`, `in 30d` or `never`",
        };
        let message = format!("`{written}` is not a valid time");
        out.push(Diagnostic::error(Code::BadDate, at.span(), at.path.as_str(), message).help(ways));
    }
    moment
}

/// The time that `text` is, with the form that it takes.
fn parse(text: &str, now: Timestamp) -> Option<(MomentForm, TestMoment)> {
    let absolute = |at| Some((MomentForm::Absolute, TestMoment::At(at)));
    if text == "never" {
        Some((MomentForm::OrNever, TestMoment::Never))
    } else if let Some(period) = text.strip_suffix(" ago") {
        Some((MomentForm::Relative, TestMoment::At(period.parse::<Period>().ok()?.before(now))))
    } else if let Some(period) = text.strip_prefix("in ") {
        Some((MomentForm::Relative, TestMoment::At(period.parse::<Period>().ok()?.after(now))))
    } else if let Some(day) = text.parse::<Date>().ok().filter(|day| day.to_string() == text) {
        absolute(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
    } else {
        absolute(text.parse().ok()?)
    }
}

/// The absolute moment that `text` is; for texts that hold more than that.
pub(super) fn absolute(text: &str, now: Timestamp) -> Option<Timestamp> {
    parse(text, now).filter(|(form, _)| *form == MomentForm::Absolute).and_then(|(_, moment)| moment.at())
}

/// How `moment` is written: the day alone when it is its first moment in UTC.
pub(super) fn text(moment: Timestamp) -> String {
    let is_midnight = moment.as_nanosecond().rem_euclid(24 * 60 * 60 * 1_000_000_000) == 0;
    if is_midnight { moment.strftime("%Y-%m-%d").to_string() } else { moment.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_moment_is_read_and_what_is_none_is_not() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let read = |text| parse(text, now).map(|(_, moment)| moment.at().map(super::text));
        for (written, means) in [
            ("2026-01-31", "2026-01-31"),
            ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
            ("2026-01-31T08:00:00+02:00", "2026-01-31T06:00:00Z"),
            ("30d ago", "2026-11-01"),
            ("in 12h", "2026-12-01T12:00:00Z"),
        ] {
            assert_eq!(read(written), Some(Some(means.to_owned())), "{written}");
        }
        assert_eq!(read("never"), Some(None));
        for nothing in ["", "2026-02-30", "20260131", "tomorrow", "30 ago", "in -1d"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }
}
