//! `lifetime`: the token never expires, or lives longer than `max_lifetime`.

use tokenwarden::model::Token;

use super::{NOTHING, found, held_by_a_waiver, limits, token};
use crate::support::world::time;

#[test]
fn lifetime_fires_without_expiry_and_more_than_a_day_over_the_limit() {
    let yaml = limits("max_lifetime: 1mo");
    let endless = Token { expires: None, ..token() };
    assert_eq!(found(&yaml, &[endless]), ["1 lifetime: no expiry, limit 1mo"]);
    let exactly = Token { expires: Some(time("2026-12-02T00:00:00Z")), ..token() };
    assert_eq!(found(&yaml, &[exactly]), NOTHING);
    let over = Token { expires: Some(time("2026-12-02T00:00:01Z")), ..token() };
    assert_eq!(found(&yaml, &[over]), ["1 lifetime: lives from 2026-11-01 to 2026-12-02, limit 1mo"]);
}

#[test]
fn a_waiver_holds_a_token_that_never_expires() {
    held_by_a_waiver("lifetime", &limits("max_lifetime: 1mo"), &[Token { expires: None, ..token() }]);
}
