//! In: a word or an HTTP method. Out: how far a token reaches. It refuses to know paths: what a
//! request means beyond its method is the subject of `access`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How far an API token reaches. Ordered: `ReadOnly` is less than `ReadWrite`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// `GET`, `HEAD` and `OPTIONS` alone.
    ReadOnly,
    /// Every method.
    ReadWrite,
}

impl Scope {
    /// Whether a token of this scope may send `method`. A method nobody knows counts as writing.
    #[must_use]
    pub fn allows(self, method: &str) -> bool {
        match self {
            Self::ReadWrite => true,
            Self::ReadOnly => matches!(method, "GET" | "HEAD" | "OPTIONS"),
        }
    }

    /// The word for it in policies, plans and the settings document.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope; write `read-only` or `read-write`")]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read-only" => Ok(Self::ReadOnly),
            "read-write" => Ok(Self::ReadWrite),
            other => Err(UnknownScope(other.to_owned())),
        }
    }
}
