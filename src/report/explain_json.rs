//! Explanations of tokens and of answers to hypothetical requests, as JSON.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    access::{Answer, DenialReason},
    compliance::{Trial, rules::RuleVerdict},
    model::schema::schema_of_output,
    plan::{Basis, ExplainedToken, Forecast, Object, TokenEvent, Upcoming},
    saved::document::{
        ErrorEntry, HeldBackEntry, ReasonEntry, ResourceChange, SourceEntry, TokenEntry, WaiverEntry,
    },
};

use super::json::{finding_entry, held_back, resource_change, source, token, waiver_entry};

/// Version of both forms. It grows by 0.1 when something is added, by 1 when something is taken away.
const FORMAT_VERSION: &str = "1.0";

/// What `explain TOKEN` says of one token, on each target that has it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tokenwarden explanation")]
pub struct ExplanationDocument {
    /// Version of this format.
    pub format_version: &'static str,
    /// The token, on each target that has it.
    pub tokens: Vec<ExplanationEntry>,
    /// Targets that could not be read.
    pub errors: Vec<ErrorEntry>,
}

/// A token of one target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplanationEntry {
    /// `<target>/token/<id>`.
    pub address: String,
    /// The time that it is explained for, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub planned_for: Timestamp,
    /// The token.
    #[schemars(with = "Value")]
    pub token: TokenEntry,
    /// The line at which the entry of the limits begins that counts for its owner.
    pub limit: Option<SourceEntry>,
    /// Every rule, in the order in which they are tried.
    pub rules: Vec<TrialEntry>,
    /// What the plan does with it, in the order in which it would be done.
    pub resource_changes: Vec<ResourceChange>,
    /// The day on which it ends by itself, when that is what the policy asks for and is set already.
    #[schemars(with = "Option<String>")]
    pub pending_until: Option<Timestamp>,
    /// What the policy wants and cannot be done for now.
    pub held_back: Vec<HeldBackEntry>,
    /// What is only reported.
    pub reported: Vec<ReasonEntry>,
    /// What will happen to it, the nearest first, when nobody changes anything but what the plan does.
    pub upcoming: Vec<UpcomingEntry>,
}

/// One rule, tried on the token.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrialEntry {
    /// The code of the rule.
    pub rule: String,
    /// `not-tried`, `complies`, `fails` or `undecided`.
    pub verdict: &'static str,
    /// Why; null for a rule that is complied with.
    pub message: Option<String>,
    /// What the policy does on a finding of it: `report`, `narrow`, `expire` or `revoke`.
    pub action: &'static str,
    /// The waiver that a finding of it falls under.
    pub waiver: Option<WaiverEntry>,
    /// Whether that waiver holds; false when there is none.
    pub waived: bool,
    /// The first moment at which it will fail when only time goes by, where that is known.
    #[schemars(with = "Option<String>")]
    pub fails_from: Option<Timestamp>,
    /// The line of the policy that it rests on.
    pub source: Option<SourceEntry>,
}

/// Something that will happen to the token.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UpcomingEntry {
    /// When, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// `expires`, `would-expire` (once the plan is applied), `revoked` (its mark is due), `would-be-revoked`
    /// (once the plan has marked it), `fails`, `narrows` or `waiver-ends`.
    pub event: &'static str,
    /// The rules that it is about.
    pub rules: Vec<String>,
}

/// What `explain --owner` says of one request, for each target.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tokenwarden decision")]
pub struct DecisionDocument {
    /// Version of this format.
    pub format_version: &'static str,
    /// The decision of each target.
    pub decisions: Vec<DecisionEntry>,
    /// Targets that could not be read or do not know the user.
    pub errors: Vec<ErrorEntry>,
}

/// What one target would answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DecisionEntry {
    /// Its name in the config file.
    pub target: String,
    /// The answer under the settings as the plan would leave them.
    pub after_plan: AnswerEntry,
    /// The settings that it rests on, in the order in which they are asked.
    pub rests_on: Vec<BasisEntry>,
    /// The answer under the settings as they are.
    pub today: AnswerEntry,
}

/// An answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnswerEntry {
    /// `permit`, or the code of the reason why not.
    pub decision: &'static str,
    /// The HTTP status of a refusal.
    pub status: Option<u16>,
    /// The address of the client, when it can be found.
    #[schemars(with = "Option<String>")]
    pub client: Option<std::net::IpAddr>,
}

/// A setting that an answer rests on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BasisEntry {
    /// Its key in the policy.
    pub setting: &'static str,
    /// The line of the policy that says so; null when the target has it from elsewhere.
    pub source: Option<SourceEntry>,
    /// Why the policy's word on it does not count for now.
    pub held_back: Option<String>,
}

/// The JSON schema of [`ExplanationDocument`].
#[must_use]
pub fn explanation_schema() -> Value {
    schema_of_output::<ExplanationDocument>()
}

/// The JSON schema of [`DecisionDocument`].
#[must_use]
pub fn decision_schema() -> Value {
    schema_of_output::<DecisionDocument>()
}

impl ExplanationDocument {
    /// The document of `tokens`, with the targets that could not be read and why.
    #[must_use]
    pub fn new(tokens: &[ExplainedToken], errors: Vec<(String, String)>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            tokens: tokens.iter().map(explanation).collect(),
            errors: errors.into_iter().map(|(target, message)| ErrorEntry { target, message }).collect(),
        }
    }
}

impl DecisionDocument {
    /// The document of `forecasts` by target, with the targets that could not be read and why.
    #[must_use]
    pub fn new(forecasts: &[(String, Forecast)], errors: Vec<(String, String)>) -> Self {
        let decision = |(target, forecast): &(String, Forecast)| DecisionEntry {
            target: target.clone(),
            after_plan: answer(&forecast.answer),
            rests_on: forecast.rests_on.iter().map(basis).collect(),
            today: answer(&forecast.today),
        };
        Self {
            format_version: FORMAT_VERSION,
            decisions: forecasts.iter().map(decision).collect(),
            errors: errors.into_iter().map(|(target, message)| ErrorEntry { target, message }).collect(),
        }
    }
}

fn explanation(explained: &ExplainedToken) -> ExplanationEntry {
    let ExplainedToken { target, made_for, explanation, .. } = explained;
    ExplanationEntry {
        address: Object::Token(&explanation.token).address_on(target),
        planned_for: *made_for,
        token: token(&explanation.token),
        limit: explanation.limit_place.as_ref().map(source),
        rules: explanation.trials.iter().map(|trial| entry(trial, *made_for)).collect(),
        resource_changes: explained.changes.iter().map(|planned| resource_change(target, planned)).collect(),
        pending_until: explained.pending.as_ref().map(|pending| pending.until),
        held_back: explained.held_back.iter().map(|held| held_back(target, held)).collect(),
        reported: explained.reported.iter().map(finding_entry).collect(),
        upcoming: explained.upcoming.iter().map(upcoming).collect(),
    }
}

fn entry(trial: &Trial, now: Timestamp) -> TrialEntry {
    let (verdict, message) = match &trial.verdict {
        RuleVerdict::NotTried(why) => ("not-tried", Some(why.to_string())),
        RuleVerdict::Complies { .. } => ("complies", None),
        RuleVerdict::Fails { message, .. } => ("fails", Some(message.clone())),
        RuleVerdict::Undecided { reason } => ("undecided", Some(reason.to_string())),
    };
    TrialEntry {
        rule: trial.rule.to_string(),
        verdict,
        message,
        action: trial.action.word(),
        waiver: trial.waiver.as_deref().map(waiver_entry),
        waived: trial.holding_waiver(now).is_some(),
        fails_from: trial.fails_from,
        source: trial.place.as_ref().map(source),
    }
}

fn upcoming(upcoming: &Upcoming) -> UpcomingEntry {
    let (event, rules) = match &upcoming.event {
        TokenEvent::Expires => ("expires", Vec::new()),
        TokenEvent::WouldExpire => ("would-expire", Vec::new()),
        TokenEvent::Revoked => ("revoked", Vec::new()),
        TokenEvent::WouldBeRevoked => ("would-be-revoked", Vec::new()),
        TokenEvent::Fails { rule, .. } => ("fails", vec![rule.to_string()]),
        TokenEvent::Narrows { rule } => ("narrows", vec![rule.to_string()]),
        TokenEvent::WaiverEnds { rules, .. } => {
            ("waiver-ends", rules.iter().map(ToString::to_string).collect())
        }
    };
    UpcomingEntry { at: upcoming.at, event, rules }
}

fn answer(answer: &Answer) -> AnswerEntry {
    AnswerEntry {
        decision: answer.denied.map_or("permit", DenialReason::code),
        status: answer.denied.map(DenialReason::status),
        client: answer.client,
    }
}

fn basis(basis: &Basis) -> BasisEntry {
    BasisEntry {
        setting: basis.key.path(),
        source: basis.place.as_ref().map(source),
        held_back: basis.held_back.clone(),
    }
}
