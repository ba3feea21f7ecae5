//! In: what a plan is for. Out: the words that differ with it. It refuses to know what else is in the plan.

use crate::plan::{Plan, Purpose, Selection};

use super::{
    escape::escape,
    summary::{Tense, summary},
};

/// That nothing has to be done on `target`, as a sentence.
pub(super) fn already_so(purpose: &Purpose, target: &str) -> String {
    match purpose {
        Purpose::Comply => format!("{target} is as the policy says."),
        Purpose::ComplyOnly(part) => format!("The {part} of {target} are as the policy says."),
        Purpose::Reviewed(_) => format!("Nothing of the reviewed plan is to be done on {target}."),
        Purpose::Revoke(incident) => match &incident.tokens {
            Selection::Owner(owner) => {
                format!("{} has no token on {target}.", escape(&owner.to_string()))
            }
            Selection::Tokens(_) => format!("None of these tokens is on {target}."),
        },
    }
}

/// That nothing is left to do, as it is said of a target that was read back.
pub(super) fn nothing_left(purpose: &Purpose) -> String {
    match purpose {
        Purpose::Comply => "nothing is left to do".to_owned(),
        Purpose::ComplyOnly(part) => format!("nothing of the {part} is left to do"),
        Purpose::Reviewed(_) => "nothing that was reviewed is left to do".to_owned(),
        Purpose::Revoke(_) => "none of these tokens is left".to_owned(),
    }
}

/// What a plan that is confined to a part leaves out, as a sentence; nothing when it leaves nothing out.
pub(super) fn left_out(plan: &Plan) -> Option<String> {
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
