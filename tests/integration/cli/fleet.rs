//! Dozens of targets with the real program: read at the same time, each with its own plan, and one
//! summary; those that are down keep nobody from being read.

use std::{fmt::Write, fs, sync::Arc};

use futures_util::FutureExt;
use serde_json::Value;
use tempfile::TempDir;
use tokenwarden::serve::Clock;
use tokio::sync::Barrier;

use crate::support::{
    SETTINGS, Setup, TestServer,
    program::{NOW, Quickstart, Run, program},
    proxy::{Decide, Fate, Proxy, answer, stub},
};

/// Targets that answer.
const UP: usize = 37;

const POLICY: &str = "version: 1\npermissions: {create: [developers], use: [developers, administrators]}\n";

/// A folder with a config file of targets at these addresses, named by their numbers.
fn folder(urls: &[String]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut settings = "version: 1\ntargets:\n".to_owned();
    for (number, url) in urls.iter().enumerate() {
        writeln!(
            settings,
            "  t{number:02}: {{kind: gateway, url: '{url}', auth: {{bearer_env: WARDEN}}, policy: [policy.yaml], \
             timeout_seconds: {}}}",
            // The first one never answers, and nobody wants to wait for that.
            if number == 0 { 1 } else { 300 }
        )
        .unwrap();
    }
    fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    folder
}

async fn run(folder: &TempDir, server: &TestServer, arguments: &[&str]) -> Run {
    run_with(folder, &[("WARDEN", server.operator())], arguments).await
}

async fn run_with(folder: &TempDir, credentials: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = program();
    command.arg("-C").arg(folder.path()).args(arguments).envs(credentials.iter().copied());
    tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
}

/// Ways to the server: each holds the settings back until all of them are asked for.
async fn gated(server: &TestServer) -> Vec<Proxy> {
    let gate = Arc::new(Barrier::new(UP));
    let decide: Arc<Decide> = Arc::new(move |_, path| {
        let (gate, waits) = (Arc::clone(&gate), path == SETTINGS);
        async move {
            if waits {
                gate.wait().await;
            }
            Fate::Whole
        }
        .boxed()
    });
    let mut ways = Vec::new();
    for _ in 0..UP {
        ways.push(Proxy::start(server.address(), Arc::clone(&decide)).await);
    }
    ways
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_targets_of_which_three_are_down_give_thirty_seven_plans_read_at_the_same_time() {
    let server = TestServer::start(Setup { clock: Clock::System, ..Setup::default() }).await;
    let silent =
        Proxy::start(server.address(), Arc::new(|_, _| std::future::pending::<Fate>().boxed())).await;
    let login = stub(|_, _| answer("200 OK", &["content-type: text/html"], "<html>Log in</html>")).await;
    let ways = gated(&server).await;
    let down = [silent.url(), "http://127.0.0.1:9".to_owned(), login.url()];
    let urls: Vec<String> = down.into_iter().chain(ways.iter().map(Proxy::url)).collect();
    let folder = folder(&urls);

    let planned = run(&folder, &server, &["plan"]).await;
    assert_eq!(planned.code, Some(1), "{}", planned.stderr);
    let plans =
        planned.stdout.lines().filter(|line| line.starts_with("tokenwarden will make these changes on t"));
    let named: Vec<&str> = plans.filter_map(|line| line.split(' ').nth(6)).collect();
    let expected: Vec<String> = (3..40).map(|number| format!("t{number:02}")).collect();
    assert_eq!(named, expected, "in the order of the config file");
    let last = planned.stdout.lines().last();
    assert_eq!(last, Some("40 targets: 37 planned, 3 could not be read; 74 settings to change."));
    for (name, why) in [
        ("t00", "no answer came in time"),
        ("t01", "the connection was refused"),
        ("t02", "answered `text/html`"),
    ] {
        assert!(
            planned.stderr.contains(&format!("error: {name}: cannot read runs of")),
            "{}",
            planned.stderr
        );
        assert!(planned.stderr.contains(why), "{}", planned.stderr);
    }

    let json = run(&folder, &server, &["plan", "--format", "json"]).await;
    assert_eq!(json.code, Some(1));
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let count = |key: &str| document[key].as_array().unwrap().len();
    assert_eq!((count("targets"), count("errors"), count("resource_changes")), (37, 3, 37 * 2));
    assert!(document["targets"][0].get("calls").is_none(), "calls depend on the network and not on the plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_counts_its_calls_and_sums_up_what_became_of_all_targets() {
    let server = TestServer::start(Setup { clock: Clock::System, ..Setup::default() }).await;
    let second = TestServer::start(Setup { clock: Clock::System, ..Setup::default() }).await;
    let other = TestServer::start(Setup { clock: Clock::System, ..Setup::default() }).await;
    // The credential is the first server's: the other one refuses it, and the second has its own.
    let folder = folder(&[other.url(""), server.url(""), second.url("")]);
    let file = folder.path().join("tokenwarden.yaml");
    let (first, last) = fs::read_to_string(&file)
        .unwrap()
        .split_once("t02")
        .map(|(a, b)| (a.to_owned(), b.replace("WARDEN", "SECOND")))
        .unwrap();
    fs::write(file, format!("{first}t02{last}")).unwrap();
    let credentials = [("WARDEN", server.operator()), ("SECOND", second.operator())];

    let applied = run_with(&folder, &credentials, &["-v", "apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(1), "{}{}", applied.stdout, applied.stderr);
    let lines: Vec<&str> = applied.stdout.lines().filter(|line| line.contains(" targets: ")).collect();
    assert_eq!(
        lines,
        [
            "3 targets: 2 planned, 1 could not be read; 4 settings to change.",
            "2 targets: 2 converged; 4 settings changed.",
        ]
    );
    assert!(
        applied.stderr.contains("called") && applied.stderr.contains("calls in all"),
        "{}",
        applied.stderr
    );
    assert!(!applied.stderr.contains(server.operator()));

    let again = run_with(&folder, &credentials, &["apply", "--auto-approve", "--format", "json"]).await;
    let document: Value = serde_json::from_str(&again.stdout).unwrap();
    // The lease, what runs did, settings, whoami and version, one page of users, the members of the groups
    // and one page of tokens, and the begin and the end of the run; chains behind the last token find
    // nothing to ask for.
    for target in document["targets"].as_array().unwrap() {
        assert_eq!(target["calls"]["repeated"], 0, "{document}");
        assert!(target["calls"]["sent"].as_u64().unwrap() <= 14, "{document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_only_sends_nothing_but_get() {
    let server = TestServer::start(Setup { clock: Clock::System, ..Setup::default() }).await;
    let refuse = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    let decide: Arc<Decide> = Arc::new(move |method, _| {
        let fate = if method == "GET" { Fate::Whole } else { Fate::Instead(refuse.to_vec()) };
        async move { fate }.boxed()
    });
    let reader = Proxy::start(server.address(), decide).await;
    let folder = folder(&[reader.url()]);
    for arguments in [
        &["plan"][..],
        &["plan", "--out", "plan.json"],
        &["plan", "--detailed-exitcode", "--only", "settings"],
        &["drift"],
        &["explain", "--owner", "root", "--from", "127.0.0.1"],
        &["inventory", "--out", "taken.jsonl"],
        &["import"],
        &["journal", "show"],
    ] {
        let run = run(&folder, &server, arguments).await;
        assert!(matches!(run.code, Some(0 | 2)), "{arguments:?}: {run:?}");
    }
    let applied = run(&folder, &server, &["apply", "--auto-approve"]).await;
    assert_ne!(applied.code, Some(0), "apply does write");
}

#[test]
fn of_several_targets_the_most_telling_exit_code_counts() {
    let quickstart = Quickstart::new();
    let target = |name: &str, rails: &str| {
        format!(
            "  {name}: {{kind: embedded, store: '.tokenwarden/{name}.db', directory: directory.yaml, seed: tokens.yaml, \
             policy: [policy/base.yaml, policy/platform.yaml]{rails}}}\n"
        )
    };
    let wide = ", rails: {revocations: {amount: 99, percent: 100}, expiries: {amount: 99, percent: 100}, \
                withdrawn_groups: {amount: 99, percent: 100}, refused_callers: {amount: 99, percent: 100}}";
    let (used, refused) = (target("used", wide), target("refused", ""));
    let settings = |targets: &[&str]| {
        let text = format!("version: 1\ntargets:\n{}", targets.concat());
        fs::write(quickstart.path("tokenwarden.yaml"), text).unwrap();
    };
    settings(&[&used]);
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let earlier = "2026-10-01T00:00:00Z";
    for order in [[&*used, &*refused], [&*refused, &*used]] {
        settings(&order);
        let run = quickstart.run(&["apply", "--auto-approve", "--now", earlier]);
        assert_eq!(run.code, Some(64), "{}", run.stderr);
        assert!(run.stderr.contains("--now lies before"), "{}", run.stderr);
        assert!(run.stderr.contains("apply is refused on refused: "), "{}", run.stderr);
    }
    // One of which a file is invalid, and one that is refused.
    let invalid = refused.replace("refused:", "invalid:").replace("refused.db", "invalid.db");
    fs::write(quickstart.path("broken.yaml"), "users: 7\n").unwrap();
    let invalid = invalid.replace("directory.yaml", "broken.yaml");
    for order in [[&*invalid, &*refused], [&*refused, &*invalid]] {
        settings(&order);
        let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        let explained = quickstart.run(&["explain", "13", "--now", NOW]);
        assert_eq!(explained.code, Some(3), "{}", explained.stderr);
    }
}
