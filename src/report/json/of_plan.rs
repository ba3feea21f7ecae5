//! A plan as a part of the plan document.

use serde_json::{Value, json};

use crate::{
    compliance::{Finding, TokenFindings},
    inventory::Coverage,
    model::{AddressSet, Token, TokenScope, network::AddressRange, rails::RailClass},
    plan::{
        Change, ChangeReason, HeldBack, Object, Pending, PlanView, PlannedChange, Purpose, RefusedUse,
        TokenStep,
    },
    policy::{Waiver, WaiverSubject},
    saved::{
        document::{
            BudgetEntry, CallsEntry, ChangeEntry, CoverageWord, ErrorEntry, FindingEntry, HeldBackEntry,
            LayerEntry, NetworkName, PlanDocument, ReasonEntry, RefusalEntry, RefusedRange, RefusedUseEntry,
            RemarkEntry, ResourceChange, SourceEntry, TargetEntry, TokenEntry, WaivedEntry, WaivedFinding,
            WaiverEntry, WarningEntry,
        },
        statistics::StatisticsEntry,
    },
    yaml::Place,
};

use super::super::warning;

impl<'a> PlanDocument<'a> {
    /// Adds the plan of a target.
    pub fn add_plan(&mut self, plan: &'a PlanView) {
        let target = plan.target.as_str();
        self.targets.push(TargetEntry {
            name: plan.target.clone(),
            url: plan.url.clone(),
            version: plan.version.clone(),
            planned_for: plan.made_for,
            policy_sha256: plan.policy_fingerprint.clone(),
            layers: Vec::new(),
            tokens_seen: plan.tokens.seen,
            tokens_live: plan.tokens.live,
            tokens_complying: plan.tokens.complying,
            tokens_unjudged: plan.tokens.unjudged,
            tokens_waived: plan.tokens.waived,
            statistics: StatisticsEntry::of(&plan.statistics),
            coverage: match plan.coverage {
                Coverage::Complete => CoverageWord::Complete,
                Coverage::Partial(_) => CoverageWord::Partial,
            },
            missing: plan.coverage.unseen().map(ToString::to_string).collect(),
            not_looked_at: plan.coverage.left_out().cloned().collect(),
            refused_use: refused_use(&plan.refused_use),
            network_names: plan.network_names.iter().map(network_name).collect(),
            settings_changed: plan.settings_changed.clone(),
            only: plan.purpose.part(),
            left_out: (!matches!(plan.purpose, Purpose::Comply | Purpose::Revoke(_)))
                .then_some(plan.left_out.len()),
            budget: budget(plan),
            converged: None,
            calls: None,
        });
        self.resource_changes.add(plan.changes.iter().map(move |planned| resource_change(target, planned)));
        self.held_back.add(plan.held_back.iter().map(move |held| held_back(target, held)));
        self.pending.add(plan.pending.iter().map(move |pending| pending_entry(target, pending)));
        self.reported.add(plan.reported.iter().map(move |found| reported_entry(target, found)));
        self.waived.add(plan.waived.iter().map(move |found| waived_entry(target, found)));
        self.warnings.extend(plan.waiver_warnings.iter().map(|warning| WarningEntry {
            target: target.to_owned(),
            code: warning.standing,
            message: warning::message(warning),
            waiver: waiver_entry(&warning.waiver),
            source: source(&warning.waiver.place),
        }));
        self.remarks.add(
            plan.remarks
                .iter()
                .map(move |note| RemarkEntry { target: target.to_owned(), message: note.to_string() }),
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

    /// Adds how many requests were `sent` to `target`, whose plan was added before, and how many of them
    /// were `repeated`.
    pub fn add_calls(&mut self, target: &str, sent: u64, repeated: u64) {
        if let Some(entry) = self.targets.iter_mut().find(|entry| entry.name == target) {
            entry.calls = Some(CallsEntry { sent, repeated });
        }
    }
}

fn budget(plan: &PlanView) -> Option<BudgetEntry> {
    let spent = plan.spent.as_ref()?;
    let counts = RailClass::ALL.map(|class| (class, spent.of(class)));
    Some(BudgetEntry {
        window: spent.window().to_string(),
        spent: counts.into_iter().filter(|(_, count)| *count > 0).collect(),
        settled: plan.settled.clone(),
    })
}

pub(in crate::report) fn resource_change(target: &str, planned: &PlannedChange) -> ResourceChange {
    let (before, after) = before_and_after(&planned.change);
    let reasons = planned.reasons.iter().map(|reason| match &reason.rule {
        Some(rule) => format!("{rule}: {}", reason.text),
        None if reason.text.is_empty() => "the policy says so".to_owned(),
        None => reason.text.clone(),
    });
    ResourceChange {
        address: planned.change.object().address_on(target),
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
        phase: planned.change.phase(),
        origin: planned.origin,
        precondition: planned.change.precondition(),
        source: planned.reasons.iter().find_map(|reason| reason.place.as_ref()).map(source),
    }
}

fn before_and_after(change: &Change) -> (Value, Value) {
    let (before, step) = match change {
        Change::Setting { before, after } => return (before.to_json(), after.to_json()),
        Change::Token { token, step } => (self::token(token), *step),
    };
    let mut after = before.clone();
    match step {
        TokenStep::Narrow { to } => after.scope = TokenScope::Set(to).into(),
        TokenStep::Expire { at } => after.expires = Some(at),
        TokenStep::Mark { until } => after.marked_to_end = Some(until),
        TokenStep::Unmark => after.marked_to_end = None,
        TokenStep::Revoke => return (json!(before), Value::Null),
    }
    (json!(before), json!(after))
}

pub(in crate::report) fn token(token: &Token) -> TokenEntry {
    TokenEntry {
        id: token.id.as_str().to_owned(),
        owner: token.owner.recorded().into_owned(),
        owner_kind: token.owner.kind(),
        description: token.description.clone(),
        scope: token.scope.into(),
        created: token.created,
        created_by: token.created_by.as_ref().map(|user| user.as_str().to_owned()),
        last_used: token.last_used.map(|last| last.at),
        last_used_from: token.last_used.and_then(|last| last.from),
        expires: token.expires,
        marked_to_end: token.mark.map(|mark| mark.until),
    }
}

pub(in crate::report) fn source(place: &Place) -> SourceEntry {
    SourceEntry { file: place.file.to_string(), line: place.line, column: place.column }
}

pub(in crate::report) fn reason_entry(reason: &ChangeReason) -> ReasonEntry {
    ReasonEntry {
        rule: reason.rule.as_ref().map(ToString::to_string),
        message: reason.text.clone(),
        source: reason.place.as_ref().map(source),
    }
}

pub(in crate::report) fn held_back(target: &str, held: &HeldBack) -> HeldBackEntry {
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
        address: Object::Token(&pending.token).address_on(target),
        token: token(&pending.token),
        until: Some(pending.until).filter(|until| pending.token.ends() != Some(*until)),
        findings: pending.reasons.iter().map(reason_entry).collect(),
    }
}

fn reported_entry(target: &str, found: &TokenFindings) -> FindingEntry {
    FindingEntry {
        address: Object::Token(&found.token).address_on(target),
        token: token(&found.token),
        until: None,
        findings: found.findings.iter().map(finding_entry).collect(),
    }
}

fn waived_entry(target: &str, found: &TokenFindings) -> WaivedEntry {
    let findings = found.findings.iter().filter_map(|finding| {
        let waiver = waiver_entry(finding.waiver.as_ref()?);
        Some(WaivedFinding { finding: finding_entry(finding), waiver })
    });
    WaivedEntry {
        address: Object::Token(&found.token).address_on(target),
        token: token(&found.token),
        findings: findings.collect(),
    }
}

pub(in crate::report) fn finding_entry(finding: &Finding) -> ReasonEntry {
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

pub(in crate::report) fn waiver_entry(waiver: &Waiver) -> WaiverEntry {
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
