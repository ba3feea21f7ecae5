//! What the revocations of a plan rest on, to be looked at again right before a token is revoked.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::{
    model::{Scope, Token, TokenId, TokenScope, digest::sha256},
    plan::{Plan, TokenStep},
    protocol::Condition,
};

/// What the revocations of a plan rest on, by token.
///
/// Those of an incident rest on nothing but the token: nobody saves one by changing it.
#[derive(Default)]
pub(super) struct RevocationGrounds {
    /// Tokens of which a rule found something: their scope and expiry must be what they were.
    found: HashSet<TokenId>,
    /// Those of them that were found for when they were used: their last use must be what it was, too.
    by_use: HashSet<TokenId>,
    /// Those of them that were found for their words: these must be what they were, too.
    by_words: HashSet<TokenId>,
    limits: TokenBounds,
}

/// What the run itself leaves of the scopes and the ends of tokens.
pub(super) type TokenBounds = HashMap<TokenId, TokenBound>;

/// What a run leaves of the scope and the end of a token.
#[derive(Clone, Copy, Default)]
pub(super) struct TokenBound {
    /// `None` where it leaves the scope as it is.
    pub(super) scope: Option<Scope>,
    /// UTC; `None` where it leaves the end as it is.
    pub(super) end: Option<Timestamp>,
}

impl TokenBound {
    /// Makes it no wider than `other`.
    pub(super) fn lower(&mut self, other: Self) {
        self.scope = self.scope.into_iter().chain(other.scope).min();
        self.end = self.end.into_iter().chain(other.end).min();
    }

    /// Whether it makes `now` of `planned`.
    fn explains(self, planned: &Token, now: &Token) -> bool {
        let scope = now.scope == planned.scope || self.scope.map(TokenScope::Set) == Some(now.scope);
        let end = now.expires == planned.expires || (self.end.is_some() && self.end == now.expires);
        scope && end
    }
}

impl RevocationGrounds {
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

    /// The same, where the run itself narrows tokens to `limits`.
    pub(super) fn within(self, limits: TokenBounds) -> Self {
        Self { limits, ..self }
    }

    /// What `planned` must be for it to be revoked, for a server that looks at it by itself; `None` when it cannot be said.
    pub(super) fn condition(&self, planned: &Token) -> Option<Condition> {
        let mut condition = Condition::default();
        if !self.found.contains(&planned.id) {
            return Some(condition);
        }
        let limit = self.limits.get(&planned.id).copied().unwrap_or_default();
        condition.scopes.push(match planned.scope {
            TokenScope::Unset => None,
            TokenScope::Set(scope) => Some(scope),
            TokenScope::Unknown => return None,
        });
        condition.scopes.extend(limit.scope.map(Some));
        condition.expiries.push(planned.expires);
        condition.expiries.extend(limit.end.map(Some));
        if self.by_use.contains(&planned.id) {
            condition.last_uses.push(planned.last_used.map(|last| last.at));
        }
        if self.by_words.contains(&planned.id) {
            condition.descriptions_sha256.push(sha256(planned.description.as_bytes()));
        }
        Some(condition)
    }

    /// Whether `planned` may still be revoked when it is `now`.
    pub(super) fn hold(&self, planned: &Token, now: &Token) -> bool {
        let used = |token: &Token| token.last_used.map(|last| last.at);
        let limit = self.limits.get(&planned.id).copied().unwrap_or_default();
        let is_same = limit.explains(planned, now);
        let is_used_alike = !self.by_use.contains(&planned.id) || used(now) == used(planned);
        let says_the_same = !self.by_words.contains(&planned.id) || now.description == planned.description;
        !self.found.contains(&planned.id) || (is_same && is_used_alike && says_the_same)
    }
}
