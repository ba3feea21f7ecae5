//! An entry of the audit that our own server keeps: who did what, with which credential, to whose token, from where
//! and when.

use std::{fmt, net::IpAddr, str::FromStr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Owner, run::RunId};

macro_rules! actions {
    ($($(#[doc = $meaning:literal])+ $name:ident $word:literal,)+) => {
        /// What an entry of the audit tells of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum AuditAction {
            $($(#[doc = $meaning])+ #[serde(rename = $word)] $name,)+
        }

        impl AuditAction {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The words of all of them, with commas between.
            fn words() -> String {
                [$($word),+].join(", ")
            }
        }
    };
}

actions! {
    /// A token was made.
    TokenCreate "token-create",
    /// A token was renamed, narrowed, or its expiry brought nearer.
    TokenUpdate "token-update",
    /// A token was revoked, and so deleted.
    TokenRevoke "token-revoke",
    /// A new store got the settings of a new server.
    SettingsBegin "settings-begin",
    /// The settings were replaced over REST.
    SettingsReplace "settings-replace",
    /// The settings were replaced by anyone who has the file of the store.
    SettingsImport "settings-import",
    /// A backup was put in the place of the store.
    StoreRestore "store-restore",
    /// Users, groups, passwords or projects were changed.
    DirectoryImport "directory-import",
    /// Tokens and settings for a demonstration were put into a new store.
    Seed "seed",
    /// The clock of the store was set back.
    ClockReset "clock-reset",
    /// A run took the lease.
    LeaseTake "lease-take",
    /// A run gave the lease back.
    LeaseGiveBack "lease-give-back",
    /// A run began.
    RunBegin "run-begin",
    /// A run ended.
    RunEnd "run-end",
    /// A token of the server behind a gateway was restricted, or restricted in another way.
    RestrictionSet "restriction-set",
    /// The restriction of such a token was taken off.
    RestrictionRemove "restriction-remove",
    /// A token of the server behind a gateway was revoked there, as whoever revoked it told.
    UpstreamRevoke "upstream-revoke",
    /// Old entries of the audit were deleted.
    AuditPrune "audit-prune",
}

/// The text is not an action of the audit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown action `{0}`; the actions are {actions}", actions = AuditAction::words())]
pub struct BadAuditAction(String);

impl FromStr for AuditAction {
    type Err = BadAuditAction;

    fn from_str(text: &str) -> Result<Self, BadAuditAction> {
        let found = Self::ALL.iter().find(|action| action.word() == text);
        found.copied().ok_or_else(|| BadAuditAction(text.to_owned()))
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What somebody proved to be who they are with; never the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditCredential {
    /// An API token.
    Token,
    /// A password.
    Password,
    /// The credential of the process that runs the server for itself: an embedded target.
    Operator,
    /// Access to the file of the store: a command, or the server on its own account.
    Host,
}

impl AuditCredential {
    /// All of them.
    const ALL: [Self; 4] = [Self::Token, Self::Password, Self::Operator, Self::Host];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::Operator => "operator",
            Self::Host => "host",
        }
    }

    /// The credential with this word, or `None`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|credential| credential.word() == word)
    }
}

/// One effect on a store, as the audit keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its number, never given twice. Entries are in the order of their effects.
    pub id: i64,
    /// When it took effect by the clock of the server, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What was done.
    pub action: AuditAction,
    /// Who did it: the name of a user, `(project PLAT)` for a token of a project, `(operator)` for the process that
    /// runs the server for itself, `(host)` for a command on the file of the store.
    pub who: String,
    /// The `id` that the directory file gave them then, whatever they are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who_id: Option<String>,
    /// With what they proved it.
    pub credential: AuditCredential,
    /// The token they proved it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_token: Option<i64>,
    /// The token it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<i64>,
    /// Whose token that is: `mary`, `project PLAT` or `repository PLAT/app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The `id` that the directory file gave that user then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// The token whose revocation or narrowing took this one along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_token: Option<i64>,
    /// The address of the client, found as the settings said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub client_address: Option<IpAddr>,
    /// The request, as `X-Request-Id` and the log of the server name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The run that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What else there is to say of it. A difference is written as `{"before": .., "after": ..}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// Which entries of the audit are asked for; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Done by anyone who has this name, without regard to case.
    pub who: Option<String>,
    /// Done to a token of this owner.
    pub owner: Option<Owner>,
    /// Done to this token, with it, or along with it.
    pub token: Option<i64>,
    /// Of this kind.
    pub action: Option<AuditAction>,
    /// At this moment or later.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Done by this run.
    pub run: Option<RunId>,
}
