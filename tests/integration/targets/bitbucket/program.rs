//! The real program against the server.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::stub::{KEY, PASSWORD, Stub, token};
use crate::support::program::{Run, program};

const POLICY: &str = "version: 1
network: {allow: [10.0.0.0/8]}
tokens:
  limits: [{max_scope: read-only, max_lifetime: 90d}]
  enforcement: {scope: narrow, lifetime: expire, owner-inactive: revoke}
";

pub(crate) struct Repository(TempDir);

impl Repository {
    pub(crate) fn new(stub: &Stub, keys: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = format!(
            "version: 1\nmark_key_env: MARK_KEY\ntargets:\n  prod:\n    kind: bitbucket\n    url: {}\n    \
             auth: {{ user: warden, password_env: PASSWORD }}\n    policy: [policy.yaml]\n{keys}",
            stub.url()
        );
        fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
        fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, KEY).await
    }

    /// Puts `text` in the place of `old` in the config file.
    pub(super) fn edit(&self, old: &str, text: &str) {
        let file = self.0.path().join("tokenwarden.yaml");
        let settings = fs::read_to_string(&file).unwrap();
        assert!(settings.contains(old), "{settings}");
        fs::write(&file, settings.replace(old, text)).unwrap();
    }

    async fn run_with(&self, arguments: &[&str], key: &str) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.0.path()).args(arguments).env("PASSWORD", PASSWORD).env("MARK_KEY", key);
        let run = tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap();
        for secret in [PASSWORD, KEY] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
        }
        run
    }
}

pub(crate) async fn server() -> Stub {
    let stub = Stub::start().await;
    stub.add(
        "users/mary_example.com",
        token("075905477751", "nightly", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]),
    );
    stub.add("users/gone", token("000000000002", "laptop", "2026-11-01T00:00:00Z", &["REPO_READ"]));
    stub
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_says_is_what_the_server_has_afterwards() {
    let stub = server().await;
    let repository = Repository::new(&stub, "    unsupported: warn\n");
    let planned = repository.run(&["--now", "2026-11-23T12:00:00Z", "plan", "--detailed-exitcode"]).await;
    assert_eq!(planned.code, Some(2), "{}{}", planned.stdout, planned.stderr);
    insta::assert_snapshot!(planned.stdout.replace(&stub.url(), "URL"), @r#"
    tokenwarden will make these changes on prod (URL):

      ~ token 075905477751 "nightly" of mary@example.com                 policy.yaml:4
          mark, to be revoked on 2026-12-08              lifetime: no expiry, limit 90d
          scope read-write -> read-only                  scope: read-write, limit read-only
      x token 000000000002 "laptop" of gone                              policy.yaml:5
          revoke, cannot be undone                       owner-inactive: gone is not active
                                                         lifetime: no expiry, limit 90d

    Held back:

      ? network.allow                                                    policy.yaml:2
          this kind of target has no such setting

    Note: tokens of users whom the server has deleted cannot be seen, and may still work
    Note: no journal is kept: a token whose owner takes the mark off is marked anew, and wins that time

    Plan: 1 token to narrow, 1 token to mark, 1 token to revoke.
    No budget over time: without a journal, each run is judged on its own.
    0 of 2 tokens comply.
    "#);
    let taken = repository.run(&["inventory", "--out", "taken.jsonl"]).await;
    assert_eq!(taken.code, Some(0), "{}{}", taken.stdout, taken.stderr);
    let now = ["--now", "2026-11-23T12:00:00Z", "plan"];
    let offline = repository.run(&[&now[..], &["--inventory", "taken.jsonl"]].concat()).await;
    assert_eq!(offline.stdout, planned.stdout, "{}", offline.stderr);
    assert_eq!(stub.contents().writes, []);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(
        applied.stdout.contains("1 token narrowed, 1 token marked, 1 token revoked"),
        "{}",
        applied.stdout
    );
    assert_eq!(stub.contents().writes.len(), 3);
    assert!(applied.stderr.contains("prod: another run could write at the same time"), "{}", applied.stderr);
    assert!(!planned.stderr.contains("another run"), "a plan writes nothing: {}", planned.stderr);
    let again = repository.run(&["apply", "--auto-approve"]).await;
    assert!(again.stdout.starts_with("No changes."), "{}", again.stdout);
    assert_eq!((again.code, stub.contents().writes.len()), (Some(0), 3));
    assert!(!again.stderr.contains("another run"), "nothing is written: {}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_misses_something_says_so_itself_and_on_standard_error_and_exits_with_1() {
    let stub = server().await;
    stub.contents().refused = vec!["/rest/access-tokens/latest/projects/", "/rest/basicauth/"];
    let repository = Repository::new(&stub, "");
    for out in ["taken.jsonl", "-"] {
        let taken = repository.run(&["inventory", "--out", out]).await;
        assert_eq!(taken.code, Some(1), "{}", taken.stderr);
        for missing in [
            "prod: not seen: `password_authentication` could not be read: 401",
            "prod: not seen: the tokens of 2 projects, such as project DOCS, could not be seen: 401",
        ] {
            assert!(taken.stderr.contains(missing), "{}", taken.stderr);
        }
        let file = repository.0.path().join("taken.jsonl");
        let lines = if out == "-" { taken.stdout } else { fs::read_to_string(file).unwrap() };
        let trailer: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert!(trailer["missing"][0].as_str().unwrap().contains("2 projects"), "{trailer}");
    }
    let planned = repository.run(&["plan", "--inventory", "taken.jsonl"]).await;
    assert_eq!(planned.code, Some(1), "the plan knows what is missing: {}", planned.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_journal_one_run_is_kept_from_the_other_and_nothing_warns_of_it() {
    let stub = server().await;
    let repository = Repository::new(&stub, "    unsupported: warn\n");
    repository.edit("targets:", "journal: { directory: journal }\ntargets:");
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!((applied.code, stub.contents().writes.len()), (Some(0), 3), "{}", applied.stderr);
    assert!(!applied.stderr.contains("another run"), "{}", applied.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_calls_is_said_and_is_what_the_server_counted() {
    let stub = server().await;
    let repository = Repository::new(&stub, "    unsupported: warn\n");
    let mut counted = 0;
    let mut made_since = || {
        let calls = stub.contents().calls.len();
        calls - std::mem::replace(&mut counted, calls)
    };
    let quiet = repository.run(&["--now", "2026-11-23T12:00:00Z", "plan"]).await;
    made_since();
    let loud = repository.run(&["--now", "2026-11-23T12:00:00Z", "plan", "-v"]).await;
    assert_eq!(loud.stdout, quiet.stdout, "what is called is no part of the plan");
    let calls = made_since();
    assert!(loud.stderr.contains(&format!("calls={calls} ")), "{calls}: {}", loud.stderr);
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    let calls = made_since();
    assert!(applied.stdout.ends_with(&format!("\n{calls} API calls.\n")), "{calls}: {}", applied.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_seen_after_the_writes_is_not_known_and_makes_the_run_fail() {
    let stub = server().await;
    stub.contents().refused_after_a_write = vec!["/rest/access-tokens/latest/projects/"];
    let repository = Repository::new(&stub, "    unsupported: warn\n");
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(stub.contents().writes.len(), 3, "everything was done");
    assert_eq!(applied.code, Some(1), "{}{}", applied.stdout, applied.stderr);
    let unknown = "Not known: prod was read back, and not everything could be seen:\n  ? the tokens of 2 projects, such as \
                   project DOCS, could not be seen: 401";
    assert!(applied.stdout.contains(unknown), "{}", applied.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_knows_the_first_deadline_of_a_token_as_plan_does() {
    let stub = server().await;
    let repository = Repository::new(&stub, "    unsupported: warn\n");
    repository.edit("targets:", "journal: { directory: journal }\ntargets:");
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    // The owner takes the mark off, and a plan five days later marks the token with the same day again.
    stub.rename("users/mary_example.com", "nightly");
    let later = (Timestamp::now() + SignedDuration::from_hours(5 * 24)).to_string();
    let json = |run: Run| -> Value { serde_json::from_str(&run.stdout).unwrap() };
    let planned = json(repository.run(&["plan", "--format", "json", "--now", &later]).await);
    let arguments = ["explain", "075905477751", "--format", "json", "--now", &later];
    let explained = json(repository.run(&arguments).await);
    let changes = planned["resource_changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!(changes[0]["change"]["actions"][0], "mark");
    assert_eq!(explained["tokens"][0]["resource_changes"], planned["resource_changes"]);
    assert_eq!(explained["tokens"][0]["upcoming"][0]["event"], "would-be-revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_server_cannot_hold_fail_the_run_unless_the_config_file_tolerates_them() {
    let stub = Stub::start().await;
    let strict = Repository::new(&stub, "").run(&["plan"]).await;
    assert_eq!(strict.code, Some(1), "{}{}", strict.stdout, strict.stderr);
    assert!(strict.stdout.contains("this kind of target has no such setting"), "{}", strict.stdout);
    let lenient =
        Repository::new(&stub, "    unsupported: warn\n    areas: [personal]\n").run(&["plan"]).await;
    assert_eq!(lenient.code, Some(0), "{}{}", lenient.stdout, lenient.stderr);
    assert!(
        lenient.stdout.starts_with("No changes in the settings and the tokens of users. "),
        "{}",
        lenient.stdout
    );
    assert!(lenient.stdout.contains("not looked at, as the config file says: tokens of projects"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_marks_that_is_too_short_is_an_error_that_does_not_show_it() {
    let stub = Stub::start().await;
    let run = Repository::new(&stub, "").run_with(&["plan"], "hunter2").await;
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("`MARK_KEY`") && run.stderr.contains("16 bytes"), "{}", run.stderr);
    assert!(!run.stderr.contains("hunter2"));
}
