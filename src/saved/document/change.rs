//! A change in a plan document, and what is held back or refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ReasonEntry;
use crate::{
    model::Verb,
    plan::{Origin, Phase},
};

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

/// Something to know about a plan.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RemarkEntry {
    /// Name of the target.
    pub target: String,
    /// What there is to know.
    pub message: String,
}
