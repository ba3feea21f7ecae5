//! What a plan document says of each target, and of a run on it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::LeftOut,
    model::{
        LastChange, Verb,
        run::{RailCounts, Settled},
    },
    plan::Part,
    saved::statistics::StatisticsEntry,
};

/// One target of a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TargetEntry {
    /// Its name in the config file.
    pub name: String,
    /// Its address, without credentials.
    pub url: String,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// The time that the plan is for, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub planned_for: Timestamp,
    /// SHA-256 of the merged policy, in hexadecimal; that of an empty text for `revoke`, which asks none.
    pub policy_sha256: String,
    /// The layers of the policy, in their order.
    #[serde(default)]
    pub layers: Vec<LayerEntry>,
    /// Tokens that were seen.
    pub tokens_seen: u64,
    /// Tokens that have not expired.
    pub tokens_live: u64,
    /// Tokens that comply with every rule.
    pub tokens_complying: u64,
    /// Tokens without a finding of which not every rule could be decided.
    pub tokens_unjudged: u64,
    /// Tokens whose every finding is held by a waiver; they are not among the complying ones.
    pub tokens_waived: u64,
    /// What all its tokens come to.
    pub statistics: StatisticsEntry,
    /// `complete` when all of the target was seen, otherwise `partial`: `missing` and `not_looked_at` say what
    /// was not.
    #[schemars(with = "String")]
    pub coverage: CoverageWord,
    /// What could not be seen; empty when everything was that was looked for.
    pub missing: Vec<String>,
    /// What the config file says not to look at; empty when it leaves nothing out.
    #[serde(default)]
    pub not_looked_at: Vec<LeftOut>,
    /// Who would no longer be let in from where they came from.
    pub refused_use: RefusedUseEntry,
    /// The names that the policy gives to ranges of addresses.
    pub network_names: Vec<NetworkName>,
    /// Who changed the settings of the server last, and when, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings_changed: Option<LastChange>,
    /// With `--only`: the part that the plan is confined to, `settings` or `tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub only: Option<Part>,
    /// With `--only`, and for a saved plan: how many changes that the policy asks for are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<usize>,
    /// What earlier runs did, which counts against the rails; null when there is no budget over time, since
    /// nobody keeps a record.
    pub budget: Option<BudgetEntry>,
    /// After `apply`: whether the target, read back, needs no further change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converged: Option<bool>,
    /// After `apply`: what was called, from reading to reading back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<CallsEntry>,
}

/// Whether all of a target was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoverageWord {
    /// All of it.
    Complete,
    /// A part of it.
    Partial,
}

/// What was called on a target. It depends on the network: it is not a part of the plan.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallsEntry {
    /// Requests that were sent, every try counted.
    pub sent: u64,
    /// How many of them were repetitions.
    pub repeated: u64,
}

/// Who would no longer be let in.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RefusedUseEntry {
    /// Owners who used a token in the last 30 days and would be refused, or may be.
    pub owners: u64,
    /// How many of them may be refused, since their address is not known.
    #[serde(default)]
    pub of_unknown_address: u64,
    /// Owners who used a token in the last 30 days.
    pub of_owners: u64,
    /// Whether the addresses of clients are known, before and after: otherwise the counts say little.
    pub addresses_tell: bool,
    /// From where tokens were last used that would be refused.
    pub ranges: Vec<RefusedRange>,
}

/// A range of addresses that would be refused although tokens were last used from there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RefusedRange {
    /// An address, a network, or two addresses with `-` between them.
    pub range: String,
    /// How many tokens.
    pub tokens: u64,
}

/// A name for ranges of addresses.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct NetworkName {
    /// The name.
    pub name: String,
    /// The ranges.
    pub ranges: Vec<String>,
}

/// A file of the policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LayerEntry {
    /// Its path, as the config file says it.
    pub path: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// What earlier runs did within the time that rails look back on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BudgetEntry {
    /// How far back, such as `1d`.
    pub window: String,
    /// How many objects of each class; what is left out is none.
    pub spent: RailCounts,
    /// What became of the changes that an interrupted run had begun.
    pub settled: Vec<Settled>,
}

/// What became of one change.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeEntry {
    /// As in `resource_changes`.
    pub address: String,
    /// As in `resource_changes`.
    #[schemars(with = "String")]
    pub action: Verb,
    /// `done`, `failed`, `not-tried`, or `refused` for a change of a saved plan that the policy no longer asks
    /// for or that is about something that moved.
    #[schemars(with = "String")]
    pub result: OutcomeWord,
    /// Why it was not done, or was done without being in the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a change, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeWord {
    /// It was made, or was so already.
    Done,
    /// It was tried, and not made.
    Failed,
    /// It was not tried.
    NotTried,
    /// It was reviewed, and not made.
    Refused,
}
