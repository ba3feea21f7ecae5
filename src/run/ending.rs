//! How a run ended, and why it could not do its work. What the shell sees of that is the command line's.

use std::error::Error;

/// How a run ended. When several hold, the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// What was asked for makes no sense.
    Usage,
    /// The policy or the config file is invalid.
    Invalid,
    /// Refused for safety, or not approved.
    Refused,
    /// Applied in part: the next run finishes.
    Partly,
    /// An error: an unreachable target, something that could not be seen.
    Error,
    /// Changes are pending.
    Pending,
    /// Done, or nothing to do.
    Done,
}

/// Why a run could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// How the run ended for it.
    pub ending: Ending,
    /// What went wrong, with its causes.
    pub error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// A failure for which a run ends so.
    pub fn new(ending: Ending, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { ending, error: error.into() }
    }

    /// The same, of a run that ends with `other` for something else as well.
    #[must_use]
    pub fn or(self, other: Ending) -> Self {
        Self { ending: self.ending.min(other), ..self }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Ending::Error, error)
    }
}
