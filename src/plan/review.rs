//! What was reviewed of a saved plan, as data: the changes that a run may make, and no others.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::{SettingKey, TokenId, Verb};

use super::{Change, TokenStep};

/// The changes of one saved plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    changes: Vec<ReviewedChange>,
    /// Where in `changes` those with an address are.
    by_address: HashMap<String, Vec<usize>>,
}

/// One change that was reviewed. Text from a file: it may say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewedChange {
    /// `<target>/settings/<key>` or `<target>/token/<id>`.
    pub address: String,
    /// Its verb.
    pub verb: Verb,
    /// What there will be: the value of a setting, or the token; null for a token that is revoked.
    pub after: Value,
    /// The [precondition](Change::precondition) that it was reviewed under.
    pub precondition: String,
}

impl Review {
    /// That of `changes`.
    #[must_use]
    pub fn new(changes: Vec<ReviewedChange>) -> Self {
        let mut by_address: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, change) in changes.iter().enumerate() {
            by_address.entry(change.address.clone()).or_default().push(index);
        }
        Self { changes, by_address }
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn changes(&self) -> &[ReviewedChange] {
        &self.changes
    }

    /// Whether it has `change`, which the policy at hand asks for on `target` now, and the thing that it is
    /// about has not moved.
    ///
    /// A deadline moves with the day on which a plan is made. One that is no earlier than the reviewed one
    /// is the same change: nobody gets less grace than the policy promises.
    #[must_use]
    pub fn has(&self, target: &str, change: &Change) -> bool {
        self.at(&change.object().address_on(target)).any(|reviewed| {
            reviewed.verb == change.verb()
                && reviewed.precondition == change.precondition()
                && reviewed.has_effect_of(change)
        })
    }

    /// The changes of what is at `address`.
    pub fn at(&self, address: &str) -> impl Iterator<Item = &ReviewedChange> {
        let of_address = self.by_address.get(address);
        of_address.into_iter().flatten().filter_map(|index| self.changes.get(*index))
    }
}

impl ReviewedChange {
    /// The setting that it is about, when it is about one.
    #[must_use]
    pub fn setting(&self) -> Option<SettingKey> {
        let (_, path) = self.address.rsplit_once("/settings/")?;
        SettingKey::ALL.into_iter().find(|key| key.path() == path)
    }

    /// The token of `target` that it is about, when it is about one.
    #[must_use]
    pub fn token(&self, target: &str) -> Option<TokenId> {
        let rest = self.address.strip_prefix(target)?.strip_prefix("/token/")?;
        Some(TokenId::new(rest))
    }

    /// The time that `key` has after it.
    #[must_use]
    pub fn moment(&self, key: &str) -> Option<Timestamp> {
        self.after.get(key)?.as_str()?.parse().ok()
    }

    fn has_effect_of(&self, change: &Change) -> bool {
        let after = &self.after;
        match change {
            Change::Setting { after: value, .. } => *after == value.to_json(),
            Change::Token { step, .. } => match step {
                TokenStep::Expire { at } => self.moment("expires").is_some_and(|reviewed| reviewed <= *at),
                TokenStep::Mark { until } => {
                    self.moment("marked_to_end").is_some_and(|reviewed| reviewed <= *until)
                }
                TokenStep::Unmark => after.get("marked_to_end").is_some_and(Value::is_null),
                TokenStep::Narrow { to } => after.get("scope") == Some(&to.to_string().into()),
                TokenStep::Revoke => after.is_null(),
            },
        }
    }
}
