//! Two runs do not overlap: the lease of the server, and what happens to a run that lost it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, http::Response};
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    model::run::{RIGHT_ENDED, RunId},
    serve::store::{LeaseAnswer, Right, Store, StoreUrl},
};
use tokio::sync::Notify;

use crate::{
    serve::token_changes::CHANGES,
    support::{SETTINGS, TOKENS, TestServer, answer, client, status},
    targets::reconcile::{Repository, server, token},
};

const LEASE: &str = "/rest/tokenwarden/1/lease";
const RUNS: &str = "/rest/tokenwarden/1/runs";

fn ask(server: &TestServer, run: &str, holder: &str) -> RequestBuilder {
    let body = json!({"run": run, "holder": holder, "seconds": 60});
    server.as_operator(Method::PUT, LEASE).json(&body)
}

fn run_id(text: &str) -> RunId {
    text.parse().unwrap()
}

/// The store of a server, opened beside it.
async fn store_of(server: &TestServer) -> Store {
    Store::open(&StoreUrl { file: server.store_file() }).await.unwrap()
}

#[tokio::test]
async fn one_run_holds_the_lease_at_a_time_and_gives_it_back() {
    let server = TestServer::new().await;
    let first = answer(ask(&server, "run-a", "mary@ci"), StatusCode::OK).await;
    let again = answer(ask(&server, "run-a", "mary@ci"), StatusCode::OK).await;
    assert_eq!(again["number"], first["number"], "it is prolonged");
    let refused = answer(ask(&server, "run-b", "sam@ci"), StatusCode::CONFLICT).await;
    let words = refused["errorMessage"].as_str().unwrap();
    assert!(words.starts_with("mary@ci holds the lease since ") && words.contains("run-a"), "{words}");

    let give_back = || server.as_operator(Method::DELETE, &format!("{LEASE}/run-a"));
    assert_eq!(answer(give_back(), StatusCode::OK).await, json!(true));
    assert_eq!(answer(give_back(), StatusCode::OK).await, json!(false));
    assert_eq!(status(ask(&server, "run-a", "mary@ci")).await, 409, "a run that gave it back is over");
    let second = answer(ask(&server, "run-b", "sam@ci"), StatusCode::OK).await;
    assert!(second["number"].as_i64() > first["number"].as_i64());
}

#[tokio::test]
async fn a_lease_that_is_not_prolonged_ends_and_its_number_is_an_old_one_once_another_run_has_it() {
    let server = TestServer::new().await;
    let store = store_of(&server).await;
    let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
    let take = |run, now, until| {
        let (store, run) = (&store, run_id(run));
        async move { store.take_lease(&Right::Host, &run, "somebody", at(now), at(until)).await.unwrap() }
    };
    let LeaseAnswer::Given(first) = take("run-a", 0, 15).await else { panic!("it is free") };
    assert!(matches!(take("run-b", 14, 30).await, LeaseAnswer::Held(lease) if lease == first));
    let LeaseAnswer::Given(late) = take("run-a", 20, 35).await else { panic!("nobody took it") };
    assert_eq!(late.number, first.number);
    let LeaseAnswer::Given(second) = take("run-b", 40, 60).await else { panic!("it ended") };
    assert_eq!(second.number, first.number + 1);
    assert!(matches!(take("run-a", 41, 60).await, LeaseAnswer::Held(_)));
}

#[tokio::test]
async fn writes_under_an_old_number_are_refused_whatever_they_are_about() {
    let server = TestServer::new().await;
    let tokens = [server.make_token("mary", 2).await, server.make_token("mary", 2).await];
    let old = answer(ask(&server, "run-a", "mary@ci"), StatusCode::OK).await["number"].to_string();
    let head = json!({"run": "run-a", "target": "prod", "begun": "2026-06-01T12:00:00Z", "by": "mary@ci", "policy_sha256": ""});
    answer(server.as_operator(Method::POST, RUNS).json(&head), StatusCode::OK).await;
    let (settings, etag) = server.settings().await;
    let write = |request: RequestBuilder, change: &Value| {
        let request = request.header("Tokenwarden-Run", "run-a").header("Tokenwarden-Lease", &old);
        request.header("Tokenwarden-Change", change.to_string())
    };
    let revoke = |id: i64| {
        let note =
            json!({"address": format!("token/{id}"), "action": "revoke", "counts": {"revocations": 1}});
        write(server.as_operator(Method::DELETE, &format!("{TOKENS}/token/{id}")), &note)
    };
    assert_eq!(status(revoke(tokens[0].id)).await, 200);

    server.as_operator(Method::DELETE, &format!("{LEASE}/run-a")).send().await.unwrap();
    answer(ask(&server, "run-b", "sam@ci"), StatusCode::OK).await;
    assert_eq!(status(revoke(tokens[1].id)).await, 409);
    let note = json!({"address": "token/2", "action": "narrow"});
    let patch = server.as_operator(Method::PATCH, &format!("{TOKENS}/token/{}", tokens[1].id));
    assert_eq!(status(write(patch.json(&json!({"tokenScope": 1})), &note)).await, 409);
    let note = json!({"address": "settings/permissions.use", "action": "withdraw"});
    let put = server.as_operator(Method::PUT, SETTINGS).header("if-match", etag).json(&settings);
    assert_eq!(status(write(put, &note)).await, 409);

    assert_eq!(server.token(tokens[1].id).await.unwrap()["tokenScope"], 2);
    let runs = answer(server.as_operator(Method::GET, RUNS), StatusCode::OK).await;
    let changes = runs["runs"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "the ledger has what took effect, and nothing else: {changes:?}");
    assert_eq!(changes[0]["address"], format!("token/{}", tokens[0].id));
    assert_eq!(changes[0]["result"]["fate"], "done");
}

#[tokio::test]
async fn what_a_run_cannot_mean_is_refused_with_what_to_write() {
    let server = TestServer::new().await;
    let refused = async |request: RequestBuilder, said: &str| {
        let body = answer(request, StatusCode::BAD_REQUEST).await.to_string();
        assert!(body.contains(said), "{said}: {body}");
    };
    let with = |whole: &Value, key: &str, value: &Value| {
        let mut changed = whole.clone();
        changed[key] = value.clone();
        changed
    };
    let (long, names) = (json!("x".repeat(256)), "takes 1 to 255 characters and no control characters");
    let texts = [json!(""), json!("  "), json!("a\nb"), json!("\u{1b}[31mroot"), json!("a\u{0}"), long];
    let lease = json!({"run": "run-a", "holder": "mary@ci", "seconds": 60});
    for text in &texts {
        let body = with(&lease, "holder", text);
        refused(server.as_operator(Method::PUT, LEASE).json(&body), &format!("`holder` {names}")).await;
    }
    for seconds in
        [json!(0), json!(-5), json!(301), json!(u64::MAX), json!(1e30), json!(1.5), json!("60"), json!(null)]
    {
        let body = with(&lease, "seconds", &seconds);
        let put = server.as_operator(Method::PUT, LEASE).json(&body);
        refused(put, "`seconds` takes a whole number from 1 to 300").await;
    }
    for run in [json!(""), json!("a b"), json!("x".repeat(65)), json!("../x")] {
        refused(
            server.as_operator(Method::PUT, LEASE).json(&with(&lease, "run", &run)),
            "is not the name of a run",
        )
        .await;
    }
    assert_eq!(
        status(server.as_operator(Method::PUT, LEASE).json(&with(&lease, "seconds", &json!(300)))).await,
        200
    );

    let head = json!({"run": "run-a", "target": "prod", "begun": "2026-06-01T12:00:00Z", "by": "mary@ci", "policy_sha256": "0a"});
    let post =
        |key: &str, value: &Value| server.as_operator(Method::POST, RUNS).json(&with(&head, key, value));
    for text in &texts {
        for key in ["target", "by"] {
            refused(post(key, text), &format!("`{key}` {names}")).await;
        }
        refused(post("server", &json!([text])), &format!("`server` {names}")).await;
    }
    for digest in ["xyz".to_owned(), "0".repeat(65), "0a\n".to_owned()] {
        refused(post("policy_sha256", &json!(digest)), "takes up to 64 hexadecimal digits").await;
    }
    for begun in ["1969-12-31T23:59:59Z", "-009999-01-02T01:59:59Z"] {
        refused(post("begun", &json!(begun)), "`begun` takes a moment from 1970-01-01T00:00:00Z on").await;
    }
    refused(
        post("begun", &json!("9999-01-01T00:00:00Z")),
        "`begun` takes a moment before 2036-06-01T12:00:00Z",
    )
    .await;
    assert_eq!(status(server.as_operator(Method::POST, RUNS).json(&head)).await, 200);

    let token = server.make_token("mary", 2).await;
    let note = json!({"address": "token/1", "action": "revoke"});
    let revoke = |run: &str, lease: &str, note: &Value| {
        let request = server.as_operator(Method::DELETE, &format!("{TOKENS}/token/{}", token.id));
        let request = request.header("Tokenwarden-Run", run).header("Tokenwarden-Lease", lease);
        request.header("Tokenwarden-Change", note.to_string())
    };
    for lease in ["-1", "0", "x", "99999999999999999999"] {
        refused(revoke("run-a", lease, &note), "`Tokenwarden-Lease` takes the number of a lease, from 1 on")
            .await;
    }
    refused(revoke("a b", "1", &note), "`Tokenwarden-Run` takes the name of a run").await;
    for (key, value, said) in [
        ("address", json!(""), "`address`"),
        ("action", json!("a\u{1}"), "`action`"),
        ("counts", json!({"revocations": u64::MAX}), "`counts` takes a whole number from 0 to 1000000000"),
        ("counts", json!({"revocations": -1}), "`Tokenwarden-Change` takes JSON"),
        ("deadline", json!("1960-01-01T00:00:00Z"), "`deadline` takes a moment"),
    ] {
        refused(revoke("run-a", "1", &with(&note, key, &value)), said).await;
    }
    assert!(server.token(token.id).await.is_some());

    let (settings, etag) = server.settings().await;
    for (pointer, text) in [("groups", "a\tb"), ("groups", ""), ("projects", " "), ("description", "a\u{0}")]
    {
        let list = if pointer == "description" { json!(text) } else { json!([text]) };
        let document = with(&settings, "limits", &json!([{ pointer: list }]));
        let put = server.as_operator(Method::PUT, SETTINGS).header("if-match", &etag).json(&document);
        refused(put, &format!("`limits[0].{pointer}")).await;
    }
}

#[tokio::test]
async fn ledger_and_lease_take_an_administrator() {
    let server = TestServer::new().await;
    let own = server.make_token("mary", 2).await;
    let reader = server.make_token("root", 1).await;
    let body = json!({"run": "run-a", "holder": "x", "seconds": 9});
    for secret in [&own.secret, &reader.secret] {
        assert_eq!(status(server.with_token(secret, Method::PUT, LEASE).json(&body)).await, 403);
        assert_eq!(status(server.with_token(secret, Method::POST, RUNS).json(&json!({}))).await, 403);
    }
    assert_eq!(status(server.with_token(&own.secret, Method::GET, RUNS)).await, 403);
    assert_eq!(status(server.with_token(&reader.secret, Method::GET, RUNS)).await, 200);
    let own_token = format!("{TOKENS}/token/{}", own.id);
    let forged = server
        .with_token(&own.secret, Method::DELETE, &own_token)
        .header("Tokenwarden-Run", "run-a")
        .header("Tokenwarden-Change", "{\"address\":\"token/1\",\"action\":\"revoke\"}");
    assert_eq!(status(forged).await, 403, "nobody else writes into the ledger");
    assert_eq!(status(server.with_token(&own.secret, Method::DELETE, &own_token)).await, 200);
}

/// Something between the program and the server that holds the first change of a token up.
struct Proxy {
    upstream: String,
    client: Client,
    held: AtomicBool,
    /// Calls of this method are told that the right to them ended.
    ended: Option<Method>,
    arrived: Notify,
    go_on: Notify,
}

impl Proxy {
    /// Starts it before `server`, and answers its address as well.
    async fn start(server: &TestServer) -> (Arc<Self>, String) {
        Self::refusing(server, None).await
    }

    /// The same, which answers calls of the method `ended` as the server does when the right to them ended.
    async fn refusing(server: &TestServer, ended: Option<Method>) -> (Arc<Self>, String) {
        let proxy = Arc::new(Self {
            upstream: server.url(""),
            client: client(),
            held: AtomicBool::new(ended.is_some()),
            ended,
            arrived: Notify::new(),
            go_on: Notify::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward).with_state(Arc::clone(&proxy));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (proxy, url)
    }
}

async fn forward(State(proxy): State<Arc<Proxy>>, request: axum::extract::Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::PATCH && !proxy.held.swap(true, Ordering::SeqCst) {
        proxy.arrived.notify_one();
        proxy.go_on.notified().await;
    }
    // Changes of tokens are sent together where there are several.
    let method = if parts.uri.path() == CHANGES { &Method::PATCH } else { &parts.method };
    if proxy.ended.as_ref() == Some(method) {
        let problem = json!({"errorMessage": format!("{RIGHT_ENDED}.")}).to_string();
        let answer = Response::builder().status(409).header("content-type", "application/json");
        return answer.body(problem.into()).unwrap();
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    parts.headers.remove("host");
    let url = format!("{}{}", proxy.upstream, parts.uri);
    let answer =
        proxy.client.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for name in ["content-type", "etag"] {
        response = answer
            .headers()
            .get(name)
            .into_iter()
            .fold(response, |response, value| response.header(name, value));
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

const POLICY: &str = "version: 1
tokens:
  limits: [{groups: [administrators], max_scope: read-write}, {max_scope: read-only}]
  enforcement: {scope: narrow}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_apply_is_refused_with_the_name_of_the_first_or_waits_for_it() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    token(&server, "mary", "script").await;
    let (proxy, url) = Proxy::start(&server).await;
    let slow = Repository::new(&server, &warden.secret, POLICY);
    slow.edit_settings(&server.url(""), &url);
    let fast = Repository::new(&server, &warden.secret, POLICY);

    let second = async {
        proxy.arrived.notified().await;
        let refused = fast.run(&["apply", "--auto-approve"]).await;
        assert_eq!(refused.code, Some(4), "{}", refused.stdout);
        assert!(refused.stderr.contains("holds the lease since 20"), "{}", refused.stderr);
        assert!(refused.stderr.contains("wait for it with --lock-timeout 5m"), "{}", refused.stderr);
        assert_eq!(fast.run(&["plan", "--detailed-exitcode"]).await.code, Some(2), "looking is free");
        let waiting = fast.run(&["apply", "--auto-approve", "--lock-timeout", "5m"]);
        let (waited, ()) = tokio::join!(waiting, async { proxy.go_on.notify_one() });
        waited
    };
    let (first, waited) = tokio::join!(slow.run(&["apply", "--auto-approve"]), second);
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    assert_eq!(waited.code, Some(0), "{}{}", waited.stdout, waited.stderr);
    assert!(waited.stdout.starts_with("No changes."), "{}", waited.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lost_its_lease_writes_nothing_more() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    let script = token(&server, "mary", "script").await;
    let (proxy, url) = Proxy::start(&server).await;
    let slow = Repository::new(&server, &warden.secret, POLICY);
    slow.edit_settings(&server.url(""), &url);
    let other = async {
        proxy.arrived.notified().await;
        let store = store_of(&server).await;
        let later = Timestamp::now() + Duration::from_hours(1);
        let taken = store.take_lease(&Right::Host, &run_id("run-b"), "sam@ci", later, later).await.unwrap();
        assert!(matches!(taken, LeaseAnswer::Given(_)), "{taken:?}");
        proxy.go_on.notify_one();
    };
    let (first, ()) = tokio::join!(slow.run(&["apply", "--auto-approve"]), other);
    assert_eq!(first.code, Some(5), "{}{}", first.stdout, first.stderr);
    let words = "the lease of this run was lost: another run may be applying; nothing more was written";
    assert!(first.stdout.contains(words), "{}", first.stdout);
    assert_eq!(server.token(script.id).await.unwrap()["tokenScope"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_ended_is_not_told_as_a_lease_that_another_run_has() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    for _ in 0..2 {
        token(&server, "mary", "script").await;
    }
    for (method, code, words) in [
        (Method::PUT, 1, "the right of this run to apply ended while it asked for the lease"),
        // The settings were changed before.
        (Method::PATCH, 5, "the right of this run to do it ended while the run was under way"),
    ] {
        let (_proxy, url) = Proxy::refusing(&server, Some(method.clone())).await;
        let repository = Repository::new(&server, &warden.secret, POLICY);
        repository.edit_settings(&server.url(""), &url);
        let run = repository.run(&["apply", "--auto-approve", "--allow-clock-skew", "10m"]).await;
        assert_eq!(run.code, Some(code), "{method}: {}{}", run.stdout, run.stderr);
        let said = run.stdout + &run.stderr;
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("another run"), "{said}");
    }
    let direct = Repository::new(&server, &warden.secret, POLICY);
    assert_eq!(direct.run(&["apply", "--auto-approve"]).await.code, Some(0), "the lease was given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_of_a_gateway_holds_without_any_folder_and_from_wherever_it_is_applied() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    for _ in 0..12 {
        token(&server, "mary", "script").await;
    }
    let limit = |most| {
        format!(
            "version: 1\ntokens: {{limits: [{{groups: [administrators]}}, {{max_per_owner: {most}}}], enforcement: {{per-owner: revoke}}}}\n"
        )
    };
    let rails = "revocations: { amount: 9, percent: 100 }";
    let first = Repository::new(&server, &warden.secret, &limit(6));
    assert_eq!(first.run(&["apply", "--auto-approve"]).await.code, Some(0));
    let elsewhere = Repository::new(&server, &warden.secret, &limit(2));
    elsewhere.edit_settings(rails, "revocations: { amount: 9, percent: 100, floor: 1 }");
    let refused = elsewhere.run(&["apply", "--auto-approve"]).await;
    assert_eq!(refused.code, Some(4), "{}{}", refused.stdout, refused.stderr);
    assert!(
        refused.stderr.contains("revocations: 4 of 7, and earlier runs of the last 1d did 6"),
        "{}",
        refused.stderr
    );
    let shown = elsewhere.run(&["journal", "show"]).await;
    assert!(shown.stdout.contains("7 done"), "{}{}", shown.stdout, shown.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_and_gateway_over_one_store_keep_each_other_waiting_and_one_run_with_both_not_itself() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    token(&server, "mary", "script").await;
    let repository = Repository::new(&server, &warden.secret, POLICY);
    let store = server.store_file();
    let embedded = format!(
        "targets:\n  inside: {{kind: embedded, store: '{}', policy: [policy.yaml]}}\n",
        store.display()
    );
    repository.edit_settings("targets:\n", &embedded);
    answer(ask(&server, "run-x", "olga@ci"), StatusCode::OK).await;
    for target in ["inside", "prod"] {
        let refused = repository.run(&["apply", "--auto-approve", "--target", target]).await;
        assert_eq!(refused.code, Some(4), "{target}: {}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains("olga@ci holds the lease since "), "{}", refused.stderr);
    }
    answer(server.as_operator(Method::DELETE, &format!("{LEASE}/run-x")), StatusCode::OK).await;
    let both = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(both.code, Some(0), "{}{}", both.stdout, both.stderr);
    let again = ask(&server, "run-y", "olga@ci");
    answer(again, StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_a_day_behind_or_ahead_forgets_nothing_that_was_done_by_its_own_clock() {
    for ahead in [-25, 25, -24 * 400] {
        let clock =
            tokenwarden::serve::Clock::Fixed(Timestamp::now() + jiff::SignedDuration::from_hours(ahead));
        let server = TestServer::start(crate::support::Setup { clock, ..Default::default() }).await;
        let warden = token(&server, "root", "warden").await;
        for _ in 0..12 {
            token(&server, "mary", "script").await;
        }
        let limit = |most| {
            format!(
                "version: 1\ntokens: {{limits: [{{groups: [administrators]}}, {{max_per_owner: {most}}}], enforcement: {{per-owner: revoke}}}}\n"
            )
        };
        let folder = TempDir::new().unwrap();
        for (most, code) in [(6, 0), (2, 4)] {
            let slice = Repository::new(&server, &warden.secret, &limit(most));
            slice.edit_settings("percent: 100 }, expiries", "percent: 100, floor: 1 }, expiries");
            let journal = format!("journal: {{directory: '{}'}}\ntargets:", folder.path().display());
            slice.edit_settings("targets:", &journal);
            let run = slice.run(&["apply", "--auto-approve", "--allow-clock-skew", "500d"]).await;
            assert_eq!(run.code, Some(code), "{ahead} {most}: {}{}", run.stdout, run.stderr);
        }
    }
}
