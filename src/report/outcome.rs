//! The outcome of a run as text, with the state that was read back afterwards. Nothing is called done that
//! was not read back.

use std::fmt::{self, Write};

use crate::{
    apply::{ChangeResult, Outcome},
    model::Why,
    plan::{Plan, PlannedChange},
};

use super::{
    Applied, Calls, Paint,
    escape::{counted, escape, escape_whole, thousands},
    purpose::nothing_left,
    subject::name,
    summary::{ChangeCounts, Tense},
};

/// What the state was found to be after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// The target was read again: this is what would still be done.
    Planned(Box<Plan>),
    /// The target could not be read again; why.
    Unread(Why),
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

    /// Whether everything that was looked for was seen, and nothing is held back.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Planned(plan) => plan.is_whole(),
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

/// Writes what became of a run on `target`, and how many `calls` it took, where that is known.
///
/// # Errors
///
/// When `out` fails.
pub fn outcome(
    target: &str,
    Applied { outcome, afterwards }: Applied<'_>,
    calls: Option<Calls>,
    paint: Paint,
    out: &mut impl Write,
) -> fmt::Result {
    for change in &outcome.changes {
        let (label, why) = match &change.result {
            ChangeResult::Done(_) => continue,
            ChangeResult::Failed(why) => (paint.removed("failed"), why),
            ChangeResult::NotTried(why) => (paint.changed("not tried"), why),
        };
        let action = change.planned.change.verb();
        writeln!(out, "  {label}: {action} {}", name(change.planned.change.object()))?;
        writeln!(out, "      {}", escape_whole(why))?;
    }
    for note in &outcome.along {
        let what = format!("{} {}", note.action, note.address.replacen('/', " ", 1));
        writeln!(out, "  {}: {}", paint.changed("along"), escape(&what))?;
        let parent = note.with_token.map_or_else(|| "another one".to_owned(), |root| format!("token {root}"));
        writeln!(out, "      it came of {parent}, which was changed")?;
    }
    let done = ChangeCounts::of_done(outcome).text(Tense::Past);
    write!(out, "{} {target}: {done}", paint.strong("Applied on"))?;
    if outcome.failed() > 0 {
        write!(out, "; {} failed", counted(outcome.failed(), "change"))?;
    }
    if outcome.not_tried() > 0 {
        write!(out, "; {} not tried", counted(outcome.not_tried(), "change"))?;
    }
    writeln!(out, ".")?;
    standing(target, afterwards, paint, out)?;
    calls.map_or(Ok(()), |calls| count(calls, out))
}

/// How many calls were made.
fn count(Calls { sent, repeated }: Calls, out: &mut impl Write) -> fmt::Result {
    let sent = counted(usize::try_from(sent).unwrap_or(usize::MAX), "API call");
    match repeated {
        0 => writeln!(out, "{sent}."),
        repeated => writeln!(out, "{sent}, {} of them retries.", thousands(repeated.into())),
    }
}

/// What `target` was found to be afterwards.
fn standing(target: &str, afterwards: &Afterwards, paint: Paint, out: &mut impl Write) -> fmt::Result {
    match afterwards {
        Afterwards::Planned(plan) if plan.is_converged() => {
            let nothing = nothing_left(plan);
            writeln!(out, "{} {target} was read back: {nothing}.", paint.added("Converged:"))
        }
        Afterwards::Planned(plan) if plan.changes.is_empty() && plan.coverage.unseen().next().is_some() => {
            let label = paint.removed("Not known:");
            writeln!(out, "{label} {target} was read back, and not everything could be seen:")?;
            let mut unseen = plan.coverage.unseen();
            unseen.try_for_each(|missing| writeln!(out, "  ? {}", escape_whole(&missing.to_string())))
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
            writeln!(out, "{label} {target} could not be read back: {}", escape_whole(why))
        }
    }
}

/// The changes that were done.
pub(super) fn done(outcome: &Outcome) -> Vec<&PlannedChange> {
    let done = outcome.changes.iter().filter(|change| matches!(change.result, ChangeResult::Done(_)));
    done.map(|change| &change.planned).collect()
}
