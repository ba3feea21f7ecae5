//! `idle`: the last use lies too long ago.

use tokenwarden::model::Token;

use super::{NOTHING, found, held_by_a_waiver, limits, token, used};
use crate::support::world::time;

#[test]
fn idle_fires_after_the_last_use_and_never_without_one() {
    let yaml = limits("max_idle: 30d");
    let idle = Token { last_used: Some(used("2026-10-24T11:59:59Z")), ..token() };
    assert_eq!(found(&yaml, &[idle]), ["1 idle: last used 2026-10-24, limit 30d"]);
    let just = Token { last_used: Some(used("2026-10-24T12:00:00Z")), ..token() };
    assert_eq!(found(&yaml, &[just]), NOTHING);
    let unused = Token { last_used: None, created: time("2020-01-01T00:00:00Z"), ..token() };
    assert_eq!(found(&yaml, &[unused]), NOTHING);
}

#[test]
fn a_waiver_holds_a_token_that_nobody_uses_any_more() {
    held_by_a_waiver("idle", &limits("max_idle: 1d"), &[token()]);
}
