//! The rule `scope-unset`: the token is older than scopes. That such a token exceeds its limit is what
//! `scope` says.

use super::{Subject, Verdict, scope_not_known};
use crate::model::TokenScope;

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    match subject.token.scope {
        TokenScope::Set(_) => Verdict::COMPLIES,
        TokenScope::Unknown => scope_not_known(),
        TokenScope::Unset => {
            Verdict::Fails { message: "older than scopes, counts as read-write".to_owned(), place: None }
        }
    }
}
