//! `scope-unset`: the token is older than scopes.

use tokenwarden::model::{Scope, Token, TokenScope};

use super::{NOTHING, found, held_by_a_waiver, token};

#[test]
fn scope_unset_fires_whatever_the_limit() {
    let unset = Token { scope: TokenScope::Unset, ..token() };
    assert_eq!(found("", &[unset]), ["1 scope-unset: older than scopes, counts as read-write"]);
}

#[test]
fn scope_unset_does_not_fire_on_a_scope_of_whatever_reach() {
    for scope in [Scope::ReadOnly, Scope::ReadWrite] {
        assert_eq!(found("", &[Token { scope: TokenScope::Set(scope), ..token() }]), NOTHING);
    }
}

#[test]
fn a_waiver_holds_a_token_older_than_scopes() {
    held_by_a_waiver("scope-unset", "", &[Token { scope: TokenScope::Unset, ..token() }]);
}
