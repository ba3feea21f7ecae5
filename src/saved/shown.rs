//! What a saved plan shows: the plans that it was made from, as far as reports show them. It is for people; the
//! way back to a change that is made leads only over a fresh plan.

use std::{collections::BTreeSet, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    compliance::{Finding, TokenFindings, WaiverWarning},
    inventory::{Coverage, Missing},
    model::{
        Action, AddressSet, LastUse, Mark, Owner, PolicyVerdict, Rule, RuleCode, Scope, SettingKey,
        SettingValue, Token, TokenId, Verb, network::AddressRange,
    },
    plan::{
        Change, ChangeReason, HeldBack, Pending, PlanView, PlannedChange, Purpose, RefusedUse, Remark, Spent,
        TokenCounts, TokenStep,
    },
    policy::{Waiver, WaiverSubject},
    yaml::Place,
};

use super::document::{
    BudgetEntry, ChangeEntry, FindingEntry, HeldBackEntry, NetworkName, PlanDocument, ReasonEntry,
    RefusedUseEntry, ResourceChange, SourceEntry, TargetEntry, TokenEntry, WaivedEntry, WaiverEntry,
    WarningEntry,
};

/// What a saved plan shows.
#[derive(Debug)]
pub struct Shown {
    /// When it was made, UTC.
    pub made_at: Timestamp,
    /// Whether the policy permitted more or less than its baseline.
    pub policy_verdict: Option<PolicyVerdict>,
    /// The plans, in the order of the file.
    pub plans: Vec<PlanView>,
    /// What `apply` was refused for when the plan was saved: name of the target, and why.
    pub refusals: Vec<(String, String)>,
    /// Targets that could not be read then: name, and why.
    pub errors: Vec<(String, String)>,
}

/// Something in a saved plan has no meaning.
#[derive(Debug, thiserror::Error)]
#[error("invalid entry for {0} in the saved plan")]
pub struct BadPlan(String);

/// What `read` makes of something at `at`, or that it has no meaning.
fn meaning<T>(read: Option<T>, at: impl Into<String>) -> Result<T, BadPlan> {
    read.ok_or_else(|| BadPlan(at.into()))
}

/// What `document`, made at `made_at`, shows.
pub(super) fn shown(document: &PlanDocument<'_>, made_at: Timestamp) -> Result<Shown, BadPlan> {
    let plans = document.targets.iter().map(|target| plan(document, target)).collect::<Result<_, _>>()?;
    let refusals = document.refusals.iter().map(|entry| (entry.target.clone(), entry.message.clone()));
    let errors = document.errors.iter().map(|entry| (entry.target.clone(), entry.message.clone()));
    let policy_verdict = document.policy_verdict.clone();
    Ok(Shown { made_at, policy_verdict, plans, refusals: refusals.collect(), errors: errors.collect() })
}

fn plan(document: &PlanDocument<'_>, target: &TargetEntry) -> Result<PlanView, BadPlan> {
    let name = target.name.as_str();
    let is_of = |address: &str| address.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    let changes = document.resource_changes.read().iter().filter(|change| is_of(&change.address));
    let held_back = document.held_back.read().iter().filter(|held| held.target == name);
    let pending = document.pending.read().iter().filter(|entry| is_of(&entry.address));
    let reported = document.reported.read().iter().filter(|entry| is_of(&entry.address));
    let waived = document.waived.read().iter().filter(|entry| is_of(&entry.address));
    let remarks = document.remarks.read().iter().filter(|remark| remark.target == name);
    let warnings = document.warnings.iter().filter(|warning| warning.target == name);
    let missing = target.missing.iter().cloned().map(Missing::Told);
    let left_out = target.not_looked_at.iter().cloned().map(Missing::LeftOut);
    Ok(PlanView {
        purpose: target.only.map_or(Purpose::Comply, Purpose::ComplyOnly),
        target: target.name.clone(),
        url: target.url.clone(),
        version: target.version.clone(),
        settings_changed: target.settings_changed.clone(),
        made_for: target.planned_for,
        policy_fingerprint: target.policy_sha256.clone(),
        changes: changes.map(planned_change).collect::<Result<_, _>>()?,
        left_out: Vec::new(),
        held_back: held_back.map(held_back_of).collect(),
        pending: pending.map(pending_of).collect::<Result<_, _>>()?,
        reported: reported.map(reported_of).collect::<Result<_, _>>()?,
        waived: waived.map(waived_of).collect::<Result<_, _>>()?,
        waiver_warnings: warnings.map(warning_of).collect::<Result<_, _>>()?,
        tokens: TokenCounts {
            seen: target.tokens_seen,
            live: target.tokens_live,
            complying: target.tokens_complying,
            unjudged: target.tokens_unjudged,
            waived: target.tokens_waived,
        },
        statistics: meaning(target.statistics.read(target.planned_for), name)?,
        refused_use: refused_use(&target.refused_use)?,
        network_names: target.network_names.iter().map(network_name).collect::<Result<_, _>>()?,
        coverage: missing.chain(left_out).collect::<Coverage>(),
        spent: target.budget.as_ref().map(|budget| spent(budget, target.planned_for)).transpose()?,
        settled: target.budget.as_ref().map(|budget| budget.settled.clone()).unwrap_or_default(),
        remarks: remarks.map(|remark| Remark::Told(remark.message.clone())).collect(),
    })
}

fn planned_change(read: &ResourceChange) -> Result<PlannedChange, BadPlan> {
    let bad = || BadPlan(read.address.clone());
    let [verb] = read.change.actions;
    let (_, object) = read.address.split_once('/').ok_or_else(bad)?;
    let change = match object.split_once('/') {
        Some(("settings", key)) => setting_change(key, verb, &read.change),
        Some(("token", _)) => token_change(verb, &read.change),
        _ => None,
    };
    Ok(PlannedChange {
        change: change.ok_or_else(bad)?,
        reasons: read.reasons.iter().map(reason).collect(),
        origin: read.origin,
        grace: None,
    })
}

fn setting_change(key: &str, verb: Verb, effect: &ChangeEntry) -> Option<Change> {
    let key = SettingKey::ALL.into_iter().find(|known| known.path() == key)?;
    let value = |value| SettingValue::of_json(key, value);
    let (before, after) = (value(&effect.before)?.into(), value(&effect.after)?.into());
    let change = Change::Setting { before, after };
    (change.verb() == verb).then_some(change)
}

fn token_change(verb: Verb, effect: &ChangeEntry) -> Option<Change> {
    let after = |key: &str| effect.after.get(key)?.as_str();
    let step = match verb {
        Verb::Narrow => TokenStep::Narrow { to: scope(after("scope")?)? },
        Verb::Expire => TokenStep::Expire { at: after("expires")?.parse().ok()? },
        Verb::Mark => TokenStep::Mark { until: after("marked_to_end")?.parse().ok()? },
        Verb::Unmark => TokenStep::Unmark,
        Verb::Revoke => TokenStep::Revoke,
        Verb::Grant | Verb::Withdraw | Verb::Admit | Verb::Refuse | Verb::Set => return None,
    };
    let before = TokenEntry::deserialize(&effect.before).ok()?;
    Some(Change::of_token(token(&before)?, step))
}

fn scope(word: &str) -> Option<Scope> {
    [Scope::ReadOnly, Scope::ReadWrite].into_iter().find(|scope| scope.to_string() == word)
}

fn token(entry: &TokenEntry) -> Option<Arc<Token>> {
    Some(Arc::new(Token {
        id: TokenId::new(entry.id.as_str()),
        owner: Owner::of_record(entry.owner_kind, &entry.owner)?,
        description: entry.description.clone(),
        scope: entry.scope.into(),
        created: entry.created,
        created_by: entry.created_by.as_deref().map(Into::into),
        last_used: entry.last_used.map(|at| LastUse { at, from: entry.last_used_from }),
        expires: entry.expires,
        mark: entry.marked_to_end.map(|until| Mark { until, shown: Some(until) }),
    }))
}

fn place(source: &SourceEntry) -> Place {
    Place { file: source.file.as_str().into(), line: source.line, column: source.column }
}

fn rule(code: &str) -> Rule {
    RuleCode::from_str(code).map_or_else(|_| Rule::Own(code.into()), Rule::BuiltIn)
}

fn reason(entry: &ReasonEntry) -> ChangeReason {
    ChangeReason {
        rule: entry.rule.as_deref().map(rule),
        text: entry.message.clone(),
        place: entry.source.as_ref().map(place),
    }
}

fn finding(entry: &ReasonEntry, waiver: Option<Arc<Waiver>>) -> Option<Finding> {
    Some(Finding {
        rule: rule(entry.rule.as_deref()?),
        message: entry.message.clone(),
        place: entry.source.as_ref().map(place),
        action: Action::Report,
        waiver,
        marks_from: None,
    })
}

fn held_back_of(entry: &HeldBackEntry) -> HeldBack {
    HeldBack {
        subject: entry.subject.clone(),
        place: entry.source.as_ref().map(place),
        reason: entry.reason.clone(),
        tokens: entry.tokens,
        tolerated: entry.tolerated,
    }
}

fn pending_of(entry: &FindingEntry) -> Result<Pending, BadPlan> {
    let token = meaning(token(&entry.token), &entry.address)?;
    let until = meaning(entry.until.or(token.ends()), &entry.address)?;
    Ok(Pending { token, until, reasons: entry.findings.iter().map(reason).collect() })
}

fn reported_of(entry: &FindingEntry) -> Result<TokenFindings, BadPlan> {
    let findings = entry.findings.iter().map(|entry| finding(entry, None)).collect::<Option<_>>();
    Ok(TokenFindings {
        token: meaning(token(&entry.token), &entry.address)?,
        findings: meaning(findings, &entry.address)?,
        narrow_to: None,
    })
}

fn waived_of(entry: &WaivedEntry) -> Result<TokenFindings, BadPlan> {
    let held =
        entry.findings.iter().map(|held| finding(&held.finding, Some(Arc::new(waiver(&held.waiver)?))));
    Ok(TokenFindings {
        token: meaning(token(&entry.token), &entry.address)?,
        findings: meaning(held.collect::<Option<_>>(), &entry.address)?,
        narrow_to: None,
    })
}

fn waiver(entry: &WaiverEntry) -> Option<Waiver> {
    let subject = match (&entry.token, &entry.owner) {
        (Some(id), None) => WaiverSubject::Token(TokenId::new(id.as_str())),
        (None, Some(owner)) => {
            WaiverSubject::Owner { owner: owner.parse().ok()?, description: entry.description.clone() }
        }
        _ => return None,
    };
    let rules: BTreeSet<Rule> = entry.rules.iter().map(|code| rule(code)).collect();
    let (reason, approved_by) = (entry.reason.clone(), entry.approved_by.clone());
    Some(Waiver::told(subject, rules, reason, approved_by, entry.until.parse().ok()?, place(&entry.source)))
}

fn warning_of(entry: &WarningEntry) -> Result<WaiverWarning, BadPlan> {
    let waiver = meaning(waiver(&entry.waiver), &entry.waiver.subject)?;
    Ok(WaiverWarning { waiver: Arc::new(waiver), standing: entry.code })
}

/// What earlier runs did, all of it as if at the moment of the plan: when each did what is not told.
fn spent(entry: &BudgetEntry, now: Timestamp) -> Result<Spent, BadPlan> {
    let mut spent = Spent::nothing(meaning(entry.window.parse().ok(), &entry.window)?);
    spent.add(&entry.spent, now, now);
    Ok(spent)
}

fn refused_use(entry: &RefusedUseEntry) -> Result<RefusedUse, BadPlan> {
    let range = |range: &str| meaning(range.parse::<AddressRange>().ok(), range);
    let tokens = entry.ranges.iter().map(|one| Ok((range(&one.range)?, one.tokens)));
    Ok(RefusedUse {
        tokens: tokens.collect::<Result<_, _>>()?,
        owners: entry.owners,
        of_owners: entry.of_owners,
        of_unknown_address: entry.of_unknown_address,
        addresses_tell: entry.addresses_tell,
    })
}

fn network_name(entry: &NetworkName) -> Result<(String, AddressSet), BadPlan> {
    let ranges = entry.ranges.iter().map(|range| meaning(range.parse::<AddressRange>().ok(), range));
    Ok((entry.name.clone(), ranges.collect::<Result<_, _>>()?))
}
