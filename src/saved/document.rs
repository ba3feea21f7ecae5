//! The plan document: what `plan` writes as JSON, and what `apply` reads of a saved plan. The names are those that
//! tools for Terraform plans know.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    compliance::WaiverStanding,
    inventory::{LeftOut, ScopeRecord},
    model::{
        LastChange, OwnerKind, PolicyVerdict, Verb,
        run::{RailCounts, Settled},
        schema::schema_of_output,
    },
    plan::{Origin, Part, Phase},
};

use super::statistics::StatisticsEntry;

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
pub const FORMAT_VERSION: &str = "2.0";

/// Plans of one run, as JSON.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "tokenwarden plan")]
pub struct PlanDocument {
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
    pub resource_changes: Vec<ResourceChange>,
    /// What the policy wants and cannot be done for now.
    pub held_back: Vec<HeldBackEntry>,
    /// Tokens that end on a day that is already set, by themselves or because they are marked.
    pub pending: Vec<FindingEntry>,
    /// Findings that the policy only reports.
    pub reported: Vec<FindingEntry>,
    /// What keeps `apply` from applying any of this: rails, and those whom it would shut out.
    pub refusals: Vec<RefusalEntry>,
    /// Targets that could not be read.
    pub errors: Vec<ErrorEntry>,
    /// Findings that waivers hold: nothing is done about them for now.
    pub waived: Vec<WaivedEntry>,
    /// Waivers that ended, end soon or have no effect.
    pub warnings: Vec<WarningEntry>,
    /// What else there is to know, and holds nothing up.
    pub remarks: Vec<RemarkEntry>,
    /// After `apply`: what became of each change, in the order of `resource_changes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<OutcomeEntry>,
    /// Of a plan: `sha256:` and the SHA-256, in hexadecimal, of all bytes before the comma in front of this
    /// member, which is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

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

/// One change.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ResourceChange {
    /// `<target>/settings/<key>` or `<target>/token/<id>`.
    pub address: String,
    /// What is done.
    pub change: ChangeEntry,
    /// Why, for people.
    pub action_reason: String,
    /// The rules that failed, for tokens.
    pub rules: Vec<String>,
    /// Why, for programs.
    pub reasons: Vec<ReasonEntry>,
    /// Whether it cannot be undone.
    pub irreversible: bool,
    /// The part of a run in which it is done: `expand`, `verify` or `contract`.
    #[schemars(with = "String")]
    pub phase: Phase,
    /// Where it comes from, when the plan was compared with a baseline: `policy`, `drift` or `time`.
    #[schemars(with = "Option<String>")]
    pub origin: Option<Origin>,
    /// SHA-256, in hexadecimal, of what must be as it is for the change to be made.
    pub precondition: String,
    /// The line of the policy that demands it.
    pub source: Option<SourceEntry>,
}

/// What a change does.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChangeEntry {
    /// One of `grant`, `withdraw`, `admit`, `refuse`, `set`, `narrow`, `expire`, `mark`, `unmark`,
    /// `revoke`.
    #[schemars(with = "Vec<String>")]
    pub actions: [Verb; 1],
    /// What is there now.
    pub before: Value,
    /// What will be there; null for a token that is revoked.
    pub after: Value,
}

/// A place in a policy file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SourceEntry {
    /// Path of the file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Something that is held back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeldBackEntry {
    /// Name of the target.
    pub target: String,
    /// A setting, a rule, a token or an owner.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// How many tokens it is about, when it is about tokens.
    pub tokens: Option<u64>,
    /// Whether a run goes on without failing: the target cannot do it at all and the config file says to go
    /// on anyway, or it rests on somebody who is not in the directory.
    pub tolerated: bool,
    /// The line of the policy that wants it.
    pub source: Option<SourceEntry>,
}

/// A token and what is wrong with it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct FindingEntry {
    /// `<target>/token/<id>`.
    pub address: String,
    /// The token.
    #[schemars(with = "Value")]
    pub token: TokenEntry,
    /// When it ends, UTC, RFC 3339, where that is not the first of its expiry and its mark: a mark of a promise that was
    /// taken back does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// What is wrong.
    pub findings: Vec<ReasonEntry>,
}

/// Why something is wrong.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReasonEntry {
    /// The code of the rule.
    pub rule: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The line of the policy that demands it.
    pub source: Option<SourceEntry>,
}

/// Why a plan is not applied.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RefusalEntry {
    /// Name of the target.
    pub target: String,
    /// Why, for people.
    pub message: String,
}

/// A target that could not be read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorEntry {
    /// Name of the target.
    pub target: String,
    /// What went wrong, with its causes.
    pub message: String,
}

/// A token and what waivers hold of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WaivedEntry {
    /// `<target>/token/<id>`.
    pub address: String,
    /// The token.
    #[schemars(with = "Value")]
    pub token: TokenEntry,
    /// What is wrong, and held.
    pub findings: Vec<WaivedFinding>,
}

/// A finding and the waiver that holds it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WaivedFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: ReasonEntry,
    /// The waiver.
    pub waiver: WaiverEntry,
}

/// A waiver.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WaiverEntry {
    /// Which tokens it is for, such as `token 4711`.
    pub subject: String,
    /// The token that it is for, when it is for one.
    pub token: Option<String>,
    /// The owner whose tokens it is for otherwise.
    pub owner: Option<String>,
    /// The description that those tokens have; `*` is any text.
    pub description: Option<String>,
    /// The rules whose findings it holds.
    pub rules: Vec<String>,
    /// Why there is an exception.
    pub reason: String,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// The last day on which it holds, UTC.
    pub until: String,
    /// The line of the policy at which it begins.
    pub source: SourceEntry,
}

/// Something to look after before it becomes a problem.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WarningEntry {
    /// Name of the target.
    pub target: String,
    /// `waiver-ended`, `waiver-ends-soon` or `waiver-holds-nothing`.
    #[schemars(with = "String")]
    pub code: WaiverStanding,
    /// What there is to say.
    pub message: String,
    /// The waiver that it is about.
    pub waiver: WaiverEntry,
    /// The line of the policy that it is about.
    pub source: SourceEntry,
}

/// Something to know about a plan.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RemarkEntry {
    /// Name of the target.
    pub target: String,
    /// What there is to know.
    pub message: String,
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

/// A token, as plans show it; never its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Its identifier.
    pub id: String,
    /// Whose it is: the name of a user, otherwise such as `project PLAT`.
    pub owner: String,
    /// The kind of owner.
    pub owner_kind: OwnerKind,
    /// What people wrote to tell it from others.
    pub description: String,
    /// How far it reaches.
    pub scope: ScopeRecord,
    /// When it was made, UTC, RFC 3339.
    pub created: Timestamp,
    /// Who made it, where the server tells.
    pub created_by: Option<String>,
    /// When it was used last, UTC, RFC 3339; null when never.
    pub last_used: Option<Timestamp>,
    /// From which address, where the server tells.
    pub last_used_from: Option<IpAddr>,
    /// Its expiry, UTC, RFC 3339; null when it never expires.
    pub expires: Option<Timestamp>,
    /// From when on a run revokes it, UTC, RFC 3339, when it is marked.
    pub marked_to_end: Option<Timestamp>,
}

/// The JSON schema of [`PlanDocument`].
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<PlanDocument>()
}

impl PlanDocument {
    /// A document without any target.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format_version: FORMAT_VERSION.into(),
            made_at: None,
            valid_until: None,
            policy_verdict: None,
            targets: Vec::new(),
            resource_changes: Vec::new(),
            held_back: Vec::new(),
            pending: Vec::new(),
            reported: Vec::new(),
            refusals: Vec::new(),
            errors: Vec::new(),
            waived: Vec::new(),
            warnings: Vec::new(),
            remarks: Vec::new(),
            outcomes: Vec::new(),
            digest: None,
        }
    }
}

impl Default for PlanDocument {
    fn default() -> Self {
        Self::new()
    }
}
