//! The types of the config file and its JSON schema. Which keys go with which kind of target is checked
//! later.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use crate::model::{lifetime::PERIOD_PATTERN, schema::schema_of};

/// The JSON schema of a config file, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    schema_of::<ConfigDocument>()
}

/// The tokenwarden config file: which servers there are, how to reach them, and which policy
/// layers are for each.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, title = "tokenwarden settings")]
pub struct ConfigDocument {
    /// Version of the format of this file: `1`.
    #[schemars(schema_with = "crate::policy::document::version_one")]
    pub version: u32,
    /// Where runs are recorded, and how far back their rails look.
    pub journal: Option<JournalDocument>,
    /// Name of the environment variable with the key for marks, at least 16 bytes. Needed where a policy
    /// lets tokens expire on a server that cannot set an expiry, such as `bitbucket`.
    pub mark_key_env: Option<String>,
    /// The servers that policy is applied to, each with a name of its own.
    #[schemars(extend("minProperties" = 1))]
    pub targets: BTreeMap<String, TargetDocument>,
}

/// Where runs are recorded, and how far back their rails look.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct JournalDocument {
    /// The folder, absolute or relative to this file. Without it only the servers of `kind: gateway` and
    /// `embedded` remember what runs did: they keep a ledger of their own.
    pub directory: Option<String>,
    /// How far back the rails of a run count what other runs did, such as `24h`, which is the default.
    #[schemars(regex(pattern = PERIOD_PATTERN))]
    pub window: Option<String>,
}

/// One server that policy is applied to.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TargetDocument {
    /// What kind of server it is: `gateway` is a `tokenwarden serve`, `embedded` the same inside
    /// this process, `resolution` a product with the app "API Token Authentication", `bitbucket`
    /// Bitbucket Data Center with its own HTTP access tokens.
    pub kind: TargetKind,
    /// Its base address, http or https. Not for `embedded`.
    pub url: Option<String>,
    /// Where the credential comes from. Not for `embedded`.
    pub auth: Option<AuthDocument>,
    /// A PEM file of certificate authorities, relative to this file. Not for `embedded`.
    pub tls_ca: Option<String>,
    /// How many seconds one call may take, its answer included; `60` when left out. The program in
    /// `auth.command` may take as long, and `30` when left out. Not for `embedded`.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<u32>,
    /// The policy layers, paths relative to this file; later ones override earlier ones.
    #[schemars(length(min = 1))]
    pub policy: Vec<String>,
    /// What happens when the policy has keys that the server cannot hold: `error` (the default) or
    /// `warn`.
    pub unsupported: Option<UnsupportedWord>,
    /// What one run may do at most.
    pub rails: Option<RailsDocument>,
    /// Who must still get in after a run.
    pub lockout: Option<LockoutDocument>,
    /// With `bitbucket` and `resolution`, which do not say it: who we are for the server.
    #[schemars(rename = "self")]
    pub ourselves: Option<OurselvesDocument>,
    /// With `embedded`: the SQLite file, relative to this file; made when it is missing.
    pub store: Option<String>,
    /// With `embedded`: the file of users and groups, relative to this file.
    pub directory: Option<String>,
    /// With `embedded`: a file of tokens to make in a new store, relative to this file.
    pub seed: Option<String>,
    /// With `bitbucket`: where tokens are looked for; everywhere when left out.
    #[schemars(length(min = 1))]
    pub areas: Option<Vec<AreaWord>>,
    /// With `bitbucket`: keys of the projects that are looked at, `*` is any text; all when left out.
    #[schemars(length(min = 1))]
    pub projects: Option<Vec<String>>,
    /// With `bitbucket`: our gateway in front of it, which enforces what Bitbucket cannot.
    pub gateway: Option<GatewayDocument>,
    /// With `resolution`: which product the app is in; `bitbucket` when left out.
    pub product: Option<ProductWord>,
    /// With `resolution`: where the app's settings are. Without it they are not managed.
    pub settings: Option<SettingsMappingDocument>,
}

/// Our gateway in front of a server.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GatewayDocument {
    /// Base address, `http` or `https`, without credentials.
    pub url: String,
    /// How we prove who we are.
    pub auth: AuthDocument,
    /// A PEM file with certificate authorities to trust beside the usual ones.
    pub tls_ca: Option<String>,
    /// How many seconds one call may take, its answer included; `60` when left out.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<u32>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "documented where it is used")]
pub enum TargetKind {
    Gateway,
    Embedded,
    Resolution,
    Bitbucket,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "documented where it is used")]
pub enum UnsupportedWord {
    Error,
    Warn,
}

/// Where Bitbucket keeps tokens.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum AreaWord {
    /// Tokens of users.
    Personal,
    /// Tokens of projects.
    Project,
    /// Tokens of repositories.
    Repository,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain names")]
pub enum ProductWord {
    Bitbucket,
    Jira,
    Confluence,
}

/// Where the credential comes from; never the credential itself. One of `password_env` (with
/// `user`), `token_env`, `bearer_env`, `bearer_file` and `command`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AuthDocument {
    /// The user, for `password_env` and, if the token is sent as a password, `token_env`.
    pub user: Option<String>,
    /// Name of the environment variable with the password.
    pub password_env: Option<String>,
    /// Name of the environment variable with the API token.
    pub token_env: Option<String>,
    /// Name of the environment variable with the bearer token.
    pub bearer_env: Option<String>,
    /// File with the bearer token, relative to this file.
    pub bearer_file: Option<String>,
    /// Program and arguments that write the bearer token; run without a shell, and only with
    /// `--allow-auth-command`.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
}

/// What one run may do at most, by class.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RailsDocument {
    /// Tokens that are revoked before they have expired.
    pub revocations: Option<RailDocument>,
    /// Tokens that are revoked once they have expired.
    pub cleanups: Option<RailDocument>,
    /// Tokens whose expiry is brought nearer.
    pub expiries: Option<RailDocument>,
    /// Tokens whose scope is lowered.
    pub narrowings: Option<RailDocument>,
    /// Groups that lose a permission.
    pub withdrawn_groups: Option<RailDocument>,
    /// Owners of tokens used lately from addresses that are no longer allowed.
    pub refused_callers: Option<RailDocument>,
    /// Network entries taken away, where the addresses of callers are unknown.
    pub withdrawn_networks: Option<RailDocument>,
}

/// A count is refused when it is over `floor` and also over `amount` or over `percent`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RailDocument {
    /// Most objects one run may change.
    pub amount: Option<u32>,
    /// Most objects one run may change, in percent of the live objects of the class.
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<u8>,
    /// Counts up to this are always allowed.
    pub floor: Option<u32>,
}

/// Who must still get in after a run.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LockoutDocument {
    /// Users whose way in stays open.
    #[schemars(length(min = 1))]
    pub break_glass: Option<Vec<String>>,
    /// How many administrators must keep access; `1` when left out.
    #[schemars(range(min = 1))]
    pub min_admins: Option<u32>,
    /// How long a way in must last to count, such as `2w`; `7d` when left out. A token that ends before that
    /// does not count.
    #[schemars(regex(pattern = PERIOD_PATTERN))]
    pub horizon: Option<String>,
}

/// Who we are for a server that does not say it.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OurselvesDocument {
    /// Identifier of the token that our credential is, in quotes: it is never touched.
    pub token_id: Option<String>,
    /// The address that the server sees for us.
    pub address: Option<String>,
}

/// Where and how the settings of the app are read and written.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SettingsMappingDocument {
    /// Path of the resource below `url`, beginning with `/`.
    pub path: String,
    /// The method that reads it; `GET` when left out.
    pub read: Option<ReadMethod>,
    /// The method that writes it; `PUT` when left out.
    pub write: Option<WriteMethod>,
    /// Where in the document each setting is, by its key in the policy, such as
    /// `permissions.use` or `network.allow`.
    #[schemars(extend("minProperties" = 1))]
    pub fields: BTreeMap<String, FieldDocument>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "plain methods")]
pub enum ReadMethod {
    Get,
    Post,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "plain methods")]
pub enum WriteMethod {
    Put,
    Post,
    Patch,
}

/// Where in the document a setting is, and in which form.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FieldDocument {
    /// JSON pointer, such as `/network/allowed`.
    pub pointer: String,
    /// The form of the setting there: `flag` and `inverted-flag` for permissions and
    /// `password_authentication`; `list`, `objects` and `comma-separated` for groups, networks and proxies,
    /// `text` for a single proxy; `months` and `days` for `tokens.limits`.
    pub kind: FieldKindWord,
    /// With `objects`: the member of each object that holds the name.
    pub member: Option<String>,
    /// With groups: JSON pointer of the flag that says that everyone may.
    pub everyone: Option<String>,
    /// With `network.client_address`: JSON pointer of the name of the header.
    pub header: Option<String>,
    /// With `tokens.limits`: the number that means a lifetime without limit.
    pub never: Option<u32>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "plain words")]
pub enum FieldKindWord {
    Flag,
    InvertedFlag,
    List,
    Objects,
    CommaSeparated,
    Text,
    Months,
    Days,
}
