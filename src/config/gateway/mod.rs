//! The gateway's own file, `gateway.yaml`: where the server listens and what it stands in front of; or every mistake in
//! it. Files, environment variables and addresses that it names are not looked up here.

use std::{net::SocketAddr, path::PathBuf};

use crate::model::{AddressSet, HeaderName, Period};

use super::Auth;

pub mod document;
mod read;

pub use read::{GatewayReading, read};

/// A valid gateway file. Paths are relative to its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Where it listens; `None` for the usual address.
    pub listen: Option<SocketAddr>,
    /// The certificate that it serves; `None` for plain HTTP.
    pub tls: Option<GatewayTls>,
    /// Whether it may listen without TLS on any address.
    pub insecure_http: bool,
    /// The SQLite file of the store.
    pub store: PathBuf,
    /// The group whose members administer it.
    pub admin_group: Option<String>,
    /// Where clients reach it.
    pub public_url: Option<String>,
    /// How long entries of the audit are kept; `None` keeps them indefinitely.
    pub audit_retention: Option<Period>,
    /// What it stands in front of.
    pub upstream: Option<Upstream>,
    /// The proxies that may ask before they forward by themselves.
    pub authz_peers: AddressSet,
}

/// The files of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayTls {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Authorities of clients.
    pub client_ca: Option<PathBuf>,
    /// Whether TLS 1.2 is refused.
    pub only_1_3: bool,
}

/// What a gateway stands in front of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its base address, with the context path.
    pub url: String,
    /// What it is.
    pub kind: UpstreamKind,
    /// A PEM file with authorities to trust.
    pub tls_ca: Option<String>,
    /// The path below which Git repositories are served; empty for anywhere.
    pub git_prefix: String,
    /// How long nothing may pass, in seconds.
    pub idle_seconds: u32,
    /// Connections in use at a time.
    pub connections: u32,
}

impl Upstream {
    /// Where repositories are served when nothing is said.
    pub const GIT_PREFIX: &str = "/scm";
    /// How long nothing may pass when nothing is said, in seconds.
    pub const IDLE_SECONDS: u32 = 60;
    /// The connections when nothing is said.
    pub const CONNECTIONS: u32 = 512;

    /// The Bitbucket at `url`, read with `auth`, with the usual values for the rest.
    #[must_use]
    pub fn new(url: String, auth: Auth) -> Self {
        Self {
            url,
            kind: UpstreamKind::Bitbucket(Mirrored::new(auth)),
            tls_ca: None,
            git_prefix: Self::GIT_PREFIX.to_owned(),
            idle_seconds: Self::IDLE_SECONDS,
            connections: Self::CONNECTIONS,
        }
    }
}

/// What a gateway stands in front of: who proves credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    /// A Bitbucket, which does so itself.
    Bitbucket(Mirrored),
    /// A server that believes who this header says that the sender is: the gateway does.
    Header(HeaderName),
}

/// How users, groups and tokens of Bitbucket are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// The credential that reads them.
    pub auth: Auth,
    /// How often they are read, in seconds.
    pub refresh_seconds: u32,
    /// How long the last reading serves, in seconds.
    pub max_age_seconds: u32,
    /// Whether Bitbucket is asked about a token that was not read yet.
    pub asks_unknown: bool,
    /// Whether requests without a credential come from an allowed network alone.
    pub restricts_browsers: bool,
}

impl Mirrored {
    /// How often Bitbucket is read when nothing is said, in seconds.
    pub const REFRESH_SECONDS: u32 = 300;
    /// How long the last reading serves when nothing is said, in seconds.
    pub const MAX_AGE_SECONDS: u32 = 900;

    /// With the usual times and answers.
    #[must_use]
    pub fn new(auth: Auth) -> Self {
        Self {
            auth,
            refresh_seconds: Self::REFRESH_SECONDS,
            max_age_seconds: Self::MAX_AGE_SECONDS,
            asks_unknown: true,
            restricts_browsers: false,
        }
    }
}
