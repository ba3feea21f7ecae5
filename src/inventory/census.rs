//! How many tokens each owner has, told before any of them is looked at.

use std::collections::HashMap;

use crate::model::Owner;

/// How many tokens each owner has, those that expired among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census(HashMap<Owner, u32>);

impl Census {
    /// Counts a token of `owner`.
    pub fn add(&mut self, owner: Owner) {
        let count = self.0.entry(owner).or_default();
        *count = count.saturating_add(1);
    }

    /// Whether `owner` may have more than `at_most` tokens that work; also who was not counted may.
    #[must_use]
    pub fn may_exceed(&self, owner: &Owner, at_most: u32) -> bool {
        self.0.get(owner).is_none_or(|count| *count > at_most)
    }
}
