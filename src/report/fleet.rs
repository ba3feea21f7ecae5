//! The one-line summary over several targets.

use std::fmt::{self, Write};

use crate::{apply::Outcome, plan::PlanView};

use super::{
    Paint,
    escape::counted,
    outcome::{Afterwards, done},
    summary::{ChangeCounts, Tense},
};

/// Writes what `plans` come to together, when besides them `unread` targets could not be read. One target
/// alone has nothing to sum up.
///
/// # Errors
///
/// When `out` fails.
pub fn planned(plans: &[&PlanView], unread: usize, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let targets = plans.len() + unread;
    if targets < 2 {
        return Ok(());
    }
    let changes = plans.iter().map(|plan| ChangeCounts::of(&plan.changes.iter().collect::<Vec<_>>()));
    write!(out, "\n{} {} planned", heading(targets, paint), plans.len())?;
    if unread > 0 {
        write!(out, ", {} could not be read", paint.removed(&unread.to_string()))?;
    }
    let partial = plans.iter().filter(|plan| !plan.is_whole()).count();
    if partial > 0 {
        write!(out, ", {partial} with something held back")?;
    }
    writeln!(out, "; {}.", or_nothing(changes.sum(), Tense::Future, "to change"))
}

/// Writes what became of the targets that were applied to. One target alone has nothing to sum up.
///
/// # Errors
///
/// When `out` fails.
pub fn applied(targets: &[(&Outcome, &Afterwards)], paint: Paint, out: &mut impl Write) -> fmt::Result {
    if targets.len() < 2 {
        return Ok(());
    }
    let changes = targets.iter().map(|(outcome, _)| ChangeCounts::of(&done(outcome)));
    let converged = targets.iter().filter(|(_, afterwards)| afterwards.is_converged()).count();
    write!(out, "\n{} {converged} converged", heading(targets.len(), paint))?;
    match targets.len() - converged {
        0 => {}
        not => write!(out, ", {} did not", paint.removed(&not.to_string()))?,
    }
    writeln!(out, "; {}.", or_nothing(changes.sum(), Tense::Past, "changed"))
}

fn heading(targets: usize, paint: Paint) -> String {
    paint.strong(&format!("{}:", counted(targets, "target")))
}

fn or_nothing(counts: ChangeCounts, tense: Tense, verb: &str) -> String {
    if counts.is_empty() { format!("nothing {verb}") } else { counts.text(tense) }
}
