//! The exit code of a command, which is an interface: scripts and CI read it.

use crate::run::{Ending, Failure};

/// The number that the shell sees of a command that ended so.
#[must_use]
pub fn code(ending: Ending) -> u8 {
    match ending {
        Ending::Usage => 64,
        Ending::Invalid => 3,
        Ending::Refused => 4,
        Ending::Partly => 5,
        Ending::Error => 1,
        Ending::Pending => 2,
        Ending::Done => 0,
    }
}

/// What every command answers.
pub type CommandResult = Result<Ending, Failure>;
