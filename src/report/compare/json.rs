//! The comparison of two policies as JSON.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    compare::Hits,
    model::{Question, Shift, schema::schema_of_output},
    report::json::source,
    saved::document::SourceEntry,
};

use super::{Compared, Told, told};

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
const FORMAT_VERSION: &str = "1.1";

/// What `compare` found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tokenwarden comparison")]
pub struct ComparisonDocument {
    /// Version of this format.
    pub format_version: &'static str,
    /// What all targets come to: `equivalent`, `looser`, `stricter`, `mixed` or `not proved`.
    pub verdict: &'static str,
    /// Whether everything is proved.
    pub proved: bool,
    /// Each target, or the two files.
    pub comparisons: Vec<ComparisonEntry>,
}

/// One target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ComparisonEntry {
    /// Its name; null for two files.
    pub target: Option<String>,
    /// What it is compared with, as the user named it.
    pub baseline: String,
    /// `equivalent`, `looser`, `stricter`, `mixed` or `not proved`.
    pub verdict: &'static str,
    /// Whether everything is proved.
    pub proved: bool,
    /// Why nothing could be compared; null when something was.
    pub error: Option<String>,
    /// The inventory that `today` of each difference is counted in; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryEntry>,
    /// How many own rules there are on either side, and of how many it is proved what their condition finds.
    pub own_rules: ProvedEntry,
    /// Each difference; what permits more comes first.
    pub differences: Vec<DifferenceEntry>,
}

/// Of how many it is proved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProvedEntry {
    /// How many there are.
    pub total: usize,
    /// Of how many it is proved.
    pub proved: usize,
}

/// An inventory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InventoryEntry {
    /// The time that it is looked at for, UTC.
    #[schemars(with = "String")]
    pub seen_at: Timestamp,
    /// Whether everything was seen; otherwise there may be more than is counted.
    pub complete: bool,
}

/// Whom a difference is about, of the owners and the tokens that have not expired.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TodayEntry {
    /// How many owners; those who are hit by a password alone too.
    pub owners: u64,
    /// How many tokens.
    pub tokens: u64,
    /// How many of the tokens were used in the last 30 days.
    pub used_in_30_days: u64,
    /// How many of these were used last from an address that the difference is about; null where it is about none.
    pub used_from_there: Option<u64>,
    /// How many of these were used last from an address that is not recorded; null where that does not matter.
    pub used_from_unknown: Option<u64>,
    /// Tokens, and people by a password alone, of which it could not be seen whether it is about them.
    pub unsure: u64,
    /// How many findings there are that were not; null where it is not about findings.
    pub more_findings: Option<u64>,
    /// How many findings there are no longer.
    pub fewer_findings: Option<u64>,
}

/// One difference.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DifferenceEntry {
    /// `looser`, `stricter`, `mixed` or `not proved`.
    pub change: &'static str,
    /// `requests`, `limit`, `action`, `own-rule`, `waiver`, `unmanaged` or `too-much`.
    pub kind: &'static str,
    /// The setting, the limit, the rule or the waiver.
    pub subject: String,
    /// Whom it is for and what is permitted, a sentence each.
    pub details: Vec<String>,
    /// What was so before; null where there is no single word for it.
    pub before: Option<String>,
    /// What is so after.
    pub after: Option<String>,
    /// The arguments of a command that gives one answer before and the other one after; null where no request shows it.
    pub example: Option<Vec<String>>,
    /// A token that only one side finds, as YAML in the words of policy tests: `now`, `owners` and `token`; absent where none
    /// is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whom it is about today; absent without an inventory, and where no owner can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub today: Option<TodayEntry>,
    /// The line of the new policy, or of the old one where the new one has none.
    pub source: Option<SourceEntry>,
}

/// The JSON schema of [`ComparisonDocument`].
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<ComparisonDocument>()
}

impl ComparisonDocument {
    /// All that was compared.
    #[must_use]
    pub fn of(all: &[Compared]) -> Self {
        let shift: Shift = all.iter().map(Compared::shift).collect();
        Self {
            format_version: FORMAT_VERSION,
            verdict: shift.word(),
            proved: !shift.unproved,
            comparisons: all.iter().map(ComparisonEntry::from).collect(),
        }
    }
}

impl From<&Compared> for ComparisonEntry {
    fn from(compared: &Compared) -> Self {
        let shift = compared.shift();
        Self {
            target: compared.target.clone(),
            baseline: compared.with.clone(),
            verdict: shift.word(),
            proved: !shift.unproved,
            error: compared.comparison.as_ref().err().cloned(),
            inventory: compared
                .today
                .as_ref()
                .map(|today| InventoryEntry { seen_at: today.seen_at, complete: today.is_whole }),
            own_rules: compared.comparison.as_ref().map_or(
                ProvedEntry { total: 0, proved: 0 },
                |comparison| ProvedEntry {
                    total: comparison.own_rules,
                    proved: comparison.own_rules_proved(),
                },
            ),
            differences: told(compared).into_iter().map(DifferenceEntry::from).collect(),
        }
    }
}

impl From<Told> for DifferenceEntry {
    fn from(told: Told) -> Self {
        let change = match told.sign {
            '+' => Shift::LOOSER,
            '-' => Shift::STRICTER,
            '~' => Shift::MIXED,
            _ => Shift::UNPROVED,
        };
        Self {
            change: change.word(),
            kind: told.kind,
            subject: told.subject,
            details: told.lines,
            before: told.before,
            after: told.after,
            example: told.example.as_ref().map(Question::command),
            token: told.token,
            today: told.today.map(TodayEntry::from),
            source: told.place.as_ref().map(source),
        }
    }
}

impl From<Hits> for TodayEntry {
    fn from(hits: Hits) -> Self {
        Self {
            owners: hits.owners,
            tokens: hits.tokens,
            used_in_30_days: hits.used,
            used_from_there: hits.used_from_there.map(|(there, _)| there),
            used_from_unknown: hits.used_from_there.map(|(_, unknown)| unknown),
            unsure: hits.unsure,
            more_findings: hits.findings.map(|(more, _)| more),
            fewer_findings: hits.findings.map(|(_, fewer)| fewer),
        }
    }
}
