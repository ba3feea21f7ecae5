//! The rule `scope-unset`: the token is older than scopes. That such a token exceeds its limit is what
//! `scope` says.

use super::{RuleVerdict, Subject, scope_not_known};
use crate::model::TokenScope;

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    match subject.token.scope {
        TokenScope::Set(_) => RuleVerdict::COMPLIES,
        TokenScope::Unknown => scope_not_known(),
        TokenScope::Unset => {
            RuleVerdict::Fails { message: "older than scopes, counts as read-write".to_owned(), place: None }
        }
    }
}
