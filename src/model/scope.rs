//! The scope of a token, and the HTTP methods that it covers. What a request means beyond its method is the
//! subject of `access`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How far an API token reaches. Ordered: `ReadOnly` is less than `ReadWrite`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Only `GET`, `HEAD` and `OPTIONS`.
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

    /// The scope that `method` takes.
    #[must_use]
    pub fn needed_for(method: &str) -> Self {
        if Self::ReadOnly.allows(method) { Self::ReadOnly } else { Self::ReadWrite }
    }

    /// The number for it in the token REST and in stores: 1 read-only, 2 read-write.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::ReadOnly => 1,
            Self::ReadWrite => 2,
        }
    }

    /// The scope that has this number; `None` when none has.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::ReadOnly),
            2 => Some(Self::ReadWrite),
            _ => None,
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

/// The text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{0}`; write `read-only` or `read-write`")]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenScope;

    #[test]
    fn every_scope_is_found_by_its_number_and_no_other_number_means_one() {
        for scope in [TokenScope::Unset, TokenScope::Set(Scope::ReadOnly), TokenScope::Set(Scope::ReadWrite)]
        {
            assert_eq!(TokenScope::from_number(scope.number().into()), Some(scope));
        }
        assert_eq!([-1, 3, 256, 257].map(TokenScope::from_number), [None; 4]);
        assert_eq!(Scope::from_number(0), None);
    }
}
