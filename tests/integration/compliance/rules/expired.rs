//! `expired`: the token expired long ago and is still listed.

use tokenwarden::model::{Owner, Token, TokenScope};

use super::{NOTHING, NOW, found, held_by_a_waiver, limits, token};
use crate::support::world::time;

#[test]
fn expired_fires_a_month_later_and_an_expired_token_matches_no_other_rule() {
    let yaml = limits("max_lifetime: 1d, max_scope: read-only, description: never");
    let expired = |at_text: &str| Token {
        owner: Owner::User("gone".into()),
        scope: TokenScope::Unset,
        created: time("2020-01-01T00:00:00Z"),
        expires: Some(time(at_text)),
        ..token()
    };
    assert_eq!(found(&yaml, &[expired("2026-10-24T11:59:59Z")]), ["1 expired: expired on 2026-10-24"]);
    assert_eq!(found(&yaml, &[expired("2026-10-24T12:00:00Z")]), NOTHING);
    assert_eq!(found(&yaml, &[expired(NOW)]), NOTHING);
}

#[test]
fn a_waiver_holds_a_token_that_expired() {
    let expired = Token {
        created: time("2020-01-01T00:00:00Z"),
        expires: Some(time("2026-01-01T00:00:00Z")),
        ..token()
    };
    held_by_a_waiver("expired", "", &[expired]);
}
