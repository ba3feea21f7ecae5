//! In: how a command ended. Out: the exit code, which is an interface: scripts and CI read it.

use std::{error::Error, process::ExitCode};

/// How a command ended. When several hold, the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// The command line is wrong.
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

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Invalid => 3,
            Self::Refused => 4,
            Self::Partly => 5,
            Self::Error => 1,
            Self::Pending => 2,
            Self::Done => 0,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work. Shown as `error: ..` with its causes.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends for it.
    pub exit: Exit,
    /// What went wrong, with its causes.
    pub error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// A failure that ends the program with `exit`.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into() }
    }

    /// The same, of a command that ends with `other` for something else as well.
    #[must_use]
    pub fn or(self, other: Exit) -> Self {
        Self { exit: self.exit.min(other), ..self }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Error, error)
    }
}

/// What every command answers.
pub type CommandResult = Result<Exit, Failure>;
