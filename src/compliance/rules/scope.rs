//! The rule `scope`: the token exceeds `max_scope`. A token that is older than scopes counts as read-write.

use super::{RuleVerdict, Subject, scope_not_known};
use crate::model::{LimitKey, TokenScope};

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    let scope = subject.token.scope;
    let verdict = subject.limited(
        LimitKey::MaxScope,
        |limit| limit.max_scope.as_ref(),
        |most| (scope.effective() > *most).then(|| format!("{scope}, limit {most}")),
    );
    match verdict {
        RuleVerdict::Complies { .. } | RuleVerdict::Fails { .. } if scope == TokenScope::Unknown => {
            scope_not_known()
        }
        verdict => verdict,
    }
}
