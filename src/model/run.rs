//! A run as a journal keeps it: identifiers, counts and times. It holds no secrets, no names of owners and
//! no descriptions.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Scope, ServerIdentity, Verb, rails::RailClass};

/// The name of a run, unique among all runs: the moment at which it began, UTC, and eight random digits,
/// such as `20261123T120000Z-3f9a2c1d`. Runs sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RunId(String);

/// The text names no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a run, which looks like `20261123T120000Z-3f9a2c1d`")]
pub struct BadRunId(String);

impl RunId {
    /// The longest name that is read, in bytes.
    const BYTES_AT_MOST: usize = 64;

    /// The name of a run that begins at `begun`, behind that of `latest`, the one before it, also when the
    /// clock was set back or both begin in one second.
    #[must_use]
    pub fn new(begun: Timestamp, random: [u8; 4], latest: Option<&Self>) -> Self {
        let name = |time: &str, digits: u32| Self(format!("{time}-{digits:08x}"));
        let own = name(&begun.strftime("%Y%m%dT%H%M%SZ").to_string(), u32::from_be_bytes(random));
        match latest.filter(|latest| **latest >= own) {
            None => own,
            Some(latest) => match latest.parts() {
                Some((time, digits)) => name(time, digits.saturating_add(1)),
                None => Self(format!("{latest}-{own}")),
            },
        }
    }

    fn parts(&self) -> Option<(&str, u32)> {
        let (time, digits) = self.0.split_once('-')?;
        Some((time, u32::from_str_radix(digits, 16).ok()?))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = BadRunId;

    fn from_str(text: &str) -> Result<Self, BadRunId> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        if text.is_empty() || text.len() > Self::BYTES_AT_MOST || !text.bytes().all(fits) {
            return Err(BadRunId(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RunId {
    type Error = BadRunId;

    fn try_from(text: String) -> Result<Self, BadRunId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What our own server says, with the status 409, to a request whose right ended again and again while it was under
/// way: nothing is known then but that nothing was done.
pub const RIGHT_ENDED: &str = "What you may do changed while you asked for this; ask again";

/// How many objects of each class, as rails count them.
pub type RailCounts = BTreeMap<RailClass, u64>;

/// How a run begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunHead {
    /// Its name.
    pub run: RunId,
    /// The name of the target in the config file.
    pub target: String,
    /// What its server is known by; absent in records of versions that did not keep it.
    #[serde(default, skip_serializing_if = "ServerIdentity::is_empty")]
    pub server: ServerIdentity,
    /// When it began, UTC, RFC 3339, by the clock of the server where it tells.
    #[schemars(with = "String")]
    pub begun: Timestamp,
    /// Who ran it and where, as `user@host`.
    pub by: String,
    /// SHA-256 of the merged policy, in hexadecimal.
    pub policy_sha256: String,
}

/// One change, as far as a journal tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeNote {
    /// `settings/<key>` or `token/<id>`.
    pub address: String,
    /// Its verb, as in plans.
    pub action: String,
    /// What it counts against the rails of this and of later runs.
    #[serde(default, skip_serializing_if = "RailCounts::is_empty")]
    pub counts: RailCounts,
    /// The moment at which the token is to end, UTC, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Timestamp>,
    /// The scope that the token is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The token that this one came of and whose change took it along; null for a change of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_token: Option<i64>,
}

impl ChangeNote {
    /// The note of the same change of the token `id`, which came of the token `root` and is taken along. One that has
    /// expired, so that it is not `live`, counts as less.
    #[must_use]
    pub fn along(&self, id: i64, root: i64, live: bool) -> Self {
        let class = match (self.verb(), live) {
            (Some(Verb::Revoke), true) => Some(RailClass::Revocations),
            (Some(Verb::Revoke), false) => Some(RailClass::Cleanups),
            (Some(Verb::Expire), true) => Some(RailClass::Expiries),
            (Some(Verb::Narrow), true) => Some(RailClass::Narrowings),
            _ => None,
        };
        Self {
            address: format!("token/{id}"),
            counts: class.map(|class| (class, 1)).into_iter().collect(),
            with_token: Some(root),
            ..self.clone()
        }
    }

    /// Its verb; `None` when this version does not know the word.
    #[must_use]
    pub fn verb(&self) -> Option<Verb> {
        Verb::of(&self.action)
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The run did it.
    Done,
    /// Somebody else had done it: it counts for nothing.
    AlreadySo,
    /// It was tried and did not take effect.
    Failed,
    /// It was tried, and nobody can tell whether it took effect: it counts as if it had.
    Unknown,
}

impl Fate {
    /// Its word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadySo => "already so",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the change counts against the rails of later runs.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Self::Done | Self::Unknown)
    }
}

/// What became of a change, when, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedResult {
    /// What became of it.
    pub fate: Fate,
    /// When that was known, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Why it failed or is not known, in codes and words of the program. Files of earlier versions may hold text
    /// from a server: hostile until escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One change of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedChange {
    /// What it is.
    #[serde(flatten)]
    pub note: ChangeNote,
    /// When it was about to be sent, UTC, RFC 3339; absent when it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub attempted: Option<Timestamp>,
    /// What became of it; absent when that was never recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RecordedResult>,
}

impl RecordedChange {
    /// Whether it was tried and nobody recorded what became of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.attempted.is_some() && self.result.is_none()
    }

    /// Whether that became of it.
    #[must_use]
    pub fn has(&self, fate: Fate) -> bool {
        self.result.as_ref().is_some_and(|result| result.fate == fate)
    }

    /// Takes over what a later run found out of it.
    pub fn settle(&mut self, fate: Fate) {
        if let Some(at) = self.attempted {
            let reason = self.result.take().and_then(|result| result.reason);
            self.result = Some(RecordedResult { fate, at, reason });
        }
    }
}

/// A run as a journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedRun {
    /// How it began.
    #[serde(flatten)]
    pub head: RunHead,
    /// Its changes, in the order of the plan.
    pub changes: Vec<RecordedChange>,
    /// When it ended, UTC, RFC 3339; absent when it was interrupted or is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ended: Option<Timestamp>,
}

impl RecordedRun {
    /// Whether it ended in order, and all that it was to do was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.ended.is_some() && self.changes.iter().all(|change| change.has(Fate::Done))
    }

    /// The last moment of which something is recorded, UTC.
    #[must_use]
    pub fn last_moment(&self) -> Timestamp {
        let of_changes = self.changes.iter().filter_map(|change| match (&change.result, change.attempted) {
            (Some(result), _) => Some(result.at),
            (None, attempted) => attempted,
        });
        of_changes.chain(self.ended).fold(self.head.begun, Timestamp::max)
    }
}

/// What became of a change whose run was interrupted before it could record that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// The run.
    pub run: RunId,
    /// Place of the change in its plan, from 0.
    pub change: u32,
    /// What became of it.
    pub fate: Fate,
}

#[cfg(test)]
mod tests {
    use super::RunId;

    #[test]
    fn the_names_of_runs_sort_by_time_and_can_be_file_names() {
        let name = |at: &str, random, latest| RunId::new(at.parse().unwrap(), random, latest);
        let first = name("2026-11-23T12:00:00Z", [9; 4], None);
        let second = name("2026-11-23T12:00:01Z", [0, 0, 0, 1], Some(&first));
        assert!(first < second);
        let set_back = name("2026-11-23T11:00:00Z", [0; 4], Some(&second));
        assert!(second < set_back, "{set_back}");
        assert_eq!(second.as_str(), "20261123T120001Z-00000001");
        assert_eq!(second.as_str().parse(), Ok(second));
        for bad in ["", "../x", "a b", "a.b"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}
