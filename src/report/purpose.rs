//! The words of a report that differ with the purpose of a plan.

use crate::{
    inventory::{LeftOut, left_out::looked_at},
    plan::{Criteria, Part, PlanView, Purpose, Selection},
};

use super::{
    Paint,
    escape::{escape, escape_whole},
    summary::{Tense, summary},
};

/// What a plan looked at, such as `the settings and the tokens of users`, where the config file leaves out
/// something of what it is for.
pub(super) fn confined_to(plan: &PlanView) -> Option<String> {
    let left_out: Vec<LeftOut> = plan.coverage.left_out().cloned().collect();
    let tokens = escape_whole(&looked_at(&left_out));
    match &plan.purpose {
        _ if left_out.is_empty() => None,
        // Neither the settings nor the tokens of one owner are ever left out without a word.
        Purpose::ComplyOnly(Part::Settings) | Purpose::Revoke(_) => None,
        Purpose::ComplyOnly(Part::Tokens) => Some(format!("the {tokens}")),
        Purpose::Comply | Purpose::Reviewed(_) => Some(format!("the settings and the {tokens}")),
    }
}

/// That `plan` has no changes on `target`, as a line.
pub(super) fn no_changes(plan: &PlanView, target: &str, paint: Paint) -> String {
    match confined_to(plan) {
        None => format!("{} {}", paint.strong("No changes."), already_so(&plan.purpose, target)),
        Some(part) => {
            let line = paint.strong(&format!("No changes in {part}."));
            format!("{line} The rest of {target} was not looked at.")
        }
    }
}

/// That nothing has to be done on `target`, as a sentence.
fn already_so(purpose: &Purpose, target: &str) -> String {
    match purpose {
        Purpose::Comply => format!("{target} is as the policy says."),
        Purpose::ComplyOnly(part) => format!("The {part} of {target} are as the policy says."),
        Purpose::Reviewed(_) => format!("The reviewed plan has nothing left to do on {target}."),
        Purpose::Revoke(incident) => match &incident.tokens {
            Selection::Fitting(criteria) => match criteria.owners.as_slice() {
                [owner] if *criteria == Criteria::of_owner(owner.clone()) => {
                    format!("{} has no token on {target}.", escape(&owner.to_string()))
                }
                _ => format!("No token on {target} fits."),
            },
            Selection::Tokens(_) => format!("None of these tokens is on {target}."),
        },
    }
}

/// That `plan` has nothing left to do, as it is said of a target that was read back.
pub(super) fn nothing_left(plan: &PlanView) -> String {
    let nothing = match &plan.purpose {
        Purpose::Comply => "nothing is left to do".to_owned(),
        Purpose::ComplyOnly(part) => format!("nothing of the {part} is left to do"),
        Purpose::Reviewed(_) => "nothing that was reviewed is left to do".to_owned(),
        Purpose::Revoke(_) => "none of these tokens is left".to_owned(),
    };
    match confined_to(plan) {
        None => nothing,
        Some(part) => format!("{nothing} in {part}, and the rest was not looked at"),
    }
}

/// What a plan that is confined to a part leaves out, as a sentence; empty when it leaves nothing out.
pub(super) fn left_out(plan: &PlanView) -> Option<String> {
    let by = match &plan.purpose {
        Purpose::ComplyOnly(part) => format!("Left out by `--only {part}`"),
        Purpose::Reviewed(_) => {
            "The policy asks for this too, and it was not reviewed or has moved".to_owned()
        }
        Purpose::Comply | Purpose::Revoke(_) => return None,
    };
    let left_out = summary(&plan.left_out.iter().collect::<Vec<_>>(), Tense::Future);
    (!plan.left_out.is_empty()).then(|| format!("{by}: {left_out}."))
}
