//! What a run has to say to a webhook: drift, refusals and revocations, one event for each kind on each target.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    apply::ChangeResult,
    model::{Verb, schema::schema_of_output},
    plan::{Origin, PlannedChange},
};

use super::{Run, TargetRun, escape_whole, hash::hash, subject::change_line};

/// How many subjects an event names; the others are counted.
const SUBJECTS: usize = 50;

/// One event, as the body of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Event {
    /// Version of this format.
    pub format_version: &'static str,
    /// Tells it from others: the same for every try to deliver it.
    pub id: String,
    /// What happened.
    pub event: EventKind,
    /// When, UTC, RFC 3339: the time that the plan was made for.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The target, by its name in the config file.
    pub target: String,
    /// How many changes or refusals it is about.
    pub count: usize,
    /// Each of the first fifty of them in words. May hold text from the server.
    pub subjects: Vec<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The target is not as the policy says, and the policy was not changed.
    Drift,
    /// A plan that is not applied: a rail, or somebody whom it would shut out.
    Refusal,
    /// Tokens were revoked.
    Revocation,
}

impl EventKind {
    fn word(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Refusal => "refusal",
            Self::Revocation => "revocation",
        }
    }
}

/// The schema of an event.
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<Event>()
}

/// The refusals of a plan.
#[must_use]
pub fn refusals(run: &Run<'_>) -> Vec<Event> {
    let of = |target: &TargetRun<'_>| target.refusals.iter().map(|why| escape_whole(&joined(why))).collect();
    events(run, EventKind::Refusal, of)
}

/// The drift on each target: whatever a baseline does not say to be of another origin.
#[must_use]
pub fn drift(run: &Run<'_>) -> Vec<Event> {
    let is_drift = |planned: &&PlannedChange| planned.origin.is_none_or(|origin| origin == Origin::Drift);
    events(run, EventKind::Drift, |target| {
        let plan = target.plan.as_ref().ok();
        let changes = plan.into_iter().flat_map(|plan| &plan.changes);
        changes.filter(is_drift).map(change_line).collect()
    })
}

/// The tokens that were revoked.
#[must_use]
pub fn revocations(run: &Run<'_>) -> Vec<Event> {
    events(run, EventKind::Revocation, |target| {
        let changes = target.applied.into_iter().flat_map(|applied| &applied.outcome.changes);
        changes
            .filter(|change| matches!(change.result, ChangeResult::Done(_)))
            .filter(|change| change.planned.change.verb() == Verb::Revoke)
            .map(|change| change_line(&change.planned))
            .collect()
    })
}

/// An event for each target that has a subject.
fn events(run: &Run<'_>, event: EventKind, of: impl Fn(&TargetRun<'_>) -> Vec<String>) -> Vec<Event> {
    let event_of = |target: &TargetRun<'_>| {
        let mut subjects = of(target);
        let count = subjects.len();
        let at = run.at.to_string();
        let mut parts = vec![event.word(), target.name, &at];
        parts.extend(subjects.iter().map(String::as_str));
        let id = hash(&parts);
        subjects.truncate(SUBJECTS);
        let target = target.name.to_owned();
        Event { format_version: "1.0", id, event, at: run.at, target, count, subjects }
    };
    run.targets.iter().map(event_of).filter(|event| event.count > 0).collect()
}

/// The lines of a refusal as one.
fn joined(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
