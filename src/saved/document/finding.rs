//! Tokens in a plan document, with what is wrong with them and what waivers hold.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SourceEntry;
use crate::{compliance::WaiverStanding, inventory::ScopeRecord, model::OwnerKind};

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
