//! What the revocations of a plan rest on, to be looked at again right before a token is revoked.

use std::collections::HashSet;

use crate::{
    model::{Token, TokenId},
    plan::{Plan, TokenStep},
};

/// What the revocations of a plan rest on, by token.
///
/// Those of an incident rest on nothing but the token: nobody saves one by changing it.
#[derive(Default)]
pub(super) struct Grounds {
    /// Tokens of which a rule found something: their scope and expiry must be what they were.
    found: HashSet<TokenId>,
    /// Those of them that were found for when they were used: their last use must be what it was, too.
    by_use: HashSet<TokenId>,
    /// Those of them that were found for their words: these must be what they were, too.
    by_words: HashSet<TokenId>,
}

impl Grounds {
    /// Those of `plan`.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut grounds = Self::default();
        for planned in &plan.changes {
            let Some((token, TokenStep::Revoke)) = planned.change.token_step() else { continue };
            for rule in planned.reasons.iter().filter_map(|reason| reason.rule.as_ref()) {
                grounds.found.insert(token.id.clone());
                if rule.looks_at().includes_use() {
                    grounds.by_use.insert(token.id.clone());
                }
                if rule.looks_at().includes_words() {
                    grounds.by_words.insert(token.id.clone());
                }
            }
        }
        grounds
    }

    /// Whether `planned` may still be revoked when it is `now`.
    pub(super) fn hold(&self, planned: &Token, now: &Token) -> bool {
        let used = |token: &Token| token.last_used.map(|last| last.at);
        let is_same = (now.scope, now.expires) == (planned.scope, planned.expires);
        let is_used_alike = !self.by_use.contains(&planned.id) || used(now) == used(planned);
        let says_the_same = !self.by_words.contains(&planned.id) || now.description == planned.description;
        !self.found.contains(&planned.id) || (is_same && is_used_alike && says_the_same)
    }
}
