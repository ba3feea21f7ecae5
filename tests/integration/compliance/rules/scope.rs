//! `scope`: the token reaches further than `max_scope`.

use tokenwarden::model::{Scope, Token, TokenScope};

use super::{NOTHING, found, held_by_a_waiver, limits, token};

#[test]
fn scope_fires_over_the_limit_and_counts_a_missing_scope_as_read_write() {
    let yaml = limits("max_scope: read-only");
    let writing = Token { scope: TokenScope::Set(Scope::ReadWrite), ..token() };
    assert_eq!(found(&yaml, std::slice::from_ref(&writing)), ["1 scope: read-write, limit read-only"]);
    assert_eq!(found(&yaml, &[token()]), NOTHING);
    assert_eq!(found(&limits("max_scope: read-write"), &[writing]), NOTHING);
    let unset = Token { scope: TokenScope::Unset, ..token() };
    let both = found(&yaml, &[unset]);
    assert_eq!(
        both,
        ["1 scope: unset, limit read-only", "1 scope-unset: older than scopes, counts as read-write"]
    );
}

#[test]
fn a_waiver_holds_a_scope_over_the_limit() {
    let writing = Token { scope: TokenScope::Set(Scope::ReadWrite), ..token() };
    held_by_a_waiver("scope", &limits("max_scope: read-only"), &[writing]);
}
