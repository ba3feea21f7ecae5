//! The one value that every report is made from: the results of a run of `plan` or `apply` on each of its
//! targets.

use jiff::{SignedDuration, Timestamp};

use crate::{
    apply::{ChangeOutcome, ChangeResult, Outcome},
    model::{PolicyVerdict, Why},
    plan::{PlanView, PlannedChange},
    saved::{Reviewed, Shown, document::LayerEntry},
};

use super::{
    compare::verdict_line,
    escape::capitalised,
    findings::{Found, found},
    outcome::Afterwards,
};

/// One run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The time that it is for, UTC.
    pub at: Timestamp,
    /// How long it took, where that is known.
    pub took: Option<SignedDuration>,
    /// Whether the policy of all targets permits more or less than a baseline, when there is one.
    pub policy_verdict: Option<PolicyVerdict>,
    /// Its targets.
    pub targets: Vec<TargetRun<'a>>,
}

impl<'a> Run<'a> {
    /// The run of `plan` by which a plan was saved, which shows `shown`.
    #[must_use]
    pub fn of_shown(shown: &'a Shown) -> Self {
        let planned = shown.plans.iter().map(|plan| {
            let refusals = shown.refusals.iter().filter(|(target, _)| *target == plan.target);
            TargetRun {
                name: &plan.target,
                plan: Ok(plan),
                refusals: refusals.map(|(_, why)| why.clone()).collect(),
                applied: None,
                calls: None,
                layers: Vec::new(),
                reviewed: &[],
            }
        });
        let unread =
            shown.errors.iter().map(|(target, why)| TargetRun::unread(target, Why::own(why.as_str())));
        Self {
            at: shown.made_at,
            took: None,
            policy_verdict: shown.policy_verdict.clone(),
            targets: planned.chain(unread).collect(),
        }
    }
}

/// What a run came to on one target.
#[derive(Clone, Debug)]
pub struct TargetRun<'a> {
    /// Its name in the config file.
    pub name: &'a str,
    /// Its plan; or why none could be made, the cause last. That may hold text from the server.
    pub plan: Result<&'a PlanView, Why>,
    /// Why `apply` does not apply the plan: rails, and those whom it would shut out.
    pub refusals: Vec<String>,
    /// What became of the plan, when it was applied.
    pub applied: Option<Applied<'a>>,
    /// What was called on the server, where that is known.
    pub calls: Option<Calls>,
    /// The files that the policy was read from.
    pub layers: Vec<LayerEntry>,
    /// What became of the changes of the plan that was reviewed, when one was.
    pub reviewed: &'a [Reviewed],
}

/// What was called on a server. It depends on the network, and is not a part of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Requests that were sent, every try counted.
    pub sent: u64,
    /// How many of them were repetitions.
    pub repeated: u64,
}

impl<'a> TargetRun<'a> {
    /// A target of which nothing is known but why it could not be read.
    #[must_use]
    pub fn unread(name: &'a str, why: Why) -> Self {
        Self {
            name,
            plan: Err(why),
            refusals: Vec::new(),
            applied: None,
            calls: None,
            layers: Vec::new(),
            reviewed: &[],
        }
    }
}

/// What became of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// What became of each change.
    pub outcome: &'a Outcome,
    /// What the state was found to be afterwards.
    pub afterwards: &'a Afterwards,
}

impl<'a> TargetRun<'a> {
    /// The plan that fits what the target was seen to be last: after `apply`, the one that it was read
    /// back for.
    #[must_use]
    pub fn latest(&self) -> Option<&'a PlanView> {
        match self.applied.map(|applied| applied.afterwards) {
            Some(Afterwards::Planned(plan)) => Some(plan),
            Some(Afterwards::Unread(_)) | None => self.plan.as_ref().ok().copied(),
        }
    }

    /// The changes that a report is about: after `apply` those that were made, otherwise those that would
    /// be.
    #[must_use]
    pub fn effective_changes(&self) -> Vec<&'a PlannedChange> {
        match (self.applied, &self.plan) {
            (Some(applied), _) => {
                let done = |change: &&ChangeOutcome| matches!(change.result, ChangeResult::Done(_));
                applied.outcome.changes.iter().filter(done).map(|change| &change.planned).collect()
            }
            (None, Ok(plan)) => plan.changes.iter().collect(),
            (None, Err(_)) => Vec::new(),
        }
    }

    /// Whether everything was seen and could be judged, and nothing that was to be done failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        let applied = |applied: Applied<'_>| applied.outcome.is_whole() && applied.afterwards.is_finished();
        self.plan.is_ok()
            && self.latest().is_some_and(PlanView::is_whole)
            && self.applied.is_none_or(applied)
            && self.refusals.is_empty()
    }
}

impl<'a> Run<'a> {
    /// The targets that there is a plan for.
    pub fn planned(&self) -> impl Iterator<Item = (&TargetRun<'a>, &'a PlanView)> + Clone {
        self.targets.iter().filter_map(|target| Some((target, *target.plan.as_ref().ok()?)))
    }

    /// The targets that could not be read, with the reason.
    pub fn unread(&self) -> impl Iterator<Item = (&TargetRun<'a>, &Why)> + Clone {
        self.targets.iter().filter_map(|target| Some((target, target.plan.as_ref().err()?)))
    }

    /// Every finding that there is on the targets as they were seen last.
    pub(super) fn found(&self) -> impl Iterator<Item = (&TargetRun<'a>, Found<'a>)> {
        let latest = self.targets.iter().filter_map(|target| Some((target, target.latest()?)));
        latest.flat_map(|(target, plan)| found(plan).map(move |found| (target, found)))
    }

    /// Whether its policy permits more or less than the baseline, on one line.
    pub(super) fn lead(&self) -> Option<String> {
        self.policy_verdict.as_ref().map(|verdict| capitalised(&verdict_line(verdict)) + ".")
    }

    /// Whether it was a run of `apply` that came as far as applying.
    #[must_use]
    pub fn was_applied(&self) -> bool {
        self.targets.iter().any(|target| target.applied.is_some())
    }
}
