//! In: what became of a run, and the plan that the state after it leads to. Out: what a person
//! reads. It refuses to call anything done that was not read back.

use std::fmt::{self, Write};

use crate::{
    apply::{ChangeResult, Outcome},
    plan::{Plan, PlannedChange},
};

use super::{
    Paint,
    escape::{counted, escape},
    subject::name,
    summary::{Tense, summary},
};

/// What the state was found to be after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// The target was read again: this is what would still be done.
    Planned(Box<Plan>),
    /// The target could not be read again; why.
    Unread(String),
}

impl Afterwards {
    /// Whether everything was seen and nothing is left to do or held back.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        match self {
            Self::Planned(plan) => plan.is_converged(),
            Self::Unread(_) => false,
        }
    }

    /// Whether nothing is left that another run of the same policy could do.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Planned(plan) => plan.changes.is_empty(),
            Self::Unread(_) => false,
        }
    }
}

/// Writes what became of a run on `target`.
///
/// # Errors
///
/// When `out` fails.
pub fn outcome(
    target: &str,
    outcome: &Outcome,
    afterwards: &Afterwards,
    paint: Paint,
    out: &mut impl Write,
) -> fmt::Result {
    for change in &outcome.changes {
        let (label, why) = match &change.result {
            ChangeResult::Done(_) => continue,
            ChangeResult::Failed(why) => (paint.removed("failed"), why),
            ChangeResult::NotTried(why) => (paint.changed("not tried"), why),
        };
        let action = change.planned.change.action();
        writeln!(out, "  {label}: {action} {}", name(change.planned.change.object()))?;
        writeln!(out, "      {}", escape(why))?;
    }
    let done = summary(&done(outcome), Tense::Past);
    write!(out, "{} {target}: {done}", paint.strong("Applied on"))?;
    if outcome.failed() > 0 {
        write!(out, "; {} failed", counted(outcome.failed(), "change"))?;
    }
    if outcome.not_tried() > 0 {
        write!(out, "; {} not tried", counted(outcome.not_tried(), "change"))?;
    }
    writeln!(out, ".")?;
    match afterwards {
        Afterwards::Planned(plan) if plan.is_converged() => {
            writeln!(out, "{} {target} was read back: nothing is left to do.", paint.added("Converged:"))
        }
        Afterwards::Planned(plan) if plan.changes.is_empty() => {
            let label = paint.changed("Not converged:");
            writeln!(
                out,
                "{label} {target} was read back: all that can be done is done, the rest is held back."
            )
        }
        Afterwards::Planned(plan) => writeln!(
            out,
            "{} {target} was read back: {} left to do. Run again to finish.",
            paint.removed("Not converged:"),
            counted(plan.changes.len(), "change")
        ),
        Afterwards::Unread(why) => {
            let label = paint.removed("Not known:");
            writeln!(out, "{label} {target} could not be read back: {}", escape(why))
        }
    }
}

/// The changes that were done.
pub(super) fn done(outcome: &Outcome) -> Vec<&PlannedChange> {
    let done = outcome.changes.iter().filter(|change| matches!(change.result, ChangeResult::Done(_)));
    done.map(|change| &change.planned).collect()
}
