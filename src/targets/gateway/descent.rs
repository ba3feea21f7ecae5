//! Which token was made with which, as far as the last reading of the tokens showed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    model::TokenId,
    plan::{Plan, TokenStep},
    targets::grounds::{TokenBound, TokenBounds},
};

/// The number that `id` is on our own server.
pub(super) fn number(id: &TokenId) -> Option<i64> {
    id.as_str().parse().ok()
}

/// The token that each was made with. Numbers alone: a server may have a million tokens.
#[derive(Default)]
pub(super) struct Descent(Mutex<BTreeMap<i64, i64>>);

impl Descent {
    /// Forgets what an earlier reading showed.
    pub(super) fn begin(&self) {
        self.parents().clear();
    }

    /// Keeps that `token` was made with `parent`.
    pub(super) fn note(&self, token: i64, parent: i64) {
        self.parents().insert(token, parent);
    }

    /// The tokens that were made with one of `roots` or with one that was, each with the one it was made with, in the
    /// order of their numbers.
    pub(super) fn below(&self, roots: &BTreeSet<i64>) -> Vec<(i64, i64)> {
        let parents = self.parents();
        let mut family = roots.clone();
        // A token is younger than the one that it was made with, and so has a higher number.
        let is_below = |(&token, &parent): (&i64, &i64)| {
            let is_below = family.contains(&parent);
            if is_below {
                family.insert(token);
            }
            is_below.then_some((token, parent))
        };
        parents.iter().filter_map(is_below).collect()
    }

    /// The tokens that `token` came of, as far as they are known.
    pub(super) fn above(&self, token: i64) -> BTreeSet<i64> {
        let parents = self.parents();
        // Whatever a server says, nothing came of itself.
        let mut above = BTreeSet::new();
        let mut next = parents.get(&token);
        while let Some(parent) = next.filter(|parent| above.insert(**parent)) {
            next = parents.get(parent);
        }
        above
    }

    /// What the changes of `plan` leave of the scopes and the ends of tokens: their own, and with them what came of
    /// them.
    pub(super) fn limits(&self, plan: &Plan) -> TokenBounds {
        let mut limits: BTreeMap<i64, TokenBound> = BTreeMap::new();
        for (token, step) in plan.changes.iter().filter_map(|planned| planned.change.token_step()) {
            let limit = match step {
                TokenStep::Narrow { to } => TokenBound { scope: Some(to), end: None },
                TokenStep::Expire { at } => TokenBound { scope: None, end: Some(at) },
                TokenStep::Mark { .. } | TokenStep::Unmark | TokenStep::Revoke => continue,
            };
            if let Some(id) = number(&token.id) {
                limits.entry(id).or_default().lower(limit);
            }
        }
        if !limits.is_empty() {
            for (token, parent) in &*self.parents() {
                if let Some(limit) = limits.get(parent).copied() {
                    limits.entry(*token).or_default().lower(limit);
                }
            }
        }
        limits.into_iter().map(|(id, limit)| (TokenId::new(id.to_string()), limit)).collect()
    }

    fn parents(&self) -> MutexGuard<'_, BTreeMap<i64, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_token_is_found_through_all_generations_also_when_one_is_gone() {
        let descent = Descent::default();
        for (token, parent) in [(2, 1), (3, 2), (5, 4), (6, 3), (9, 8)] {
            descent.note(token, parent);
        }
        assert_eq!(descent.below(&BTreeSet::from([1])), [(2, 1), (3, 2), (6, 3)]);
        assert_eq!(descent.below(&BTreeSet::from([3, 4])), [(5, 4), (6, 3)]);
        assert_eq!(descent.below(&BTreeSet::from([8])), [(9, 8)]);
        assert_eq!(descent.above(6), [1, 2, 3].into());
        descent.begin();
        assert!(descent.below(&BTreeSet::from([1])).is_empty());
    }
}
