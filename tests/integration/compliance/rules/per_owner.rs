//! `per-owner`: the owner has more tokens than `max_per_owner`.

use tokenwarden::model::{Mark, Owner, Token, TokenId};

use super::{NOTHING, found, held_by_a_waiver, limits, token, used};
use crate::support::world::time;

#[test]
fn per_owner_fires_on_the_least_recently_used_beyond_the_limit() {
    let yaml = limits("max_per_owner: 2");
    let with = |id: &str, owner: &str, at: &str| Token {
        id: TokenId::new(id),
        owner: Owner::User(owner.into()),
        last_used: Some(used(at)),
        ..token()
    };
    let tokens = [
        with("1", "mary", "2026-11-20T00:00:00Z"),
        with("2", "mary", "2026-11-10T00:00:00Z"),
        with("3", "MARY", "2026-11-22T00:00:00Z"),
        with("4", "sam", "2026-11-01T00:00:00Z"),
        with("5", "sam", "2026-11-02T00:00:00Z"),
    ];
    let expected = ["2 per-owner: more tokens than the limit of 2, this one used least recently"];
    assert_eq!(found(&yaml, &tokens), expected);
    let reversed: Vec<_> = tokens.iter().rev().cloned().collect();
    assert_eq!(found(&yaml, &reversed), expected, "the order of the pages does not matter");
}

#[test]
fn per_owner_does_not_count_tokens_that_are_revoked_anyway_or_have_expired() {
    let yaml = "tokens: {limits: [{max_per_owner: 1, max_lifetime: 1y}], enforcement: {lifetime: revoke}}";
    let endless = Token { id: TokenId::new("2"), expires: None, ..token() };
    assert_eq!(found(yaml, &[token(), endless]), ["2 lifetime: no expiry, limit 1y"]);
    let expired = Token { id: TokenId::new("3"), expires: Some(time("2026-11-20T00:00:00Z")), ..token() };
    assert_eq!(found(yaml, &[token(), expired]), NOTHING);
}

#[test]
fn per_owner_stays_with_the_token_that_it_chose_first() {
    let yaml =
        "tokens: {limits: [{max_per_owner: 1}], enforcement: {per-owner: {action: expire, grace: 14d}}}";
    let ending = Token { id: TokenId::new("2"), expires: Some(time("2026-12-01T00:00:00Z")), ..token() };
    let used_less = Token { last_used: Some(used("2026-11-02T00:00:00Z")), ..token() };
    let expected = ["2 per-owner: more tokens than the limit of 1, this one used least recently"];
    assert_eq!(found(yaml, &[used_less, ending]), expected);
}

#[test]
fn a_mark_that_a_waiver_takes_off_does_not_make_its_token_the_first_to_be_too_many() {
    let yaml = "tokens: {limits: [{max_per_owner: 1}], enforcement: {per-owner: {action: expire, grace: 14d}}}\n\
                waivers: [{token: 1, rules: [per-owner], reason: r, until: 2026-12-31}]";
    let until = time("2026-12-01T00:00:00Z");
    let mark = Some(Mark { until, shown: Some(until) });
    let marked = Token { mark, last_used: Some(used("2026-11-22T00:00:00Z")), ..token() };
    let used_less = Token { id: TokenId::new("2"), last_used: Some(used("2026-11-02T00:00:00Z")), ..token() };
    let expected = ["2 per-owner: more tokens than the limit of 1, this one used least recently"];
    assert_eq!(found(yaml, &[marked.clone(), used_less.clone()]), expected);
    assert_eq!(found(yaml, &[Token { mark: None, ..marked }, used_less]), expected, "with and without it");
}

#[test]
fn per_owner_does_not_fire_up_to_the_limit() {
    let other = Token { id: TokenId::new("2"), ..token() };
    assert_eq!(found(&limits("max_per_owner: 2"), &[token(), other]), NOTHING);
}

#[test]
fn a_waiver_holds_the_token_that_is_too_many() {
    let newer = Token { id: TokenId::new("2"), last_used: Some(used("2026-11-23T00:00:00Z")), ..token() };
    held_by_a_waiver("per-owner", &limits("max_per_owner: 1"), &[token(), newer]);
}
