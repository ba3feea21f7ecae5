//! `doctor`: a right installation, and wrong ones of which each is found.

use std::{fs, os::unix::fs::PermissionsExt};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::serve::Clock;

use crate::{
    serve::front::restrictions::source,
    support::{
        Setup, TestServer,
        program::{Run, program},
    },
    targets::bitbucket::stub::{KEY, PASSWORD, Stub},
};

/// A Bitbucket with our gateway in front of it, and a config file for both.
struct Fixture {
    stub: Stub,
    server: TestServer,
    folder: TempDir,
    secret: String,
}

impl Fixture {
    async fn new() -> Self {
        let stub = Stub::start().await;
        let directory = "users: [{name: warden, password_env: warden}, {name: mary, password_env: mary}]
groups: {administrators: [warden]}\n";
        let setup = Setup {
            directory: directory.to_owned(),
            clock: Clock::System,
            mirror: Some(source(&stub)),
            ..Setup::default()
        };
        let server = TestServer::start(setup).await;
        let secret = server.make_token("warden", 2).await.secret;
        let fixture = Self { stub, server, folder: TempDir::new().unwrap(), secret };
        fs::write(fixture.folder.path().join("policy.yaml"), "version: 1\n").unwrap();
        fixture.configure("warden", "warden");
        while fixture.mirror().await["current"] != true {
            tokio::task::yield_now().await;
        }
        fixture
    }

    async fn mirror(&self) -> Value {
        let request = self.server.as_operator(reqwest::Method::GET, "/rest/tokenwarden/1/mirror");
        crate::support::answer(request, reqwest::StatusCode::OK).await
    }

    fn configure(&self, at_bitbucket: &str, at_gateway: &str) {
        let text = format!(
            "version: 1\nmark_key_env: MARK_KEY\njournal: {{ directory: journal }}\ntargets:\n  prod:\n    kind: bitbucket\n    \
             url: {}\n    auth: {{ user: {at_bitbucket}, password_env: PASSWORD }}\n    gateway: {{ url: \"{}\", auth: {{ user: \
             {at_gateway}, token_env: WARDEN_TOKEN }} }}\n    policy: [policy.yaml]\n",
            self.stub.url(),
            self.server.url(""),
        );
        fs::write(self.folder.path().join("tokenwarden.yaml"), text).unwrap();
    }

    async fn run(&self, more: &[&str]) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.folder.path()).arg("doctor").args(more);
        command.env("PASSWORD", PASSWORD).env("MARK_KEY", KEY).env("WARDEN_TOKEN", &self.secret);
        tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
    }

    /// How the program ends, and how the checks called `name` end, the worst first.
    async fn check(&self, name: &str, more: &[&str]) -> (Option<i32>, Vec<String>) {
        let run = self.run(&[&["--format", "json"], more].concat()).await;
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
        let checks = report["targets"][0]["checks"].as_array().unwrap().iter();
        let states = checks.filter(|check| check["check"] == name).map(|check| {
            assert_eq!(check["advice"].is_string(), check["state"] != "ok", "{check}");
            format!("{} {}", check["state"].as_str().unwrap(), check["why"].as_str().unwrap())
        });
        let mut states: Vec<_> = states.collect();
        states.sort();
        (run.code, states)
    }
}

#[track_caller]
fn is_found(found: &(Option<i32>, Vec<String>), code: i32, begins: &str, words: &str) {
    assert_eq!(found.0, Some(code), "{found:?}");
    assert!(found.1.iter().any(|state| state.starts_with(begins) && state.contains(words)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_installation_is_healthy() {
    let fixture = Fixture::new().await;
    let run = fixture.run(&[]).await;
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("prod:\n") && !run.stdout.contains("FAILURE"), "{}", run.stdout);
    for check in
        ["connection", "credential", "identity", "clock", "forged-headers", "gateway", "journal", "mark-key"]
    {
        let found = fixture.check(check, &[]).await;
        assert!(
            !found.1.is_empty() && found.1.iter().all(|state| state.starts_with("ok ")),
            "{check}: {found:?}"
        );
    }
    assert!(!run.stdout.contains(PASSWORD) && !run.stdout.contains(&fixture.secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bitbucket_that_can_be_reached_around_the_gateway_is_found() {
    let fixture = Fixture::new().await;
    let url = fixture.stub.url();
    is_found(&fixture.check("way-around", &["--around", &url]).await, 1, "failure", "around the gateway");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    is_found(&fixture.check("way-around", &["--around", &closed]).await, 0, "ok", "does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_believes_everybody_s_header_is_found() {
    let fixture = Fixture::new().await;
    let believing = json!({"network": {"client_address": {"header": "X-Forwarded-For", "trusted_proxies": ["127.0.0.1"]}}});
    fixture.server.change_settings(believing).await;
    is_found(&fixture.check("forged-headers", &[]).await, 1, "failure", "X-Forwarded-For");
    is_found(&fixture.check("client-address", &[]).await, 1, "failure", "sends no `X-Forwarded-For`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_found() {
    let fixture = Fixture::new().await;
    for (minutes, code, state) in [(5, 0, "warning"), (60, 1, "failure")] {
        let date = Timestamp::now() - SignedDuration::from_mins(minutes);
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
        fixture.stub.contents().date = Some(date);
        is_found(&fixture.check("clock", &[]).await, code, state, "Bitbucket");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_too_weak_is_found_on_either_side() {
    let fixture = Fixture::new().await;
    fixture.stub.contents().refused = vec!["/rest/api/1.0/users"];
    is_found(&fixture.check("connection", &[]).await, 1, "failure", "401");
    fixture.stub.contents().refused.clear();
    let weak = fixture.server.make_token("mary", 2).await.secret;
    let fixture = Fixture { secret: weak, ..fixture };
    fixture.configure("warden", "mary");
    let run = fixture.run(&[]).await;
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("FAILURE"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_in_the_way_is_found() {
    let fixture = Fixture::new().await;
    let limits = json!({"enabled": true, "defaultSettings": {"capacity": 60, "fillRate": 5}});
    fixture.stub.contents().rate_limits.insert("", limits);
    is_found(&fixture.check("rate-limit", &[]).await, 0, "warning", "60 calls at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_written_is_found() {
    let fixture = Fixture::new().await;
    let journal = fixture.folder.path().join("journal");
    fs::write(&journal, "a file in its place").unwrap();
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o444)).unwrap();
    is_found(&fixture.check("journal", &[]).await, 1, "failure", "cannot be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_front_of_nothing_is_found() {
    let fixture = Fixture::new().await;
    let alone = TestServer::start(Setup {
        directory: "users: [{name: warden, password_env: warden}]\ngroups: {administrators: [warden]}\n"
            .to_owned(),
        clock: Clock::System,
        ..Setup::default()
    })
    .await;
    let secret = alone.make_token("warden", 2).await.secret;
    let fixture = Fixture { server: alone, secret, ..fixture };
    fixture.configure("warden", "warden");
    is_found(&fixture.check("gateway", &[]).await, 1, "failure", "in front of no other server");
}
