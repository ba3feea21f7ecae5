//! The real program against the app, with the config file that says where it keeps its settings.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::stub::{KEY, PASSWORD, Stub};
use crate::support::program::{Run, program};

const SETTINGS: &str = "version: 1
mark_key_env: MARK_KEY
targets:
  app:
    kind: resolution
    url: URL
    auth: { user: warden, password_env: PASSWORD }
    policy: [policy.yaml]
    product: jira
    settings:
      path: /rest/app/1/configuration
      write: POST
      fields:
        permissions.use: { pointer: /use/groups, kind: objects, member: name, everyone: /use/all }
        network.allow: { pointer: /ips, kind: list }
        tokens.limits: { pointer: /months, kind: months, never: 0 }
";

const POLICY: &str = "version: 1
permissions: { use: [devs] }
network: { allow: [10.0.0.0/8] }
tokens:
  limits: [{ max_scope: read-only, max_lifetime: 1y }]
  enforcement: { lifetime: expire, owner-inactive: revoke }
";

async fn run(folder: &TempDir, arguments: &[&str]) -> Run {
    let mut command = program();
    command.arg("-C").arg(folder.path()).args(arguments).env("PASSWORD", PASSWORD).env("MARK_KEY", KEY);
    let run = tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap();
    for secret in [PASSWORD, KEY] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_says_is_what_the_app_has_afterwards() {
    let stub = Stub::filled().await;
    stub.contents().settings =
        json!({"use": {"all": true, "groups": []}, "ips": [], "months": 0, "other": [1, {"x": null}]});
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokenwarden.yaml"), SETTINGS.replace("URL", &stub.url())).unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    let planned = run(&folder, &["--now", "2026-11-23T12:00:00Z", "plan", "--detailed-exitcode"]).await;
    assert_eq!(planned.code, Some(2), "{}{}", planned.stdout, planned.stderr);
    insta::assert_snapshot!(planned.stdout.replace(&stub.url(), "URL"), @r#"
    tokenwarden will make these changes on app (URL):

      ~ permissions.use                                                  policy.yaml:2
          - everyone
          + group devs
      ~ network.allow                                                    policy.yaml:3
          - anywhere else             every other address refused
            10.0.0.0/8                16,777,216 addresses accepted
      ~ tokens.limits                                                    policy.yaml:5
          + - max_lifetime: 1y
      ~ token 1 "Automation token" of mary                               policy.yaml:5
          mark, to be revoked on 2026-12-08              lifetime: no expiry, limit 1y
      ~ token 2 "reports" of mary                                        policy.yaml:5
          mark, to be revoked on 2026-12-08              lifetime: no expiry, limit 1y
      ~ token 4 "tokenwarden" of warden                                  policy.yaml:5
          mark, to be revoked on 2026-12-08              lifetime: no expiry, limit 1y
      ~ token 5 "older than scopes" of mary                              policy.yaml:5
          mark, to be revoked on 2026-12-08              lifetime: no expiry, limit 1y
      x token 3 "left over" of gone                                      policy.yaml:6
          revoke, cannot be undone                       owner-inactive: gone is not active
                                                         lifetime: no expiry, limit 1y

    Report only:

      ! token 1 "Automation token" of mary                               policy.yaml:5
          scope: read-write, limit read-only
      ! token 3 "left over" of gone                                      policy.yaml:5
          scope: read-write, limit read-only
      ! token 4 "tokenwarden" of warden                                  policy.yaml:5
          scope: read-write, limit read-only
      ! token 5 "older than scopes" of mary                              policy.yaml:5
          scope: unset, limit read-only
          scope-unset: older than scopes, counts as read-write

    Note: no journal is kept: a token whose owner takes the mark off is marked anew, and wins that time
    Note: the server does not tell who administers it, so that `min_admins` is not kept: name those who must keep a way in as `break_glass`

    Plan: 3 settings to change, 4 tokens to mark, 1 token to revoke.
    No budget over time: without a journal, each run is judged on its own.
    0 of 5 tokens comply.
    "#);
    let taken = run(&folder, &["inventory", "--out", "taken.jsonl"]).await;
    assert_eq!(taken.code, Some(0), "{}{}", taken.stdout, taken.stderr);
    let now = ["--now", "2026-11-23T12:00:00Z", "plan"];
    let offline = run(&folder, &[&now[..], &["--inventory", "taken.jsonl"]].concat()).await;
    assert_eq!(offline.stdout, planned.stdout, "{}", offline.stderr);
    assert_eq!(stub.contents().writes, []);
    // Our address is not known, and networks are refused without it.
    let refused = run(&folder, &["apply", "--auto-approve"]).await;
    assert_eq!(refused.code, Some(4), "{}{}", refused.stdout, refused.stderr);
    let known = SETTINGS.replace("URL", &stub.url()) + "    self: { address: 10.1.2.3 }\n";
    fs::write(folder.path().join("tokenwarden.yaml"), known).unwrap();
    let applied = run(&folder, &["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    let settings = json!({"use": {"all": false, "groups": [{"name": "devs"}]}, "ips": ["10.0.0.0/8"],
                          "months": 12, "other": [1, {"x": null}]});
    assert_eq!(stub.contents().settings, settings);
    let again = run(&folder, &["apply", "--auto-approve"]).await;
    assert!(again.stdout.starts_with("No changes."), "{}", again.stdout);
}
