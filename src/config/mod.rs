//! The config file `tokenwarden.yaml`: which servers there are, how to reach them, which layers make up the
//! policy of each and which limits a run keeps; or every mistake in it. Files, environment variables and
//! addresses that it names are not looked up here.

use std::{net::IpAddr, num::NonZeroU32};

use crate::{
    model::{
        OwnerKind, Period, TokenId,
        mapping::{Product, SettingsMapping},
        rails::{Lockout, Rails, Unsupported},
    },
    yaml::{Place, Span},
};

mod connection;
pub mod document;
pub mod gateway;
mod mapping;
mod read;
mod secrets;
mod twins;

pub use read::{ConfigReading, read};
pub use twins::may_share_tokens;

/// A valid config file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where runs are recorded, when they are.
    pub journal: Option<Journal>,
    /// Environment variable with the key that marks are made with, for targets that cannot set an expiry.
    pub mark_key_env: Option<String>,
    /// The servers, in the order of the file; at least one.
    pub targets: Vec<TargetDeclaration>,
}

/// Where runs are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The folder, absolute or relative to that of the config file; `None` when only our own servers
    /// keep a record.
    pub directory: Option<String>,
    /// How far back a run looks for what other runs did.
    pub window: Period,
}

impl Journal {
    /// How far back a run looks when the file does not say.
    pub const DEFAULT_WINDOW: Period = Period::days(1);
}

/// One server that policy is applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetDeclaration {
    /// Its name; unique in the file.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// How it is reached.
    pub connection: Connection,
    /// The layers of its policy, the most general one first; at least one.
    pub policy: Vec<LayerPath>,
    /// What happens when the policy has keys that the server cannot hold.
    pub unsupported: Unsupported,
    /// What one run may do at most.
    pub rails: Rails,
    /// Who must still get in after a run.
    pub lockout: Lockout,
    /// What the server does not say of us.
    pub ourselves: Ourselves,
}

/// What a server does not say of anyone who calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ourselves {
    /// The token that our credential is.
    pub token_id: Option<TokenId>,
    /// The address that the server sees for us.
    pub address: Option<IpAddr>,
}

/// The path of a policy layer as the config file says it. It is relative to the folder of the
/// config file and does not leave it by its words; links are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerPath {
    /// The path, with `/` between its parts.
    pub path: String,
    /// Where it is in the config file.
    pub span: Span,
    /// Path of its key there, such as `targets.prod.policy[0]`.
    pub key: String,
}

/// How a target is reached, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A `tokenwarden serve` somewhere else.
    Gateway(Endpoint),
    /// The same server inside this process, on a file. Paths are relative to the folder of the
    /// config file.
    Embedded {
        /// The SQLite file; made when it is missing.
        store: String,
        /// The file of users and groups.
        directory: Option<String>,
        /// The file of tokens to make in a new store.
        seed: Option<String>,
    },
    /// A product with the app "API Token Authentication".
    Resolution {
        /// The product.
        server: Endpoint,
        /// Which product it is.
        product: Product,
        /// Where its settings are; `None` when they cannot be managed.
        settings: Option<SettingsMapping>,
    },
    /// Bitbucket Data Center with its own HTTP access tokens.
    Bitbucket {
        /// The product.
        server: Endpoint,
        /// Whose tokens are looked at; all when empty.
        areas: Vec<OwnerKind>,
        /// Keys of the projects that are looked at, `*` is any text; all when empty.
        projects: Vec<String>,
        /// Our gateway in front of it; `None` when there is none.
        gateway: Option<Endpoint>,
    },
}

impl Connection {
    /// Its kind, as the config file writes it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Embedded { .. } => "embedded",
            Self::Resolution { .. } => "resolution",
            Self::Bitbucket { .. } => "bitbucket",
        }
    }

    /// The server that is called; `None` for the embedded one.
    #[must_use]
    pub fn server(&self) -> Option<&Endpoint> {
        match self {
            Self::Gateway(server) | Self::Resolution { server, .. } | Self::Bitbucket { server, .. } => {
                Some(server)
            }
            Self::Embedded { .. } => None,
        }
    }

    /// Our own server that is called: the target itself, or the gateway in front of it; `None` for an embedded one.
    #[must_use]
    pub fn own_server(&self) -> Option<&Endpoint> {
        match self {
            Self::Gateway(server) => Some(server),
            Self::Bitbucket { gateway, .. } => gateway.as_ref(),
            Self::Embedded { .. } | Self::Resolution { .. } => None,
        }
    }

    /// Whether our own server stands there or before it, which keeps a ledger of runs and makes tokens end.
    #[must_use]
    pub fn has_own_server(&self) -> bool {
        matches!(self, Self::Embedded { .. }) || self.own_server().is_some()
    }

    /// Every server that is called.
    pub fn servers(&self) -> impl Iterator<Item = &Endpoint> {
        let gateway = match self {
            Self::Bitbucket { gateway, .. } => gateway.as_ref(),
            _ => None,
        };
        self.server().into_iter().chain(gateway)
    }
}

/// A server that is called over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its base, `http` or `https`, without credentials, query and trailing slash.
    pub url: String,
    /// How we prove who we are.
    pub auth: Auth,
    /// A PEM file with the certificate authorities to trust beside the usual ones, relative to the
    /// folder of the config file.
    pub tls_ca: Option<String>,
    /// How many seconds one call may take; the client's own limit when left out.
    pub timeout_seconds: Option<NonZeroU32>,
}

/// Where the credential comes from; never the credential itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Basic, with a password.
    Password {
        /// The user.
        user: String,
        /// Environment variable with the password.
        password_env: String,
    },
    /// An API token: Basic when there is a user, otherwise Bearer.
    Token {
        /// The user whose token it is.
        user: Option<String>,
        /// Environment variable with the token.
        token_env: String,
    },
    /// Bearer, from this environment variable.
    BearerVariable(String),
    /// Bearer, from this file, relative to the folder of the config file.
    BearerFile(String),
    /// Bearer, from the standard output of this program with these arguments; no shell.
    Command(Vec<String>),
}
