//! In: plans and what became of them. Out: JSON for programs, with the names that tools for
//! Terraform plans know. It refuses to hold anything secret: nothing it is given does.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    apply::{ChangeResult, Outcome},
    compliance::{Finding, TokenFindings},
    inventory::{Coverage, LeftOut},
    model::{
        AddressSet, LastChange, Token, Verb,
        network::AddressRange,
        rails::RailClass,
        run::{Counts, Settled},
        schema::schema_of_output,
    },
    plan::{
        Change, HeldBack, Origin, Part, Pending, Plan, PlannedChange, Purpose, Reason, RefusedUse, TokenStep,
    },
    policy::{Waiver, WaiverSubject},
    yaml::Place,
};

use super::{
    Run,
    outcome::Afterwards,
    saved::{self, Reviewed, Verdict, precondition},
    statistics::StatisticsEntry,
    subject::address,
    warning,
};

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
pub const FORMAT_VERSION: &str = "2.0";

/// Plans of one run, as JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tokenwarden plan")]
pub struct PlanDocument {
    /// Version of this form.
    pub format_version: &'static str,
    /// When the plan was made, UTC, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub made_at: Option<Timestamp>,
    /// Until when `apply` takes it, UTC, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub valid_until: Option<Timestamp>,
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
    /// Waivers that ended, end soon or hold nothing.
    pub warnings: Vec<WarningEntry>,
    /// What else there is to know, and holds nothing up.
    pub remarks: Vec<RemarkEntry>,
    /// After `apply`: what became of each change, in the order of `resource_changes`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<OutcomeEntry>,
    /// Of a plan: `sha256:` and the SHA-256, in hexadecimal, of all bytes before the comma in front of this
    /// member, which is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// One target of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TargetEntry {
    /// Its name in the config file.
    pub name: String,
    /// Its address, without credentials.
    pub url: String,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// The moment that the plan is for, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub planned_for: Timestamp,
    /// SHA-256 of the merged policy, in hexadecimal; that of an empty text for `revoke`, which asks none.
    pub policy_sha256: String,
    /// The layers of the policy, in their order.
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
    pub coverage: &'static str,
    /// What could not be seen; empty when everything was that was looked for.
    pub missing: Vec<String>,
    /// What the config file says not to look at; empty when it leaves nothing out.
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
    pub only: Option<&'static str>,
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

/// What was called on a target. It depends on the network: it is no part of the plan.
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
    pub spent: Counts,
    /// What became of the changes that an interrupted run had begun.
    pub settled: Vec<Settled>,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
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
    pub phase: &'static str,
    /// Where it comes from, when the plan was compared with a baseline: `policy`, `drift` or `time`.
    pub origin: Option<&'static str>,
    /// SHA-256, in hexadecimal, of what must be as it is for the change to be made.
    pub precondition: String,
    /// The line of the policy that demands it.
    pub source: Option<SourceEntry>,
}

/// What a change does.
#[derive(Debug, Serialize, JsonSchema)]
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
    /// Whether it makes no run fail: the target cannot do it at all and the config file says to go on all
    /// the same, or it rests on somebody who is not in the directory.
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
    pub token: Value,
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
    pub token: Value,
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
#[derive(Debug, Serialize, JsonSchema)]
pub struct WarningEntry {
    /// Name of the target.
    pub target: String,
    /// `waiver-ended`, `waiver-ends-soon` or `waiver-holds-nothing`.
    pub code: &'static str,
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
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutcomeEntry {
    /// As in `resource_changes`.
    pub address: String,
    /// As in `resource_changes`.
    pub action: String,
    /// `done`, `failed`, `not-tried`, or `refused` for a change of a saved plan that the policy no longer asks
    /// for or that is about something that moved.
    pub result: &'static str,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
            format_version: FORMAT_VERSION,
            made_at: None,
            valid_until: None,
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

    /// The document of a run.
    #[must_use]
    pub fn of(run: &Run<'_>) -> Self {
        let mut document = Self::new();
        if !run.was_applied() {
            (document.made_at, document.valid_until) = (Some(run.at), Some(saved::VALID_FOR.after(run.at)));
        }
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
            target.reviewed.iter().for_each(|reviewed| document.add_reviewed(reviewed));
        }
        document
    }

    /// Adds the plan of a target.
    pub fn add_plan(&mut self, plan: &Plan) {
        let target = plan.target.as_str();
        self.targets.push(TargetEntry {
            name: plan.target.clone(),
            url: plan.server.url.clone(),
            version: plan.server.version.clone(),
            planned_for: plan.made_for,
            policy_sha256: plan.policy_fingerprint.clone(),
            layers: Vec::new(),
            tokens_seen: plan.tokens.seen,
            tokens_live: plan.tokens.live,
            tokens_complying: plan.tokens.complying,
            tokens_unjudged: plan.tokens.unjudged,
            tokens_waived: plan.tokens.waived,
            statistics: StatisticsEntry::of(&plan.statistics),
            coverage: if plan.coverage == Coverage::Complete { "complete" } else { "partial" },
            missing: plan.coverage.unseen().map(ToString::to_string).collect(),
            not_looked_at: plan.coverage.left_out().cloned().collect(),
            refused_use: refused_use(&plan.refused_use),
            network_names: plan.network_names.iter().map(network_name).collect(),
            settings_changed: plan.server.settings_changed.clone(),
            only: plan.purpose.part().map(Part::word),
            left_out: (!matches!(plan.purpose, Purpose::Comply | Purpose::Revoke(_)))
                .then_some(plan.left_out.len()),
            budget: budget(plan),
            converged: None,
            calls: None,
        });
        self.resource_changes.extend(plan.changes.iter().map(|planned| resource_change(target, planned)));
        self.held_back.extend(plan.held_back.iter().map(|held| held_back(target, held)));
        self.pending.extend(plan.pending.iter().map(|pending| pending_entry(target, pending)));
        self.reported.extend(plan.reported.iter().map(|found| reported_entry(target, found)));
        self.waived.extend(plan.waived.iter().map(|found| waived_entry(target, found)));
        self.warnings.extend(plan.waiver_warnings.iter().map(|warning| WarningEntry {
            target: target.to_owned(),
            code: warning::code(warning.standing),
            message: warning::message(warning),
            waiver: waiver_entry(&warning.waiver),
            source: source(&warning.waiver.place),
        }));
        self.remarks.extend(
            plan.remarks
                .iter()
                .map(|note| RemarkEntry { target: target.to_owned(), message: note.to_string() }),
        );
    }

    /// Says which files the policy of `target`, which was added before, was read from.
    pub fn add_layers(&mut self, target: &str, layers: Vec<LayerEntry>) {
        if let Some(entry) = self.targets.iter_mut().find(|entry| entry.name == target) {
            entry.layers = layers;
        }
    }

    /// Adds a reason why the plan of `target` is not applied.
    pub fn add_refusal(&mut self, target: &str, reason: &impl ToString) {
        self.refusals.push(RefusalEntry { target: target.to_owned(), message: reason.to_string() });
    }

    /// Adds a target that could not be read.
    pub fn add_error(&mut self, target: &str, message: String) {
        self.errors.push(ErrorEntry { target: target.to_owned(), message });
    }

    /// Adds a change of a reviewed plan that was not made, or needed not be.
    pub fn add_reviewed(&mut self, reviewed: &Reviewed) {
        if reviewed.verdict == Verdict::Made {
            return;
        }
        self.outcomes.push(OutcomeEntry {
            address: reviewed.change.address.clone(),
            action: reviewed.change.verb().to_string(),
            result: if reviewed.verdict.is_refused() { "refused" } else { "done" },
            reason: Some(reviewed.verdict.to_string()),
        });
    }

    /// Adds what became of the plan of `target`, which was added before.
    pub fn add_outcome(&mut self, target: &str, outcome: &Outcome, afterwards: &Afterwards) {
        if let Some(entry) = self.targets.iter_mut().find(|entry| entry.name == target) {
            entry.converged = Some(afterwards.is_converged());
        }
        self.outcomes.extend(outcome.changes.iter().map(|change| {
            let (result, reason) = match &change.result {
                ChangeResult::Done(_) => ("done", None),
                ChangeResult::Failed(why) => ("failed", Some(why.kept().to_owned())),
                ChangeResult::NotTried(why) => ("not-tried", Some(why.kept().to_owned())),
            };
            OutcomeEntry {
                address: address(target, change.planned.change.object()),
                action: change.planned.change.verb().to_string(),
                result,
                reason,
            }
        }));
    }

    /// Adds how many requests were `sent` to `target`, whose plan was added before, and how many of them
    /// were `repeated`.
    pub fn add_calls(&mut self, target: &str, sent: u64, repeated: u64) {
        if let Some(entry) = self.targets.iter_mut().find(|entry| entry.name == target) {
            entry.calls = Some(CallsEntry { sent, repeated });
        }
    }
}

impl Default for PlanDocument {
    fn default() -> Self {
        Self::new()
    }
}

fn budget(plan: &Plan) -> Option<BudgetEntry> {
    let spent = plan.spent.as_ref()?;
    let counts = RailClass::ALL.map(|class| (class, spent.of(class)));
    Some(BudgetEntry {
        window: spent.window().to_string(),
        spent: counts.into_iter().filter(|(_, count)| *count > 0).collect(),
        settled: plan.settled.clone(),
    })
}

pub(super) fn resource_change(target: &str, planned: &PlannedChange) -> ResourceChange {
    let (before, after) = before_and_after(&planned.change);
    let reasons = planned.reasons.iter().map(|reason| match &reason.rule {
        Some(rule) => format!("{rule}: {}", reason.text),
        None if reason.text.is_empty() => "the policy says so".to_owned(),
        None => reason.text.clone(),
    });
    ResourceChange {
        address: address(target, planned.change.object()),
        change: ChangeEntry { actions: [planned.change.verb()], before, after },
        action_reason: reasons.collect::<Vec<_>>().join("; "),
        rules: planned
            .reasons
            .iter()
            .filter_map(|reason| reason.rule.as_ref())
            .map(ToString::to_string)
            .collect(),
        reasons: planned.reasons.iter().map(reason_entry).collect(),
        irreversible: planned.change.is_irreversible(),
        phase: planned.change.phase().word(),
        origin: planned.origin.map(Origin::word),
        precondition: precondition(&planned.change),
        source: planned.reasons.iter().find_map(|reason| reason.place.as_ref()).map(source),
    }
}

fn before_and_after(change: &Change) -> (Value, Value) {
    let (token, step) = match change {
        Change::Setting { before, after } => return (before.to_json(), after.to_json()),
        Change::Token { token, step } => (self::token(token), *step),
    };
    let with = |key: &str, value: Value| {
        let mut after = token.clone();
        replace(&mut after, key, value);
        after
    };
    let after = match step {
        TokenStep::Narrow { to } => with("scope", json!(to)),
        TokenStep::Expire { at } => with("expires", json!(at)),
        TokenStep::Mark { until } => with("marked_to_end", json!(until)),
        TokenStep::Unmark => with("marked_to_end", Value::Null),
        TokenStep::Revoke => Value::Null,
    };
    (token, after)
}

fn replace(object: &mut Value, key: &str, value: Value) {
    if let Some(place) = object.get_mut(key) {
        *place = value;
    }
}

pub(super) fn token(token: &Token) -> Value {
    json!({
        "id": token.id.as_str(),
        "owner": token.owner.recorded(),
        "owner_kind": token.owner.kind().word(),
        "description": token.description,
        "scope": token.scope.to_string(),
        "created": token.created,
        "created_by": token.created_by,
        "last_used": token.last_used.map(|last| last.at),
        "last_used_from": token.last_used.and_then(|last| last.from),
        "expires": token.expires,
        "marked_to_end": token.mark.map(|mark| mark.until),
    })
}

pub(super) fn source(place: &Place) -> SourceEntry {
    SourceEntry { file: place.file.to_string(), line: place.line, column: place.column }
}

pub(super) fn reason_entry(reason: &Reason) -> ReasonEntry {
    ReasonEntry {
        rule: reason.rule.as_ref().map(ToString::to_string),
        message: reason.text.clone(),
        source: reason.place.as_ref().map(source),
    }
}

pub(super) fn held_back(target: &str, held: &HeldBack) -> HeldBackEntry {
    HeldBackEntry {
        target: target.to_owned(),
        subject: held.subject.clone(),
        reason: held.reason.clone(),
        tokens: held.tokens,
        tolerated: held.tolerated,
        source: held.place.as_ref().map(source),
    }
}

fn pending_entry(target: &str, pending: &Pending) -> FindingEntry {
    FindingEntry {
        address: address(target, crate::plan::Object::Token(&pending.token)),
        token: token(&pending.token),
        findings: pending.reasons.iter().map(reason_entry).collect(),
    }
}

fn reported_entry(target: &str, found: &TokenFindings) -> FindingEntry {
    FindingEntry {
        address: address(target, crate::plan::Object::Token(&found.token)),
        token: token(&found.token),
        findings: found.findings.iter().map(finding_entry).collect(),
    }
}

fn waived_entry(target: &str, found: &TokenFindings) -> WaivedEntry {
    let findings = found.findings.iter().filter_map(|finding| {
        let waiver = waiver_entry(finding.waiver.as_ref()?);
        Some(WaivedFinding { finding: finding_entry(finding), waiver })
    });
    WaivedEntry {
        address: address(target, crate::plan::Object::Token(&found.token)),
        token: token(&found.token),
        findings: findings.collect(),
    }
}

pub(super) fn finding_entry(finding: &Finding) -> ReasonEntry {
    ReasonEntry {
        rule: Some(finding.rule.to_string()),
        message: finding.message.clone(),
        source: finding.place.as_ref().map(source),
    }
}

fn refused_use(refused: &RefusedUse) -> RefusedUseEntry {
    let range =
        |(range, tokens): &(AddressRange, u64)| RefusedRange { range: range.to_string(), tokens: *tokens };
    RefusedUseEntry {
        owners: refused.owners,
        of_unknown_address: refused.of_unknown_address,
        of_owners: refused.of_owners,
        addresses_tell: refused.addresses_tell,
        ranges: refused.tokens.iter().map(range).collect(),
    }
}

fn network_name((name, addresses): &(String, AddressSet)) -> NetworkName {
    let ranges = addresses.pieces().iter().map(ToString::to_string).collect();
    NetworkName { name: name.clone(), ranges }
}

pub(super) fn waiver_entry(waiver: &Waiver) -> WaiverEntry {
    let (token, owner, description) = match &waiver.subject {
        WaiverSubject::Token(id) => (Some(id.to_string()), None, None),
        WaiverSubject::Owner { owner, description } => (None, Some(owner.to_string()), description.clone()),
    };
    WaiverEntry {
        subject: waiver.subject.to_string(),
        token,
        owner,
        description,
        rules: waiver.rules.iter().map(ToString::to_string).collect(),
        reason: waiver.reason.clone(),
        approved_by: waiver.approved_by.clone(),
        until: waiver.until.to_string(),
        source: source(&waiver.place),
    }
}
