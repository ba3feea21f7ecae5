//! The target `bitbucket` with our gateway in front of it: settings and restrictions at the gateway, tokens at Bitbucket.

use std::{fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    access::{Credentials, Decision, DenialReason, Held, Operation, Request, RequestOrigin, decide},
    model::{LastUse, Scope, Settings, TokenId, TokenScope, settings::SettingsDocument},
    serve::{
        Clock,
        front::mirror::{Mirror, TokenQuestion},
        store::{Store, StoreUrl, Use},
    },
};

use crate::{
    serve::front::restrictions::source,
    support::{
        Setup, TestServer, answer,
        program::{Run, copy, program},
    },
    targets::bitbucket::stub::{KEY, PASSWORD, Stub, marker, token},
};

/// Who administers the gateway.
const DIRECTORY: &str = "
users:
  - {name: root, password_env: root}
  - {name: warden, password_env: warden}
groups: {administrators: [root, warden], token-admins: [warden]}
";

const POLICY: &str = "version: 1
network: {allow: [10.0.0.0/8, 127.0.0.0/8]}
tokens:
  limits: [{max_scope: read-only, max_lifetime: 90d}]
  enforcement: {scope: narrow, lifetime: {action: expire, grace: 14d}, owner-inactive: revoke}
";

/// A Bitbucket, our gateway in front of it, and a repository of policy for both.
struct Fixture {
    stub: Stub,
    server: TestServer,
    folder: TempDir,
    secret: String,
}

impl Fixture {
    async fn new(stub: Stub) -> Self {
        let setup = Setup {
            directory: DIRECTORY.to_owned(),
            clock: Clock::System,
            mirror: Some(source(&stub)),
            ..Setup::default()
        };
        let server = TestServer::start(setup).await;
        let secret = server.make_token("warden", 2).await.secret;
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
        let fixture = Self { stub, server, folder, secret };
        fixture.configure("policy: [policy.yaml]");
        fixture.is_filled().await;
        fixture
    }

    fn configure(&self, keys: &str) {
        let text = format!(
            "version: 1\nmark_key_env: MARK_KEY\ntargets:\n  prod:\n    kind: bitbucket\n    url: {}\n    \
             auth: {{ user: warden, password_env: PASSWORD }}\n    \
             gateway: {{ url: \"{}\", auth: {{ user: warden, token_env: WARDEN_TOKEN }} }}\n    {keys}\n",
            self.stub.url(),
            self.server.url(""),
        );
        fs::write(self.folder.path().join("tokenwarden.yaml"), text).unwrap();
    }

    /// Waits until the mirror was read.
    async fn is_filled(&self) {
        while self.get("/rest/tokenwarden/1/mirror").await["current"] != true {
            tokio::task::yield_now().await;
        }
    }

    async fn get(&self, path: &str) -> Value {
        answer(self.server.as_operator(Method::GET, path), StatusCode::OK).await
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.folder.path()).args(arguments);
        command.env("PASSWORD", PASSWORD).env("MARK_KEY", KEY).env("WARDEN_TOKEN", &self.secret);
        let run = tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap();
        for secret in [PASSWORD, KEY, &self.secret] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
        }
        run
    }

    async fn apply(&self) -> Run {
        self.run(&["apply", "--auto-approve"]).await
    }

    async fn store(&self) -> Store {
        Store::open(&StoreUrl { file: self.server.store_file() }).await.unwrap()
    }

    /// Why a request with the token `id` is refused at `now`, and the token.
    async fn judged(&self, id: &str, method: &str, now: Timestamp) -> (Option<DenialReason>, Held) {
        let settings = serde_json::from_value::<SettingsDocument>(self.server.settings().await.0).unwrap();
        let settings = Settings::try_from(&settings).unwrap();
        let mirror = Mirror::new(source(&self.stub), self.store().await, now);
        let groups = settings.groups().cloned().collect();
        mirror.refresh(&groups, &|| now).await.unwrap();
        let client = [10, 0, 0, 7].into();
        let asked = TokenQuestion { token: &TokenId::new(id), authorization: "Bearer x", client };
        let held = mirror.token(&settings, asked, now).await.unwrap().unwrap();
        let request = Request {
            origin: RequestOrigin::Client(client),
            method,
            path: "/rest/api/latest/projects",
            credentials: Credentials::Token(held.clone()),
            operation: Operation::Enter,
            at: now,
        };
        match decide(&settings, &request) {
            Decision::Permit(_) => (None, held),
            Decision::Denied(reason) => (Some(reason), held),
        }
    }
}

/// A Bitbucket with a token that reaches too far and never ends, and one of somebody who left.
async fn bitbucket() -> Stub {
    let stub = Stub::start().await;
    // The settings of a new gateway name it.
    stub.contents().groups.insert("administrators", vec!["warden"]);
    let mary = "users/mary_example.com";
    stub.add(mary, token("075905477751", "nightly", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    stub.add("users/gone", token("000000000002", "laptop", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    stub
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_and_expire_become_restrictions_that_the_next_request_feels_and_nothing_is_held_back() {
    let fixture = Fixture::new(bitbucket().await).await;
    let now = Timestamp::now();
    assert_eq!(fixture.judged("075905477751", "POST", now).await.0, None);
    let planned = fixture.run(&["plan", "--detailed-exitcode"]).await;
    assert_eq!(planned.code, Some(2), "{}{}", planned.stdout, planned.stderr);
    assert!(!planned.stdout.contains("Held back"), "{}", planned.stdout);
    let applied = fixture.apply().await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    let done = "1 token narrowed, 1 token made to expire, 1 token revoked";
    assert!(applied.stdout.contains(done), "{}", applied.stdout);
    assert!(applied.stdout.contains("Converged"), "{}", applied.stdout);

    let writes: Vec<_> = fixture.stub.contents().writes.iter().map(|(call, _)| call.clone()).collect();
    assert_eq!(writes, ["DELETE users/gone/000000000002"], "Bitbucket's token is as it was");
    assert_eq!(fixture.judged("075905477751", "POST", now).await.0, Some(DenialReason::RestrictedScope));
    assert_eq!(fixture.judged("075905477751", "GET", now).await.0, None);
    let later = now + SignedDuration::from_hours(24 * 15);
    assert_eq!(fixture.judged("075905477751", "GET", later).await.0, Some(DenialReason::RestrictedExpiry));
    let held = fixture.judged("075905477751", "GET", now).await.1;
    assert_eq!(
        (held.scope, held.restriction.max_scope),
        (TokenScope::Set(Scope::ReadWrite), Some(Scope::ReadOnly))
    );

    let again = fixture.apply().await;
    assert!(again.stdout.starts_with("No changes."), "{}{}", again.stdout, again.stderr);
    let ledger = fixture.get("/rest/tokenwarden/1/runs").await;
    let runs = ledger["runs"].as_array().unwrap().iter();
    let changes = runs.flat_map(|run| run["changes"].as_array().unwrap());
    let mut actions: Vec<_> = changes.map(|change| change["action"].as_str().unwrap().to_owned()).collect();
    actions.sort();
    assert_eq!(
        actions,
        ["expire", "narrow", "refuse", "revoke", "set"],
        "the gateway keeps the ledger: {ledger}"
    );
    let told = fixture.get("/rest/tokenwarden/1/audit?action=upstream-revoke").await;
    assert_eq!(told["values"][0]["details"]["upstream_token"], "000000000002");
    assert!(fixture.get("/rest/tokenwarden/1/mirror").await["tokens"] == 1, "the mirror forgot it");
    for command in
        [&["drift"][..], &["inventory", "--out", "taken.jsonl"], &["import"], &["explain", "075905477751"]]
    {
        let run = fixture.run(command).await;
        assert_eq!(run.code, Some(0), "{command:?}: {}{}", run.stdout, run.stderr);
    }
    let offline = fixture.run(&["plan", "--inventory", "taken.jsonl"]).await;
    assert!(offline.stdout.starts_with("No changes."), "{}{}", offline.stdout, offline.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_the_same_policy_is_held_back_as_before() {
    let fixture = Fixture::new(bitbucket().await).await;
    let file = fixture.folder.path().join("tokenwarden.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let without: Vec<_> = text.lines().filter(|line| !line.contains("gateway:")).collect();
    fs::write(&file, without.join("\n")).unwrap();
    let planned = fixture.run(&["plan"]).await;
    assert!(planned.stdout.contains("this kind of target has no such setting"), "{}", planned.stdout);
    assert!(planned.stdout.contains("mark, to be revoked on"), "{}", planned.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_the_quickstart_is_wholly_enforced_in_front_of_bitbucket() {
    let stub = Stub::start().await;
    {
        let mut contents = stub.contents();
        let names =
            ["mary", "sam", "ines", "jonas", "priya", "carl", "root", "ci-deploy", "ci-nightly", "renovate"];
        contents.users = names.map(|name| (name, name, true)).into();
        contents.users.extend([("warden", "warden", true), ("olga", "olga", false)]);
        contents.groups = [
            ("developers", vec!["mary", "sam", "ines", "jonas", "priya", "olga"]),
            ("ci-bots", vec!["ci-deploy", "ci-nightly", "renovate"]),
            ("token-admins", vec!["warden"]),
        ]
        .into();
    }
    let used = |mut token: Value| {
        let now = Timestamp::now().as_millisecond();
        token["lastAuthenticated"] = json!(now - 86_400_000);
        token
    };
    let ago = |days: i64| (Timestamp::now() - SignedDuration::from_hours(24 * days)).to_string();
    for (owner, id, name, permission) in [
        ("ci-deploy", "000000000101", "OPS-101 deploy", "REPO_ADMIN"),
        ("mary", "000000000102", "DEV-60 pull requests", "REPO_WRITE"),
        ("sam", "000000000103", "DEV-70 chat", "REPO_READ"),
        ("priya", "000000000104", "DEV-72 everything", "REPO_ADMIN"),
        ("olga", "000000000105", "DEV-12 release", "REPO_READ"),
        ("carl", "000000000106", "AGY-1 delivery", "REPO_READ"),
    ] {
        stub.add(&format!("users/{owner}"), used(token(id, name, &ago(100), &[permission])));
    }
    let fixture = Fixture::new(stub).await;
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    copy(&quickstart, fixture.folder.path());
    let base = fixture.folder.path().join("policy/base.yaml");
    let policy = fs::read_to_string(&base).unwrap();
    fs::write(&base, policy.replace("    - 10.0.0.0/8\n", "    - 10.0.0.0/8\n    - 127.0.0.0/8\n")).unwrap();
    fixture.configure(
        "policy: [policy/base.yaml, policy/platform.yaml]\n    rails:\n      revocations: { amount: 9, percent: 100 }\n      \
         expiries: { amount: 9, percent: 100 }\n      withdrawn_groups: { amount: 9, percent: 100 }\n      \
         refused_callers: { amount: 9, percent: 100 }\n      withdrawn_networks: { amount: 99, percent: 100 }",
    );
    let applied = fixture.apply().await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(
        !applied.stdout.contains("Held back") && applied.stdout.contains("Converged"),
        "{}",
        applied.stdout
    );
    let settings = fixture.server.settings().await.0;
    assert_eq!(settings["password_authentication"], "disabled", "{settings}");
    assert_eq!(
        settings["permissions"]["use"],
        json!(["ci-bots", "developers", "token-admins"]),
        "{settings}"
    );
    let now = Timestamp::now();
    for (id, method, reason) in [
        ("000000000101", "POST", None),
        ("000000000102", "POST", Some(DenialReason::RestrictedScope)),
        ("000000000102", "GET", None),
        ("000000000104", "POST", Some(DenialReason::RestrictedScope)),
        ("000000000106", "GET", Some(DenialReason::Use)),
    ] {
        assert_eq!(fixture.judged(id, method, now).await.0, reason, "{method} with {id}");
    }
    let later = now + SignedDuration::from_hours(24 * 20);
    assert_eq!(fixture.judged("000000000104", "GET", later).await.0, Some(DenialReason::RestrictedExpiry));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_gives_way_to_a_restriction_with_its_day() {
    let stub = bitbucket().await;
    let id = TokenId::new("075905477751");
    let day = (Timestamp::now() + SignedDuration::from_hours(24 * 5)).as_second() / 86_400 * 86_400;
    let until = Timestamp::from_second(day).unwrap();
    stub.rename("users/mary_example.com", &marker().write("nightly", &id, until));
    let fixture = Fixture::new(stub).await;
    let applied = fixture.apply().await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("Converged"), "{}", applied.stdout);
    assert_eq!(fixture.stub.only("users/mary_example.com")["name"], "nightly");
    let restriction = fixture.get("/rest/tokenwarden/1/restrictions/075905477751").await;
    assert_eq!(restriction["not_after"], json!(until), "the day that was promised: {restriction}");
    assert!(fixture.apply().await.stdout.starts_with("No changes."));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_knows_from_where_tokens_are_used_as_the_gateway_saw_it() {
    let fixture = Fixture::new(bitbucket().await).await;
    let last_use = LastUse { at: Timestamp::now(), from: Some([203, 0, 113, 7].into()) };
    let store = fixture.store().await;
    store.record_upstream_uses(&[Use { token: 75_905_477_751, last_use }]).await.unwrap();
    let planned = fixture.run(&["plan"]).await;
    assert!(planned.stdout.contains("1 token"), "{}", planned.stdout);
    assert!(planned.stdout.contains("last used from there"), "{}", planned.stdout);
    let refused = fixture.apply().await;
    assert_eq!(
        refused.code,
        Some(4),
        "the rail on refused callers is exact: {}{}",
        refused.stdout,
        refused.stderr
    );
    assert!(
        refused.stderr.contains("refused callers") || refused.stderr.contains("refused_callers"),
        "{}",
        refused.stderr
    );
    let taken = fixture.run(&["inventory", "--out", "-"]).await;
    assert!(taken.stdout.contains("203.0.113.7"), "{}", taken.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_would_shut_this_run_out_at_the_gateway_is_refused() {
    let fixture = Fixture::new(bitbucket().await).await;
    let policy = fixture.folder.path().join("policy.yaml");
    fs::write(&policy, POLICY.replace(", 127.0.0.0/8", "")).unwrap();
    let refused = fixture.apply().await;
    assert_eq!(refused.code, Some(4), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("127.0.0.1"), "{}", refused.stderr);
    assert_eq!(fixture.stub.contents().writes, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_front_of_nothing_and_one_that_is_blind_are_no_gateway() {
    let fixture = Fixture::new(bitbucket().await).await;
    let alone = TestServer::start(Setup {
        directory: DIRECTORY.to_owned(),
        clock: Clock::System,
        ..Setup::default()
    })
    .await;
    let secret = alone.make_token("warden", 2).await.secret;
    let file = fixture.folder.path().join("tokenwarden.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&fixture.server.url(""), &alone.url(""))).unwrap();
    let fixture = Fixture { secret, ..fixture };
    let planned = fixture.run(&["plan"]).await;
    assert_eq!(planned.code, Some(1), "{}", planned.stdout);
    assert!(planned.stderr.contains("stands in front of no other server"), "{}", planned.stderr);
}
