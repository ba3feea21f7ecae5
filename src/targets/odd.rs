//! Tokens of which something cannot be read, or of which two things are said: each costs itself alone, and is
//! named.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::{
    http::shown,
    inventory::Missing,
    model::{Owner, TokenId, is_blank},
};

/// Reads a name; one with nothing to see in it cannot be read.
pub(super) fn visible<'de, T: From<String>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.contains(|c: char| !is_blank(c) && !c.is_control()) {
        Ok(name.into())
    } else {
        Err(D::Error::custom("an empty name"))
    }
}

/// As [`visible`], where no name is told by whatever else is there.
pub(super) fn visible_or_none<'de, T: From<String>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(visible(Value::deserialize(deserializer)?).ok())
}

/// As [`visible`], where nothing may stand.
pub(super) fn visible_if_told<'de, T: From<String>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        told => visible(told).map(Some).map_err(D::Error::custom),
    }
}

/// The tokens that a server lists, each by what it says of it.
#[derive(Default)]
pub(super) struct Versions {
    content: HashMap<TokenId, u64>,
    disputed: BTreeSet<TokenId>,
}

impl Versions {
    /// Whether the token `id` is listed for the first time. When it was listed with other `content` before, it is
    /// not known which is true.
    pub(super) fn is_first(&mut self, id: &TokenId, content: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let content = hasher.finish();
        match self.content.entry(id.clone()) {
            Entry::Vacant(first) => {
                first.insert(content);
                return true;
            }
            Entry::Occupied(before) if *before.get() == content => {}
            Entry::Occupied(before) => {
                self.disputed.insert(before.key().clone());
            }
        }
        false
    }

    /// Takes note of the tokens of which something cannot be read: no other version of them is to be believed.
    pub(super) fn note_odd(&mut self, odd: &OddTokens) {
        odd.ids.iter().for_each(|id| {
            self.is_first(id, &());
        });
    }

    /// The identifiers of all of them.
    pub(super) fn into_ids(self) -> HashSet<TokenId> {
        self.content.into_keys().collect()
    }

    /// What is not known because of those with more than one content.
    pub(super) fn missing(self) -> Option<Missing> {
        Some(self.disputed).filter(|tokens| !tokens.is_empty()).map(Missing::Disputed)
    }
}

/// Those that were met of which something cannot be read.
#[derive(Default)]
pub(super) struct OddTokens {
    /// As they are named, by what of them cannot be read.
    named: BTreeMap<String, BTreeSet<String>>,
    ids: BTreeSet<TokenId>,
}

impl OddTokens {
    /// Adds the token `id`, of `owner` where that is known, whose `field` cannot be read.
    pub(super) fn add(&mut self, field: &str, id: &TokenId, owner: Option<&Owner>) {
        self.insert(format!("`{field}`"), Some(id.as_str()), owner);
    }

    /// Adds a token of which nothing but perhaps the identifier can be read.
    pub(super) fn add_entry(&mut self, entry: &Value, owner: Option<&Owner>) {
        self.insert("entry".to_owned(), entry.get("id").and_then(shown).as_deref(), owner);
    }

    fn insert(&mut self, what: String, id: Option<&str>, owner: Option<&Owner>) {
        let id = id.filter(|id| !id.trim().is_empty());
        self.ids.extend(id.map(TokenId::new));
        let id = id.unwrap_or("(without an identifier)");
        let token = owner.map_or_else(|| id.to_owned(), |owner| format!("{id} of {owner}"));
        self.named.entry(what).or_default().insert(token);
    }

    /// Adds those of `others`.
    pub(super) fn extend(&mut self, others: Self) {
        for (what, tokens) in others.named {
            self.named.entry(what).or_default().extend(tokens);
        }
        self.ids.extend(others.ids);
    }

    /// What is missing because of them.
    pub(super) fn missing(self) -> impl Iterator<Item = Missing> {
        self.named.into_iter().map(|(what, tokens)| Missing::Odd { what, tokens })
    }
}
