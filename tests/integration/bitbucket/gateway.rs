//! The target `bitbucket` before our own server, which has Bitbucket's endpoints too.

use std::fs;

use serde_json::json;
use tempfile::TempDir;
use tokenwarden::serve::Clock;

use super::stub::KEY;
use crate::{
    program::{Run, program},
    support::{DIRECTORY, Setup, TestServer},
};

const POLICY: &str = "version: 1
tokens:
  limits: [{max_scope: read-only, max_lifetime: 1y}]
  enforcement: {scope: narrow, owner-inactive: revoke}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_built_for_bitbucket_works_on_a_server_with_its_endpoints() {
    let server = TestServer::start(Setup { clock: Clock::System, ..Setup::default() }).await;
    let in_time = |owner: &str, scope: u8| json!({"tokenForUserKey": owner, "tokenScope": scope, "tokenDescription": "made", "tokenValidityTimeInMonths": 6});
    let too_wide = server.make(in_time("mary", 2)).await;
    let narrow = server.make(in_time("sam", 1)).await;
    let left = server.make(in_time("bot", 1)).await;
    let without_bot =
        DIRECTORY.replace("{name: bot, password_env: bot}", "{name: bot, password_env: bot, active: false}");
    server.import(&without_bot).await.unwrap();

    let folder = TempDir::new().unwrap();
    let settings = format!(
        "version: 1\nmark_key_env: MARK_KEY\ntargets:\n  prod:\n    kind: bitbucket\n    url: {}\n    areas: [user]\n    \
         auth: {{ user: root, password_env: PASSWORD }}\n    policy: [policy.yaml]\n",
        server.url("")
    );
    fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = program();
        command.arg("-C").arg(folder.path()).args(arguments).env("PASSWORD", "root").env("MARK_KEY", KEY);
        tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
    };

    let applied = run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("1 token narrowed, 1 token revoked"), "{}", applied.stdout);
    assert_eq!(server.token(too_wide.id).await.unwrap()["tokenScope"], 1, "the same token in the app's REST");
    assert_eq!(server.token(narrow.id).await.unwrap()["tokenScope"], 1);
    assert!(server.token(left.id).await.is_none());
    let again = run(&["apply", "--auto-approve"]).await;
    assert!(
        again.stdout.starts_with("No changes in the settings and the tokens of users."),
        "{}{}",
        again.stdout,
        again.stderr
    );
}
