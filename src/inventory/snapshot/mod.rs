//! What was seen on a target, kept in a file.
//!
//! A snapshot is JSON, a record a line: first a header, then users, groups and tokens, and last a trailer
//! with counts, so that a truncated snapshot is recognised. It is written from a reader, and read back as a
//! reader that answers as the target did. It never holds all tokens in memory, and contains no secret.

mod names;
mod read;
mod record;
mod token;
mod write;

pub use read::{Snapshot, SnapshotError};
pub use record::{Budget, FORMAT_VERSION, RecordCounts, schema};
pub use token::ScopeRecord;
pub use write::{About, GroupSelection, SnapshotNotWritten, Taken, write};
