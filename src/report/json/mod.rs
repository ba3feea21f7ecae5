//! The result of a run, as JSON for programs.

mod of_plan;

use crate::{
    apply::{ChangeResult, Outcome},
    saved::{
        self, ReviewVerdict, Reviewed,
        document::{OutcomeEntry, OutcomeWord, PlanDocument},
    },
};

use super::{Run, outcome::Afterwards};

pub(super) use of_plan::{finding_entry, held_back, resource_change, source, token, waiver_entry};

impl<'a> PlanDocument<'a> {
    /// The document of a run.
    #[must_use]
    pub fn of(run: &'a Run<'_>) -> Self {
        let mut document = Self::new();
        if !run.was_applied() {
            (document.made_at, document.valid_until) = (Some(run.at), Some(saved::VALID_FOR.after(run.at)));
        }
        document.policy_verdict.clone_from(&run.policy_verdict);
        for target in &run.targets {
            match &target.plan {
                Ok(plan) => document.add_plan(plan),
                Err(why) => document.add_error(target.name, why.kept().to_owned()),
            }
            document.add_layers(target.name, target.layers.clone());
            target.refusals.iter().for_each(|refusal| document.add_refusal(target.name, refusal));
            if let Some(applied) = target.applied {
                document.add_outcome(target.name, applied.outcome, applied.afterwards);
            }
            if let Some(calls) = target.calls {
                document.add_calls(target.name, calls.sent, calls.repeated);
            }
            document.outcomes.add(target.reviewed.iter().filter_map(reviewed_entry));
        }
        document
    }

    /// Adds what became of the plan of `target`, which was added before.
    pub fn add_outcome(&mut self, target: &'a str, outcome: &'a Outcome, afterwards: &Afterwards) {
        if let Some(entry) = self.targets.iter_mut().find(|entry| entry.name == target) {
            entry.converged = Some(afterwards.is_converged());
        }
        self.outcomes.add(outcome.changes.iter().map(move |change| {
            let (result, reason) = match &change.result {
                ChangeResult::Done(_) => (OutcomeWord::Done, None),
                ChangeResult::Failed(why) => (OutcomeWord::Failed, Some(why.kept().to_owned())),
                ChangeResult::NotTried(why) => (OutcomeWord::NotTried, Some(why.kept().to_owned())),
            };
            OutcomeEntry {
                address: change.planned.change.object().address_on(target),
                action: change.planned.change.verb(),
                result,
                reason,
            }
        }));
        self.outcomes.add(outcome.along.iter().filter_map(move |note| {
            Some(OutcomeEntry {
                address: format!("{target}/{}", note.address),
                action: note.verb()?,
                result: OutcomeWord::Done,
                reason: note.with_token.map(|root| format!("it came of token {root}, which was changed")),
            })
        }));
    }
}

/// A change of a reviewed plan that was not made, or needed not be.
fn reviewed_entry(reviewed: &Reviewed) -> Option<OutcomeEntry> {
    (reviewed.verdict != ReviewVerdict::Made).then(|| OutcomeEntry {
        address: reviewed.change.address.clone(),
        action: reviewed.change.verb,
        result: if reviewed.verdict.is_refused() { OutcomeWord::Refused } else { OutcomeWord::Done },
        reason: Some(reviewed.verdict.to_string()),
    })
}
