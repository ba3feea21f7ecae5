//! Tokens beyond the number that one owner may have. Memory is bounded by that limit.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use jiff::Timestamp;

use crate::model::{Token, TokenId};

/// The tokens of one owner that are most worth keeping, at most as many as the owner may have.
pub(super) struct PerOwner {
    at_most: usize,
    kept: BinaryHeap<Reverse<Ranked>>,
}

impl PerOwner {
    pub(super) fn new(at_most: u32) -> Self {
        Self { at_most: usize::try_from(at_most).unwrap_or(usize::MAX), kept: BinaryHeap::new() }
    }

    /// Counts `token` and returns the one that is too many now. Tokens that are `ending` anyway go
    /// first, then the least recently used; one that was never used counts as used when it was made.
    pub(super) fn add(&mut self, token: Token, ending: bool) -> Option<Token> {
        self.kept.push(Reverse(Ranked { staying: !ending, token }));
        if self.kept.len() <= self.at_most {
            return None;
        }
        self.kept.pop().map(|Reverse(least)| least.token)
    }
}

struct Ranked {
    staying: bool,
    token: Token,
}

impl Ranked {
    fn rank(&self) -> (bool, Timestamp, Timestamp, &TokenId) {
        let used = self.token.last_used.map_or(self.token.created, |last| last.at);
        (self.staying, used, self.token.created, &self.token.id)
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}
