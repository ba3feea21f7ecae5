//! The program and a real server on clocks that are set wrong, by Debian's `faketime`.

use std::{fs, process::Command};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    serve::process::{self, Process},
    support::{TOKENS, WHOAMI, answer, client, program::Run, status},
};

/// Whatever time can do to a token.
const POLICY: &str = "version: 1
tokens:
  limits: [{max_scope: read-write, max_lifetime: 90d, max_idle: 60d, max_unused: 20d}]
  enforcement: {lifetime: {action: expire, grace: 14d}, expired: revoke, idle: revoke, never-used: revoke}
";
const SETTINGS: &str = "version: 1
targets:
  prod: {kind: gateway, url: URL, auth: {user: root, password_env: root}, policy: [policy.yaml]}
";
/// How far a clock is set wrong.
const WRONG: [&str; 3] = ["-30d", "+120d", "+25h"];

/// The program on a clock that is `offset` away from ours. The command of `faketime` starts another process,
/// which would outlive it.
fn faked(offset: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwarden"));
    let folders = fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let library = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| file.exists());
    command.env("LD_PRELOAD", library.expect("`apt-get install faketime` was done")).env("FAKETIME", offset);
    // What waits for some seconds waits for seconds.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    command
}

async fn run(folder: &TempDir, offset: &str, arguments: &[&str]) -> Run {
    let mut command = faked(offset);
    command.arg("-C").arg(folder.path()).args(arguments).env("root", "root").env("NO_COLOR", "1");
    tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
}

/// A server over a copy of the store in `of`, on a clock that is `offset` away from ours.
fn serve(of: &TempDir, offset: &str) -> (TempDir, Process) {
    let folder = process::folder();
    fs::copy(of.path().join("store.db"), folder.path().join("store.db")).unwrap();
    let process = serve_again(&folder, offset);
    (folder, process)
}

fn serve_again(folder: &TempDir, offset: &str) -> Process {
    let process = Process::start_as(faked(offset), folder, "127.0.0.1:0", &[]);
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    fs::write(folder.path().join("tokenwarden.yaml"), SETTINGS.replace("URL", &process.url(""))).unwrap();
    process
}

async fn make(server: &Process, http: &Client, user: &str, ends: Option<SignedDuration>) -> String {
    let ends = ends.map(|ends| (Timestamp::now() + ends).as_millisecond());
    let body = json!({"tokenDescription": "made", "tokenScope": 2, "tokenExpirationDateTimeMillis": ends});
    let request = http.post(server.url(&format!("{TOKENS}/token"))).basic_auth(user, Some(user)).json(&body);
    answer(request, StatusCode::OK).await["plainTextToken"].as_str().unwrap().to_owned()
}

async fn uses(server: &Process, http: &Client, secret: &str) -> u16 {
    status(http.request(Method::GET, server.url(WHOAMI)).bearer_auth(secret)).await
}

/// Identifier and end of every token.
async fn ends(server: &Process, http: &Client) -> Vec<(i64, i64)> {
    let request = http.get(server.url(&format!("{TOKENS}/tokensByFilter?limit=1000")));
    let list = answer(request.basic_auth("root", Some("root")), StatusCode::OK).await;
    let number = |token: &Value, key: &str| token[key].as_i64().unwrap();
    let tokens = list["content"].as_array().unwrap().iter();
    tokens.map(|token| (number(token, "id"), number(token, "validUntil"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs faketime"]
async fn clocks_that_are_set_wrong_revoke_and_end_nothing_that_should_stay() {
    let (http, folder) = (client(), process::folder());
    let hours = SignedDuration::from_hours;
    let server = serve_again(&folder, "+0");
    let endless = make(&server, &http, "mary", None).await;
    let unused = make(&server, &http, "sam", Some(hours(24 * 80))).await;
    let hour = make(&server, &http, "sam", Some(hours(1))).await;
    for secret in [&endless, &hour] {
        assert_eq!(uses(&server, &http, secret).await, 200);
    }
    let before = ends(&server, &http).await;
    assert_eq!(before.len(), 3);
    server.stop();

    for offset in WRONG {
        // The runner is wrong.
        let (place, server) = serve(&folder, "+0");
        for command in [&["apply", "--auto-approve"][..], &["apply", "--auto-approve", "--only", "tokens"]] {
            let applied = run(&place, offset, command).await;
            assert_eq!(applied.code, Some(4), "{offset}: {}{}", applied.stdout, applied.stderr);
        }
        assert_eq!(ends(&server, &http).await, before, "{offset}");
        let flags = ["apply", "--auto-approve", "--allow-clock-skew", "200d"];
        let applied = run(&place, offset, &flags).await;
        assert_eq!(applied.code, Some(0), "{offset}: {}{}", applied.stdout, applied.stderr);
        let least = (Timestamp::now() + hours(24 * 14) - SignedDuration::from_mins(5)).as_millisecond();
        let after = ends(&server, &http).await;
        assert_eq!(after[1..], before[1..], "{offset}");
        assert!((least..least + 2 * 86_400_000).contains(&after[0].1), "{offset}: {after:?}");
        server.stop();

        // The server is wrong, and killed; then it is right again.
        let (place, server) = serve(&folder, offset);
        let ended = if offset.starts_with('-') { 200 } else { 401 };
        assert_eq!(uses(&server, &http, &hour).await, ended, "{offset}");
        assert_eq!(uses(&server, &http, &endless).await, 200);
        let refused = if offset.starts_with('-') { Some(0) } else { Some(4) };
        let applied = run(&place, "+0", &["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, refused, "{offset}: {}{}", applied.stdout, applied.stderr);
        let after = ends(&server, &http).await;
        assert_eq!(after[1..], before[1..], "{offset}");
        assert!(after[0].1 == 0 || after[0].1 >= least, "{offset}: {after:?}");
        server.kill();
        let server = serve_again(&place, "+0");
        assert_eq!(uses(&server, &http, &hour).await, ended, "{offset}: nothing comes back to life");
        server.stop();

        // Whoever knows that it was ahead brings it back.
        let reset = run(&place, "+0", &["settings", "reset-clock", "--store", "sqlite:store.db"]).await;
        assert_eq!(reset.code, Some(0), "{}", reset.stderr);
        let server = serve_again(&place, "+0");
        assert_eq!(uses(&server, &http, &unused).await, 200);
        let applied = run(&place, "+0", &["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(0), "{offset}: {}{}", applied.stdout, applied.stderr);
        assert_eq!(ends(&server, &http).await[1..], before[1..], "{offset}");
    }
}
