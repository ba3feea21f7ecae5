//! In: a plan, and a token as it is right before it would be revoked. Out: whether what the plan found still
//! holds. It refuses to know the policy: the plan says what each revocation rests on.

use std::collections::HashSet;

use crate::{
    model::{Rule, RuleCode, Token, TokenId},
    plan::{Change, Plan},
};

/// What the revocations of a plan rest on, by token.
///
/// Those of an incident rest on nothing but the token: nobody saves one by changing it.
#[derive(Default)]
pub(super) struct Grounds {
    /// Tokens of which a rule found something: their scope and expiry must be what they were.
    found: HashSet<TokenId>,
    /// Those of them that were found for not being used: their last use must be what it was, too.
    unused: HashSet<TokenId>,
}

impl Grounds {
    /// Those of `plan`.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut grounds = Self::default();
        for planned in &plan.changes {
            let Change::Revoke { token } = &planned.change else { continue };
            let mut rules = planned.reasons.iter().filter_map(|reason| reason.rule.as_ref()).peekable();
            if rules.peek().is_some() {
                grounds.found.insert(token.id.clone());
            }
            if rules.any(is_of_use) {
                grounds.unused.insert(token.id.clone());
            }
        }
        grounds
    }

    /// Whether `planned` may still be revoked when it is `now`.
    pub(super) fn hold(&self, planned: &Token, now: &Token) -> bool {
        let used = |token: &Token| token.last_used.map(|last| last.at);
        let is_same = (now.scope, now.expires) == (planned.scope, planned.expires);
        let is_unused = !self.unused.contains(&planned.id) || used(now) == used(planned);
        !self.found.contains(&planned.id) || (is_same && is_unused)
    }
}

/// Whether `rule` finds tokens for not being used.
fn is_of_use(rule: &Rule) -> bool {
    matches!(rule, Rule::BuiltIn(RuleCode::Idle | RuleCode::NeverUsed))
}
