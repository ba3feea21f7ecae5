//! What the REST of Jira, Confluence and Bitbucket have in common: numbers that may be text, values that may be null,
//! and names that become a segment of a path.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::model::percent;

/// A number, also one that is written as text.
#[derive(Clone, Debug, Deserialize, Hash, PartialEq)]
#[serde(untagged)]
pub(super) enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    pub(super) fn value(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// A value that another one than expected means as well as none: it is not told.
pub(super) fn or_none<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(Value::deserialize(deserializer)?).ok())
}

/// A slug or key that would lead to another place of the REST.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot stand in a path")]
pub(super) struct BadSegment(String);

/// `text` as one segment of a path (RFC 3986): text from a server never leads anywhere else.
pub(super) fn segment(text: &str) -> Result<String, BadSegment> {
    if matches!(text, "" | "." | "..") {
        return Err(BadSegment(text.to_owned()));
    }
    Ok(percent::encode(text))
}
