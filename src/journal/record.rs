//! The types of the lines of a journal file, and their JSON schema.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    run::{ChangeNote, RecordedResult, RunHead, RunId, Settled},
    schema::schema_of_output,
};

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
pub const FORMAT_VERSION: &str = "1.2";

/// One line of a journal file. The first is `begun`; then come all that is `planned`, and for each change
/// that is tried `attempted`, which is on disk before anything is sent, and its `result`. The last one is
/// `ended`: a file without it is that of a run that was interrupted or is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "kebab-case")]
#[schemars(title = "tokenwarden journal line")]
pub enum Record {
    /// The run begins.
    Begun(Box<Begun>),
    /// The plan has this change.
    Planned {
        /// Its place in the plan, from 0.
        change: u32,
        /// What it is.
        #[serde(flatten)]
        note: ChangeNote,
    },
    /// The change is about to be sent.
    Attempted {
        /// Its place in the plan, from 0.
        change: u32,
        /// When, UTC, RFC 3339.
        #[schemars(with = "String")]
        at: Timestamp,
    },
    /// It is known what became of the change.
    Result {
        /// Its place in the plan, from 0.
        change: u32,
        /// What became of it.
        #[serde(flatten)]
        result: RecordedResult,
    },
    /// The run ended in order, whatever became of its changes.
    Ended {
        /// When, UTC, RFC 3339.
        #[schemars(with = "String")]
        at: Timestamp,
    },
}

/// The beginning of a run, with what later runs must still know of earlier ones: so that a run need not read
/// the files of years.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Begun {
    /// Version of the form.
    pub format_version: String,
    /// Grows with each run on a server, whatever the clocks say; 0 when nobody counted.
    #[serde(default)]
    pub number: u64,
    /// The run.
    #[serde(flatten)]
    pub head: RunHead,
    /// By identifier of a token: the first moment at which an earlier run made it to end, UTC, RFC 3339.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub deadlines: BTreeMap<String, Timestamp>,
    /// What became of the changes that an interrupted run had begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
    /// The file of the run before it on the server, so that it is missed when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

/// The file of an earlier run, as a later one found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Before {
    /// The run.
    pub run: RunId,
    /// How long its file was, in bytes: no file gets shorter.
    pub bytes: u64,
}

impl Record {
    /// The record as a line, with its end.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// The JSON schema of one line, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<Record>()
}
