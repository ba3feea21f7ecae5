//! What a server can do with tokens and passwords, so that a plan asks for nothing that it cannot do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a yes or no of its own")]
pub struct Capabilities {
    /// How a token is made to end on a day to come.
    pub expiry: Expiry,
    /// Whether the scope of a token can be lowered in place.
    pub narrows: bool,
    /// Whether a token that is sent as a password is a password: with passwords disabled it is refused.
    pub tokens_sent_as_passwords_are_passwords: bool,
    /// Whether a token of an administrator can do what the administrator can. Where it cannot, no token is a
    /// way to mend the settings.
    pub tokens_administer: bool,
    /// Whether tokens of users whom the directory has deleted are shown to nobody.
    #[serde(default)]
    pub hides_tokens_of_deleted_users: bool,
}

/// How a server lets a token end on a day to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// Its expiry can be brought nearer.
    Set,
    /// Its expiry stays what it is: a mark in its description says from when on a run revokes it.
    Mark {
        /// How long a description can be, in UTF-16 code units.
        room: usize,
    },
    /// Its expiry stays what it is, and there is no key to make marks with.
    WithoutKey,
}

impl Capabilities {
    /// What our own server can do: everything.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            expiry: Expiry::Set,
            narrows: true,
            tokens_sent_as_passwords_are_passwords: false,
            tokens_administer: true,
            hides_tokens_of_deleted_users: false,
        }
    }
}
