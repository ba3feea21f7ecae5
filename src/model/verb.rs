//! The verbs of changes, as plans, reports and journals write them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a change does, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// More people hold a permission.
    Grant,
    /// Fewer people hold a permission.
    Withdraw,
    /// Clients are accepted from more addresses.
    Admit,
    /// Clients are accepted from fewer addresses.
    Refuse,
    /// Another setting gets another value.
    Set,
    /// The scope of a token is lowered.
    Narrow,
    /// The expiry of a token comes nearer.
    Expire,
    /// The description of a token says when it is to be revoked.
    Mark,
    /// The mark of a token goes.
    Unmark,
    /// A token is revoked.
    Revoke,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Grant,
        Self::Withdraw,
        Self::Admit,
        Self::Refuse,
        Self::Set,
        Self::Narrow,
        Self::Expire,
        Self::Mark,
        Self::Unmark,
        Self::Revoke,
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Withdraw => "withdraw",
            Self::Admit => "admit",
            Self::Refuse => "refuse",
            Self::Set => "set",
            Self::Narrow => "narrow",
            Self::Expire => "expire",
            Self::Mark => "mark",
            Self::Unmark => "unmark",
            Self::Revoke => "revoke",
        }
    }

    /// The verb of `word`; `None` for a word that this version does not know.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.word() == word)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_read_from_its_word_in_text_and_in_json() {
        for verb in Verb::ALL {
            assert_eq!(Verb::of(verb.word()), Some(verb));
            assert_eq!(serde_json::to_value(verb).unwrap(), verb.word());
        }
        assert_eq!(Verb::of("delete"), None);
    }
}
