//! In: what a server remembers of the last change of its settings. Out: who made it and when. It refuses
//! to know what was changed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who changed the settings of a server last, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastChange {
    /// A user, or what is no user in parentheses: `(operator)` for the process that runs the server for
    /// itself, `(settings import)` for somebody at the machine. Text from the server.
    pub by: String,
    /// When, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
}
