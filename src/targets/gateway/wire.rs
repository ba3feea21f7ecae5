//! The JSON of the gateway's REST. Knows shapes and paths; the reader and writer decide which calls to
//! make.

use std::{collections::BTreeSet, fmt::Display, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    inventory::{Call, Caller, Credential},
    model::{
        GroupName, LastUse, Owner, Scope, Token, TokenId, TokenScope, UserName,
        run::{ChangeNote, RecordedRun, RunId},
    },
    targets::{
        millis::Millis,
        odd::{visible, visible_or_none},
    },
};

pub(super) const SETTINGS: &str = "/rest/tokenwarden/1/settings";
pub(super) const LEASE: &str = "/rest/tokenwarden/1/lease";
pub(super) const AUDIT: &str = "/rest/tokenwarden/1/audit";
pub(super) const RUNS: &str = "/rest/tokenwarden/1/runs";
pub(super) const LAST_CHANGE: &str = "/rest/tokenwarden/1/settings/last-change";
pub(super) const WHOAMI: &str = "/rest/tokenwarden/1/whoami";
pub(super) const PROPERTIES: &str = "/rest/api/latest/application-properties";
pub(super) const USERS: &str = "/rest/api/latest/admin/users";
pub(super) const GROUPS: &str = "/rest/api/latest/admin/groups";
pub(super) const MEMBERS: &str = "/rest/api/latest/admin/groups/more-members";
const TOKEN: &str = "/rest/de.resolution.apitokenauth/latest/user/token";
pub(super) const TOKENS: &str = "/rest/de.resolution.apitokenauth/latest/user/tokensByFilter";

/// The path of the token `id`.
pub(super) fn token_path(id: impl Display) -> String {
    format!("{TOKEN}/{id}")
}

/// The path of the lease of `run`.
pub(super) fn lease_path(run: impl Display) -> String {
    format!("{LEASE}/{run}")
}

/// The path to tell the end of `run` at.
pub(super) fn end_path(run: impl Display) -> String {
    format!("{RUNS}/{run}/end")
}

/// What a run calls that must be answered: the version is told to anybody, and a run does without knowing who
/// changed the settings last.
pub(super) fn calls() -> Vec<Call> {
    let reads = [SETTINGS, WHOAMI, USERS, MEMBERS, TOKENS, RUNS].map(|path| Call::new("GET", path));
    let writes = [
        Call::new("PUT", SETTINGS),
        Call::new("PATCH", token_path(Call::ANY)),
        Call::new("DELETE", token_path(Call::ANY)),
        Call::new("PUT", LEASE),
        Call::new("DELETE", lease_path(Call::ANY)),
        Call::new("POST", RUNS),
        Call::new("POST", end_path(Call::ANY)),
    ];
    reads.into_iter().chain(writes).collect()
}

/// Whom the server takes us for.
#[derive(Deserialize)]
pub(super) struct WhoAmI {
    user: UserName,
    groups: BTreeSet<GroupName>,
    administrator: bool,
    pub(super) administrators: GroupName,
    credential: CredentialKind,
    token_id: Option<i64>,
    scope: Option<Scope>,
    expires: Option<Timestamp>,
    client_address: Option<IpAddr>,
    peer: Option<IpAddr>,
}

/// What the server says that we proved to be who we are with.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CredentialKind {
    Token,
    Password,
    Operator,
}

/// The server says that our credential is a token, and not which.
#[derive(Debug, thiserror::Error)]
#[error("the server does not say which token it was given")]
pub(super) struct UnknownToken;

impl TryFrom<WhoAmI> for Caller {
    type Error = UnknownToken;

    fn try_from(told: WhoAmI) -> Result<Self, UnknownToken> {
        let credential = match (told.credential, told.token_id, told.scope) {
            (CredentialKind::Token, Some(id), Some(scope)) => Credential::Token {
                id: TokenId::new(id.to_string()),
                scope: TokenScope::Set(scope),
                expires: told.expires,
            },
            (CredentialKind::Token, ..) => return Err(UnknownToken),
            (CredentialKind::Password, ..) => Credential::Password,
            (CredentialKind::Operator, ..) => Credential::Operator,
        };
        Ok(Self {
            user: (credential != Credential::Operator).then_some(told.user),
            groups: told.groups,
            administrator: told.administrator,
            credential,
            address: told.client_address,
            peer: told.peer,
        })
    }
}

/// Version of the server.
#[derive(Deserialize)]
pub(super) struct Properties {
    pub(super) version: String,
}

/// A user.
#[derive(Deserialize, Hash)]
pub(super) struct User {
    #[serde(deserialize_with = "visible")]
    pub(super) name: UserName,
    pub(super) active: Option<bool>,
}

/// A member of a group.
#[derive(Deserialize, Hash)]
pub(super) struct Member {
    #[serde(deserialize_with = "visible")]
    pub(super) name: UserName,
}

/// A group.
#[derive(Deserialize, Hash)]
pub(super) struct Group {
    pub(super) name: GroupName,
}

/// A page of tokens in the app's form, with our `lastId`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenPage {
    pub(super) content: Vec<TokenItem>,
    pub(super) last_id: i64,
    /// Tokens that are gone, each with the one that it was made with.
    #[serde(default)]
    pub(super) ancestors: Vec<(i64, i64)>,
}

/// A token in a list. Times are milliseconds since the epoch; 0 is never.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenItem {
    pub(super) id: i64,
    #[serde(default, deserialize_with = "visible_or_none")]
    user_name: Option<UserName>,
    #[serde(default, deserialize_with = "visible_or_none")]
    project_key: Option<String>,
    #[serde(default, deserialize_with = "visible_or_none")]
    repository_slug: Option<String>,
    token_description: String,
    token_scope: i64,
    created: i64,
    created_by: Option<UserName>,
    pub(super) parent: Option<i64>,
    last_accessed: i64,
    last_accessed_address: Option<String>,
    valid_until: i64,
}

/// A token of which this field cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("token {id}: invalid value of `{field}`")]
pub(super) struct BadItem {
    pub(super) id: TokenId,
    pub(super) field: &'static str,
}

impl TryFrom<TokenItem> for Token {
    type Error = BadItem;

    fn try_from(item: TokenItem) -> Result<Self, BadItem> {
        let id = TokenId::new(item.id.to_string());
        let bad = |field| BadItem { id: id.clone(), field };
        // Our own server counts in milliseconds, whatever its clock says.
        let Millis::At(created) = Millis::from(item.created) else { return Err(bad("created")) };
        let expires = Millis::from(item.valid_until).end().map_err(|_| bad("validUntil"))?;
        let last_used = Millis::from(item.last_accessed).past().map_err(|_| bad("lastAccessed"))?;
        let last_used = last_used.map(|at| LastUse {
            at,
            from: item.last_accessed_address.as_deref().and_then(|from| from.parse().ok()),
        });
        Ok(Self {
            owner: match (item.user_name, item.project_key, item.repository_slug) {
                (Some(user), None, None) => Owner::User(user),
                (None, Some(key), None) => Owner::Project(key),
                (None, Some(project), Some(slug)) => Owner::Repository { project, slug },
                _ => return Err(bad("userName")),
            },
            description: item.token_description,
            scope: TokenScope::from_number(item.token_scope).unwrap_or(TokenScope::Unknown),
            created,
            created_by: item.created_by,
            last_used,
            expires,
            mark: None,
            id,
        })
    }
}

/// What is changed of a token; what is left out stays.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_scope: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_expiration_date_time_millis: Option<i64>,
}

/// Asks for the lease.
#[derive(Serialize)]
pub(super) struct AskForLease<'a> {
    pub(super) run: &'a RunId,
    pub(super) holder: &'a str,
    pub(super) seconds: u64,
}

/// A lease that was given.
#[derive(Deserialize)]
pub(super) struct LeaseItem {
    pub(super) number: i64,
}

/// What went along with the changes of a run, as `told` at its end; older servers do not tell.
pub(super) fn along(told: &Value) -> Vec<ChangeNote> {
    told.get("along").and_then(|along| Vec::deserialize(along).ok()).unwrap_or_default()
}

/// Recorded runs.
#[derive(Deserialize)]
pub(super) struct RunList {
    pub(super) runs: Vec<RecordedRun>,
    /// By what the store is known; older servers do not tell.
    pub(super) store: Option<String>,
}
