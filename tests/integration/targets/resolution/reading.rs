//! What is read of tokens, with how many calls, and what is said of the rest.

use serde_json::json;
use tokenwarden::{
    apply::one_line,
    http::HttpCredential,
    inventory::{Coverage, InventoryReader},
    model::TokenId,
    targets::resolution::{Resolution, ResolutionOptions},
};

use super::{
    NOW, actions, held_back, missing, plan,
    stub::{PASSWORD, Stub, token},
};
use crate::support::world::policy;

const EVERYTHING: [&str; 5] = [
    "1 of mary read-write Automation token",
    "2 of mary read-only reports",
    "3 of gone read-write left over",
    "4 of warden read-write tokenwarden",
    "5 of mary unset older than scopes",
];

#[tokio::test]
async fn keys_that_are_no_users_are_no_owners() {
    let stub = Stub::filled().await;
    stub.contents().listing.silent_on = vec!["tokenScope"];
    for token in &mut stub.contents().tokens {
        token["userKey"] = json!(format!("ABC{}", token["userKey"].as_str().unwrap()));
    }
    let enforced =
        policy("version: 1\ntokens: {enforcement: {owner-inactive: revoke, owner-unknown: revoke}}\n");
    let plan = plan(&stub.target(), &enforced, NOW).await;
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert_eq!(
        missing(&plan),
        ["the server does not say the owner of 5 tokens, such as 1: they are not looked at"]
    );
}

async fn tokens(target: &Resolution) -> (Vec<String>, Coverage) {
    let mut seen = Vec::new();
    let coverage = target
        .tokens(&mut |token| {
            seen.push(format!("{} of {} {} {}", token.id, token.owner, token.scope, token.description));
        })
        .await
        .unwrap();
    seen.sort();
    (seen, coverage)
}

#[tokio::test]
async fn every_dialect_of_the_listing_shows_the_same_tokens() {
    let stub = Stub::filled().await;
    for (bare, words, silent_on) in [
        (false, "description", vec!["userKey", "tokenScope"]),
        (false, "tokenDescription", vec!["userKey"]),
        (true, "description", vec!["tokenScope"]),
        (true, "tokenDescription", vec![]),
    ] {
        {
            let listing = &mut stub.contents().listing;
            (listing.bare, listing.words, listing.silent_on) = (bare, words, silent_on);
        }
        let (seen, coverage) = tokens(&stub.target()).await;
        assert_eq!(
            (seen, coverage),
            (EVERYTHING.map(str::to_owned).to_vec(), Coverage::Complete),
            "{words} {bare}"
        );
    }
}

#[tokio::test]
async fn pages_of_every_size_are_read_to_their_end_whatever_was_asked_for() {
    let stub = Stub::filled().await;
    for page in [1, 2, 3, 4, 5, 6, 100] {
        stub.contents().listing.page = page;
        let (seen, coverage) = tokens(&stub.target()).await;
        assert_eq!((seen.len(), coverage), (5, Coverage::Complete), "{page}");
    }
    stub.contents().tokens.clear();
    assert_eq!(tokens(&stub.target()).await, (Vec::new(), Coverage::Complete));
}

#[tokio::test]
async fn a_page_that_repeats_is_an_error() {
    let stub = Stub::filled().await;
    stub.contents().listing.pages = false;
    let error = stub.target().tokens(&mut |_| {}).await.unwrap_err();
    assert!(one_line(&error).contains("holds the same as an earlier one"), "{}", one_line(&error));
}

#[tokio::test]
async fn a_server_that_heeds_no_filter_leaves_owners_and_scopes_unknown_and_nothing_is_guessed() {
    let stub = Stub::filled().await;
    let policy = policy(
        "version: 1\ntokens:\n  limits: [{max_scope: read-only, max_lifetime: 90d}]\n  \
         rules: [{name: own, when: 'token.scope == \"read-write\"', message: m}]\n  \
         enforcement: {scope: revoke, scope-unset: revoke, lifetime: revoke, own: revoke}\n",
    );
    stub.contents().listing.filters = false;
    let blind = plan(&stub.target(), &policy, NOW).await;
    assert_eq!(actions(&blind), Vec::<String>::new());
    assert_eq!(
        missing(&blind),
        ["the server does not say the owner of 5 tokens, such as 1: they are not looked at"]
    );
    // It says whose they are, and still not how far they reach.
    stub.contents().listing.silent_on = vec!["tokenScope"];
    let half = plan(&stub.target(), &policy, NOW).await;
    assert_eq!(actions(&half), ["revoke 1", "revoke 2", "revoke 3", "revoke 4", "revoke 5"], "by lifetime");
    let unknown = "the server does not say how far the token reaches";
    let rules = ["own", "scope-unset", "scope"].map(|rule| format!("rule {rule}: {unknown}"));
    let mut held = held_back(&half);
    held.sort();
    assert_eq!(held, rules);
    assert!(half.changes.iter().all(|planned| planned.reasons.len() == 1), "lifetime alone");
}

#[tokio::test]
async fn a_version_that_lists_no_expiry_makes_no_token_endless() {
    let stub = Stub::start().await;
    // The example of the documentation of 1.0, with the owner.
    stub.contents().tokens = vec![
        json!({"created": 1_573_814_077_364_i64, "words": "Automation token", "id": 4,
                                         "lastAccessed": 1_573_814_464_012_i64, "userKey": "2", "tokenScope": 0}),
    ];
    stub.contents().listing.bare = true;
    let policy =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
    let plan = plan(&stub.target(), &policy, NOW).await;
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert_eq!(missing(&plan), ["the server does not say the expiry of token 4: it is not looked at"]);
}

#[tokio::test]
async fn a_user_who_is_listed_twice_owns_what_is_listed_for_the_user() {
    let stub = Stub::filled().await;
    // Somebody is made while the users are read: the last one of a page stands again on the next.
    stub.after("/rest/api/latest/admin/users", |now| now.users.insert(0, ("new", "9", true)));
    assert_eq!(tokens(&stub.target()).await, (EVERYTHING.map(str::to_owned).to_vec(), Coverage::Complete));
}

#[tokio::test]
async fn an_owner_who_left_the_directory_is_known_by_the_key() {
    let stub = Stub::start().await;
    stub.contents().tokens = vec![token(7, "JIRAUSER10105", 1, "old"), token(8, "1", 1, "ours")];
    stub.contents().listing.silent_on = vec![];
    assert_eq!(
        tokens(&stub.target()).await,
        (
            vec!["7 of JIRAUSER10105 read-only old".to_owned(), "8 of warden read-only ours".to_owned()],
            Coverage::Complete
        )
    );
    // Who is called like the key of somebody else is not taken for that one.
    stub.contents().users.push(("JIRAUSER10105", "9", true));
    let (seen, coverage) = tokens(&stub.target()).await;
    assert_eq!(seen, ["8 of warden read-only ours"]);
    assert_eq!(coverage.missing().count(), 1);
}

#[tokio::test]
async fn a_plan_finds_what_the_samples_break() {
    let stub = Stub::filled().await;
    let policy = policy(
        "version: 1\ntokens:\n  limits: [{max_scope: read-only, max_lifetime: 1y, max_unused: 30d}]\n  \
         enforcement: {owner-inactive: revoke, never-used: expire, scope: narrow, scope-unset: report}\n",
    );
    let plan = plan(&stub.target(), &policy, NOW).await;
    assert_eq!(actions(&plan), ["mark 1", "mark 2", "mark 4", "mark 5", "revoke 3"]);
    let reported: Vec<_> = plan
        .reported
        .iter()
        .map(|found| {
            let rules: Vec<_> = found.findings.iter().map(|finding| finding.rule.to_string()).collect();
            format!("{} {}", found.token.id, rules.join(" "))
        })
        .collect();
    assert_eq!(
        reported,
        ["1 lifetime scope", "2 lifetime", "3 lifetime", "4 lifetime scope", "5 scope-unset lifetime scope"]
    );
    assert_eq!(held_back(&plan), ["rule scope: this kind of target cannot lower the scope of a token"]);
}

#[tokio::test]
async fn a_plan_makes_one_call_for_each_page_and_a_few_more() {
    let stub = Stub::filled().await;
    stub.contents().listing.silent_on = vec![];
    let nothing = policy("version: 1\n");
    plan(&stub.target(), &nothing, NOW).await;
    let calls = || std::mem::take(&mut stub.contents().calls);
    let (first, users) = (2, 2 * 2);
    // Who we are and the version; two pages of users, which are read twice, and three of tokens.
    let asked = calls();
    assert_eq!(asked.len(), first + users + 3, "{asked:#?}");
    stub.contents().listing.silent_on = vec!["userKey", "tokenScope"];
    plan(&stub.target(), &nothing, NOW).await;
    // The tokens once more by user: two pages, one and one; and by scope: one, one and two.
    let asked = calls();
    assert_eq!(asked.len(), first + users + 3 + (2 + 1 + 1) + (1 + 1 + 2), "{asked:#?}");
}

#[tokio::test]
async fn a_credential_that_can_only_read_makes_the_same_plan() {
    let stub = Stub::filled().await;
    let policy =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
    let before = plan(&stub.target(), &policy, NOW).await;
    stub.contents().refused = vec!["PATCH", "DELETE", "PUT", "POST"];
    assert_eq!(plan(&stub.target(), &policy, NOW).await, before);
    stub.contents().refused = vec!["GET /rest/de.resolution"];
    let error = stub.target().tokens(&mut |_| {}).await.unwrap_err();
    assert!(one_line(&error).contains("Not for you; the credential may not do this"), "{}", one_line(&error));
}

#[tokio::test]
async fn the_run_never_revokes_its_own_token_when_the_server_encodes_its_name() {
    let stub = Stub::filled().await;
    for name in ["ann@example.com", "Ann Lee", "a+b", "J\u{fc}rgen"] {
        stub.contents().users[0].0 = name;
        stub.contents().we = name;
        let target = stub.target_as(HttpCredential::Bearer("opaque".into()), ResolutionOptions::default());
        let revoking =
            policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
        let plan = plan(&target, &revoking, NOW).await;
        assert_eq!(actions(&plan), ["revoke 1", "revoke 2", "revoke 3", "revoke 5"], "{name}");
    }
}

#[tokio::test]
async fn a_server_without_the_app_is_told_apart_from_one_that_does_not_let_us_see_its_tokens() {
    let stub = Stub::filled().await;
    stub.contents().unknown = vec!["/rest/de.resolution"];
    let error = one_line(&stub.target().tokens(&mut |_| {}).await.unwrap_err());
    assert!(error.contains("does not have the app"), "{error}");
    stub.contents().unknown.clear();
    stub.contents().refused = vec!["GET /rest/de.resolution"];
    let error = one_line(&stub.target().tokens(&mut |_| {}).await.unwrap_err());
    assert!(error.contains("the credential may not do this") && !error.contains("the app"), "{error}");
}

#[tokio::test]
async fn the_token_of_the_run_is_never_touched_and_when_it_is_not_known_none_that_may_be_it() {
    let stub = Stub::filled().await;
    let policy =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
    let others = ["revoke 1", "revoke 2", "revoke 3", "revoke 5"];
    let token_id = Some(TokenId::new("4"));
    let basic = HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
    for credential in [basic, HttpCredential::Bearer("secret".into())] {
        let named = stub.target_as(
            credential,
            ResolutionOptions { token_id: token_id.clone(), ..ResolutionOptions::default() },
        );
        let seen = plan(&named, &policy, NOW).await;
        assert_eq!(actions(&seen), others);
        assert_eq!(held_back(&seen), ["token 4: it is the credential of this run: rotate it"]);
    }
    let unnamed = stub.target_as(HttpCredential::Bearer("secret".into()), ResolutionOptions::default());
    let seen = plan(&unnamed, &policy, NOW).await;
    assert_eq!(actions(&seen), others);
    assert!(held_back(&seen)[0].contains("`self: { token_id: .. }`"));
}
