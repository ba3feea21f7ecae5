//! The clock of the system, which nothing else reads.
#![expect(clippy::disallowed_methods, reason = "the clock is read here")]

use jiff::Timestamp;

/// What the clock of the system says, UTC.
pub(crate) fn system_time() -> Timestamp {
    Timestamp::now()
}
