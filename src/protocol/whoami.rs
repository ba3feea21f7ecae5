//! Who sends a request, as the server tells the sender.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Scope;

/// Who sends a request, as the server sees it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    /// Name of the user; `(project PLAT)` or `(repository PLAT/app)` for a token of one of these, `(operator)` for
    /// the process that runs the server for itself.
    pub user: String,
    /// The groups the user is in.
    pub groups: Vec<String>,
    /// Whether the user administers the server.
    pub administrator: bool,
    /// The group whose members administer the server.
    pub administrators: String,
    /// What the sender proved to be who it is with.
    pub credential: CredentialKind,
    /// The token; nothing for a password.
    pub token_id: Option<i64>,
    /// How far the token reaches: `read-only`, or `read-write`, also when it was never set.
    pub scope: Option<Scope>,
    /// When the token expires; absent when it never does.
    #[schemars(with = "Option<String>")]
    pub expires: Option<Timestamp>,
    /// The address of the client, found as the settings say.
    #[schemars(with = "Option<String>")]
    pub client_address: Option<IpAddr>,
    /// The address of the other end of the connection: of the client, or of the proxy in front.
    #[schemars(with = "Option<String>")]
    pub peer: Option<IpAddr>,
}

/// What a sender proved to be who it is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Credential")]
pub enum CredentialKind {
    /// A token.
    Token,
    /// A password.
    Password,
    /// The credential of the process that runs the server for itself, which is exempt from the rules on
    /// networks and passwords.
    Operator,
    /// None.
    None,
}
