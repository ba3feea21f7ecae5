//! The comparison of two policies as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    model::{Question, Shift, schema::schema_of_output},
    report::json::source,
    saved::document::SourceEntry,
};

use super::{Compared, Told, told};

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
const FORMAT_VERSION: &str = "1.0";

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
    /// Each difference; what permits more comes first.
    pub differences: Vec<DifferenceEntry>,
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
        let differences = compared.comparison.iter().flat_map(told);
        Self {
            target: compared.target.clone(),
            baseline: compared.with.clone(),
            verdict: shift.word(),
            proved: !shift.unproved,
            error: compared.comparison.as_ref().err().cloned(),
            differences: differences.map(DifferenceEntry::from).collect(),
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
            source: told.place.as_ref().map(source),
        }
    }
}
