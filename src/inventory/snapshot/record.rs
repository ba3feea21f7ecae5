//! The records of a snapshot.

mod convert;

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    OwnerKind, Period, run,
    schema::schema_of_output,
    settings::{BadSettings, SettingsDocument},
};

use super::{
    super::{Capabilities, Form, LeftOut},
    token::{ScopeRecord, TokenRecord},
};

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away. One
/// version is read: a program that does not know what was added would plan as if it were not there.
pub const FORMAT_VERSION: &str = "2.0";

/// Version of the form of a snapshot that has `missing_users`, which programs before that do not know.
pub(super) const WITH_MISSING_USERS: &str = "2.1";

/// One line of a snapshot.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "kebab-case")]
#[schemars(title = "tokenwarden inventory, one line")]
pub(super) enum Record<'a> {
    /// The first line.
    Header(Box<Header>),
    /// A user; users follow the header.
    User(UserRecord),
    /// A group; groups follow the users.
    Group(GroupRecord),
    /// A token; tokens follow the groups, in no order.
    #[serde(borrow)]
    Token(Box<TokenRecord<'a>>),
    /// The last line.
    Trailer(Trailer),
}

impl<'a> Record<'a> {
    /// The record that `line` is. Nearly all are of tokens, which are read right away; others once their kind is
    /// known.
    pub(super) fn read(line: &'a [u8]) -> serde_json::Result<Self> {
        // Whether it is UTF-8 is found out once for the line, not for each text in it.
        let token =
            str::from_utf8(line).ok().and_then(|line| serde_json::from_str::<TokenRecord<'_>>(line).ok());
        match token {
            Some(token) if token.says_its_kind() => Ok(Self::Token(Box::new(token))),
            _ => serde_json::from_slice(line),
        }
    }
}

/// What was looked at, when, and everything but people and tokens.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Header {
    /// Version of this format.
    pub(super) format_version: String,
    /// Name of the target in the config file.
    pub(super) target: String,
    /// Its kind, such as `gateway`.
    pub(super) kind: String,
    /// When it was looked at, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub(super) seen_at: Timestamp,
    /// What runs did lately, which counts against rails; null when nobody keeps a record of it.
    pub(super) budget: Option<Budget>,
    /// What could be seen.
    pub(super) coverage: CoverageRecord,
    /// The server.
    pub(super) server: ServerRecord,
    /// Whom it took the one who looked for.
    pub(super) caller: CallerRecord,
    /// Its settings.
    pub(super) settings: SettingsDocument,
}

/// What runs did within the time that rails look back on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// How far back.
    #[schemars(with = "String")]
    pub window: Period,
    /// How many objects of each class; what is left out is none.
    pub spent: run::RailCounts,
}

/// What could be seen.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct CoverageRecord {
    /// Which groups were asked for.
    pub(super) groups: GroupCoverage,
    /// Groups that were asked for and that the server does not know. They are not empty groups.
    pub(super) missing_groups: Vec<String>,
    /// Why there may be other users than those that follow; left out when there are no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing_users: Option<String>,
}

/// Which groups were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum GroupCoverage {
    /// All that there are.
    All,
    /// Those that the policy and the settings named: the server does not list its groups.
    Named,
}

/// A server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct ServerRecord {
    /// Its address without credentials, or what an embedded one is called.
    url: String,
    /// Its version, where it tells.
    version: Option<String>,
    /// Who administers it, where it tells.
    administrators: Option<AdministratorsRecord>,
    /// The settings that it can hold, by their paths in the policy.
    manageable: Vec<String>,
    /// Those of them that could not be read, each with what the server said.
    unreadable: BTreeMap<String, String>,
    /// The forms in which it keeps settings, where it cannot hold everything that a policy can say.
    forms: BTreeMap<String, Form>,
    /// What it can do with tokens and passwords.
    capabilities: Capabilities,
    /// What the config file says not to look at.
    left_out: Vec<LeftOut>,
}

/// Who administers a server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum AdministratorsRecord {
    /// The members of this group.
    Group(String),
    /// Some users.
    Users {
        /// Their names.
        users: Vec<String>,
    },
}

/// Whom a server took the one who looked for; never the secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct CallerRecord {
    /// The user.
    user: Option<String>,
    /// The user's groups.
    groups: Vec<String>,
    /// Whether it administers the server.
    administrator: bool,
    /// What it proved that with.
    credential: CredentialRecord,
    /// Its address, where the server tells.
    #[schemars(with = "Option<String>")]
    address: Option<IpAddr>,
    /// The other end of the connection, where the server tells.
    #[schemars(with = "Option<String>")]
    peer: Option<IpAddr>,
    /// Whom the server behind a gateway took it for; left out where there is no gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<Box<CallerRecord>>,
}

/// What a caller proved to be somebody with; never the secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum CredentialRecord {
    /// A token.
    Token {
        /// Its identifier.
        id: String,
        /// How far it reached.
        scope: ScopeRecord,
        /// Its expiry, UTC, RFC 3339; null when it never expires.
        #[schemars(with = "Option<String>")]
        expires: Option<Timestamp>,
    },
    /// A token, sent as a password.
    TokenAsPassword {
        /// Its identifier; null when nobody said which one it was.
        id: Option<String>,
    },
    /// A bearer credential of which nobody says which token it is.
    Unidentified,
    /// A bearer credential that is not a token.
    NoToken,
    /// A password.
    Password,
    /// That of the process that ran the server.
    Operator,
}

/// A user.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct UserRecord {
    /// The name.
    pub(super) name: String,
    /// Whether the directory calls the user active.
    pub(super) active: bool,
}

/// A group with its members.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct GroupRecord {
    /// The name.
    pub(super) name: String,
    /// Names of all its members.
    pub(super) members: Vec<String>,
}

/// The end of a snapshot.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Trailer {
    /// How many records there are.
    #[serde(flatten)]
    pub(super) counts: RecordCounts,
    /// What of the tokens could not be seen, in words; empty when everything was.
    pub(super) missing: Vec<String>,
    /// Identifiers of the tokens that the server listed more than once, with different content: nothing is done
    /// about them. One of the contents is here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) disputed: Vec<String>,
}

/// How many records there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordCounts {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Tokens.
    pub tokens: u64,
}

/// A record that is well-formed but means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The settings mean nothing that can be enforced.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// There is no such setting.
    #[error("unknown setting `{0}`")]
    Setting(String),
    /// The name is not one of an owner of that kind.
    #[error("`{0}` is not a valid {word}", word = .1.word())]
    Owner(String, OwnerKind),
}

/// The JSON schema of one line of a snapshot.
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<Record>()
}
