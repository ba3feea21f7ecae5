//! What could not be seen of the target of a plan, in words, except what is held back for that very reason.

use crate::plan::PlanView;

/// What could not be seen and is not said by what is held back. May hold text from the server.
pub(super) fn unseen(plan: &PlanView) -> impl Iterator<Item = String> + Clone {
    let missing = plan.coverage.unseen().map(ToString::to_string).collect::<Vec<_>>();
    let is_said = |missing: &String| plan.held_back.iter().any(|held| held.reason == *missing);
    missing.into_iter().filter(move |missing| !is_said(missing))
}
