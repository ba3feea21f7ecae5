//! The real program against a real gateway over HTTP.

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    apply::execute,
    http::{HttpClient, HttpCredential},
    model::{
        Verb,
        rails::{Lockout, Unsupported},
    },
    plan::{ApprovedPlan, History, Plan, Terms},
    targets::gateway::Gateway,
};

use crate::support::{
    Made, NOW, SETTINGS, Setup, TOKENS, TestServer, WHOAMI, answer,
    program::{Run, program},
    status,
    world::{approve, policy},
};

/// A policy repository with one target of `kind: gateway`.
pub(crate) struct Repository {
    pub(crate) folder: TempDir,
    pub(crate) secret: String,
}

impl Repository {
    pub(crate) fn new(server: &TestServer, secret: &str, policy: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = format!(
            "version: 1\ntargets:\n  prod:\n    kind: gateway\n    url: {}\n    auth: {{ token_env: WARDEN_TOKEN }}\n    \
             policy: [policy.yaml]\n    rails: {{ revocations: {{ amount: 9, percent: 100 }}, expiries: {{ amount: 9, \
             percent: 100 }}, withdrawn_groups: {{ amount: 9, percent: 100 }}, refused_callers: {{ amount: 9, percent: 100 }} }}\n",
            server.url("")
        );
        fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
        fs::write(folder.path().join("policy.yaml"), policy).unwrap();
        Self { folder, secret: secret.to_owned() }
    }

    /// Puts `text` in the place of `old` in the config file.
    pub(crate) fn edit_settings(&self, old: &str, text: &str) {
        let path = self.folder.path().join("tokenwarden.yaml");
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(old), "the config file has {old}");
        fs::write(path, before.replacen(old, text, 1)).unwrap();
    }

    /// Runs the program beside the server, which lives in this process.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.folder.path()).args(arguments).env("WARDEN_TOKEN", &self.secret);
        tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
    }
}

/// The clock is the system's: the program plans for the present.
pub(crate) async fn server() -> TestServer {
    TestServer::start(Setup { clock: tokenwarden::serve::Clock::System, ..Setup::default() }).await
}

pub(crate) async fn token(server: &TestServer, user: &str, description: &str) -> Made {
    let body = json!({"tokenDescription": description, "tokenScope": 2});
    let request = server.with_password(user, Method::POST, &format!("{TOKENS}/token")).json(&body);
    let made = answer(request, StatusCode::OK).await;
    Made { id: made["id"].as_i64().unwrap(), secret: made["plainTextToken"].as_str().unwrap().to_owned() }
}

const POLICY: &str = "version: 1
permissions: {create: [developers, ci-bots]}
tokens:
  limits: [{groups: [administrators], max_scope: read-write}, {max_scope: read-only, max_lifetime: 90d}]
  enforcement: {scope: narrow, lifetime: {action: expire, grace: 7d}, owner-inactive: revoke}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_says_is_what_the_server_does_afterwards() {
    let server = server().await;
    let (warden, mary) = (token(&server, "root", "warden").await, token(&server, "mary", "script").await);
    let path = "/rest/api/latest/users";
    let writing = || server.with_token(&mary.secret, Method::DELETE, "/rest/api/latest/admin/groups");
    assert_ne!(status(writing()).await, StatusCode::FORBIDDEN);

    let repository = Repository::new(&server, &warden.secret, POLICY);
    let planned = repository.run(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(planned.code, Some(2), "{}", planned.stderr);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("Converged:"));
    assert_eq!(status(writing()).await, StatusCode::FORBIDDEN, "the token is read-only now");
    assert_eq!(status(server.with_token(&mary.secret, Method::GET, path)).await, StatusCode::OK);
    let again = repository.run(&["apply", "--auto-approve"]).await;
    assert!(again.stdout.starts_with("No changes."), "{}", again.stdout);

    let settings = answer(server.as_operator(Method::GET, SETTINGS), StatusCode::OK).await;
    assert_eq!(settings["permissions"]["create"], json!(["ci-bots", "developers"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_the_run_itself_is_held_back_whatever_is_wrong_with_it() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    let policy = "version: 1\ntokens: {limits: [{max_scope: read-only, max_lifetime: 1d}], \
                  enforcement: {scope: narrow, lifetime: revoke}}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(1), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("rotate it"), "{}", applied.stdout);
    let mine = answer(server.with_token(&warden.secret, Method::GET, WHOAMI), StatusCode::OK).await;
    assert_eq!(mine["scope"], "read-write");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_said_whatever_happens() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    let mary = token(&server, "mary", "script").await;
    let repository = Repository::new(&server, &warden.secret, POLICY);
    let wrong = Repository::new(&server, "tw_wrong-secret-of-nobody", POLICY);
    let mut said = Vec::new();
    for arguments in [
        &["-vv", "plan"][..],
        &["-vv", "plan", "--format", "json"],
        &["-vv", "--log-format", "json", "apply", "--auto-approve"],
        &["-vv", "apply", "--auto-approve", "--format", "json"],
        &["-vv", "validate"],
    ] {
        said.push(repository.run(arguments).await);
        said.push(wrong.run(arguments).await);
    }
    let refused = wrong.run(&["plan"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("401"), "{}", refused.stderr);
    for run in &said {
        for secret in [&warden.secret, &mary.secret, &wrong.secret, server.operator()] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
        }
    }
    let stored = fs::read(server.store_file()).unwrap();
    for secret in [&warden.secret, &mary.secret] {
        assert!(!stored.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_descriptions_cannot_steer_a_terminal() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    token(&server, "mary", "\u{1b}]0;owned\u{7}\u{202e}gnp.exe\nPlan: nothing to do").await;
    let repository = Repository::new(&server, &warden.secret, POLICY);
    let planned = repository.run(&["plan", "--color", "never"]).await;
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert!(planned.stdout.contains(r"\u{1b}]0;owned\u{7}\u{202e}gnp.exe\nPlan: nothing to do"));
    assert!(!planned.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_is_something_else_is_an_error_that_names_it() {
    let server = server().await;
    let repository = Repository::new(&server, "tw_x", POLICY);
    let settings = fs::read_to_string(repository.folder.path().join("tokenwarden.yaml")).unwrap();
    let away = settings.replace(&server.url(""), "http://127.0.0.1:9");
    fs::write(repository.folder.path().join("tokenwarden.yaml"), away).unwrap();
    let run = repository.run(&["plan"]).await;
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("prod: cannot read runs of http://127.0.0.1:9"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_may_not_write_can_still_plan_and_its_apply_changes_nothing() {
    let server = server().await;
    let body = json!({"tokenDescription": "reader", "tokenScope": 1});
    let made = server.with_password("root", Method::POST, &format!("{TOKENS}/token")).json(&body);
    let secret = answer(made, StatusCode::OK).await["plainTextToken"].as_str().unwrap().to_owned();
    token(&server, "mary", "script").await;
    let repository = Repository::new(&server, &secret, POLICY);
    assert_eq!(repository.run(&["plan", "--detailed-exitcode"]).await.code, Some(2));
    let before = answer(server.as_operator(Method::GET, SETTINGS), StatusCode::OK).await;
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(1), "{}{}", applied.stdout, applied.stderr);
    assert!(
        applied.stderr.contains("does not give the lease") && applied.stderr.contains("403"),
        "{}",
        applied.stderr
    );
    let after: Value = answer(server.as_operator(Method::GET, SETTINGS), StatusCode::OK).await;
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_changed_since_it_was_planned_is_not_revoked() {
    let server = TestServer::new().await;
    let made = async |description: &str| {
        server
            .make(json!({"tokenForUserKey": "mary", "tokenScope": 2, "tokenDescription": description}))
            .await
    };
    let (narrowed, renamed, left) = (made("one").await, made("two").await, made("three").await);
    let policy = policy(
        "version: 1\ntokens:\n  limits: [{max_scope: read-only, description: \"^OPS-\"}]\n  \
         enforcement: {scope: revoke, description: revoke}\n",
    );
    let (lockout, history) = (Lockout::default(), History::default());
    let terms = Terms {
        target: "server",
        policy: &policy,
        lockout: &lockout,
        unsupported: Unsupported::Error,
        history: &history,
        now: NOW.parse().unwrap(),
    };
    let client =
        HttpClient::new(&server.url(""), HttpCredential::Bearer(server.operator().into()), None).unwrap();
    let gateway = Gateway::new(client, "the server");
    let approved = approve(Plan::make(&terms, &gateway).await.unwrap());
    let revoked = |approved: &ApprovedPlan| {
        approved.plan().changes.iter().filter(|planned| planned.change.verb() == Verb::Revoke).count()
    };
    assert_eq!(revoked(&approved), 3);

    let patch = async |made: &Made, body: Value| {
        let path = format!("{TOKENS}/token/{}", made.id);
        answer(server.as_operator(Method::PATCH, &path).json(&body), StatusCode::OK).await
    };
    patch(&narrowed, json!({"tokenScope": 1})).await;
    patch(&renamed, json!({"tokenDescription": "OPS-2"})).await;
    let outcome = execute(&approved, &gateway, &gateway.writer(&approved, None), &|_| {}).await;
    assert!(!outcome.is_whole());
    let there = [&narrowed, &renamed, &left].map(|made| server.token(made.id));
    let there: Vec<bool> = futures_util::future::join_all(there).await.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, false]);
}
