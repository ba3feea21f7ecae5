//! The program is killed at many points of a run: the next run finishes, and nothing takes effect twice.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    serve::process::{Process, folder},
    support::{
        TOKENS, answer, client,
        program::{NOW, Quickstart, Run, dump, program},
        world::block_on,
    },
};

/// At how many moments of a run it is killed.
const MOMENTS: u32 = 12;

/// How many changes are left to do.
fn left(quickstart: &Quickstart) -> usize {
    let plan = quickstart.run(&["plan", "--format", "json", "--now", NOW]);
    plan.stdout.matches("\"action_reason\"").count()
}

/// Applies to the end.
fn finish(quickstart: &Quickstart) -> Run {
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    run
}

/// How many writes a store has seen, against what it was at first.
fn progress(store: &Path, at_first: &[String]) -> usize {
    let now = dump(store);
    let revision = |lines: &[String]| -> usize {
        let settings = lines.iter().find_map(|line| line.strip_prefix("settings "));
        settings.and_then(|line| line.split(' ').next()).and_then(|number| number.parse().ok()).unwrap()
    };
    let untouched = at_first.iter().filter(|line| now.contains(line)).count();
    revision(&now) - revision(at_first) + (at_first.len() - untouched)
}

fn begin(quickstart: &Quickstart) -> Child {
    quickstart
        .command(&["apply", "--auto-approve", "--now", NOW])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The quickstart, with a journal in a folder beside the ledger of its server, or without.
fn quickstart(journal: bool) -> Quickstart {
    let quickstart = Quickstart::new();
    if journal {
        quickstart.edit("tokenwarden.yaml", "version: 1\n", "version: 1\njournal: {directory: journal}\n");
    }
    quickstart
}

/// What all runs together count against the rails: changes of tokens, and groups that lost a permission.
fn spent(quickstart: &Quickstart) -> Vec<Value> {
    let plan = quickstart.run(&["plan", "--format", "json", "--now", NOW]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let spent = &plan["targets"][0]["budget"]["spent"];
    ["revocations", "expiries", "narrowings", "withdrawn_groups"].map(|class| spent[class].clone()).into()
}

/// The next run after one that was killed ends where one whole run does, and both together count as much
/// as one.
fn assert_the_next_run_finishes(quickstart: &Quickstart, wanted: &[String], counted: &[Value]) -> Run {
    let run = finish(quickstart);
    assert_eq!(spent(quickstart), counted);
    // The revision of the settings counts every write of them: none was made twice.
    let ended = dump(&quickstart.store());
    let different: Vec<_> = wanted.iter().zip(&ended).filter(|(wanted, ended)| wanted != ended).collect();
    assert!(different.is_empty() && ended.len() == wanted.len(), "{different:#?}");
    run
}

#[test]
fn apply_killed_between_any_two_writes_is_finished_by_the_next_run() {
    let reference = Quickstart::new();
    let all = left(&reference);
    finish(&reference);
    let (wanted, counted) = (dump(&reference.store()), spent(&reference));
    assert_eq!(counted, [5, 8, 6, 4].map(Value::from));

    let mut half_way = 0;
    for point in (1..all).step_by(3) {
        let quickstart = quickstart(point % 2 == 0);
        left(&quickstart);
        let at_first = dump(&quickstart.store());
        let mut applying = begin(&quickstart);
        while applying.try_wait().unwrap().is_none() && progress(&quickstart.store(), &at_first) < point {}
        applying.kill().unwrap();
        applying.wait().unwrap();
        let hit = (1..all).contains(&left(&quickstart));
        half_way += usize::from(hit);
        let next = assert_the_next_run_finishes(&quickstart, &wanted, &counted);
        assert!(!hit || next.stderr.contains("was interrupted after "), "{}", next.stderr);
    }
    assert!(half_way > 3, "{half_way} runs were hit in the middle of their changes");
}

#[test]
fn apply_killed_at_any_moment_from_its_very_start_is_finished_by_the_next_run() {
    let reference = Quickstart::new();
    let begun = Instant::now();
    finish(&reference);
    let whole = begun.elapsed();
    let (wanted, counted) = (dump(&reference.store()), spent(&reference));
    for moment in 0..MOMENTS {
        let quickstart = quickstart(moment % 2 == 0);
        let mut applying = begin(&quickstart);
        // Where exactly it is hit does not matter: any moment must do, also while the store is made.
        std::thread::sleep(whole * moment / MOMENTS);
        applying.kill().unwrap();
        applying.wait().unwrap();
        assert_the_next_run_finishes(&quickstart, &wanted, &counted);
    }
}

/// Gives a gateway some tokens to apply a policy to, and answers the secret of an administrator's.
async fn fill(server: &Process) -> String {
    let url = server.url(&format!("{TOKENS}/token"));
    let own = client().post(&url).basic_auth("root", Some("root")).json(&json!({"tokenScope": 2}));
    let made = answer(own, StatusCode::OK).await;
    let secret = made["plainTextToken"].as_str().unwrap().to_owned();
    for index in 0..24 {
        let body = json!({"tokenDescription": format!("script {index}"), "tokenScope": 2, "tokenForUserKey": "mary"});
        answer(client().post(&url).bearer_auth(&secret).json(&body), StatusCode::OK).await;
    }
    secret
}

const GATEWAY_POLICY: &str = "version: 1
permissions: {use: [developers, administrators], create: [developers], create_read_write: nobody}
network: {allow: [127.0.0.0/8, 10.0.0.0/8]}
tokens:
  limits: [{groups: [administrators], max_scope: read-write}, {max_scope: read-only, max_lifetime: 30d, max_per_owner: 20}]
  enforcement: {scope: narrow, lifetime: expire, per-owner: revoke}
";

/// A folder with the files of a gateway that listens at `address`, and of the policy for it.
fn gateway_folder(folder: &TempDir, address: SocketAddr) {
    let settings = format!(
        "version: 1\ntargets: {{prod: {{kind: gateway, url: 'http://{address}', auth: {{bearer_env: WARDEN_TOKEN}}, \
         policy: [policy.yaml], rails: {{revocations: {{percent: 100}}, expiries: {{percent: 100}}, \
         narrowings: {{percent: 100}}, withdrawn_groups: {{percent: 100}}}}}}}}\n"
    );
    std::fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    std::fs::write(folder.path().join("policy.yaml"), GATEWAY_POLICY).unwrap();
}

fn apply_to_gateway(folder: &TempDir, secret: &str) -> Command {
    let mut command = program();
    command.arg("-C").arg(folder.path()).args(["apply", "--auto-approve"]).env("WARDEN_TOKEN", secret);
    // The lease of a run that could not give it back ends by itself.
    command.args(["--lock-timeout", "1m"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The store without what depends on the clock.
fn timeless(folder: &TempDir) -> Vec<String> {
    let without_times = |line: String| {
        let fields: Vec<_> = line.split('|').collect();
        let [owner, description, scope, .., expires] = fields.as_slice() else { return line };
        format!("{owner}|{description}|{scope}|{}", *expires != "never")
    };
    dump(&folder.path().join("store.db")).into_iter().map(without_times).collect()
}

#[test]
fn a_gateway_killed_while_policy_is_applied_to_it_ends_in_the_same_state_after_the_next_run() {
    let reference = folder();
    let server = Process::start_at(&reference, "127.0.0.1:0");
    gateway_folder(&reference, server.address);
    let secret = block_on(fill(&server));
    let at_first = timeless(&reference);
    assert!(apply_to_gateway(&reference, &secret).status().unwrap().success());
    server.kill();
    let wanted = timeless(&reference);

    // Each of these waits for the lease of a run that could not give it back: they wait side by side.
    let rounds = (1..30).step_by(7).map(|point| {
        let (at_first, wanted) = (at_first.clone(), wanted.clone());
        std::thread::spawn(move || killed_after(point, &at_first, &wanted))
    });
    let rounds: Vec<_> = rounds.collect();
    let half_way = rounds.into_iter().map(|round| usize::from(round.join().unwrap())).sum::<usize>();
    assert!(half_way > 1, "{half_way} runs were hit in the middle of their changes");
}

/// Kills a gateway after `point` writes of an apply, and lets the next run finish. Answers whether the
/// run was hit in the middle of its changes.
fn killed_after(point: usize, at_first: &[String], wanted: &[String]) -> bool {
    let folder = folder();
    let server = Process::start_at(&folder, "127.0.0.1:0");
    let address = server.address;
    gateway_folder(&folder, address);
    let secret = block_on(fill(&server));
    let store = folder.path().join("store.db");
    let begun = dump(&store);
    let mut applying = apply_to_gateway(&folder, &secret).spawn().unwrap();
    while applying.try_wait().unwrap().is_none() && progress(&store, &begun) < point {}
    server.kill();
    let code = applying.wait().unwrap().code();
    let left = timeless(&folder);
    assert!(code == Some(0) || matches!(code, Some(1 | 5)), "{code:?}");

    let server = Process::start_at(&folder, &address.to_string());
    assert!(apply_to_gateway(&folder, &secret).status().unwrap().success());
    server.kill();
    assert_eq!(timeless(&folder), wanted, "killed after {point} writes");
    left != at_first && left != wanted
}
