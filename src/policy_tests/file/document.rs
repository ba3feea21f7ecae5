//! The types of a file of policy tests and its JSON schema. Which rules and reasons there are is checked
//! later.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use crate::{
    model::{OwnerKind, Scope, schema::schema_of},
    policy::document::{TokenIdValue, version_one},
};

/// The JSON schema of a file of policy tests, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    schema_of::<TestFileDocument>()
}

/// Tests of a policy: tokens with what is to be found and done about them, and requests with what is to be
/// decided. They run without a network, on a server that has nothing but what the policy and this file say.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, title = "tokenwarden policy tests")]
pub struct TestFileDocument {
    /// Version of the format of this file: `1`.
    #[schemars(schema_with = "version_one")]
    pub version: u32,
    /// The time that the cases are judged at, UTC: `2026-12-01` or `2026-12-01T08:00:00Z`.
    pub now: String,
    /// The target of the config file whose policy is tested.
    pub target: String,
    /// Whom the directory knows, by name. Owners of tokens who are not here are not in the directory.
    pub owners: Option<BTreeMap<String, OwnerDocument>>,
    /// What every token of this file is, unless its case says otherwise.
    pub token: Option<TokenDocument>,
    /// The cases.
    #[schemars(length(min = 1))]
    pub cases: Option<Vec<CaseDocument>>,
    /// Requests of which none is ever permitted: proved for every one there can be.
    #[schemars(length(min = 1))]
    pub never: Option<Vec<StatementDocument>>,
    /// Requests of which every one is always permitted: proved for every one there can be.
    #[schemars(length(min = 1))]
    pub always: Option<Vec<StatementDocument>>,
}

/// Somebody, or something, that has tokens.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OwnerDocument {
    /// The groups that the user is in; none when left out.
    pub groups: Option<Vec<String>>,
    /// Whether the user is active; yes when left out.
    pub active: Option<bool>,
    /// What the owner is; a user when left out. The name of a repository is `PROJECT/slug`.
    pub kind: Option<OwnerKind>,
}

/// One token. Times are `2026-01-31`, `2026-01-31T08:00:00Z`, `30d ago` or `in 30d`, UTC.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TokenDocument {
    /// Its identifier; `1` for the token of a case and `2`, `3` and so on for the others when left out.
    pub id: Option<TokenIdValue>,
    /// Whose it is: a name of `owners`, or as plans show owners: `mary`, `project PLAT`, `repository PLAT/app`;
    /// `user NAME` is always the user.
    pub owner: Option<String>,
    /// What tells it from others; empty when left out.
    pub description: Option<String>,
    /// How far it reaches; `unset` when it is older than scopes, `unknown` when the server does not say it.
    pub scope: Option<ScopeWord>,
    /// When it was made.
    pub created: Option<String>,
    /// Who made it; the owner when left out.
    pub created_by: Option<String>,
    /// When it expires, or `never`.
    pub expires: Option<String>,
    /// When it was used last, or `never`.
    pub last_used: Option<String>,
    /// The address that it was used from last.
    pub last_used_from: Option<String>,
}

/// How far a token reaches.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum ScopeWord {
    ReadOnly,
    ReadWrite,
    Unset,
    Unknown,
}

/// One case: a `token` or a `request`, and what is expected.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CaseDocument {
    /// What it shows, as a sentence; another one for each case of the file.
    pub name: String,
    /// The time that it is judged at, when it is not that of the file.
    pub now: Option<String>,
    /// The token that is judged.
    pub token: Option<TokenDocument>,
    /// With `token`: tokens beside it, for rules that look at all tokens of an owner.
    #[schemars(length(min = 1))]
    pub others: Option<Vec<TokenDocument>>,
    /// The request that is decided on, under the settings as the policy wants them. What the policy does not manage is
    /// as on a new server.
    pub request: Option<RequestDocument>,
    /// The expected results. What is left out is expected to be empty.
    pub expect: ExpectDocument,
}

/// All requests of a kind, of active users and with tokens that last. What is left out does not matter.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StatementDocument {
    /// What it states, as a sentence; another one for each case and statement of the file.
    pub name: String,
    /// Where the clients are, as the server finds them.
    pub from: Option<PlacesDocument>,
    /// The senders are in one of these groups. With groups, tokens of projects and repositories are not meant.
    #[schemars(length(min = 1))]
    pub in_groups: Option<Vec<String>>,
    /// The senders are in none of these groups.
    #[schemars(length(min = 1))]
    pub not_in_groups: Option<Vec<String>>,
    /// What is sent along; when left out, a token for `always`, and either of them for `never`.
    pub with: Option<WithWord>,
    /// Whether the requests read or write; both when left out.
    pub method: Option<MethodWord>,
    /// How far the token reaches; `read-write` when left out.
    pub scope: Option<Scope>,
    /// The scope of the token that they would create, when they would create one.
    pub creates: Option<Scope>,
    /// With `never`, and beside `in_groups` and `not_in_groups` alone: that none of them holds a token which reaches so far.
    /// None can be made, and one that there is is found by a rule that narrows, expires or revokes it.
    pub holds: Option<Scope>,
}

/// Where clients are: `inside` or `outside`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PlacesDocument {
    /// In one of these networks: addresses, CIDR ranges, `first-last`.
    #[schemars(length(min = 1))]
    pub inside: Option<Vec<String>>,
    /// In none of these networks.
    #[schemars(length(min = 1))]
    pub outside: Option<Vec<String>>,
}

/// What is sent along.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum WithWord {
    Token,
    Password,
}

/// Whether a request reads or writes.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum MethodWord {
    Read,
    Write,
}

/// One request.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RequestDocument {
    /// Who sends it: a user of `owners`.
    pub owner: String,
    /// How far the token that is sent along reaches; `read-write` when left out.
    pub scope: Option<Scope>,
    /// Whether a password is sent along, and no token; no when left out.
    pub password: Option<bool>,
    /// The HTTP method; `GET` when left out.
    pub method: Option<String>,
    /// The path; `/` when left out.
    pub path: Option<String>,
    /// The address that it comes from: the other end of the connection.
    pub from: String,
    /// Header lines, such as `X-Forwarded-For: 192.0.2.7`.
    #[schemars(length(min = 1))]
    pub headers: Option<Vec<String>>,
    /// The scope of the token that it would create, when it would create one.
    pub creates: Option<Scope>,
}

/// The expected results of a case.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExpectDocument {
    /// With `token`: the rules that find something wrong which no waiver holds.
    pub findings: Option<Vec<String>>,
    /// With `token`: the rules that find something wrong which a waiver holds.
    pub waived: Option<Vec<String>>,
    /// With `token`: what the plan does: `narrow`, `expire 2026-12-15`, `revoke`, `pending 2026-12-15`, `held-back`.
    pub actions: Option<Vec<String>>,
    /// With `request`: `permit`, or the reason why not, such as `network`.
    pub decision: Option<String>,
}
