//! `never-used`: the token was never used, and is older than `max_unused`.

use tokenwarden::model::Token;

use super::{NOTHING, found, held_by_a_waiver, limits, token};
use crate::support::world::time;

#[test]
fn never_used_fires_on_old_tokens_without_any_use() {
    let yaml = limits("max_unused: 10d");
    let unused = Token { last_used: None, ..token() };
    assert_eq!(found(&yaml, &[unused]), ["1 never-used: never used since 2026-11-01, limit 10d"]);
    let fresh = Token { last_used: None, created: time("2026-11-20T00:00:00Z"), ..token() };
    assert_eq!(found(&yaml, &[fresh]), NOTHING);
    assert_eq!(found(&yaml, &[token()]), NOTHING);
}

#[test]
fn a_waiver_holds_a_token_without_any_use() {
    held_by_a_waiver("never-used", &limits("max_unused: 10d"), &[Token { last_used: None, ..token() }]);
}
