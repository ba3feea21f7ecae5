//! The shapes of what a gateway keeps of the tokens of the server behind it: restrictions, confirmed uses, the mirror.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{LastChange, Restriction, Scope};

/// What is taken from a token. At least one part is there.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedRestriction {
    /// The moment from which on it is refused, UTC, RFC 3339.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub not_after: Option<Timestamp>,
    /// The farthest that it reaches.
    #[serde(default)]
    pub max_scope: Option<Scope>,
}

/// How a token is restricted.
#[derive(Serialize, Deserialize, JsonSchema, Hash)]
pub struct RestrictionItem {
    /// The token, as its server writes it.
    pub id: String,
    /// The moment from which on it is refused, UTC, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub not_after: Option<Timestamp>,
    /// The farthest that it reaches.
    pub max_scope: Option<Scope>,
    /// Who restricted it so, and when.
    pub last_change: LastChange,
}

impl RestrictionItem {
    /// What is taken from the token.
    #[must_use]
    pub fn restriction(&self) -> Restriction {
        Restriction { not_after: self.not_after, max_scope: self.max_scope }
    }
}

/// The last use of a token that the server behind confirmed.
#[derive(Serialize, Deserialize, JsonSchema, Hash)]
pub struct UseItem {
    /// The token, as its server writes it.
    pub id: String,
    /// Whose it is: `mary`, `project PLAT` or `repository PLAT/app`; nothing when it is not held.
    pub owner: Option<String>,
    /// When, UTC, RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The address of the client, found as the settings say.
    #[schemars(with = "Option<String>")]
    pub from: Option<IpAddr>,
}

/// What a gateway holds of the server behind it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct MirrorItem {
    /// Where the server behind is.
    pub upstream: String,
    /// How many tokens are held.
    pub tokens: usize,
    /// When the last reading that ended began, UTC, RFC 3339; nothing before the first one.
    #[schemars(with = "Option<String>")]
    pub read_at: Option<Timestamp>,
    /// How many seconds ago that was.
    pub age_seconds: Option<u64>,
    /// Whether that one saw everything.
    pub complete: bool,
    /// Whether what is held counts.
    pub current: bool,
}
