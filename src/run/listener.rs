//! What hears of a run while it goes on: a person at a terminal, the log of a server.

use crate::yaml::{Diagnostics, Sources};

use super::Failure;

/// Is told what a run has to say.
pub trait Listener: Send + Sync {
    /// Something to know, in one line or a few.
    fn note(&self, text: &str);

    /// What is wrong with the files that `sources` hold.
    fn mistakes(&self, diagnostics: &Diagnostics, sources: &Sources);

    /// What `target` failed for, while the run goes on.
    fn failure(&self, failure: &Failure, target: &str);

    /// `target` is being read. What is returned is told of each token, and dropped after the last one.
    fn reading(&self, target: &str) -> Box<dyn Progress>;

    /// `changes` of `target` begin. What is returned is told of each, and dropped after the last one.
    fn progress(&self, target: &str, changes: usize) -> Box<dyn Progress>;
}

/// How far the reading or the changing of a target is.
pub trait Progress: Send + Sync {
    /// One more was read or tried.
    fn advance(&self);
}
