//! What texts, numbers and moments in the bodies and headers of our own REST may be: what could not be meant is refused
//! with what to write.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::Value;

use crate::{model::Period, serve::problem::Problem};

/// The most characters that a name has.
const NAME_AT_MOST: usize = 255;
/// The most characters that a text in a document has, which may be a regular expression.
const TEXT_AT_MOST: usize = 1_000;

/// Makes sure that `text`, the value of `field`, can be a name.
pub(super) fn name(field: &str, text: &str) -> Result<(), Problem> {
    line(field, text, NAME_AT_MOST)
}

/// Makes sure that every text in `document`, which lies at `path`, can be meant.
pub(super) fn texts(path: &str, document: &Value) -> Result<(), Problem> {
    match document {
        Value::String(text) => line(path, text, TEXT_AT_MOST),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| texts(&format!("{path}[{index}]"), item))
        }
        Value::Object(members) => members.iter().try_for_each(|(key, member)| {
            let dot = if path.is_empty() { "" } else { "." };
            texts(&format!("{path}{dot}{key}"), member)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn line(field: &str, text: &str, at_most: usize) -> Result<(), Problem> {
    let fits = !text.trim().is_empty() && text.chars().count() <= at_most;
    if fits && !text.contains(char::is_control) {
        return Ok(());
    }
    let message = format!("`{field}` takes 1 to {at_most} characters and no control characters.");
    Err(Problem::bad_request(message))
}

/// The whole number `value` of `field`, which must be in `range`.
pub(super) fn number(field: &str, value: &Value, range: RangeInclusive<u64>) -> Result<u64, Problem> {
    value.as_u64().filter(|number| range.contains(number)).ok_or_else(|| {
        let message = format!("`{field}` takes a whole number from {} to {}.", range.start(), range.end());
        Problem::bad_request(message)
    })
}

/// Makes sure that `moment`, the value of `field`, can be one that a run knows of.
pub(super) fn moment(field: &str, moment: Timestamp) -> Result<(), Problem> {
    if moment >= Timestamp::UNIX_EPOCH {
        return Ok(());
    }
    Err(Problem::bad_request(format!("`{field}` takes a moment from 1970-01-01T00:00:00Z on.")))
}

/// Makes sure that `moment`, the value of `field`, can be the beginning of a run that is told of at `now`. The clock of
/// who tells of it may be wrong, but not by decades.
pub(super) fn beginning(field: &str, moment: Timestamp, now: Timestamp) -> Result<(), Problem> {
    self::moment(field, moment)?;
    let latest = Period::months(120).after(now);
    if moment <= latest {
        return Ok(());
    }
    Err(Problem::bad_request(format!("`{field}` takes a moment before {latest:.0}.")))
}

/// Makes sure that `digest`, the value of `field`, can be one; it is empty where there is none.
pub(super) fn digest(field: &str, digest: &str) -> Result<(), Problem> {
    if digest.len() <= 64 && digest.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Problem::bad_request(format!("`{field}` takes up to 64 hexadecimal digits.")))
}
