//! The JSON of the gateway's REST. Knows shapes and paths; the reader and writer decide which calls to
//! make.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::{
    inventory::{Call, Caller, Credential},
    model::{GroupName, LastUse, Owner, Token, TokenId, TokenScope, UserName},
    protocol::{CredentialKind, LEASE, RUNS, SETTINGS, WHOAMI, WhoAmI, end_path, lease_path},
    targets::{
        bitbucket::wire::{MEMBERS, USERS},
        millis::Millis,
        odd::{visible, visible_or_none},
        resolution::wire::{TOKEN, TOKENS},
    },
};

/// The path of the token `id`.
pub(super) fn token_path(id: impl Display) -> String {
    format!("{TOKEN}/{id}")
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

/// The server does not say who we are.
#[derive(Debug, thiserror::Error)]
pub enum NobodyTold {
    /// It says that our credential is a token, and not which.
    #[error("the server does not say which token it was given")]
    UnknownToken,
    /// It takes us for nobody.
    #[error("the server treated the request as anonymous")]
    Anonymous,
}

impl TryFrom<WhoAmI> for Caller {
    type Error = NobodyTold;

    fn try_from(told: WhoAmI) -> Result<Self, NobodyTold> {
        let credential = match (told.credential, told.token_id, told.scope) {
            (CredentialKind::Token, Some(id), Some(scope)) => Credential::Token {
                id: TokenId::new(id.to_string()),
                scope: TokenScope::Set(scope),
                expires: told.expires,
            },
            (CredentialKind::Token, ..) => return Err(NobodyTold::UnknownToken),
            (CredentialKind::Password, ..) => Credential::Password,
            (CredentialKind::Operator, ..) => Credential::Operator,
            (CredentialKind::None, ..) => return Err(NobodyTold::Anonymous),
        };
        Ok(Self {
            user: (credential != Credential::Operator).then(|| UserName::new(told.user)),
            groups: told.groups.into_iter().map(GroupName::new).collect(),
            administrator: told.administrator,
            credential,
            address: told.client_address,
            peer: told.peer,
            behind: None,
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
