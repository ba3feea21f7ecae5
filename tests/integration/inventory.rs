//! Snapshots: what is written is what is read, and what is not whole is not read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Cursor,
};

use proptest::prelude::*;
use serde_json::Value;
use tokenwarden::{
    inventory::{
        InventoryReader,
        snapshot::{About, GroupSelection, Snapshot, SnapshotError, write},
    },
    model::{Token, rails::Lockout},
    plan::{History, Plan, Terms},
};

use crate::{
    plan::laws::{self, policies, states},
    support::{
        Setup, TestServer,
        program::{NOW, Quickstart, Run},
        world::{World, block_on, calls, policy, time},
    },
    targets::reconcile::{self, Repository},
};

type Bytes = Cursor<Vec<u8>>;

/// What is written of `world`, with all of its groups.
fn snapshot_of(world: &World) -> Vec<u8> {
    let about = About { target: "world", kind: "memory", seen_at: time(laws::NOW), budget: None };
    let groups = block_on(world.groups()).unwrap().unwrap();
    let mut bytes = Vec::new();
    block_on(write(&about, &GroupSelection::All(groups), world, &mut bytes)).unwrap();
    bytes
}

fn open(bytes: impl Into<Vec<u8>>) -> Result<Snapshot<Bytes>, SnapshotError> {
    Snapshot::open("snapshot", Cursor::new(bytes.into()), |_, kind| (kind == "memory").then(calls))
}

/// Why `bytes` are no whole snapshot.
fn mistake(bytes: impl Into<Vec<u8>>) -> String {
    match open(bytes) {
        Err(error) => error.to_string(),
        Ok(snapshot) => match block_on(snapshot.tokens(&mut |_| {})) {
            Err(error) => error.cause.to_string(),
            Ok(_) => panic!("it is whole"),
        },
    }
}

proptest! {
    #![proptest_config(crate::support::world::cases(128))]

    #[test]
    fn a_plan_from_a_snapshot_is_the_plan_from_what_it_was_taken_of(text in policies(), state in states()) {
        let (policy, world) = (policy(&text), World::new(state));
        let (lockout, history) = (Lockout::default(), History::default());
        let snapshot = open(snapshot_of(&world)).unwrap();
        let terms = Terms { unsupported: tokenwarden::model::rails::Unsupported::Error,
            target: "world",
            policy: &policy,
            lockout: &lockout,
            history: &history,
            now: snapshot.seen_at(),
        };
        // Twice from the same snapshot: reading it uses nothing up.
        for _ in 0..2 {
            let offline = block_on(Plan::make(&terms, &snapshot)).unwrap();
            prop_assert_eq!(&offline, &world.plan(&policy, time(laws::NOW)));
        }
    }

    #[test]
    fn a_snapshot_that_is_cut_off_anywhere_is_never_taken_for_a_whole_one(state in states(), at in any::<prop::sample::Index>()) {
        let mut bytes = snapshot_of(&World::new(state));
        let end = at.index(bytes.len());
        bytes.truncate(end);
        let error = mistake(bytes);
        prop_assert!(error.contains("truncated") || error.contains("does not begin with a header"), "{error}");
    }
}

#[test]
fn lines_that_are_missing_doubled_or_swapped_are_noticed() {
    let quickstart = Quickstart::new();
    quickstart.run(&["inventory", "--out", "all.jsonl", "--now", NOW]);
    let text = fs::read_to_string(quickstart.path("all.jsonl")).unwrap();
    let text = text.replace(r#""kind":"embedded""#, r#""kind":"memory""#);
    let lines: Vec<&str> = text.lines().collect();
    let first = |record: &str| lines.iter().position(|line| line.contains(record)).unwrap();
    let (user, group, token) =
        (first(r#""record":"user""#), first(r#""record":"group""#), first(r#""record":"token""#));
    let without = |line: usize| {
        let mut changed = lines.clone();
        changed.remove(line);
        mistake(changed.join("\n") + "\n")
    };
    let with = |change: &dyn Fn(&mut Vec<&str>)| {
        let mut changed = lines.clone();
        change(&mut changed);
        mistake(changed.join("\n") + "\n")
    };
    assert!(without(token).contains("its trailer counts 12 users, 5 groups and 37 tokens"));
    assert!(without(user).contains("incomplete: "));
    assert!(with(&|lines| lines.insert(group, lines[group])).contains("does not belong there"));
    assert!(with(&|lines| lines.swap(user, group)).contains("does not belong there"));
    assert!(with(&|lines| lines.insert(token, lines[0])).contains("does not belong there"));
    assert!(with(&|lines| lines.push(lines[token])).contains(&format!("line {} does not", lines.len() + 1)));
    assert!(without(0).contains("does not begin with a header"));
    assert!(with(&|lines| lines[token] = "{}").contains(&format!("line {} is not a record", token + 1)));
    let other = text.replacen(r#""format_version":"2.0""#, r#""format_version":"3.0""#, 1);
    assert!(mistake(other).contains("version `3.0`"));
    let other = text.replacen(r#""kind":"memory""#, r#""kind":"abacus""#, 1);
    assert!(mistake(other).contains("`kind: abacus`"));
}

/// The lines of a snapshot of the quickstart, which [`open`] reads.
fn quickstart_lines() -> Vec<String> {
    let quickstart = Quickstart::new();
    let text = quickstart.run(&["inventory", "--out", "-", "--now", NOW]).stdout;
    text.replace(r#""kind":"embedded""#, r#""kind":"memory""#).lines().map(str::to_owned).collect()
}

fn tokens_of(lines: &[String]) -> Vec<Token> {
    let mut tokens = Vec::new();
    block_on(open(lines.join("\n") + "\n").unwrap().tokens(&mut |token| tokens.push(token))).unwrap();
    tokens
}

#[test]
fn a_record_may_say_its_kind_anywhere_in_its_line_and_says_it_once() {
    let lines = quickstart_lines();
    let token = lines.iter().position(|line| line.contains(r#""record":"token""#)).unwrap();
    let with = |change: &dyn Fn(&str) -> String| {
        let mut changed = lines.clone();
        changed[token] = change(&changed[token]);
        changed
    };
    let first = r#"{"record":"token","#;
    let last = with(&|line| {
        line.replace(first, "{").replace(r#""mark":null}"#, r#""mark":null, "record": "token"}"#)
    });
    let escaped =
        with(&|line| line.replace("OPS-101", r"\u004fPS-101").replace("ci-deploy", r"ci\u002ddeploy"));
    let longer = with(&|line| line.replace(first, &format!(r#"{first}"later":[{{"record":"user"}}],"#)));
    for form in [last, escaped, longer] {
        assert_ne!(form, lines);
        assert_eq!(tokens_of(&form), tokens_of(&lines));
    }
    for line in [r#"{"record":"user","record":"token","#, r#"{"record":"token","record":"token","#, "{"] {
        let changed = with(&|token| token.replace(first, line));
        let why = mistake(changed.join("\n") + "\n");
        assert_eq!(why, format!("line {} is not a record of an inventory", token + 1));
    }
}

#[test]
fn a_snapshot_counts_the_tokens_of_each_owner_beforehand_and_never_too_few() {
    let lines = quickstart_lines();
    let mut counts: BTreeMap<_, u32> = BTreeMap::new();
    for token in tokens_of(&lines) {
        *counts.entry(token.owner).or_default() += 1;
    }
    let snapshot = open(lines.join("\n") + "\n").unwrap();
    let census = snapshot.census().unwrap();
    for (owner, count) in &counts {
        assert!(census.may_exceed(owner, count - 1) && !census.may_exceed(owner, *count), "{owner}");
    }
    // What cannot be read cannot be counted.
    let cut_off = open(lines.split_last().unwrap().1.join("\n") + "\n").unwrap();
    assert_eq!(cut_off.census(), None);
}

#[test]
fn a_plan_without_network_and_store_has_the_bytes_of_the_live_one() {
    let quickstart = Quickstart::new();
    let taken = quickstart.run(&["inventory", "--out", "taken.jsonl", "--now", NOW]);
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    assert!(
        taken.stderr.contains("wrote 12 users, 5 groups and 37 tokens to taken.jsonl"),
        "{}",
        taken.stderr
    );
    let forms =
        [&["plan"][..], &["plan", "--format", "json", "--detailed-exitcode"], &["plan", "--only", "tokens"]];
    let live = forms.map(|form| quickstart.run(&[form, &["--now", NOW]].concat()));
    fs::remove_dir_all(quickstart.path(".tokenwarden")).unwrap();
    for (form, live) in forms.iter().zip(live) {
        let offline = quickstart.run(&[form, &["--inventory", "taken.jsonl"][..]].concat());
        assert_eq!((offline.code, offline.stdout, offline.stderr), (live.code, live.stdout, live.stderr));
    }
    assert!(!quickstart.path(".tokenwarden").exists(), "no server was started");
}

#[test]
fn each_line_of_a_snapshot_keeps_to_its_schema() {
    let quickstart = Quickstart::new();
    let schema: Value = serde_json::from_str(&quickstart.run(&["schema", "inventory"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let written = quickstart.run(&["inventory", "--out", "-", "--now", NOW]).stdout;
    let mut records = BTreeSet::new();
    for line in written.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{line}");
        records.insert(record["record"].as_str().unwrap().to_owned());
    }
    assert_eq!(records.len(), 5, "{records:?}");
}

#[test]
fn a_snapshot_for_a_reader_that_went_away_is_no_error() {
    let quickstart = Quickstart::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = quickstart.command(&["inventory", "--out", "-", "--now", NOW]);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn a_group_that_the_snapshot_does_not_have_is_unknown_and_never_empty() {
    let quickstart = Quickstart::new();
    quickstart.run(&["inventory", "--out", "taken.jsonl", "--now", NOW]);
    quickstart.edit("policy/base.yaml", "create: [developers, ci-bots]", "create: [develpers, ci-bots]");
    let plan = quickstart.run(&["plan", "--inventory", "taken.jsonl"]);
    assert_eq!(plan.code, Some(1), "{}", plan.stderr);
    assert!(plan.stdout.contains("group `develpers` is not known to the server"), "{}", plan.stdout);
}

#[test]
fn a_snapshot_that_cannot_be_used_is_named_with_the_reason() {
    let quickstart = Quickstart::new();
    quickstart.run(&["inventory", "--out", "taken.jsonl", "--now", NOW]);
    let refused = |arguments: &[&str], why: &str| {
        let run = quickstart.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    };
    let plan = ["plan", "--inventory", "taken.jsonl"];
    refused(&["plan", "--inventory", "nowhere.jsonl"], "the inventory `nowhere.jsonl` cannot be used");
    quickstart.edit("taken.jsonl", r#""target":"quickstart""#, r#""target":"elsewhere""#);
    refused(&plan, "it is from the target `elsewhere`, which the config file does not have");
    quickstart.edit(
        "taken.jsonl",
        r#""target":"elsewhere","kind":"embedded""#,
        r#""target":"quickstart","kind":"gateway""#,
    );
    refused(&plan, "it is from a server of `kind: gateway`, but `quickstart` is now of `kind: embedded`");
    quickstart.edit("taken.jsonl", r#""kind":"gateway""#, r#""kind":"embedded""#);
    let text = fs::read_to_string(quickstart.path("taken.jsonl")).unwrap();
    fs::write(quickstart.path("taken.jsonl"), text.split_at(text.len() - 90).0).unwrap();
    refused(&plan, "cannot read tokens of taken.jsonl\n  because: truncated after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_server_elsewhere_holds_no_secret_and_needs_none() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    let mary = reconcile::token(&server, "mary", "script").await;
    let policy = "version: 1\npermissions: {create: [developers]}\ntokens: {limits: [{groups: [administrators], \
                  max_scope: read-write}, {max_scope: read-only}], enforcement: {scope: narrow}}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    let taken = repository.run(&["inventory", "--out", "taken.jsonl"]).await;
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let text = fs::read_to_string(repository.folder.path().join("taken.jsonl")).unwrap();
    for secret in [&warden.secret, &mary.secret, server.operator()] {
        assert!(!text.contains(secret));
    }
    let later = "2099-01-01T00:00:00Z";
    let live = repository.run(&["plan", "--format", "json", "--now", later]).await;
    assert_eq!(live.code, Some(0), "{}", live.stderr);
    server.stop().await;
    let nobody = Repository { secret: String::new(), ..repository };
    let offline =
        nobody.run(&["plan", "--format", "json", "--now", later, "--inventory", "taken.jsonl"]).await;
    assert_eq!((offline.code, offline.stdout), (Some(0), live.stdout), "{}", offline.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_fails_leaves_the_file_that_was_there() {
    let server = TestServer::start(Setup::default()).await;
    let repository = Repository::new(&server, "tw_of-nobody", "version: 1\n");
    let path = repository.folder.path().join("taken.jsonl");
    fs::write(&path, "yesterday's").unwrap();
    let Run { code, stderr, .. } = repository.run(&["inventory", "--out", "taken.jsonl"]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "yesterday's");
    assert_eq!(fs::read_dir(repository.folder.path()).unwrap().count(), 3, "no draft is left");
}
