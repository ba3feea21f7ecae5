//! The plan document: what `plan` writes as JSON, and what `apply` reads of a saved plan. The names are those that
//! tools for Terraform plans know.

mod change;
mod entries;
mod finding;
mod target;

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{PolicyVerdict, schema::schema_of_output};

pub use change::{
    ChangeEntry, ErrorEntry, HeldBackEntry, RefusalEntry, RemarkEntry, ResourceChange, SourceEntry,
};
pub use entries::EntryList;
pub use finding::{
    FindingEntry, ReasonEntry, TokenEntry, WaivedEntry, WaivedFinding, WaiverEntry, WarningEntry,
};
pub use target::{
    BudgetEntry, CallsEntry, CoverageWord, LayerEntry, NetworkName, OutcomeEntry, OutcomeWord, RefusedRange,
    RefusedUseEntry, TargetEntry,
};

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
pub const FORMAT_VERSION: &str = "2.0";

/// Plans of one run, as JSON.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "tokenwarden plan")]
pub struct PlanDocument<'a> {
    /// Version of this format.
    pub format_version: Cow<'static, str>,
    /// When the plan was made, UTC, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub made_at: Option<Timestamp>,
    /// Until when `apply` takes it, UTC, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub valid_until: Option<Timestamp>,
    /// With `--baseline`: whether the policy of these targets permits more or less than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_verdict: Option<PolicyVerdict>,
    /// The targets, in the order of the config file.
    pub targets: Vec<TargetEntry>,
    /// What would be done, in the order in which it would be. What is as it should be is left out.
    pub resource_changes: EntryList<'a, ResourceChange>,
    /// What the policy wants and cannot be done for now.
    pub held_back: EntryList<'a, HeldBackEntry>,
    /// Tokens that end on a day that is already set, by themselves or because they are marked.
    pub pending: EntryList<'a, FindingEntry>,
    /// Findings that the policy only reports.
    pub reported: EntryList<'a, FindingEntry>,
    /// What keeps `apply` from applying any of this: rails, and those whom it would shut out.
    pub refusals: Vec<RefusalEntry>,
    /// Targets that could not be read.
    pub errors: Vec<ErrorEntry>,
    /// Findings that waivers hold: nothing is done about them for now.
    pub waived: EntryList<'a, WaivedEntry>,
    /// Waivers that ended, end soon or have no effect.
    pub warnings: Vec<WarningEntry>,
    /// What else there is to know, and holds nothing up.
    pub remarks: EntryList<'a, RemarkEntry>,
    /// After `apply`: what became of each change, in the order of `resource_changes`.
    #[serde(default, skip_serializing_if = "EntryList::is_empty")]
    pub outcomes: EntryList<'a, OutcomeEntry>,
    /// Of a plan: `sha256:` and the SHA-256, in hexadecimal, of all bytes before the comma in front of this
    /// member, which is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The JSON schema of [`PlanDocument`].
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<PlanDocument<'_>>()
}

impl PlanDocument<'_> {
    /// A document without any target.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format_version: FORMAT_VERSION.into(),
            made_at: None,
            valid_until: None,
            policy_verdict: None,
            targets: Vec::new(),
            resource_changes: EntryList::default(),
            held_back: EntryList::default(),
            pending: EntryList::default(),
            reported: EntryList::default(),
            refusals: Vec::new(),
            errors: Vec::new(),
            waived: EntryList::default(),
            warnings: Vec::new(),
            remarks: EntryList::default(),
            outcomes: EntryList::default(),
            digest: None,
        }
    }
}

impl Default for PlanDocument<'_> {
    fn default() -> Self {
        Self::new()
    }
}
