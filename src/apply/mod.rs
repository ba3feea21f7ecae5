//! Doing what an approved plan says, and nothing else.
//!
//! From an [`ApprovedPlan`](crate::plan::ApprovedPlan), a reader and a writer to an [`Outcome`]: for every
//! change whether it was done, failed or was not tried, and why. What to do and in which order is the
//! plan's decision. What is done leaves a trace in a [`journal`](crate::journal).

mod executor;
mod outcome;
mod writer;

pub use executor::{execute, one_line};
pub use outcome::{ChangeOutcome, ChangeResult, Outcome};
pub use writer::{Effect, TOKENS_AT_ONCE, TargetWriter, WriteError, one_by_one};
