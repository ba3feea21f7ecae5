//! The types of the gateway's own file and their JSON schema. What goes with what is checked later.

use schemars::JsonSchema;
use serde_json::Value;

use crate::{
    config::document::AuthDocument,
    model::{lifetime::PERIOD_PATTERN, schema::schema_of},
};

/// How a short length of time is written, as a regular expression for schemas.
const INTERVAL_PATTERN: &str = "^[1-9][0-9]*(s|m|h)$";

/// The JSON schema of a gateway file, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    schema_of::<ServeDocument>()
}

/// How `tokenwarden serve --config` runs a server: where it listens and what it stands in front of.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, title = "tokenwarden gateway")]
pub struct ServeDocument {
    /// Version of the format of this file: `1`.
    #[schemars(schema_with = "crate::policy::document::version_one")]
    pub version: u32,
    /// Address and port to listen on, such as `0.0.0.0:8443`; `127.0.0.1:7991` when left out.
    pub listen: Option<String>,
    /// The certificate to serve; both files are read again when they change.
    pub tls: Option<TlsDocument>,
    /// `true` to listen without TLS although traffic can be intercepted.
    pub insecure_http: Option<bool>,
    /// Where settings, restrictions and the gateway's own tokens are kept: `sqlite:FILE`, relative to this file.
    pub store: String,
    /// The group whose members administer the gateway; `administrators` when left out.
    pub admin_group: Option<String>,
    /// Where clients reach it, for links in its own answers.
    pub public_url: Option<String>,
    /// Delete audit entries older than this, such as `400d`; they are kept forever when left out.
    #[schemars(regex(pattern = PERIOD_PATTERN))]
    pub audit_retention: Option<String>,
    /// The server that it stands in front of. Without it the gateway answers for itself alone.
    pub upstream: Option<UpstreamDocument>,
    /// The questions of proxies that ask before they forward by themselves.
    pub authz: Option<AuthzDocument>,
}

/// The certificate of the gateway. Paths are relative to this file.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TlsDocument {
    /// Certificate chain, PEM.
    pub cert: String,
    /// Private key, PEM.
    pub key: String,
    /// Accept only clients with a certificate of these authorities, PEM.
    pub client_ca: Option<String>,
    /// The lowest version of TLS to accept: `1.2`, which is the default, or `1.3`, in quotes.
    pub min_version: Option<TlsVersionWord>,
}

#[derive(Debug, JsonSchema)]
#[expect(missing_docs, reason = "documented where it is used")]
pub enum TlsVersionWord {
    #[schemars(rename = "1.2")]
    V1_2,
    #[schemars(rename = "1.3")]
    V1_3,
}

/// The server that the gateway stands in front of.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpstreamDocument {
    /// Its address, such as `http://127.0.0.1:7990`. A path in it is the context path, which clients use too.
    pub url: String,
    /// What it is: `bitbucket`, which keeps and proves its own tokens (the default), or any server that believes who a
    /// `header` says that the sender is; the tokens are the gateway's own then.
    pub kind: Option<UpstreamKindWord>,
    /// The name of that header; `X-Forwarded-User` when left out. For `kind: header` alone.
    pub header: Option<String>,
    /// The credential that reads users, groups and tokens. For `kind: bitbucket`, which must have one.
    pub auth: Option<AuthDocument>,
    /// A PEM file of certificate authorities to trust, relative to this file.
    pub tls_ca: Option<String>,
    /// How often users, groups and tokens are read, such as `5m`, which is the default. For `kind: bitbucket` alone, as
    /// are `mirror_max_age`, `unknown_tokens` and `browsers`.
    #[schemars(regex(pattern = INTERVAL_PATTERN))]
    pub refresh: Option<String>,
    /// How long the last reading serves while Bitbucket cannot be read; `15m` when left out.
    #[schemars(regex(pattern = INTERVAL_PATTERN))]
    pub mirror_max_age: Option<String>,
    /// What becomes of tokens that were not read yet: `ask` Bitbucket (the default), or `refuse`.
    pub unknown_tokens: Option<UnknownTokensWord>,
    /// Whether requests without a credential, or with a session cookie, `pass` (the default) or
    /// come from an allowed `network` alone.
    pub browsers: Option<BrowsersWord>,
    /// The path below which Git repositories are served; when left out, `/scm` for `kind: bitbucket`, and anywhere
    /// otherwise.
    pub git_prefix: Option<String>,
    /// How long nothing may pass in either direction before a request is given up; `60s` when left out. A request may
    /// take as long as it likes in all.
    #[schemars(regex(pattern = INTERVAL_PATTERN))]
    pub idle_timeout: Option<String>,
    /// Connections in use at a time; `512` when left out. One client address has a quarter of them at most.
    #[schemars(range(min = 1, max = 65_535))]
    pub connections: Option<u32>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "documented where it is used")]
pub enum UpstreamKindWord {
    Bitbucket,
    Header,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "documented where it is used")]
pub enum UnknownTokensWord {
    Ask,
    Refuse,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "documented where it is used")]
pub enum BrowsersWord {
    Pass,
    Network,
}

/// Proxies that ask at `/authz/..` and forward by themselves.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AuthzDocument {
    /// Addresses and networks from which such questions are answered.
    #[schemars(length(min = 1))]
    pub peers: Vec<String>,
}
