//! What is done to tokens: marked, unmarked, narrowed and revoked.

use std::collections::BTreeMap;

use serde_json::json;
use tokenwarden::{
    apply::{ChangeResult, Effect, execute},
    model::{Period, TokenId},
    plan::{History, Spent},
};

use super::{
    actions, apply, plan,
    stub::{Contents, Stub, marker, token},
};
use crate::support::world::{NOW, approve, policy, time};

const MARY: &str = "users/mary_example.com";
const ENDLESS: &str = "version: 1
tokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: {action: expire, grace: 14d}}}
";

fn endless() -> serde_json::Value {
    token("075905477751", "nightly", "2025-01-01T00:00:00Z", &["REPO_READ", "PROJECT_READ"])
}

#[tokio::test]
async fn a_token_is_marked_keeps_its_day_over_ten_runs_and_is_revoked_on_the_first_one_past_it() {
    let (stub, policy) = (Stub::start().await, policy(ENDLESS));
    stub.add(MARY, endless());
    let target = stub.target();
    let (before, outcome, after) = apply(&target, &policy, NOW).await;
    assert_eq!((actions(&before), outcome.is_whole()), (vec!["mark 075905477751".to_owned()], true));
    assert!(after.is_converged());
    let marked = stub.only(MARY);
    let id = TokenId::new("075905477751");
    assert_eq!(marked["name"], marker().write("nightly", &id, time("2026-12-08T00:00:00Z")));
    for day in 24..=30 {
        let now = format!("2026-11-{day}T12:00:00Z");
        let (before, ..) = apply(&target, &policy, &now).await;
        assert_eq!(actions(&before), Vec::<String>::new(), "{now}");
    }
    for now in ["2026-12-01T00:00:00Z", "2026-12-06T23:00:00Z", "2026-12-07T23:59:59Z"] {
        let (before, ..) = apply(&target, &policy, now).await;
        assert_eq!(before.pending[0].until, time("2026-12-08T00:00:00Z"), "{now}");
    }
    assert_eq!(stub.only(MARY), marked, "nothing else was written");
    let (before, outcome, after) = apply(&target, &policy, "2026-12-08T00:00:00Z").await;
    assert_eq!((actions(&before), outcome.is_whole()), (vec!["revoke 075905477751".to_owned()], true));
    assert!(after.is_converged());
    assert!(stub.contents().tokens[MARY].is_empty());
}

#[tokio::test]
async fn a_token_that_complies_again_is_unmarked() {
    let policy = policy(
        "version: 1\ntokens: {limits: [{description: '^OPS-'}], enforcement: {description: expire}}\n",
    );
    let stub = Stub::start().await;
    stub.add(MARY, endless());
    let target = stub.target();
    apply(&target, &policy, NOW).await;
    let marked = stub.only(MARY)["name"].as_str().unwrap().to_owned();
    stub.rename(MARY, &format!("OPS-1 {marked}"));
    let (before, outcome, after) = apply(&target, &policy, NOW).await;
    assert_eq!((actions(&before), outcome.is_whole()), (vec!["unmark 075905477751".to_owned()], true));
    assert_eq!(stub.only(MARY)["name"], "OPS-1 nightly");
    assert!(after.is_converged());
}

#[tokio::test]
async fn white_space_behind_a_mark_piles_up_no_marks_and_wins_no_time() {
    let (stub, policy) = (Stub::start().await, policy(ENDLESS));
    stub.add(MARY, endless());
    let target = stub.target();
    apply(&target, &policy, NOW).await;
    let marked = stub.only(MARY)["name"].as_str().unwrap().to_owned();
    for behind in [" ", "  ", "\t", "\n", "\u{a0}"] {
        stub.rename(MARY, &format!("{marked}{behind}"));
        let (before, ..) = apply(&target, &policy, "2026-12-01T12:00:00Z").await;
        assert_eq!(actions(&before), Vec::<String>::new(), "{behind:?}");
        assert_eq!(before.pending[0].until, time("2026-12-08T00:00:00Z"), "{behind:?}");
    }
    let glued = marked.replace("nightly ", "nightly");
    stub.rename(MARY, &glued);
    let due = plan(&target, &policy, &History::default(), "2026-12-08T00:00:00Z").await;
    assert_eq!(actions(&due), ["revoke 075905477751"]);
}

#[tokio::test]
async fn a_forged_mark_and_a_deleted_one_win_no_time_when_there_is_a_record() {
    let (stub, policy) = (Stub::start().await, policy(ENDLESS));
    stub.add(MARY, endless());
    let target = stub.target();
    apply(&target, &policy, NOW).await;
    let first = time("2026-12-08T00:00:00Z");
    let history = History {
        open: Vec::new(),
        deadlines: BTreeMap::from([(TokenId::new("075905477751"), first)]),
        spent: Some(Spent::nothing(Period::days(1))),
    };
    for name in ["nightly", "nightly [tokenwarden: ends 2027-06-01 00000000000000000000]"] {
        stub.rename(MARY, name);
        let again = plan(&target, &policy, &history, "2026-12-01T12:00:00Z").await;
        assert_eq!(actions(&again), ["mark 075905477751"]);
        let approved = approve(again);
        let writer = target.writer(&approved);
        let outcome = execute(&approved, &target, &writer, &|_| {}).await;
        assert!(outcome.is_whole());
        assert_eq!(stub.only(MARY)["name"], marker().write(name, &TokenId::new("075905477751"), first));
        stub.rename(MARY, name);
        let due = plan(&target, &policy, &history, "2026-12-08T00:00:00Z").await;
        assert_eq!(actions(&due), ["revoke 075905477751"]);
    }
}

#[tokio::test]
async fn a_mark_from_before_the_end_of_a_waiver_is_replaced_by_one_that_leaves_two_weeks() {
    let stub = Stub::start().await;
    stub.add(MARY, endless());
    let target = stub.target();
    apply(&target, &policy(ENDLESS), NOW).await;
    let waiver = "waivers: [{owner: mary@example.com, rules: [lifetime], reason: r, until: 2026-12-20}]\n";
    let policy = policy(&format!("{ENDLESS}{waiver}"));
    let (before, outcome, after) = apply(&target, &policy, "2026-12-21T12:00:00Z").await;
    assert_eq!((actions(&before), outcome.is_whole()), (vec!["mark 075905477751".to_owned()], true));
    assert!(after.is_converged());
    let id = TokenId::new("075905477751");
    assert_eq!(stub.only(MARY)["name"], marker().write("nightly", &id, time("2027-01-05T00:00:00Z")));
}

#[tokio::test]
async fn a_token_is_narrowed_in_place_and_keeps_its_name_with_the_mark() {
    let stub = Stub::start().await;
    stub.add("projects/PLAT", token("1", "deploy", "2025-01-01T00:00:00Z", &["REPO_ADMIN", "PROJECT_WRITE"]));
    let policy = policy(
        "version: 1\ntokens: {limits: [{owner_kind: [project], max_scope: read-only, max_lifetime: 90d}], \
         enforcement: {scope: narrow, lifetime: expire}}\n",
    );
    let target = stub.target();
    let (before, outcome, after) = apply(&target, &policy, NOW).await;
    assert_eq!(actions(&before), ["mark 1", "narrow 1"]);
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    let token = stub.only("projects/PLAT");
    assert_eq!(token["permissions"], json!(["REPO_READ", "PROJECT_READ"]));
    assert!(token["name"].as_str().unwrap().starts_with("deploy [tokenwarden: ends 2026-12-08 "));
    assert!(stub.contents().writes.iter().all(|(_, body)| body.get("expiryDays").is_none()));
}

#[tokio::test]
async fn a_token_without_a_name_is_narrowed_and_gets_none() {
    let stub = Stub::start().await;
    let mut nameless = token("1", "", "2026-11-01T00:00:00Z", &["REPO_WRITE"]);
    nameless["name"] = serde_json::Value::Null;
    stub.add(MARY, nameless);
    let policy =
        policy("version: 1\ntokens: {limits: [{max_scope: read-only}], enforcement: {scope: narrow}}\n");
    let (_, outcome, after) = apply(&stub.target(), &policy, NOW).await;
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    assert_eq!(stub.only(MARY)["name"], serde_json::Value::Null);
}

#[tokio::test]
async fn answers_that_are_lost_make_nothing_take_effect_twice() {
    let policy = policy(
        "version: 1\npassword_authentication: {state: disabled, except_users: [warden]}\n\
         tokens: {limits: [{max_scope: read-only, max_lifetime: 90d}], \
         enforcement: {scope: narrow, lifetime: expire, owner-inactive: revoke}}\n",
    );
    let stub = Stub::start().await;
    stub.add(MARY, token("1", "nightly", "2025-01-01T00:00:00Z", &["REPO_WRITE"]));
    stub.add("users/gone", token("2", "old", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    stub.contents().lost_answers = 3;
    let (before, outcome, after) = apply(&stub.target(), &policy, NOW).await;
    assert_eq!(actions(&before), ["set settings", "mark 1", "narrow 1", "revoke 2"]);
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    assert_eq!(stub.contents().writes.len(), 4, "{:?}", stub.contents().writes);
}

#[tokio::test]
async fn what_an_owner_writes_meanwhile_stays() {
    let (stub, policy) = (Stub::start().await, policy(ENDLESS));
    stub.add(MARY, endless());
    let target = stub.target();
    let approved = approve(plan(&target, &policy, &History::default(), NOW).await);
    stub.rename(MARY, "weekly now");
    let outcome = execute(&approved, &target, &target.writer(&approved), &|_| {}).await;
    assert!(outcome.is_whole());
    assert!(stub.only(MARY)["name"].as_str().unwrap().starts_with("weekly now [tokenwarden: ends "));
}

/// Plans with `yaml`, lets `meanwhile` happen, and applies: what became of the only change.
async fn overtaken(stub: &Stub, yaml: &str, meanwhile: impl FnOnce(&mut Contents)) -> ChangeResult {
    let target = stub.target();
    let approved = approve(plan(&target, &policy(yaml), &History::default(), NOW).await);
    meanwhile(&mut stub.contents());
    let mut outcome = execute(&approved, &target, &target.writer(&approved), &|_| {}).await;
    assert_eq!(outcome.changes.len(), 1, "{outcome:#?}");
    outcome.changes.remove(0).result
}

fn is_moved(result: &ChangeResult) -> bool {
    matches!(result, ChangeResult::Failed(why) if why.contains("changed by somebody else since the plan"))
}

fn used_now(contents: &mut Contents) {
    contents.tokens.get_mut(MARY).unwrap()[0]["lastAuthenticated"] = json!(time(NOW).as_millisecond());
}

fn narrowed_now(contents: &mut Contents) {
    contents.tokens.get_mut(MARY).unwrap()[0]["permissions"] = json!(["REPO_READ"]);
}

/// A policy, what happens to the token meanwhile, and whether the token stays for that.
type Case<'a> = (&'a str, fn(&mut Contents), bool);

#[tokio::test]
async fn a_token_is_not_revoked_when_what_was_found_may_not_hold_any_more() {
    let with = |limit: &str, rule: &str| {
        format!("version: 1\ntokens: {{limits: [{{{limit}}}], enforcement: {{{rule}: revoke}}}}\n")
    };
    let (scope, unused) = (with("max_scope: read-only", "scope"), with("max_unused: 30d", "never-used"));
    let (idle, lifetime) = (with("max_idle: 30d", "idle"), with("max_lifetime: 90d", "lifetime"));
    let idle_token = |contents: &mut Contents| {
        let last = time("2026-01-01T00:00:00Z").as_millisecond();
        contents.tokens.get_mut(MARY).unwrap()[0]["lastAuthenticated"] = json!(last);
    };
    let cases: [Case<'_>; 6] = [
        (&scope, narrowed_now, true),
        (&scope, used_now, false),
        (&unused, used_now, true),
        (&idle, used_now, true),
        (&lifetime, used_now, false),
        (&lifetime, narrowed_now, true),
    ];
    for (yaml, meanwhile, moved) in cases {
        let stub = Stub::start().await;
        stub.add(MARY, token("1", "x", "2025-01-01T00:00:00Z", &["REPO_WRITE"]));
        if yaml == idle {
            idle_token(&mut stub.contents());
        }
        let result = overtaken(&stub, yaml, meanwhile).await;
        assert_eq!(is_moved(&result), moved, "{yaml}{result:?}");
        assert_eq!(stub.contents().writes.len(), usize::from(!moved));
    }
}

#[tokio::test]
async fn an_owner_who_was_renamed_still_has_the_token() {
    let revoking = "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n";
    let moved = "the groups or the state of mary@example.com changed since the plan was made";
    for (yaml, words) in [(revoking, moved), (ENDLESS, "knows no `mary@example.com` any more")] {
        let stub = Stub::start().await;
        stub.add(MARY, endless());
        let result = overtaken(&stub, yaml, |now| {
            now.users.retain(|user| user.0 != "mary@example.com");
            now.users.push(("mary@example.org", "mary_example.org", true));
            let tokens = now.tokens.remove(MARY).unwrap();
            now.tokens.insert("users/mary_example.org".to_owned(), tokens);
        })
        .await;
        let (ChangeResult::Failed(why) | ChangeResult::NotTried(why)) = result else { panic!("{result:?}") };
        assert!(why.contains(words), "{why}");
        assert_eq!(stub.contents().writes, []);
    }
}

#[tokio::test]
async fn the_last_of_five_lost_answers_is_read_back_too() {
    let cases = [
        ("version: 1\npassword_authentication: {state: disabled, except_users: [warden]}\n", "PUT"),
        (ENDLESS, "POST"),
        ("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n", "DELETE"),
    ];
    for (yaml, method) in cases {
        for (unheard, lost) in [(4, 1), (5, 0)] {
            let stub = Stub::start().await;
            stub.add(MARY, endless());
            (stub.contents().unheard, stub.contents().lost_answers) = (unheard, lost);
            let result = overtaken(&stub, yaml, |_| {}).await;
            if lost > 0 {
                assert_eq!(result, ChangeResult::Done(Effect::Made), "{method}");
            } else {
                let ChangeResult::Failed(why) = result else { panic!("{result:?}") };
                assert!(why.contains("the server did not do it") && why.contains("504"), "{why}");
            }
            let writes = stub.contents().calls.iter().filter(|call| call.starts_with(method)).count();
            assert_eq!((writes, stub.contents().writes.len()), (5, lost as usize), "{method}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_gone_needs_nothing_more() {
    let (stub, policy) = (Stub::start().await, policy(ENDLESS));
    stub.add(MARY, endless());
    let target = stub.target();
    let approved = approve(plan(&target, &policy, &History::default(), NOW).await);
    stub.contents().tokens.clear();
    let outcome = execute(&approved, &target, &target.writer(&approved), &|_| {}).await;
    assert!(outcome.is_whole(), "{outcome:?}");
    assert_eq!(stub.contents().writes, []);
}
