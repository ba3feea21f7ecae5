//! What the store knows of runs: the lease, and under what a run writes.

use jiff::Timestamp;

use crate::model::run::{ChangeNote, RunId};

/// The right to be the only run that applies a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Grows each time that another run gets it: who writes with an old number is refused.
    pub number: i64,
    /// The run that holds it.
    pub run: RunId,
    /// Who runs it and where.
    pub holder: String,
    /// Since when, UTC.
    pub since: Timestamp,
    /// From when on others may have it, UTC, unless it is prolonged.
    pub expires: Timestamp,
}

/// What asking for the lease came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is given.
    Given(Lease),
    /// Another run holds it.
    Held(Lease),
    /// The run gave it back before: it is over.
    Over,
}

/// Under what a run writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Under {
    /// The run.
    pub run: RunId,
    /// The number of its lease; `None` when something else keeps other runs away.
    pub lease: Option<i64>,
    /// What it does with this write.
    pub note: ChangeNote,
    /// When, UTC.
    pub at: Timestamp,
}
