//! What was seen on a target, kept in a file.
//!
//! In: a reader, and the place to write to; or what was written. Out: a snapshot: JSON, a record a line,
//! first a header, then users, groups and tokens, and last a trailer with counts, so that a snapshot that was
//! cut off is known for one; or a reader that answers as the target did. It refuses to know files, and never
//! holds all tokens. There is no secret in it: what it is made from has none.

mod names;
mod read;
mod record;
mod token;
mod write;

pub use read::{Snapshot, SnapshotError};
pub use record::{Budget, Counts, FORMAT_VERSION, schema};
pub use token::ScopeRecord;
pub use write::{About, Asked, SnapshotNotWritten, Taken, write};
