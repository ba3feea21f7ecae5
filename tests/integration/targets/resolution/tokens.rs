//! What is done to tokens: marked, unmarked and revoked.

use tokenwarden::model::TokenId;

use super::{
    NOW, actions, apply, held_back, plan,
    stub::{Stub, marker, token},
};
use crate::support::world::{approve, policy, time};

const ENDLESS: &str = "version: 1
tokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: {action: expire, grace: 14d}}}
";
const REVOKING: &str =
    "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n";

#[tokio::test]
async fn a_token_is_marked_keeps_its_day_and_is_revoked_on_the_first_run_past_it() {
    for silent_on in [vec![], vec!["userKey", "tokenScope"]] {
        let stub = Stub::start().await;
        stub.contents().tokens = vec![token(7, "2", 1, "nightly")];
        stub.contents().listing.silent_on = silent_on;
        let (target, policy) = (stub.target(), policy(ENDLESS));
        let (before, outcome, after) = apply(&target, &policy, NOW).await;
        assert_eq!((actions(&before), outcome.is_whole()), (vec!["mark 7".to_owned()], true));
        assert!(after.is_converged());
        let marked = marker().write("nightly", &TokenId::new("7"), time("2026-12-08T00:00:00Z"));
        assert_eq!(stub.words(7), marked);
        let (later, ..) = apply(&target, &policy, "2026-12-07T23:59:59Z").await;
        assert_eq!(actions(&later), Vec::<String>::new());
        let (due, outcome, after) = apply(&target, &policy, "2026-12-08T00:00:00Z").await;
        assert_eq!((actions(&due), outcome.is_whole()), (vec!["revoke 7".to_owned()], true));
        assert!(after.is_converged());
        assert_eq!(stub.contents().writes.len(), 2);
    }
}

#[tokio::test]
async fn a_token_that_complies_again_is_unmarked_and_what_its_owner_writes_meanwhile_stays() {
    let policy = policy(
        "version: 1\ntokens: {limits: [{description: '^OPS-'}], enforcement: {description: expire}}\n",
    );
    let stub = Stub::start().await;
    stub.contents().tokens = vec![token(7, "2", 1, "nightly")];
    let target = stub.target();
    let approved = approve(plan(&target, &policy, NOW).await);
    stub.contents().tokens[0]["words"] = "weekly".into();
    let outcome = tokenwarden::apply::execute(&approved, &target, &target.writer(&approved), &|_| {}).await;
    assert!(outcome.is_whole() && stub.words(7).starts_with("weekly [tokenwarden: ends "), "{outcome:?}");
    let marked = format!("OPS-1 {}", stub.words(7));
    stub.contents().tokens[0]["words"] = marked.into();
    let (before, outcome, after) = apply(&target, &policy, NOW).await;
    assert_eq!((actions(&before), outcome.is_whole()), (vec!["unmark 7".to_owned()], true));
    assert_eq!(stub.words(7), "OPS-1 weekly");
    assert!(after.is_converged());
}

#[tokio::test]
async fn both_answers_to_a_revocation_are_understood_and_a_no_is_a_failure() {
    let (stub, policy) = (Stub::filled().await, policy(REVOKING));
    for no_content in [true, false] {
        stub.contents().no_content = no_content;
        stub.contents().tokens = vec![token(7, "2", 1, "nightly")];
        let (_, outcome, after) = apply(&stub.target(), &policy, NOW).await;
        assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    }
    stub.contents().tokens = vec![token(7, "2", 1, "nightly")];
    stub.contents().refuses_to_revoke = true;
    let (_, outcome, after) = apply(&stub.target(), &policy, NOW).await;
    assert!(!outcome.is_whole() && actions(&after) == ["revoke 7"], "{outcome:?}");
}

#[tokio::test]
async fn answers_that_are_lost_make_nothing_take_effect_twice() {
    let policy = policy(
        "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: expire, owner-inactive: revoke}}\n",
    );
    for lost in 1..=5 {
        let stub = Stub::filled().await;
        stub.contents().lost_answers = lost;
        let (before, outcome, after) = apply(&stub.target(), &policy, NOW).await;
        assert_eq!(actions(&before), ["mark 1", "mark 2", "mark 4", "mark 5", "revoke 3"]);
        assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
        assert_eq!(stub.contents().writes.len(), 5, "{:?}", stub.contents().writes);
    }
}

#[tokio::test]
async fn revocations_that_move_tokens_to_other_pages_lose_none_of_them() {
    let stub = Stub::start().await;
    stub.contents().tokens = (1..=24).map(|id| token(id, "3", 1, "old")).collect();
    let revoking = policy("version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n");
    let (before, outcome, after) = apply(&stub.target(), &revoking, NOW).await;
    assert_eq!((before.changes.len(), outcome.is_whole()), (24, true), "{outcome:?}");
    assert!(stub.contents().tokens.is_empty() && after.is_converged(), "{:?}", stub.contents().tokens);
    let revoked = stub.contents().writes.iter().filter(|(call, _)| call.starts_with("DELETE")).count();
    assert_eq!(revoked, 24, "each was revoked by us");
}

#[tokio::test]
async fn a_token_that_is_gone_needs_nothing_more() {
    for yaml in [ENDLESS, REVOKING] {
        let (stub, policy) = (Stub::filled().await, policy(yaml));
        let target = stub.target();
        let approved = approve(plan(&target, &policy, NOW).await);
        stub.contents().tokens.clear();
        let outcome =
            tokenwarden::apply::execute(&approved, &target, &target.writer(&approved), &|_| {}).await;
        assert!(outcome.is_whole(), "{outcome:?}");
        assert_eq!(stub.contents().writes, []);
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_marked_and_the_reason_says_what_to_write() {
    let stub = Stub::filled().await;
    let target = stub.target_with(tokenwarden::targets::resolution::ResolutionOptions::default());
    let plan = plan(&target, &policy(ENDLESS), NOW).await;
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert!(held_back(&plan)[0].contains("`mark_key_env: NAME`"), "{:?}", held_back(&plan));
}
