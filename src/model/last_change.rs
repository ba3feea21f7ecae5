//! The last change of the settings of a server: who made it and when.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who changed the settings of a server last, and when.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LastChange {
    /// A user, or what is not a user in parentheses: `(operator)` for the process that runs the server for
    /// itself, `(settings import)` for somebody at the machine. Text from the server.
    pub by: String,
    /// When, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
}
