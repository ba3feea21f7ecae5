//! Revoking after an incident on a server that lists tokens by their owners.

use tokenwarden::{
    http::HttpCredential,
    model::{TokenId, rails::Rails},
    plan::{Allowed, Criteria, Incident, Plan, Purpose, Selection, Terms},
    policy::Policy,
    targets::bitbucket::{Bitbucket, BitbucketOptions},
};

use super::{
    actions,
    program::{Repository, server},
    stub::{Stub, TARGET, token},
};
use crate::support::world::{NOW, terms, time};

async fn plan(target: &Bitbucket, tokens: Selection) -> Plan {
    let policy = Policy::default();
    let terms = Terms { target: TARGET, ..terms(&policy, time(NOW)) };
    let purpose = Purpose::Revoke(Incident { tokens, leaks: Vec::new(), reason: "laptop stolen".to_owned() });
    Plan::make_for(&purpose, &terms, target).await.unwrap()
}

fn owner(name: &str) -> Selection {
    Selection::Fitting(Criteria::of_owner(name.parse().unwrap()))
}

fn ids(ids: &[&str]) -> Selection {
    Selection::Tokens(ids.iter().map(|id| TokenId::new(*id)).collect())
}

fn revoke<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["revoke", "--auto-approve", "--reason", "laptop stolen"], arguments].concat()
}

#[tokio::test]
async fn of_the_tokens_those_of_the_owner_alone_are_read_and_the_rails_do_not_take_them_for_all() {
    let stub = Stub::start().await;
    for id in ["001", "002", "003", "004", "005"] {
        stub.add("users/mary_example.com", token(id, "x", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    }
    stub.add("projects/PLAT", token("006", "x", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    // Whatever the case, the slug is the one that the directory says.
    let mary = plan(&stub.target(), owner("MARY@example.com")).await;
    assert_eq!(actions(&mary), ["revoke 001", "revoke 002", "revoke 003", "revoke 004", "revoke 005"]);
    let calls = stub.contents().calls.clone();
    let of_tokens: Vec<_> = calls.iter().filter(|call| call.contains("access-tokens")).collect();
    assert_eq!(of_tokens, ["GET /rest/access-tokens/latest/users/mary_example.com"; 3], "two on a page");
    assert!(!calls.iter().any(|call| call.ends_with("/projects") || call.ends_with("/repos")), "{calls:#?}");
    assert_eq!(mary.refusals(&Rails::default(), &Allowed::new()), [], "of all tokens nobody knows the share");
    let project = plan(&stub.target(), owner("project PLAT")).await;
    assert_eq!(actions(&project), ["revoke 006"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_could_not_be_seen_are_not_said_to_be_absent() {
    let stub = server().await;
    stub.contents().refused = vec!["/rest/access-tokens/latest/users/"];
    let repository = Repository::new(&stub, "");
    let mary = repository.run(&revoke(&["--owner", "mary@example.com"])).await;
    assert_eq!(mary.code, Some(1), "{}{}", mary.stdout, mary.stderr);
    insta::assert_snapshot!(mary.stdout.replace(&stub.url(), "URL"), @"
    Nothing can be revoked on prod (URL).

    Held back:

      ? the tokens of mary@example.com could not be seen: 401 Unauthorized

    Note: tokens of users whom the server has deleted cannot be seen, and may still work

    0 tokens seen.
    ");
    let one = repository.run(&revoke(&["--token", "075905477751"])).await;
    assert_eq!(one.code, Some(1), "{}{}", one.stdout, one.stderr);
    insta::assert_snapshot!(one.stdout.replace(&stub.url(), "URL"), @"
    Nothing can be revoked on prod (URL).

    Held back:

      ? token 075905477751
          there is no such token among those that were seen, and not all were
      ? the tokens of 3 users, such as gone, could not be seen: 401 Unauthorized

    Note: tokens of users whom the server has deleted cannot be seen, and may still work

    0 tokens seen.
    ");
    let nobody = repository.run(&revoke(&["--owner", "project NOPE"])).await;
    assert_eq!(nobody.code, Some(1), "{}{}", nobody.stdout, nobody.stderr);
    assert!(nobody.stdout.contains("the tokens of project NOPE could not be seen: 404"), "{}", nobody.stdout);
    assert_eq!(stub.contents().writes, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_the_config_file_leaves_out_are_not_said_to_be_absent() {
    let stub = server().await;
    let repository = Repository::new(&stub, "    areas: [project]\n");
    let mary = repository.run(&revoke(&["--owner", "mary@example.com"])).await;
    assert_eq!(mary.code, Some(1), "{}{}", mary.stdout, mary.stderr);
    let why = "the config file leaves it out: tokens of users are not looked at";
    assert!(
        mary.stdout.starts_with("Nothing can be revoked") && mary.stdout.contains(why),
        "{}",
        mary.stdout
    );
    let one = repository.run(&revoke(&["--token", "075905477751"])).await;
    assert_eq!(one.code, Some(1), "{}{}", one.stdout, one.stderr);
    assert!(
        one.stdout.contains("no such token among those that were seen, and not all were"),
        "{}",
        one.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_cannot_be_seen_does_not_matter_once_every_token_was_found() {
    let stub = server().await;
    stub.contents().refused = vec!["/rest/access-tokens/latest/projects/"];
    let found = Repository::new(&stub, "").run(&revoke(&["--token", "075905477751"])).await;
    assert_eq!(found.code, Some(0), "{}{}", found.stdout, found.stderr);
    assert!(found.stdout.contains("\nConverged: "), "{}", found.stdout);
}

#[tokio::test]
async fn a_token_that_may_be_that_of_the_run_goes_only_when_it_is_named() {
    let stub = Stub::start().await;
    for id in ["000000000001", "000000000002"] {
        stub.add("users/warden", token(id, "x", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    }
    stub.contents().refused = vec!["/rest/basicauth"];
    let bearer = || HttpCredential::Bearer("opaque".into());
    let unknown = stub.target_as(bearer(), BitbucketOptions::default());
    let all = plan(&unknown, owner("warden")).await;
    assert_eq!(actions(&all), Vec::<String>::new());
    assert_eq!(all.held_back.len(), 2);
    assert!(all.held_back.iter().all(|held| held.reason.contains("self: { token_id")), "{:?}", all.held_back);
    assert_eq!(actions(&plan(&unknown, ids(&["000000000001"])).await), ["revoke 000000000001"]);
    let options =
        BitbucketOptions { token_id: Some(TokenId::new("000000000001")), ..BitbucketOptions::default() };
    let known = plan(&stub.target_as(bearer(), options), owner("warden")).await;
    assert_eq!(actions(&known), ["revoke 000000000002"]);
}
