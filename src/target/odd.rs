//! Tokens of which something cannot be read: each costs itself alone, and is named.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    inventory::Missing,
    model::{Owner, TokenId},
    target::http::shown,
};

/// Those that were met, by what of them cannot be read.
#[derive(Default)]
pub(super) struct OddTokens(BTreeMap<String, BTreeSet<String>>);

impl OddTokens {
    /// Adds the token `id`, of `owner` where that is known, whose `field` cannot be read.
    pub(super) fn add(&mut self, field: &str, id: &TokenId, owner: Option<&Owner>) {
        self.insert(format!("`{field}`"), id.as_str(), owner);
    }

    /// Adds a token of which nothing but perhaps the identifier can be read.
    pub(super) fn add_entry(&mut self, entry: &Value, owner: Option<&Owner>) {
        let id = entry.get("id").and_then(shown);
        let id = id.as_deref().unwrap_or("(without an identifier)");
        self.insert("entry".to_owned(), id, owner);
    }

    fn insert(&mut self, what: String, id: &str, owner: Option<&Owner>) {
        let token = owner.map_or_else(|| id.to_owned(), |owner| format!("{id} of {owner}"));
        self.0.entry(what).or_default().insert(token);
    }

    /// Adds those of `others`.
    pub(super) fn extend(&mut self, others: Self) {
        for (what, tokens) in others.0 {
            self.0.entry(what).or_default().extend(tokens);
        }
    }

    /// What is missing because of them.
    pub(super) fn missing(self) -> impl Iterator<Item = Missing> {
        self.0.into_iter().map(|(what, tokens)| Missing::Odd { what, tokens })
    }
}
