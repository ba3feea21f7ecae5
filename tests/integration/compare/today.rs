//! `compare --inventory`: whom each difference is about today, as a snapshot shows it.

use std::fs;

use serde_json::Value;

use crate::support::program::{Quickstart, Run};

const HEADER: &str = r#"{"record":"header","format_version":"2.0","target":"quickstart","kind":"embedded","seen_at":"2026-07-01T00:00:00Z","budget":{"window":"1d","spent":{}},"coverage":{"groups":"all","missing_groups":["ghosts"]},"server":{"url":"embedded .tokenwarden/quickstart.db","version":"0.1.0","administrators":"administrators","manageable":[],"unreadable":{},"forms":{},"capabilities":{"expiry":"set","narrows":true,"tokens_sent_as_passwords_are_passwords":false,"tokens_administer":true,"hides_tokens_of_deleted_users":false},"left_out":[]},"caller":{"user":null,"groups":[],"administrator":true,"credential":{"kind":"operator"},"address":"127.0.0.1","peer":"127.0.0.1"},"settings":{"permissions":{"use":"everyone","create":"everyone","create_read_write":"everyone","manage_others":["administrators"]},"network":{"allow":"anywhere","client_address":"peer"},"password_authentication":"allowed","limits":[]}}"#;

/// When a token was used last, and from where.
type Use = Option<(&'static str, &'static str)>;

/// Owner, scope, last use, expiry.
const TOKENS: &[(&str, &str, Use, Option<&str>)] = &[
    // Within 30 days of the snapshot, whenever this runs.
    ("amy", "read-write", Some(("2026-06-20T00:00:00Z", "10.0.0.7")), None),
    ("amy", "read-only", Some(("2026-05-20T00:00:00Z", "10.0.0.7")), None),
    ("ben", "read-write", Some(("2026-06-30T00:00:00Z", "192.0.2.7")), None),
    ("ben", "read-write", None, None),
    // It expired before.
    ("cat", "read-write", Some(("2026-05-01T00:00:00Z", "10.0.0.7")), Some("2026-06-01T00:00:00Z")),
    ("cat", "read-only", Some(("2026-06-29T00:00:00Z", "10.0.0.8")), Some("2026-08-01T00:00:00Z")),
    // The directory does not know this one.
    ("zoe", "read-write", Some(("2026-06-29T00:00:00Z", "10.0.0.9")), None),
];

fn snapshot() -> String {
    let mut lines = vec![HEADER.to_owned()];
    lines.extend(
        ["amy", "ben", "cat"].map(|name| format!(r#"{{"record":"user","name":"{name}","active":true}}"#)),
    );
    for (group, members) in [("a", r#"["amy"]"#), ("administrators", "[]"), ("b", r#"["ben","cat"]"#)] {
        lines.push(format!(r#"{{"record":"group","name":"{group}","members":{members}}}"#));
    }
    for (index, (owner, scope, used, expires)) in TOKENS.iter().enumerate() {
        let token = serde_json::json!({
            "record": "token", "id": (index + 1).to_string(), "owner": owner, "owner_kind": "user",
            "description": "OPS-1", "scope": scope, "created": "2026-01-01T00:00:00Z", "created_by": owner,
            "last_used": used.map(|(at, _)| at), "last_used_from": used.map(|(_, from)| from),
            "expires": expires, "mark": null,
        });
        lines.push(token.to_string());
    }
    lines.push(r#"{"record":"trailer","users":3,"groups":3,"tokens":7,"missing":[]}"#.to_owned());
    lines.join("\n") + "\n"
}

/// What `compare` writes of two policies, counted in the snapshot.
fn run(before: &str, after: &str, more: &[&str]) -> Run {
    let quickstart = Quickstart::new();
    for (name, text) in [("old.yaml", before), ("new.yaml", after)] {
        fs::write(quickstart.path(name), format!("version: 1\n{text}\n")).unwrap();
    }
    fs::write(quickstart.path("today.jsonl"), snapshot()).unwrap();
    let arguments = ["compare", "old.yaml", "new.yaml", "--inventory", "today.jsonl"];
    quickstart.run(&[&arguments[..], more].concat())
}

fn differences(before: &str, after: &str) -> Vec<Value> {
    let run = run(before, after, &["--format", "json"]);
    let document: Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    document["comparisons"][0]["differences"].as_array().unwrap().clone()
}

/// Owners, tokens, those used lately, and what is unsure.
fn counts(difference: &Value) -> [u64; 4] {
    ["owners", "tokens", "used_in_30_days", "unsure"].map(|key| difference["today"][key].as_u64().unwrap())
}

#[test]
fn each_difference_counts_the_owners_and_tokens_that_it_is_about() {
    for (before, after, expected, findings) in [
        // A stranger may be in any group.
        ("permissions: { use: [a, b] }", "permissions: { use: [a] }", [2, 3, 2, 1], None),
        ("permissions: { use: [a] }", "permissions: { use: everyone }", [2, 3, 2, 1], None),
        (
            "tokens: { limits: [{}] }",
            "tokens: { limits: [{ max_scope: read-only }] }",
            [4, 6, 4, 0],
            Some((4, 0)),
        ),
        (
            "tokens: { limits: [{ groups: [b], max_idle: 90d }] }",
            "tokens: { limits: [{ groups: [b], max_idle: 1d }] }",
            [2, 3, 2, 1],
            Some((1, 0)),
        ),
        (
            "tokens: { enforcement: { scope: report }, limits: [{ max_scope: read-only }] }",
            "tokens: { enforcement: { scope: narrow }, limits: [{ max_scope: read-only }] }",
            [3, 4, 3, 0],
            None,
        ),
        (
            "tokens: { rules: [{ name: r, when: 'token.id.matches(\"[12]\")', message: m }] }",
            "tokens: { rules: [{ name: r, when: 'token.id.matches(\"[234]\")', message: m }] }",
            [2, 3, 2, 0],
            Some((2, 1)),
        ),
        (
            "tokens: { limits: [{ max_scope: read-only }] }",
            "tokens: { limits: [{ max_scope: read-only }] }\nwaivers: [{ owner: ben, rules: [scope], reason: r, approved_by: a, until: 2026-12-31 }]",
            [1, 2, 1, 0],
            None,
        ),
    ] {
        let found = differences(before, after);
        let [difference] = found.as_slice() else { panic!("{after}: {found:#?}") };
        assert_eq!(counts(difference), expected, "{after}: {difference:#}");
        let told = ["more_findings", "fewer_findings"].map(|key| difference["today"][key].as_u64());
        assert_eq!(told, [findings.map(|(more, _)| more), findings.map(|(_, fewer)| fewer)], "{after}");
    }
}

#[test]
fn a_group_that_the_server_does_not_know_leaves_its_people_undecided_and_is_never_empty() {
    let found = differences("permissions: { use: [ghosts] }", "permissions: { use: everyone }");
    assert_eq!(counts(&found[0]), [0, 0, 0, 6]);
    let text = run("permissions: { use: [ghosts] }", "permissions: { use: everyone }", &[]).stdout;
    assert!(text.contains("today: 0 owners, 0 tokens; 6 not decided, as not all could be seen"), "{text}");
    assert!(
        text.contains("Today is 2026-07-01T00:00:00Z, as the inventory shows it; not everything"),
        "{text}"
    );
}

#[test]
fn networks_that_are_taken_away_say_who_was_there_lately() {
    let both = [
        "permissions: { use: everyone }\nnetwork: { allow: [10.0.0.0/8, 192.0.2.0/24] }",
        "permissions: { use: everyone }\nnetwork: { allow: [10.0.0.0/8] }",
    ];
    let text = run(both[0], both[1], &["--format", "markdown"]).stdout;
    // Nobody knows whether a stranger is active.
    let expected = "today: 3 owners, 5 tokens, 3 used in the last 30 days, 1 last from there; 1 not decided";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn people_whom_a_password_alone_lets_in_are_counted_without_tokens() {
    let found = differences(
        "password_authentication: disabled",
        "password_authentication: { state: disabled, except_users: [a*, c*] }",
    );
    assert_eq!(counts(&found[0]), [2, 0, 0, 0]);
}

#[test]
fn the_inventory_of_another_target_is_refused_and_other_targets_are_compared_without_it() {
    let quickstart = Quickstart::new();
    let earlier = quickstart.folder.path().display().to_string();
    fs::write(quickstart.path("today.jsonl"), snapshot()).unwrap();
    fs::write(quickstart.path("other.jsonl"), snapshot().replacen("\"quickstart\"", "\"other\"", 1)).unwrap();
    let compare = |file: &str| {
        quickstart.run(&[
            "compare",
            "--baseline-dir",
            &earlier,
            "--inventory",
            file,
            "--require",
            "equivalent",
        ])
    };
    let run = compare("today.jsonl");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("equivalent"), "{run:?}");
    for (file, words) in [
        ("other.jsonl", "the target `other`"),
        ("none.jsonl", "cannot be used"),
        ("tokenwarden.yaml", "not an inventory"),
    ] {
        let run = compare(file);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains(words) && run.stdout.is_empty(), "{run:?}");
    }
}
