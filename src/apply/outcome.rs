//! The outcome of a run, from the result of each change.

use std::collections::HashSet;

use crate::{
    model::{Why, run::ChangeNote},
    plan::{ApprovedPlan, PlannedChange},
};

use super::Effect;

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One for each change of the plan, in its order.
    pub changes: Vec<ChangeOutcome>,
    /// What the server did beyond that to tokens that came of others of the plan.
    pub along: Vec<ChangeNote>,
    /// What the state, read back after the expand phase, did not show although it should, if
    /// anything: the reason why nothing was closed.
    pub verification: Option<Why>,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeOutcome {
    /// The change, with its reasons.
    pub planned: PlannedChange,
    /// What became of it.
    pub result: ChangeResult,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeResult {
    /// It is so now.
    Done(Effect),
    /// It was tried and is not so; why, the cause last. May hold text from the server.
    Failed(Why),
    /// It was not tried; why.
    NotTried(Why),
}

impl Outcome {
    /// An outcome in which nothing was tried yet, for `reason`.
    #[must_use]
    pub fn nothing_tried(approved: &ApprovedPlan, reason: &Why) -> Self {
        let changes = approved.plan().changes.iter().map(|planned| ChangeOutcome {
            planned: planned.clone(),
            result: ChangeResult::NotTried(reason.clone()),
        });
        Self { changes: changes.collect(), along: Vec::new(), verification: None }
    }

    /// Takes note of what the server did `along`, as far as no change of the plan that was done says so.
    pub fn add_along(&mut self, along: Vec<ChangeNote>) {
        let done = self.changes.iter().filter(|change| matches!(change.result, ChangeResult::Done(_)));
        let done: HashSet<(String, &str)> = done
            .map(|change| &change.planned.change)
            .map(|change| (change.object().address(), change.verb().word()))
            .collect();
        let is_new = |note: &ChangeNote| !done.contains(&(note.address.clone(), note.action.as_str()));
        self.along = along.into_iter().filter(is_new).collect();
    }

    /// How many changes were made or were already so.
    #[must_use]
    pub fn done(&self) -> usize {
        self.count(|result| matches!(result, ChangeResult::Done(_)))
    }

    /// How many changes failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(|result| matches!(result, ChangeResult::Failed(_)))
    }

    /// How many changes were not tried.
    #[must_use]
    pub fn not_tried(&self) -> usize {
        self.count(|result| matches!(result, ChangeResult::NotTried(_)))
    }

    /// Whether every change is so now.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.done() == self.changes.len()
    }

    fn count(&self, of: impl Fn(&ChangeResult) -> bool) -> usize {
        self.changes.iter().filter(|change| of(&change.result)).count()
    }
}
