//! What the check and the restoring of a store come to.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

/// What was found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The version of its schema.
    pub version: i64,
    /// How many tokens there are.
    pub tokens: i64,
    /// What its clock says while that is still to come, UTC.
    pub ahead: Option<Timestamp>,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// What became of a store that a backup replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made, UTC; `None` when it does not say.
    pub of: Option<Timestamp>,
    /// How many tokens there are now.
    pub tokens: i64,
    /// How many tokens of the backup were revoked since, and stay revoked; `None` when there was no store to tell.
    pub stays_revoked: Option<i64>,
    /// The tokens that were created since, which are gone.
    pub created_since: Vec<i64>,
    /// The entries of the audit of that store which have new numbers, because the backup has other entries under theirs.
    pub renumbered: Vec<Renumbered>,
    /// Where the store lies that was there before.
    pub kept: Option<PathBuf>,
}

/// Entries of an audit that have new numbers: the first and the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Renumbered {
    /// What they were.
    pub were: (i64, i64),
    /// What they are.
    pub are: (i64, i64),
}
