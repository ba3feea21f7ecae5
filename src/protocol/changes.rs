//! The shapes of many changes of tokens in one call.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    Scope, Verb,
    run::{ChangeNote, RunId},
};

/// The most changes of one call.
pub const CHANGES_AT_MOST: usize = 500;

/// Changes of tokens that are made in one transaction, in their order. Each has an outcome of its own.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ChangeTokens {
    /// The run that makes them; each then has a `note`, which is kept in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The number of the lease of the run: an old one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub lease: Option<i64>,
    /// 1 to 500.
    #[schemars(length(min = 1, max = 500))]
    pub changes: Vec<WantedChange>,
}

/// One change of one token.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct WantedChange {
    /// The number of the token.
    pub token: i64,
    /// What is done to it.
    pub change: TokenChange,
    /// What the token must be; nothing where that does not matter.
    #[serde(default, skip_serializing_if = "Condition::is_empty")]
    pub only_if: Condition,
    /// With a run: what the ledger keeps of the change, with the `address` and the `action` that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<ChangeNote>,
}

/// What is done to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenChange {
    /// Its expiry is brought nearer.
    Expire {
        /// The expiry then, UTC, RFC 3339.
        #[schemars(with = "String")]
        at: Timestamp,
    },
    /// Its scope is lowered.
    Narrow {
        /// The scope then.
        to: Scope,
    },
    /// It is revoked.
    Revoke {
        /// What becomes of tokens that were made with it, and with these. When it is left out they are revoked, unless
        /// a run asks: it has a change for each token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        children: Option<ChildrenWish>,
    },
}

impl TokenChange {
    /// Its verb.
    #[must_use]
    pub fn verb(self) -> Verb {
        match self {
            Self::Expire { .. } => Verb::Expire,
            Self::Narrow { .. } => Verb::Narrow,
            Self::Revoke { .. } => Verb::Revoke,
        }
    }
}

/// What becomes of tokens that were made with one that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChildrenWish {
    /// They are revoked, too.
    Revoke,
    /// They stay.
    Keep,
}

/// What a token must be. Of each list one entry must hold; an empty one says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "an object")]
pub struct Condition {
    /// Its scope; null for one that was never set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Option<Scope>>,
    /// Its expiry, UTC, RFC 3339; null for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Option<String>>")]
    pub expiries: Vec<Option<Timestamp>>,
    /// When it was used last, UTC, RFC 3339; null for never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Option<String>>")]
    pub last_uses: Vec<Option<Timestamp>>,
    /// The SHA-256 of its description, in hexadecimal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub descriptions_sha256: Vec<String>,
}

impl Condition {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What became of changes.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ChangedTokens {
    /// One for each change, in the order of the question.
    pub results: Vec<ChangedToken>,
}

/// What became of one change.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ChangedToken {
    /// The number of the token.
    pub token: i64,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: TokenOutcome,
}

/// What became of a change of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum TokenOutcome {
    /// It was made, now or by the same run before.
    Done,
    /// The token reaches less far, or ends earlier, already.
    AlreadySo,
    /// There is no such token.
    Gone,
    /// The token is not any more what it must be.
    Moved,
    /// It was refused, as it would have been alone.
    Refused {
        /// The status that it would have been refused with.
        status: u16,
        /// Why.
        message: String,
    },
    /// It was not tried: a change before it ended the right of the sender.
    RightEnded,
}
