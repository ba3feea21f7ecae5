//! The shapes of the lease and of the ledger of runs.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    ServerIdentity,
    run::{ChangeNote, RecordedRun, RunHead, RunId},
};

/// What asks for the lease.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskForLease {
    /// The run that wants it, or holds it and prolongs it.
    pub run: RunId,
    /// Who runs it and where.
    #[schemars(length(min = 1, max = 255))]
    pub holder: String,
    /// How long it lasts without being prolonged, in seconds.
    #[schemars(with = "u64", range(min = 1, max = 300))]
    pub seconds: Value,
}

/// A lease.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct LeaseItem {
    /// Grows each time that another run gets it.
    pub number: i64,
    /// The run that holds it.
    pub run: RunId,
    /// Who runs it and where.
    pub holder: String,
    /// Since when, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// From when on others may have it, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub expires: Timestamp,
}

/// A run that begins.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct BeginRun {
    /// Its name.
    pub run: RunId,
    /// The name of the target in the config file.
    #[schemars(length(min = 1, max = 255))]
    pub target: String,
    /// What its server is known by.
    #[serde(default)]
    pub server: ServerIdentity,
    /// When it began, UTC, RFC 3339, by the clock of the server where it tells.
    #[schemars(with = "String")]
    pub begun: Timestamp,
    /// Who ran it and where, as `user@host`.
    #[schemars(length(min = 1, max = 255))]
    pub by: String,
    /// SHA-256 of the merged policy, in hexadecimal; empty where there is none.
    #[schemars(length(max = 64))]
    pub policy_sha256: String,
}

impl From<BeginRun> for RunHead {
    fn from(BeginRun { run, target, server, begun, by, policy_sha256 }: BeginRun) -> Self {
        Self { run, target, server, begun, by, policy_sha256 }
    }
}

impl From<RunHead> for BeginRun {
    fn from(RunHead { run, target, server, begun, by, policy_sha256 }: RunHead) -> Self {
        Self { run, target, server, begun, by, policy_sha256 }
    }
}

/// A run that ended.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct RunEnd {
    /// What it did to tokens only because they came of others that it changed.
    pub along: Vec<ChangeNote>,
}

/// Recorded runs.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// By what the store is known: the same for every server over it.
    // Older servers do not tell.
    #[schemars(with = "String")]
    pub store: Option<String>,
    /// How many changes of tokens one call of `tokens/changes` takes.
    // Older servers have no such call.
    #[schemars(with = "usize")]
    pub changes_at_most: Option<usize>,
    /// The latest first.
    pub runs: Vec<RecordedRun>,
}
