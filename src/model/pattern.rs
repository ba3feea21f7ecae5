//! A regular expression, as policies and settings have it.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// A regular expression (syntax of the `regex` crate, linear time), equal to another when the
/// text is.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Compiled form of one pattern, at most, in bytes: thousands of characters that match one another,
/// and few enough that a document full of patterns is still read in no time.
const PATTERN_BYTES: usize = 1 << 18;

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// When it is not a regular expression, or one that would take more than 256 KiB.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        RegexBuilder::new(text)
            .size_limit(PATTERN_BYTES)
            .build()
            .map(Self)
            .map_err(|error| BadPattern { text: text.to_owned(), cause: Box::new(error) })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether `text` matches somewhere.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a regular expression that can be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{text}` is not a valid regular expression")]
pub struct BadPattern {
    /// As written.
    pub text: String,
    /// What the regular expression engine says of it.
    #[source]
    pub cause: Box<regex::Error>,
}
