//! The target `bitbucket` before our own server, which has Bitbucket's endpoints too.

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::serve::Clock;

use super::stub::KEY;
use crate::support::{
    DIRECTORY, Made, Setup, TOKENS, TestServer, answer,
    program::{Run, program},
};

const POLICY: &str = "version: 1
tokens:
  limits:
    - {owner_kind: [repository], max_scope: read-only, max_lifetime: 30d}
    - {owner_kind: [project], projects: [PLAT], max_scope: read-write}
    - {owner_kind: [project], max_scope: read-only}
    - {max_scope: read-only, max_lifetime: 1y}
  enforcement: {scope: narrow, lifetime: {action: expire, grace: 14d}, owner-inactive: revoke}
";

/// A server with tokens of every kind of owner, and a repository of policy for it.
struct Fixture {
    server: TestServer,
    folder: TempDir,
    kind: &'static str,
}

impl Fixture {
    async fn new(kind: &'static str) -> Self {
        let server = TestServer::start(Setup { clock: Clock::System, ..Setup::default() }).await;
        let folder = TempDir::new().unwrap();
        let settings = format!(
            "version: 1\nmark_key_env: MARK_KEY\ntargets:\n  prod:\n    kind: {kind}\n    url: {}\n    \
             auth: {{ user: root, password_env: PASSWORD }}\n    policy: [policy.yaml]\n",
            server.url("")
        );
        fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
        fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
        Self { server, folder, kind }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.folder.path()).args(arguments);
        command.env("PASSWORD", "root").env("MARK_KEY", KEY);
        tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
    }

    /// The token as Bitbucket's REST shows it; nothing when there is none.
    async fn token(&self, place: &str, made: &Made) -> Option<Value> {
        let path = format!("/rest/access-tokens/latest/{place}/{:012}", made.id);
        let request = self.server.with_password("root", Method::GET, &path);
        let response = request.send().await.unwrap();
        match response.status() {
            StatusCode::NOT_FOUND => None,
            _ => Some(response.json().await.unwrap()),
        }
    }
}

const REPOSITORY: &str = "projects/PLAT/repos/app";

/// Applies the policy twice, and proves that it narrowed, ended and revoked what it should, whoever owns it.
async fn tokens_of_every_owner_come_to_comply(fixture: &Fixture) -> Run {
    let server = &fixture.server;
    let in_time = |owner: &str, scope: u8| json!({"tokenForUserKey": owner, "tokenScope": scope, "tokenDescription": "made", "tokenValidityTimeInMonths": 6});
    let too_wide = server.make(in_time("mary", 2)).await;
    let fine = server.make(in_time("sam", 1)).await;
    let left = server.make(in_time("bot", 1)).await;
    let writing = server.make_for("projects/PLAT", &["PROJECT_WRITE", "REPO_ADMIN"]).await;
    let narrowed = server.make_for("projects/DOCS", &["PROJECT_WRITE", "REPO_ADMIN"]).await;
    let ending = server.make_for(REPOSITORY, &["REPO_READ"]).await;
    let without_bot =
        DIRECTORY.replace("{name: bot, password_env: bot}", "{name: bot, password_env: bot, active: false}");
    server.import(&without_bot).await.unwrap();

    let applied = fixture.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}: {}{}", fixture.kind, applied.stdout, applied.stderr);
    let permissions =
        async |place, made: &Made| fixture.token(place, made).await.unwrap()["permissions"].clone();
    assert_eq!(permissions("users/mary", &too_wide).await, json!(["REPO_READ", "PROJECT_READ"]));
    assert_eq!(permissions("users/sam", &fine).await, json!(["REPO_READ", "PROJECT_READ"]));
    assert!(fixture.token("users/bot", &left).await.is_none());
    assert_eq!(permissions("projects/PLAT", &writing).await, json!(["PROJECT_WRITE", "REPO_ADMIN"]));
    assert_eq!(permissions("projects/DOCS", &narrowed).await, json!(["PROJECT_READ", "REPO_READ"]));
    let ends = fixture.token(REPOSITORY, &ending).await.unwrap();
    let is_marked = ends["name"].as_str().unwrap().contains("[tokenwarden: ends ");
    assert!(is_marked || ends["expiryDate"].is_i64(), "{ends}");
    let again = fixture.run(&["apply", "--auto-approve"]).await;
    assert!(again.stdout.starts_with("No changes."), "{}{}", again.stdout, again.stderr);
    applied
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_built_for_bitbucket_works_on_a_server_with_its_endpoints() {
    let fixture = Fixture::new("bitbucket").await;
    let applied = tokens_of_every_owner_come_to_comply(&fixture).await;
    let done = "2 tokens narrowed, 1 token marked, 1 token revoked";
    assert!(applied.stdout.contains(done), "{}", applied.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_reads_and_changes_tokens_of_projects_and_repositories_by_itself() {
    let fixture = Fixture::new("gateway").await;
    let applied = tokens_of_every_owner_come_to_comply(&fixture).await;
    let done = "2 tokens narrowed, 1 token made to expire, 1 token revoked";
    assert!(applied.stdout.contains(done), "{}", applied.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_of_reading_a_server_see_the_same_tokens() {
    let fixture = Fixture::new("gateway").await;
    let server = &fixture.server;
    server.make_token("mary", 2).await;
    server.make_for("projects/DOCS", &["REPO_ADMIN"]).await;
    server.make_for("projects/plat/repos/LIB", &["REPO_READ"]).await;
    let settings = fixture.folder.path().join("tokenwarden.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    let mut seen = Vec::new();
    for kind in ["gateway", "bitbucket"] {
        fs::write(&settings, text.replace("kind: gateway", &format!("kind: {kind}"))).unwrap();
        let run = fixture.run(&["inventory", "--out", "-"]).await;
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let records = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let tokens = records.filter(|record| record["record"] == "token");
        let mut owners: Vec<String> =
            tokens.map(|token| format!("{} {}", token["owner"], token["scope"])).collect();
        owners.sort();
        seen.push(owners);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_with_a_token_goes_with_it_in_an_incident_and_not_with_a_plan_that_did_not_count_it() {
    let policy = "version: 1
tokens:
  rules: [{name: leave, when: 'token.description == \"parent\"', message: x}]
  enforcement: {leave: revoke}
";
    for kind in ["bitbucket", "resolution"] {
        let fixture = Fixture::new(kind).await;
        fs::write(fixture.folder.path().join("policy.yaml"), policy).unwrap();
        let server = &fixture.server;
        let family = async |description: &str| {
            let parent = server
                .make(json!({"tokenForUserKey": "toor", "tokenScope": 2, "tokenDescription": description}));
            let parent = parent.await;
            let request = server.with_token(&parent.secret, Method::POST, &format!("{TOKENS}/token"));
            let body = json!({"tokenScope": 1, "tokenDescription": "child"});
            let child = answer(request.json(&body), StatusCode::OK).await["id"].as_i64().unwrap();
            (parent.id, child)
        };
        let is_there = async |id: i64| server.token(id).await.is_some();
        let (parent, child) = family("parent").await;
        let applied = fixture.run(&["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(0), "{kind}: {}{}", applied.stdout, applied.stderr);
        assert!(applied.stdout.contains("Plan: 1 token to revoke."), "{kind}: {}", applied.stdout);
        assert_eq!((is_there(parent).await, is_there(child).await), (false, true), "{kind}");

        let (leaked, made_with_it) = family("leaked").await;
        let id = if kind == "bitbucket" { format!("{leaked:012}") } else { leaked.to_string() };
        let revoked = fixture.run(&["revoke", "--token", &id, "--reason", "x", "--auto-approve"]).await;
        assert_eq!(revoked.code, Some(0), "{kind}: {}{}", revoked.stdout, revoked.stderr);
        assert_eq!((is_there(leaked).await, is_there(made_with_it).await), (false, false), "{kind}");
    }
}
