//! The types of the policy document and its JSON schema, which checks the structure and is what editors
//! show. A document that has this shape can still be wrong.
//!
//! The first paragraph on a type that may be written in several ways says which ways these are; it
//! is what errors answer with, too.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::model::{
    Action, Period, RuleCode, lifetime::PERIOD_PATTERN, limit::LimitDocument, schema::schema_of,
};

/// The JSON schema of a policy document, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    schema_of::<PolicyDocument>()
}

/// A tokenwarden policy: who may use and create API tokens, how far they reach, how long they live
/// and from where they are accepted. What is left out is not managed: the server keeps what it has.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, title = "tokenwarden policy")]
pub struct PolicyDocument {
    /// Version of the format of this file: `1`.
    #[schemars(schema_with = "version_one")]
    pub version: u32,
    /// Who may use, create and manage tokens.
    pub permissions: Option<PermissionsSection>,
    /// From which networks clients are accepted, and how their address is found.
    pub network: Option<NetworkSection>,
    /// Whether passwords still work in place of tokens.
    pub password_authentication: Option<PasswordsValue>,
    /// How far tokens may reach and how long they may live, and what happens to those that do not comply.
    pub tokens: Option<TokensSection>,
    /// Declared exceptions: findings that are shown and not acted on, each until a day. The waivers of a
    /// later layer are added to those of the earlier ones.
    pub waivers: Option<WaiversValue>,
    /// How long before the end of a waiver there are warnings, such as `30d`; `14d` when left out.
    #[schemars(default, schema_with = "period")]
    pub waivers_warn: Option<Period>,
}

pub(crate) fn version_one(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "const": 1 })
}

/// Un-sets what an earlier layer says: the server keeps what it has.
#[derive(Debug, JsonSchema)]
pub enum Unmanaged {
    #[schemars(rename = "unmanaged")]
    #[expect(missing_docs, reason = "documented on the type; its only word")]
    Unmanaged,
}

/// a mapping of permissions, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum PermissionsSection {
    Unmanaged(Unmanaged),
    Keys(PermissionsKeys),
}

/// Who holds each permission.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PermissionsKeys {
    /// Who may be let in with a token.
    #[schemars(rename = "use")]
    pub use_tokens: Option<HoldersValue>,
    /// Who may create tokens for themselves.
    pub create: Option<HoldersValue>,
    /// Who of those may create read-write tokens; the others get read-only ones.
    pub create_read_write: Option<HoldersValue>,
    /// Who may create and revoke tokens for other people.
    pub manage_others: Option<ManagersValue>,
}

/// `everyone`, `nobody`, a list of groups, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum HoldersValue {
    Word(HoldersWord),
    Groups(#[schemars(length(min = 1))] Vec<String>),
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum HoldersWord {
    Everyone,
    Nobody,
    Unmanaged,
}

/// `nobody`, a list of groups, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum ManagersValue {
    Word(ManagersWord),
    Groups(#[schemars(length(min = 1))] Vec<String>),
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum ManagersWord {
    Nobody,
    Unmanaged,
}

/// a mapping with `allow` and `client_address`, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum NetworkSection {
    Unmanaged(Unmanaged),
    Keys(NetworkKeys),
}

/// From which networks clients are accepted, and how their address is found.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NetworkKeys {
    /// The networks from which clients are accepted, with whatever credentials.
    pub allow: Option<NetworksValue>,
    /// Where the address of a client is found: the peer of the connection, or a header that trusted
    /// proxies set.
    pub client_address: Option<ClientAddressValue>,
}

/// `anywhere`, a list of networks, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum NetworksValue {
    Word(NetworksWord),
    List(#[schemars(length(min = 1))] Vec<NetworkEntry>),
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum NetworksWord {
    Anywhere,
    Unmanaged,
}

/// an address, a network such as `10.0.0.0/8`, a range such as `192.0.2.10-192.0.2.20`, or a mapping with `name` and `ranges`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum NetworkEntry {
    Range(String),
    Named(NamedRanges),
}

/// Ranges with a name that plans show.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NamedRanges {
    /// The name.
    pub name: String,
    /// Addresses, networks or ranges.
    #[schemars(length(min = 1))]
    pub ranges: Vec<String>,
}

/// `peer`, a mapping with `header` and `trusted_proxies`, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum ClientAddressValue {
    Word(ClientAddressWord),
    Header(HeaderKeys),
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum ClientAddressWord {
    Peer,
    Unmanaged,
}

/// A header that carries the addresses of clients. Both keys are needed, in one layer or in several.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HeaderKeys {
    /// Its name, such as `X-Forwarded-For`. `Forwarded` (RFC 7239) is not supported.
    pub header: Option<String>,
    /// The proxies whose header is believed: addresses, networks or ranges.
    #[schemars(length(min = 1))]
    pub trusted_proxies: Option<Vec<String>>,
}

/// `allowed`, `disabled`, a mapping with `state: disabled` and exceptions, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum PasswordsValue {
    Word(PasswordsWord),
    Exceptions(PasswordsKeys),
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum PasswordsWord {
    Allowed,
    Disabled,
    Unmanaged,
}

/// Passwords, with exceptions.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PasswordsKeys {
    /// Whether passwords work; exceptions go only with `disabled`.
    pub state: Option<PasswordsState>,
    /// Users who may still use a password; `*` matches any text.
    #[schemars(length(min = 1))]
    pub except_users: Option<Vec<String>>,
    /// Paths on which a password still works; `*` matches any text.
    #[schemars(length(min = 1))]
    pub except_paths: Option<Vec<String>>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum PasswordsState {
    Allowed,
    Disabled,
}

/// a mapping with `limits`, `rules` and `enforcement`, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum TokensSection {
    Unmanaged(Unmanaged),
    Keys(Box<TokensKeys>),
}

/// What tokens may be, and what happens to those that are more.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TokensKeys {
    /// How far tokens may reach and how long they may live. The first entry that matches the owner
    /// counts; an entry without groups is for everyone else and comes last.
    pub limits: Option<LimitsValue>,
    /// The policy's own rules. Those of a later layer are added to those of the earlier ones.
    pub rules: Option<RulesValue>,
    /// What happens on a finding of each rule. Rules that are not named are reported.
    pub enforcement: Option<EnforcementSection>,
}

/// a list of limits, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum LimitsValue {
    Unmanaged(Unmanaged),
    List(#[schemars(length(min = 1, max = 1000))] Vec<LimitDocument>),
}

/// a list of own rules, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum RulesValue {
    Unmanaged(Unmanaged),
    List(#[schemars(length(min = 1))] Vec<RuleDocument>),
}

/// A rule of the policy's own.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RuleDocument {
    /// Its name: small letters and digits with hyphens between, and not that of a built-in rule.
    pub name: String,
    /// When a token breaks it: an expression in CEL over `token`, `owner` and `now`, such as
    /// `token.scope == "read-write" && "administrators" in owner.groups`.
    pub when: String,
    /// What is wrong with such a token.
    pub message: String,
}

/// a mapping from rules to actions, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum EnforcementSection {
    Unmanaged(Unmanaged),
    Keys(EnforcementKeys),
}

/// a list of waivers, or `unmanaged`
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum WaiversValue {
    Unmanaged(Unmanaged),
    List(#[schemars(length(min = 1))] Vec<WaiverDocument>),
}

/// A declared exception: some rules, on one token or on the tokens of an owner, until a day.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WaiverDocument {
    /// The identifier of the one token that it is for.
    pub token: Option<TokenIdValue>,
    /// Whose tokens it is for, as plans show owners: `mary`, `project PLAT`, `repository PLAT/app`. `user NAME` is always
    /// the user.
    pub owner: Option<String>,
    /// With `owner`: only the tokens with such a description; `*` matches any text.
    pub description: Option<String>,
    /// The rules that it is for.
    #[schemars(length(min = 1))]
    pub rules: Vec<String>,
    /// Why there is an exception.
    pub reason: String,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// The last day on which it holds, UTC, such as `2027-01-31`.
    #[schemars(schema_with = "calendar_date")]
    pub until: String,
}

/// the identifier of a token
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(missing_docs, reason = "the ways of writing it are on the type")]
pub enum TokenIdValue {
    Number(u64),
    Text(String),
}

fn period(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": PERIOD_PATTERN })
}

fn calendar_date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" })
}

/// What happens on a finding of each rule: one key a rule, own ones too, and `default`.
#[derive(Debug)]
pub struct EnforcementKeys;

impl EnforcementKeys {
    /// The key for the rules that are not named.
    pub const DEFAULT: &str = "default";
    /// What may happen where every rule admits it.
    pub const DEFAULT_ACTIONS: &[&str] = &["report", "narrow", "expire", "revoke"];
}

impl JsonSchema for EnforcementKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EnforcementKeys".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        properties.insert(Self::DEFAULT.to_owned(), action(Self::DEFAULT_ACTIONS, "the rules not named"));
        for rule in RuleCode::ALL {
            let about = format!("`{rule}`: the token {}", rule.facts().finds);
            properties.insert(rule.code().to_owned(), action(rule.facts().actions, &about));
        }
        json_schema!({
            "description": "What happens on a finding of each rule: one key a rule, own ones too, and `default`.",
            "type": "object",
            "properties": properties,
            "additionalProperties": action(Self::DEFAULT_ACTIONS, "the own rule of this name")
        })
    }
}

/// The schema of what happens on a finding, where `actions` are possible.
fn action(actions: &[&str], about: &str) -> Value {
    let grace = Action::DEFAULT_GRACE;
    let words: Vec<&str> = actions.iter().copied().chain(["unmanaged"]).collect();
    json!({
        "description": format!("What happens on a finding of {about}."),
        "anyOf": [
            { "type": "string", "enum": words },
            {
                "type": "object",
                "properties": {
                    "action": { "description": "What happens.", "type": "string", "enum": actions },
                    "grace": {
                        "description": format!(
                            "Only with `expire`: how long the token still lives, such as `90d`; `{}` when \
                             left out.",
                            Period::to_string(&grace)
                        ),
                        "type": "string",
                        "pattern": PERIOD_PATTERN
                    }
                },
                "additionalProperties": false
            }
        ]
    })
}
