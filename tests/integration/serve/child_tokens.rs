//! Tokens that were made with a token: what becomes of them when that one is revoked.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    apply::signals::Gate,
    support::{Made, TOKENS, TestServer, WHOAMI, answer, days_ago, status},
    targets::reconcile::{self, Repository},
};

/// A token that was made with `parent`, for `owner`.
async fn child(server: &TestServer, parent: &Made, owner: &str) -> Made {
    let body = json!({"tokenForUserKey": owner, "tokenScope": 2, "tokenDescription": "child"});
    let request = server.with_token(&parent.secret, Method::POST, &format!("{TOKENS}/token")).json(&body);
    let created = answer(request, StatusCode::OK).await;
    Made {
        id: created["id"].as_i64().unwrap(),
        secret: created["plainTextToken"].as_str().unwrap().to_owned(),
    }
}

/// A token of an administrator, one that was made with it, one that was made with that one for somebody else, and one
/// that has nothing to do with them.
async fn family(server: &TestServer) -> [Made; 4] {
    let first = server.make_token("root", 2).await;
    let second = child(server, &first, "root").await;
    let third = child(server, &second, "mary").await;
    let other = server.make_token("sam", 2).await;
    [first, second, third, other]
}

async fn alive(server: &TestServer) -> BTreeSet<i64> {
    server.all_tokens().await.iter().map(|token| token["id"].as_i64().unwrap()).collect()
}

async fn works(server: &TestServer, made: &Made) -> bool {
    status(server.with_token(&made.secret, Method::GET, WHOAMI)).await == 200
}

async fn entries(server: &TestServer, query: &str) -> Vec<Value> {
    let path = format!("/rest/tokenwarden/1/audit?limit=1000&{query}");
    answer(server.as_operator(Method::GET, &path), StatusCode::OK).await["values"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_long_line_of_tokens_is_revoked_at_once_and_leaves_nothing_behind() {
    let server = TestServer::new().await;
    let mut latest = server.make_token("root", 2).await;
    let (mut middle, mut last_but_one) = (None, None);
    for number in 0..300 {
        let next = child(&server, &latest, "root").await;
        let before = std::mem::replace(&mut latest, next);
        if number == 150 {
            middle = Some(before);
        } else {
            last_but_one = Some(before);
        }
    }
    let first_page = async |path: &str| {
        answer(server.as_operator(Method::GET, &format!("{TOKENS}/{path}?afterId=0&limit=1")), StatusCode::OK)
            .await
    };
    for gone in [middle.unwrap(), last_but_one.unwrap()] {
        let path = format!("{TOKENS}/token/{}?children=keep", gone.id);
        answer(server.as_operator(Method::DELETE, &path), StatusCode::OK).await;
    }
    assert_eq!(first_page("tokensByFilter").await["ancestors"].as_array().unwrap().len(), 2);
    let own = server.with_token(&latest.secret, Method::GET, &format!("{TOKENS}/token?afterId=0"));
    assert!(
        answer(own, StatusCode::OK).await.get("ancestors").is_none(),
        "whose they were is not for everybody"
    );
    answer(server.as_operator(Method::DELETE, &format!("{TOKENS}/token/deleteAllFor/root")), StatusCode::OK)
        .await;
    assert_eq!(alive(&server).await.len(), 0);
    let listed = first_page("tokensByFilter").await;
    assert!(listed.get("ancestors").is_none(), "nothing came of them that is still there: {listed}");
}

#[tokio::test]
async fn what_is_kept_about_tokens_that_are_gone_goes_with_the_last_that_came_of_them() {
    let server = TestServer::new().await;
    let [first, second, third, _] = family(&server).await;
    let fourth = child(&server, &third, "mary").await;
    let ancestors = async || {
        let path = format!("{TOKENS}/tokensByFilter?afterId=0&limit=1");
        let listed = answer(server.as_operator(Method::GET, &path), StatusCode::OK).await;
        listed.get("ancestors").and_then(Value::as_array).map_or(0, Vec::len)
    };
    for (gone, left) in [(&second, 1), (&third, 2), (&fourth, 0), (&first, 0)] {
        let path = format!("{TOKENS}/token/{}?children=keep", gone.id);
        answer(server.as_operator(Method::DELETE, &path), StatusCode::OK).await;
        assert_eq!(ancestors().await, left);
    }
}

#[tokio::test]
async fn revoking_a_token_takes_what_was_made_with_it_along_on_every_path_unless_it_is_to_stay() {
    for path in [
        format!("{TOKENS}/token/ID"),
        format!("{TOKENS}/token/deleteAllFor/root"),
        "/rest/access-tokens/1.0/users/root/ID".to_owned(),
        "/rest/access-tokens/latest/users/root/ID".to_owned(),
    ] {
        for keep in [false, true] {
            let server = TestServer::new().await;
            let [first, second, third, other] = family(&server).await;
            let id = if path.contains("access-tokens") {
                format!("{:012}", first.id)
            } else {
                first.id.to_string()
            };
            let query = if keep { "?children=keep" } else { "" };
            let path = path.replace("ID", &id) + query;
            let done = status(server.with_password("root", Method::DELETE, &path)).await;
            assert!(done == 200 || done == 204, "{path}: {done}");
            let all_of_root = path.contains("deleteAllFor");
            let mut left = BTreeSet::from([other.id]);
            if keep {
                left.insert(third.id);
            }
            if keep && !all_of_root {
                left.insert(second.id);
            }
            assert_eq!(alive(&server).await, left, "{path}");
            assert_eq!(works(&server, &third).await, keep, "{path}");
            assert!(works(&server, &other).await);
            let told = entries(&server, "action=token-revoke").await;
            let with: Vec<(i64, Option<i64>)> = told
                .iter()
                .map(|entry| (entry["token"].as_i64().unwrap(), entry["with_token"].as_i64()))
                .collect();
            let expected = match (keep, all_of_root) {
                (true, false) => vec![(first.id, None)],
                (true, true) => vec![(first.id, None), (second.id, None)],
                (false, false) => {
                    vec![(first.id, None), (second.id, Some(first.id)), (third.id, Some(first.id))]
                }
                (false, true) => vec![(first.id, None), (second.id, None), (third.id, Some(second.id))],
            };
            assert_eq!(with, expected, "{path}");
        }
    }
}

#[tokio::test]
async fn what_came_of_a_token_goes_with_it_also_across_one_that_went_alone_before() {
    let server = TestServer::new().await;
    let [first, second, third, other] = family(&server).await;
    let alone = format!("{TOKENS}/token/{}?children=keep", second.id);
    assert_eq!(status(server.as_operator(Method::DELETE, &alone)).await, 200);
    assert_eq!(alive(&server).await, [first.id, third.id, other.id].into());
    let whole = format!("{TOKENS}/token/{}", first.id);
    assert_eq!(status(server.as_operator(Method::DELETE, &whole)).await, 200);
    assert_eq!(alive(&server).await, [other.id].into());
    let told = entries(&server, &format!("token={}&action=token-revoke", first.id)).await;
    assert_eq!(told.len(), 2, "which went with which is found by either: {told:?}");
}

#[tokio::test]
async fn the_token_that_one_was_made_with_is_told_and_an_unknown_wish_for_children_is_refused() {
    let server = TestServer::new().await;
    let [first, second, ..] = family(&server).await;
    assert_eq!(server.token(second.id).await.unwrap()["parent"], first.id);
    assert!(server.token(first.id).await.unwrap().get("parent").is_none());
    for (path, dialect) in [
        (format!("{TOKENS}/token/{}", first.id), "app"),
        (format!("{TOKENS}/token/deleteAllFor/root"), "app"),
        (format!("/rest/access-tokens/latest/users/root/{:012}", first.id), "bitbucket"),
    ] {
        for wish in ["spare", "", "KEEP", "keep&children=keep"] {
            let path = format!("{path}?children={wish}");
            assert_eq!(
                status(server.with_password("root", Method::DELETE, &path)).await,
                400,
                "{dialect} {wish}"
            );
        }
    }
    assert_eq!(alive(&server).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_takes_what_was_made_with_the_token_along_and_shows_counts_and_limits_it() {
    for by_owner in [false, true] {
        let server = reconcile::server().await;
        let warden = reconcile::token(&server, "root", "warden").await;
        let leaked = reconcile::token(&server, "toor", "leaked").await;
        let second = child(&server, &leaked, "toor").await;
        let third = child(&server, &second, "mary").await;
        let other = reconcile::token(&server, "mary", "other").await;
        let repository = Repository::new(&server, &warden.secret, "version: 1\n");
        let id = leaked.id.to_string();
        let which = if by_owner { ["--owner", "toor"] } else { ["--token", &id] };
        let run = |more: &'static [&'static str]| {
            let arguments = [&["revoke", "--reason", "in a log"], &which[..], more].concat();
            let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            let repository = &repository;
            async move { repository.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await }
        };
        let shown = run(&[]).await;
        assert_eq!(shown.code, Some(4), "nobody said yes: {}", shown.stderr);
        assert!(shown.stdout.contains("Plan: 3 tokens to revoke."), "{}", shown.stdout);
        let made = format!("made with token {}", second.id);
        assert!(shown.stdout.contains(&made), "{}", shown.stdout);
        let done = run(&["--auto-approve"]).await;
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        for gone in [&leaked, &second, &third] {
            assert!(!works(&server, gone).await);
        }
        assert!(works(&server, &other).await && works(&server, &warden).await);
        let told = entries(&server, "action=token-revoke").await;
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|entry| entry["run"].is_string()), "{told:?}");
        assert!(done.stdout.contains("3 tokens revoked."), "each is counted once: {}", done.stdout);
        let runs = "/rest/tokenwarden/1/runs";
        let runs = answer(server.as_operator(Method::GET, runs), StatusCode::OK).await["runs"].clone();
        let changes = runs[0]["changes"].as_array().unwrap();
        let counted = changes.iter().filter(|change| change["counts"] == json!({"revocations": 1}));
        assert_eq!((changes.len(), counted.count()), (3, 3), "{changes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_revokes_what_breaks_its_policy_and_leaves_what_was_made_with_it() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    let parent = reconcile::token(&server, "toor", "leave no trace").await;
    let kept = child(&server, &parent, "toor").await;
    let rule = "{name: no-trace, when: 'token.description == \"leave no trace\"', message: x}";
    let policy = format!("version: 1\ntokens:\n  rules: [{rule}]\n  enforcement: {{no-trace: revoke}}\n");
    let repository = Repository::new(&server, &warden.secret, &policy);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("Plan: 1 token to revoke."), "{}", applied.stdout);
    assert!(!works(&server, &parent).await && works(&server, &kept).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_finds_what_came_of_a_token_across_one_that_is_gone() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    let leaked = reconcile::token(&server, "toor", "leaked").await;
    let second = child(&server, &leaked, "toor").await;
    let third = child(&server, &second, "mary").await;
    let alone = format!("{TOKENS}/token/{}?children=keep", second.id);
    assert_eq!(status(server.as_operator(Method::DELETE, &alone)).await, 200);
    let repository = Repository::new(&server, &warden.secret, "version: 1\n");
    let id = leaked.id.to_string();
    let done = repository.run(&["revoke", "--token", &id, "--reason", "x", "--auto-approve"]).await;
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(!works(&server, &leaked).await && !works(&server, &third).await);
}

fn begins_run(method: &str, path: &str) -> bool {
    method == "POST" && path.ends_with("/runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_made_with_a_leaked_one_after_the_plan_goes_with_it_and_is_counted() {
    for by_owner in [false, true] {
        let server = reconcile::server().await;
        let warden = reconcile::token(&server, "root", "warden").await;
        let leaked = reconcile::token(&server, "toor", "leaked").await;
        let planned = child(&server, &leaked, "toor").await;
        let mut gate = Gate::start(server.address(), begins_run).await;
        let repository = Repository::new(&server, &warden.secret, "version: 1\n");
        repository.edit_settings(&server.url(""), &gate.proxy.url());
        repository.edit_settings("version: 1\n", "version: 1\njournal: {directory: journal}\n");
        let id = leaked.id.to_string();
        let which = if by_owner { ["--owner", "toor"] } else { ["--token", &id] };
        let arguments =
            [&["revoke", "--reason", "x", "--auto-approve", "--report", "json=r.json"], &which[..]];
        let arguments = arguments.concat();
        let (run, late) = tokio::join!(repository.run(&arguments), async {
            gate.arrived.recv().await.unwrap();
            let late = child(&server, &planned, "mary").await;
            gate.open.send_replace(true);
            late
        });
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        for gone in [&leaked, &planned, &late] {
            assert!(!works(&server, gone).await, "{}", run.stdout);
        }
        assert!(run.stdout.contains("Plan: 2 tokens to revoke."), "{}", run.stdout);
        assert!(run.stdout.contains(&format!("along: revoke token {}", late.id)), "{}", run.stdout);
        assert!(run.stdout.contains("3 tokens revoked."), "{}", run.stdout);
        let report = std::fs::read_to_string(repository.folder.path().join("r.json")).unwrap();
        assert!(report.contains(&format!("prod/token/{}", late.id)), "{report}");
        // What went along counts for the rails of the next run, in the ledger and beside a journal that lacks it.
        reconcile::token(&server, "sam", "next").await;
        repository.edit_settings("revocations: { amount: 9, percent: 100 }", "revocations: { amount: 3 }");
        let next = repository.run(&["revoke", "--owner", "sam", "--reason", "x", "--auto-approve"]).await;
        assert_eq!(next.code, Some(4), "{}{}", next.stdout, next.stderr);
        assert!(next.stderr.contains("earlier runs of the last 1d did 3"), "{}", next.stderr);
    }
}

/// The scope and the end of a token.
async fn reach(server: &TestServer, made: &Made) -> (i64, i64) {
    let token = server.token(made.id).await.unwrap();
    (token["tokenScope"].as_i64().unwrap(), token["validUntil"].as_i64().unwrap())
}

#[tokio::test]
async fn what_came_of_a_token_reaches_no_farther_than_it_does_once_it_is_narrowed() {
    let (soon, later) = (days_ago(-10), days_ago(-20));
    let app = |id: i64| (Method::PATCH, format!("{TOKENS}/token/{id}"));
    let bitbucket = |id: i64| (Method::POST, format!("/rest/access-tokens/latest/users/root/{id:012}"));
    let read_only = json!({"tokenScope": 1});
    for (at, body, expected) in [
        (app as fn(i64) -> (Method, String), read_only.clone(), (1, 0)),
        (app, json!({"tokenExpirationDateTimeMillis": soon}), (2, soon)),
        (app, json!({"tokenScope": 1, "tokenExpirationDateTimeMillis": soon}), (1, soon)),
        (bitbucket, json!({"permissions": ["REPO_READ"]}), (1, 0)),
    ] {
        let server = TestServer::new().await;
        let [first, second, third, other] = family(&server).await;
        let fourth = child(&server, &third, "mary").await;
        // What has less already keeps it, and what came of one that is gone is no exception.
        let own = json!({"tokenScope": 1, "tokenExpirationDateTimeMillis": later});
        answer(
            server.as_operator(Method::PATCH, &format!("{TOKENS}/token/{}", fourth.id)).json(&own),
            StatusCode::OK,
        )
        .await;
        let alone = format!("{TOKENS}/token/{}?children=keep", third.id);
        answer(server.as_operator(Method::DELETE, &alone), StatusCode::OK).await;
        let before = entries(&server, "").await.len();
        let (method, path) = at(first.id);
        answer(server.with_password("root", method.clone(), &path).json(&body), StatusCode::OK).await;
        assert_eq!(reach(&server, &first).await, expected, "{path} {body}");
        assert_eq!(reach(&server, &second).await, expected, "{path} {body}");
        assert_eq!(reach(&server, &fourth).await, (1, if expected.1 == 0 { later } else { soon }), "{body}");
        assert_eq!(reach(&server, &other).await, (2, 0));
        let told = entries(&server, &format!("token={}&action=token-update", first.id)).await;
        let with: Vec<_> = told.iter().map(|entry| (&entry["token"], &entry["with_token"])).collect();
        let mut narrowed = vec![(json!(first.id), Value::Null), (json!(second.id), json!(first.id))];
        if expected.1 == soon {
            narrowed.push((json!(fourth.id), json!(first.id)));
        }
        assert_eq!(with, narrowed.iter().map(|(one, with)| (one, with)).collect::<Vec<_>>(), "{body}");
        let of_child = &told[1]["details"];
        assert!(of_child.get("scope").or(of_child.get("expires")).is_some(), "{of_child}");
        answer(server.with_password("root", method, &path).json(&body), StatusCode::OK).await;
        assert_eq!(entries(&server, "").await.len(), before + narrowed.len(), "twice is as once: {body}");
    }
}

#[tokio::test]
async fn a_child_that_was_wider_before_is_narrowed_when_its_parent_is_narrowed_once_more() {
    let server = TestServer::new().await;
    let [first, second, ..] = family(&server).await;
    let path = format!("{TOKENS}/token/{}", first.id);
    let narrow =
        || answer(server.as_operator(Method::PATCH, &path).json(&json!({"tokenScope": 1})), StatusCode::OK);
    narrow().await;
    // As stores of earlier versions have it.
    let options = SqliteConnectOptions::new().filename(server.store_file());
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    let wider = sqlx::query("UPDATE tokens SET scope = 2 WHERE id = ?1").bind(second.id);
    wider.execute(&mut store).await.unwrap();
    assert_eq!(reach(&server, &second).await.0, 2);
    narrow().await;
    assert_eq!(reach(&server, &second).await.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_narrows_a_token_tells_what_was_narrowed_with_it_and_revokes_it_all_the_same() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    let parent = reconcile::token(&server, "toor", "narrow me").await;
    let silent = child(&server, &parent, "root").await;
    let gone = child(&server, &parent, "sam").await;
    let rename = json!({"tokenDescription": "revoke me"});
    answer(
        server.as_operator(Method::PATCH, &format!("{TOKENS}/token/{}", gone.id)).json(&rename),
        StatusCode::OK,
    )
    .await;
    let policy = "version: 1
tokens:
  rules:
    - {name: narrow-me, when: 'token.description == \"narrow me\" && token.scope == \"read-write\"', message: x}
    - {name: revoke-me, when: 'token.description == \"revoke me\"', message: x}
  enforcement: {narrow-me: narrow, revoke-me: revoke}
";
    let repository = Repository::new(&server, &warden.secret, policy);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("Plan: 1 token to narrow, 1 token to revoke."), "{}", applied.stdout);
    assert!(applied.stdout.contains(&format!("along: narrow token {}", silent.id)), "{}", applied.stdout);
    assert!(applied.stdout.contains("3 tokens narrowed, 1 token revoked."), "{}", applied.stdout);
    assert_eq!((reach(&server, &parent).await.0, reach(&server, &silent).await.0), (1, 1));
    assert!(!works(&server, &gone).await, "what the run itself narrows is no change by somebody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_run_takes_its_own_credential_along() {
    let server = reconcile::server().await;
    let parent = reconcile::token(&server, "root", "narrow me").await;
    let warden = child(&server, &parent, "root").await;
    let other = child(&server, &parent, "root").await;
    let below = child(&server, &warden, "root").await;
    let policy = "version: 1
tokens:
  rules: [{name: narrow-me, when: 'token.description == \"narrow me\" && token.scope == \"read-write\"', message: x}]
  enforcement: {narrow-me: narrow}
";
    let repository = Repository::new(&server, &warden.secret, policy);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_ne!(applied.code, Some(0), "{}", applied.stdout);
    assert!(applied.stdout.contains("rotate it"), "{}{}", applied.stdout, applied.stderr);
    assert_eq!((reach(&server, &parent).await.0, reach(&server, &warden).await.0), (2, 2));
    let id = parent.id.to_string();
    let revoked = repository.run(&["revoke", "--token", &id, "--reason", "x", "--auto-approve"]).await;
    assert_eq!(revoked.code, Some(1), "it is held back: {}{}", revoked.stdout, revoked.stderr);
    assert_eq!(alive(&server).await, [warden.id].into(), "{}", revoked.stdout);
    assert!(!works(&server, &other).await && !works(&server, &below).await);
}
