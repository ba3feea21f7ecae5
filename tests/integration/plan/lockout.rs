//! Plans that would shut somebody out, with the real program against a real server: each is refused
//! before anything is written, and plans that shut nobody out are applied.

use std::net::SocketAddr;

use axum::{Router, body::Bytes, extract::Request, http::HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    support::{
        Made, TOKENS, TestServer, WHOAMI, answer, client,
        program::{Quickstart, Run, dump},
        status,
    },
    targets::reconcile::{Repository, server, token},
};

/// Where the clients of the proxy are.
const BEHIND_THE_PROXY: &str = "192.0.2.9";

/// The settings with their entity tag and all tokens, without their last use: every request is one.
async fn state(server: &TestServer) -> (Value, String, Vec<Value>) {
    let (settings, etag) = server.settings().await;
    let mut tokens = server.all_tokens().await;
    for token in tokens.iter_mut().filter_map(Value::as_object_mut) {
        token.retain(|key, _| !key.starts_with("lastAccessed"));
    }
    (settings, etag, tokens)
}

/// `apply` shows the plan and refuses it, with each of `words` in what it says, and changes nothing;
/// `plan` warns of the same.
async fn assert_refused(server: &TestServer, repository: &Repository, words: &[&str]) {
    let before = state(server).await;
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(4), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("\nPlan: "), "the plan is shown first: {}", applied.stdout);
    assert!(applied.stderr.contains("refused, nothing was changed anywhere"), "{}", applied.stderr);
    assert!(applied.stderr.contains("prod: lockout: "), "{}", applied.stderr);
    let planned = repository.run(&["plan"]).await;
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    for word in words {
        assert!(applied.stderr.contains(word), "{word} is not in:\n{}", applied.stderr);
        assert!(planned.stderr.contains(word), "{word} is not in:\n{}", planned.stderr);
    }
    // Every write of the settings makes another entity tag.
    assert_eq!(state(server).await, before);
}

async fn assert_applied(repository: &Repository) -> Run {
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    applied
}

/// The administrator's token that runs are made with.
async fn warden(server: &TestServer) -> Made {
    token(server, "root", "warden").await
}

/// A repository in which `toor` is to keep a way in.
fn with_break_glass(server: &TestServer, secret: &str, policy: &str) -> Repository {
    let repository = Repository::new(server, secret, policy);
    repository.edit_settings("    rails:", "    lockout: { break_glass: [toor] }\n    rails:");
    repository
}

/// A proxy in front of `server`, which says that its clients are at [`BEHIND_THE_PROXY`].
async fn proxy(server: &TestServer) -> SocketAddr {
    let (client, base) = (client(), server.url(""));
    let forward = move |request: Request| {
        let (client, base) = (client.clone(), base.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            parts.headers.remove("host");
            parts.headers.remove("accept-encoding");
            parts.headers.insert("x-forwarded-for", HeaderValue::from_static(BEHIND_THE_PROXY));
            let url = format!("{base}{}", parts.uri);
            let answered = client.request(parts.method, url).headers(parts.headers).body(body).send();
            let answered = answered.await.unwrap();
            (answered.status(), answered.headers().clone(), answered.bytes().await.unwrap())
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(forward)).await });
    address
}

/// A server that believes the proxy, and a repository that reaches it through the proxy.
async fn behind_proxy(allow: Value, policy: &str) -> (TestServer, Repository) {
    let server = server().await;
    let warden = warden(&server).await;
    let repository = Repository::new(&server, &warden.secret, policy);
    repository.edit_settings(&server.url(""), &format!("http://{}", proxy(&server).await));
    let header = json!({"header": "X-Forwarded-For", "trusted_proxies": ["127.0.0.1"]});
    server.change_settings(json!({"network": {"client_address": header, "allow": allow}})).await;
    (server, repository)
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_without_our_address_are_refused_with_the_line_to_mend() {
    let server = server().await;
    let warden = warden(&server).await;
    let policy = "version: 1\nnetwork:\n  allow: [10.0.0.0/8]\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    let remedy = "add 127.0.0.1 to `network.allow` at policy.yaml:3";
    assert_refused(&server, &repository, &["the credential of this run", remedy]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_move_away_from_us_are_refused_before_they_are_even_widened() {
    let server = server().await;
    let warden = warden(&server).await;
    server.change_settings(json!({"network": {"allow": ["127.0.0.0/8"]}})).await;
    let policy = "version: 1\nnetwork: {allow: [10.0.0.0/8, 127.0.0.2/32]}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    assert_refused(&server, &repository, &["127.0.0.1 would be refused"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_our_address_is_the_one_in_the_header() {
    let policy = "version: 1\nnetwork: {allow: [127.0.0.1, 10.0.0.0/8]}\n";
    let (server, repository) = behind_proxy(json!("anywhere"), policy).await;
    assert_refused(&server, &repository, &["add 192.0.2.9 to `network.allow`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_makes_the_server_see_the_proxy_in_our_place_is_refused() {
    let policy = "version: 1\nnetwork: {client_address: peer}\n";
    let (server, repository) = behind_proxy(json!(["192.0.2.0/24"]), policy).await;
    // The operator of the server itself is exempt, so that the state can be compared.
    assert_refused(&server, &repository, &["the server would see 127.0.0.1", "network.client_address"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_behind_which_our_address_cannot_be_known_is_refused_while_networks_are_restricted() {
    let server = server().await;
    let warden = warden(&server).await;
    let policy = "version: 1\nnetwork:\n  allow: [127.0.0.1, 192.0.2.0/24]\n  client_address: \
                  {header: X-Forwarded-For, trusted_proxies: [127.0.0.1]}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    assert_refused(&server, &repository, &["cannot be known beforehand", "policy.yaml:4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawing_the_use_of_tokens_from_our_own_user_is_refused() {
    let server = server().await;
    let warden = warden(&server).await;
    let policy = "version: 1\npermissions: {use: [developers, ci-bots]}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    assert_refused(
        &server,
        &repository,
        &["the credential of this run", "`permissions.use` at policy.yaml:2"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turning_passwords_off_with_a_password_is_refused() {
    let server = server().await;
    token(&server, "toor", "spare").await;
    let policy = "version: 1\npassword_authentication: disabled\n";
    let repository = Repository::new(&server, "root", policy);
    repository.edit_settings("{ token_env: WARDEN_TOKEN }", "{ user: root, password_env: WARDEN_TOKEN }");
    assert_refused(&server, &repository, &["the credential of this run", "password: ", "policy.yaml:2"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turning_passwords_off_is_refused_when_a_break_glass_user_has_nothing_else() {
    let server = server().await;
    let warden = warden(&server).await;
    let policy = "version: 1\npassword_authentication: disabled\n";
    let repository = with_break_glass(&server, &warden.secret, policy);
    assert_refused(&server, &repository, &["`toor` of `break_glass`", "`except_users`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_token_of_a_break_glass_user_is_neither_revoked_nor_expired_nor_narrowed() {
    for (enforcement, words) in [
        ("lifetime: revoke", "revocation: "),
        ("lifetime: {action: expire, grace: 30d}", "expiry: "),
        ("scope: narrow", "scope: "),
        ("lifetime: {action: expire, grace: 30d}, scope: narrow", "expiry: "),
    ] {
        let server = server().await;
        let warden = warden(&server).await;
        token(&server, "toor", "spare").await;
        server.change_settings(json!({"password_authentication": "disabled"})).await;
        let limits =
            "[{groups: [developers], max_scope: read-write}, {max_scope: read-only, max_lifetime: 1y}]";
        let policy = format!("version: 1\ntokens: {{limits: {limits}, enforcement: {{{enforcement}}}}}\n");
        let repository = with_break_glass(&server, &warden.secret, &policy);
        let before = state(&server).await;
        let applied = repository.run(&["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(4), "{}{}", applied.stdout, applied.stderr);
        for word in ["`toor` of `break_glass`", words] {
            assert!(applied.stderr.contains(word), "{word}: {}", applied.stderr);
        }
        assert_eq!(state(&server).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_without_the_address_that_a_break_glass_user_comes_from_are_refused() {
    let server = server().await;
    let (warden, spare) = (warden(&server).await, token(&server, "toor", "spare").await);
    let header = json!({"header": "X-Forwarded-For", "trusted_proxies": ["127.0.0.1"]});
    let settings = json!({"network": {"client_address": header}, "password_authentication": "disabled"});
    server.change_settings(settings).await;
    let from =
        server.with_token(&spare.secret, Method::GET, WHOAMI).header("x-forwarded-for", "198.51.100.7");
    assert_eq!(status(from).await, StatusCode::OK);
    let policy = "version: 1\nnetwork: {allow: [127.0.0.1]}\n";
    let repository = with_break_glass(&server, &warden.secret, policy);
    let words = ["`toor` of `break_glass`", "add 198.51.100.7 to `network.allow` at policy.yaml:2"];
    assert_refused(&server, &repository, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_administrators_than_the_minimum_are_refused() {
    let server = server().await;
    let warden = warden(&server).await;
    let policy = "version: 1\npassword_authentication: disabled\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    repository.edit_settings("    rails:", "    lockout: { min_admins: 2 }\n    rails:");
    let words = ["1 of the 2 administrators who can apply", "`min_admins` is 2", "password: "];
    assert_refused(&server, &repository, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_left_for_some_of_the_calls_of_a_run_alone_are_no_way_in() {
    let server = server().await;
    let policy =
        "version: 1\npassword_authentication: {state: disabled, except_paths: ['/rest/tokenwarden/*']}\n";
    let repository = Repository::new(&server, "root", policy);
    repository.edit_settings("{ token_env: WARDEN_TOKEN }", "{ user: root, password_env: WARDEN_TOKEN }");
    let words = ["the credential of this run", "0 of the 2 administrators", "`min_admins` is 1"];
    assert_refused(&server, &repository, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_that_only_together_shut_somebody_out_are_refused_and_each_alone_is_applied() {
    let use_of_tokens = "permissions: {use: [ci-bots, developers]}\n";
    let passwords = "password_authentication: disabled\n";
    for (policy, refused) in [
        (format!("version: 1\n{use_of_tokens}{passwords}"), true),
        (format!("version: 1\n{use_of_tokens}"), false),
        (format!("version: 1\n{passwords}"), false),
    ] {
        let directory = crate::support::DIRECTORY.replace("developers: [mary,", "developers: [root, mary,");
        let clock = tokenwarden::serve::Clock::System;
        let server =
            TestServer::start(crate::support::Setup { directory, clock, ..Default::default() }).await;
        let warden = warden(&server).await;
        token(&server, "toor", "spare").await;
        let repository = with_break_glass(&server, &warden.secret, &policy);
        if refused {
            assert_refused(&server, &repository, &["`toor`", "permission: ", "password: "]).await;
        } else {
            assert_applied(&repository).await;
        }
    }
}

#[test]
fn an_embedded_server_counts_break_glass_users_although_it_cannot_shut_itself_out() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "    rails:", "    lockout: { break_glass: [root] }\n    rails:");
    assert_eq!(quickstart.run(&["plan"]).code, Some(0));
    let before = dump(&quickstart.store());
    let run = quickstart.run(&["apply", "--auto-approve"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stderr.contains("`root` of `break_glass`"), "{}", run.stderr);
    assert!(!run.stderr.contains("the credential of this run"), "{}", run.stderr);
    assert_eq!(dump(&quickstart.store()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lifts_a_lockout() {
    let server = server().await;
    let warden = warden(&server).await;
    let policy = "version: 1\nnetwork: {allow: [10.0.0.0/8]}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    let allowed = repository.run(&["apply", "--auto-approve", "--allow", "refused_callers=1000"]).await;
    assert_eq!(allowed.code, Some(4), "{}", allowed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn restrictions_that_leave_us_in_are_applied() {
    let server = server().await;
    let warden = warden(&server).await;
    let policy = "version: 1\npermissions: {use: [administrators]}\npassword_authentication: disabled\n\
                  network:\n  allow: [127.0.0.1]\n  client_address: {header: X-Real-IP, trusted_proxies: [10.0.0.5]}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    assert_applied(&repository).await;
    let mine = answer(server.with_token(&warden.secret, Method::GET, WHOAMI), StatusCode::OK).await;
    assert_eq!(mine["client_address"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn widening_is_applied_wherever_we_come_from() {
    let policy = "version: 1\nnetwork: {allow: anywhere}\npermissions: {use: everyone}\n\
                  password_authentication: allowed\n";
    let (server, repository) = behind_proxy(json!([BEHIND_THE_PROXY]), policy).await;
    server.change_settings(json!({"permissions": {"use": ["administrators"]}})).await;
    assert_applied(&repository).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_trusted_proxy_leaves_our_address_as_it_is() {
    let policy = "version: 1\nnetwork:\n  allow: [192.0.2.0/28]\n  client_address: \
                  {header: X-Forwarded-For, trusted_proxies: [127.0.0.1, 10.0.0.5]}\n";
    let (_server, repository) = behind_proxy(json!(["192.0.2.0/24"]), policy).await;
    assert_applied(&repository).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_before_a_plan_does_not_stop_it() {
    let server = server().await;
    let warden = warden(&server).await;
    server.change_settings(json!({"password_authentication": "disabled"})).await;
    let policy = "version: 1\npermissions: {use: [administrators]}\nnetwork: {allow: [127.0.0.0/8]}\n";
    let repository = with_break_glass(&server, &warden.secret, policy);
    repository.edit_settings("break_glass: [toor]", "break_glass: [root, toor, gone, nobody], min_admins: 5");
    let applied = assert_applied(&repository).await;
    let warned =
        |user: &str| applied.stderr.contains(&format!("`{user}` of `break_glass` has no way in to prod"));
    assert_eq!(
        ["root", "toor", "gone", "nobody"].map(warned),
        [false, true, true, true],
        "{}",
        applied.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_break_glass_user_may_go_while_another_way_in_is_left() {
    let server = server().await;
    let warden = warden(&server).await;
    token(&server, "toor", "wrong").await;
    let policy = "version: 1\ntokens: {limits: [{description: '^(warden|OPS-)'}], \
                  enforcement: {description: revoke}}\n";
    let body = json!({"tokenDescription": "OPS-1", "tokenScope": 2});
    let made = server.with_password("toor", Method::POST, &format!("{TOKENS}/token")).json(&body);
    answer(made, StatusCode::OK).await;
    server.change_settings(json!({"password_authentication": "disabled"})).await;
    let repository = with_break_glass(&server, &warden.secret, policy);
    let applied = assert_applied(&repository).await;
    assert!(applied.stdout.contains("1 token to revoke"), "{}", applied.stdout);
}

/// What a run calls on our own server, but for the lease and the ledger of runs.
const MOST_PATHS: &str = "/rest/tokenwarden/1/settings*, /rest/tokenwarden/1/whoami, /rest/api/latest/*, \
                          /rest/de.resolution.apitokenauth/latest/user/*";

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_left_for_all_but_the_lease_or_the_ledger_of_runs_are_no_way_in() {
    let server = server().await;
    let lease_and_runs = "/rest/tokenwarden/1/lease*, /rest/tokenwarden/1/runs*";
    let one_token = MOST_PATHS.replace("latest/user/*", "latest/user/token/0");
    for (paths, is_enough) in [
        (MOST_PATHS.to_owned(), false),
        (format!("{MOST_PATHS}, /rest/tokenwarden/1/lease*"), false),
        (format!("{MOST_PATHS}, /rest/tokenwarden/1/runs*"), false),
        (format!("{MOST_PATHS}, /rest/tokenwarden/1/lease, /rest/tokenwarden/1/runs"), false),
        (format!("{one_token}, {lease_and_runs}"), false),
        (format!("{MOST_PATHS}, {lease_and_runs}"), true),
    ] {
        let policy =
            format!("version: 1\npassword_authentication: {{state: disabled, except_paths: [{paths}]}}\n");
        let repository = Repository::new(&server, "root", &policy);
        repository.edit_settings("{ token_env: WARDEN_TOKEN }", "{ user: root, password_env: WARDEN_TOKEN }");
        if is_enough {
            assert_applied(&repository).await;
            let again = assert_applied(&repository).await;
            assert!(again.stdout.starts_with("No changes."), "{}", again.stdout);
        } else {
            assert_refused(&server, &repository, &["the credential of this run", "password: "]).await;
        }
    }
}

/// A policy that makes the token `spare` end tonight, and `more`.
fn ending(more: &str) -> String {
    format!(
        "version: 1\ntokens:\n  rules: [{{name: spares, when: 'token.description == \"spare\"', message: spares go}}]\n  \
         enforcement: {{spares: {{action: expire, grace: 2h}}}}\n{more}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_steps_of_which_each_is_harmless_shut_nobody_out_when_the_way_in_that_is_left_ends_soon() {
    for (horizon, is_refused) in [("", true), (", horizon: 3d", true), (", horizon: 1h", false)] {
        let server = server().await;
        let warden = warden(&server).await;
        token(&server, "toor", "spare").await;
        let repository = with_break_glass(&server, &warden.secret, &ending(""));
        repository.edit_settings("break_glass: [toor]", &format!("break_glass: [toor]{horizon}"));
        // The password is left.
        assert!(assert_applied(&repository).await.stdout.contains("1 token to expire"));
        let policy = ending("password_authentication: disabled\n");
        std::fs::write(repository.folder.path().join("policy.yaml"), policy).unwrap();
        if is_refused {
            assert_refused(
                &server,
                &repository,
                &["`toor` of `break_glass`", "`except_users`", "`lockout.horizon`"],
            )
            .await;
        } else {
            assert_applied(&repository).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_in_that_ends_soon_anyway_stops_no_other_plan_is_warned_of_and_is_not_taken_earlier() {
    let server = server().await;
    let warden = warden(&server).await;
    let spare = token(&server, "toor", "spare").await;
    let tomorrow = jiff::Timestamp::now().as_millisecond() + 24 * 3_600_000;
    let path = format!("{TOKENS}/token/{}", spare.id);
    let end = json!({"tokenExpirationDateTimeMillis": tomorrow});
    answer(server.with_password("toor", Method::PATCH, &path).json(&end), StatusCode::OK).await;
    server.change_settings(json!({"password_authentication": "disabled"})).await;
    let repository =
        with_break_glass(&server, &warden.secret, "version: 1\npermissions: {use: [administrators]}\n");
    let applied = assert_applied(&repository).await;
    let warned = "every way in that `toor` of `break_glass` has to prod ends within 7d";
    assert!(applied.stderr.contains(warned), "{}", applied.stderr);
    let revoking =
        "version: 1\ntokens: {limits: [{description: '^warden'}], enforcement: {description: revoke}}\n";
    std::fs::write(repository.folder.path().join("policy.yaml"), revoking).unwrap();
    assert_refused(&server, &repository, &["`toor` of `break_glass`", "revocation: "]).await;
}

/// The address of the proxy in the next tests, and that of who comes through it.
const PROXY: &str = "127.0.0.2";
const BEHIND_IT: &str = "198.51.100.7";

/// A server in which `toor` used a token through a proxy, and otherwise has no way in: we come without it.
async fn used_through_a_proxy(source: Value, allow: Value) -> (TestServer, Repository) {
    let server = server().await;
    let (warden, spare) = (warden(&server).await, token(&server, "toor", "spare").await);
    server
        .change_settings(
            json!({"network": {"client_address": source}, "password_authentication": "disabled"}),
        )
        .await;
    let through =
        reqwest::Client::builder().no_proxy().local_address(PROXY.parse::<std::net::IpAddr>().unwrap());
    let whoami = through.build().unwrap().get(server.url(WHOAMI)).bearer_auth(&spare.secret);
    assert_eq!(status(whoami.header("x-forwarded-for", BEHIND_IT)).await, StatusCode::OK);
    server.change_settings(json!({"network": {"allow": allow}})).await;
    let repository = with_break_glass(&server, &warden.secret, "version: 1\n");
    (server, repository)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_makes_the_server_see_the_proxy_in_the_place_of_others_is_refused_unless_it_is_let_in()
{
    let header = json!({"header": "X-Forwarded-For", "trusted_proxies": [PROXY]});
    let (server, repository) = used_through_a_proxy(header, json!(["127.0.0.1", "198.51.100.0/24"])).await;
    let policy = |text: &str| std::fs::write(repository.folder.path().join("policy.yaml"), text).unwrap();
    policy("version: 1\nnetwork:\n  client_address: peer\n");
    let words = ["`toor` of `break_glass`", "the server would see 127.0.0.2", "policy.yaml:3"];
    assert_refused(&server, &repository, &words).await;
    policy("version: 1\nnetwork: {client_address: peer, allow: [127.0.0.1, 127.0.0.2, 198.51.100.0/24]}\n");
    assert_applied(&repository).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_begins_to_believe_the_proxy_that_others_come_through_is_refused_while_networks_are_restricted()
 {
    let (server, repository) = used_through_a_proxy(json!("peer"), json!(["127.0.0.1", PROXY])).await;
    let policy =
        "version: 1\nnetwork:\n  client_address: {header: X-Forwarded-For, trusted_proxies: [127.0.0.2]}\n";
    std::fs::write(repository.folder.path().join("policy.yaml"), policy).unwrap();
    assert_refused(
        &server,
        &repository,
        &["`toor` of `break_glass`", "cannot be known beforehand", "anywhere"],
    )
    .await;
    server.change_settings(json!({"network": {"allow": "anywhere"}})).await;
    assert_applied(&repository).await;
}
