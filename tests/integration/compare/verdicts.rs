//! `compare`: the verdict on every kind of edit, and examples that really give two answers.

use std::{collections::BTreeSet, fs};

use jiff::Timestamp;
use serde_json::Value;
use tokenwarden::{
    compare::compare,
    policy::{self, Policy},
};

use crate::support::program::{NOW, Quickstart, Run};

fn policy(text: &str) -> Policy {
    let reading = policy::read(&[("policy.yaml".into(), format!("version: 1\n{text}").into_bytes())]);
    reading.policy.unwrap_or_else(|| panic!("{text}\n{:?}", reading.diagnostics))
}

fn verdict(before: &str, after: &str) -> &'static str {
    let now: Timestamp = NOW.parse().unwrap();
    compare(&policy(before), &policy(after), None, now).shift().word()
}

/// The verdict on going from the first to the second, and on the way back.
const PAIRS: &[(&str, &str, &str, &str)] = &[
    // Written differently, and the same.
    (
        "network: { allow: [10.0.0.0/8] }",
        "network: { allow: [10.0.0.0/9, 10.128.0.0/9] }",
        "equivalent",
        "equivalent",
    ),
    (
        "network: { allow: [192.0.2.0/24] }",
        "network: { allow: [192.0.2.0-192.0.2.255] }",
        "equivalent",
        "equivalent",
    ),
    ("permissions: { use: [a, b] }", "permissions: { use: [b, A] }", "equivalent", "equivalent"),
    (
        "network: { allow: [10.0.0.0/8, 10.1.0.0/16] }",
        "network: { allow: [10.0.0.0/8] }",
        "equivalent",
        "equivalent",
    ),
    (
        "password_authentication: { state: disabled, except_users: [svc-*, svc-a] }",
        "password_authentication: { state: disabled, except_users: [svc-*] }",
        "equivalent",
        "equivalent",
    ),
    (
        "permissions: { use: [a], create: nobody }",
        "permissions: { create: nobody, use: [a] }",
        "equivalent",
        "equivalent",
    ),
    // Who may.
    ("permissions: { use: [a] }", "permissions: { use: [a, b] }", "looser", "stricter"),
    ("permissions: { use: [a] }", "permissions: { use: [b] }", "mixed", "mixed"),
    ("permissions: { use: [a] }", "permissions: { use: everyone }", "looser", "stricter"),
    ("permissions: { use: [a] }", "permissions: { use: nobody }", "stricter", "looser"),
    ("permissions: { create: [a] }", "permissions: { create: [a, b] }", "looser", "stricter"),
    (
        "permissions: { create: [a], create_read_write: [a] }",
        "permissions: { create: [a], create_read_write: nobody }",
        "stricter",
        "looser",
    ),
    ("permissions: { manage_others: [a] }", "permissions: { manage_others: nobody }", "stricter", "looser"),
    (
        "permissions: { use: nobody, create: [a] }",
        "permissions: { use: nobody, create: [a, b] }",
        "looser",
        "stricter",
    ),
    // From where.
    ("network: { allow: [10.0.0.0/8] }", "network: { allow: [10.0.0.0/8, 192.0.2.7] }", "looser", "stricter"),
    ("network: { allow: [10.0.0.0/8] }", "network: { allow: anywhere }", "looser", "stricter"),
    ("network: { allow: [10.0.0.0/8] }", "network: { allow: [10.0.0.0/9, 192.0.2.7] }", "mixed", "mixed"),
    (
        "network: { allow: [0.0.0.0/0] }",
        "network: { allow: [0.0.0.0/0, \"2001:db8::/32\"] }",
        "looser",
        "stricter",
    ),
    (
        "network: { allow: [10.0.0.0/8], client_address: peer }",
        "network: { allow: [10.0.0.0/8], client_address: { header: X-Forwarded-For, trusted_proxies: [10.0.0.5] } }",
        "stricter",
        "looser",
    ),
    (
        "network: { allow: [10.0.0.0/8], client_address: peer }",
        "network: { allow: [10.0.0.0/8], client_address: { header: X-Forwarded-For, trusted_proxies: [192.0.2.5] } }",
        "looser",
        "stricter",
    ),
    (
        "network: { allow: [10.0.0.0/8], client_address: { header: X-Forwarded-For, trusted_proxies: [192.0.2.5] } }",
        "network: { allow: [10.0.0.0/8], client_address: { header: X-Real-IP, trusted_proxies: [192.0.2.5] } }",
        "mixed",
        "mixed",
    ),
    (
        "network: { allow: [10.0.0.0/8], client_address: { header: X-Forwarded-For, trusted_proxies: [192.0.2.5] } }",
        "network: { allow: [10.0.0.0/8], client_address: { header: x-forwarded-for, trusted_proxies: [192.0.2.5] } }",
        "equivalent",
        "equivalent",
    ),
    (
        "network: { allow: [10.0.0.0/8], client_address: { header: X-Forwarded-For, trusted_proxies: [192.0.2.5] } }",
        "network: { allow: [10.0.0.0/8], client_address: { header: X-Forwarded-For, trusted_proxies: [192.0.2.5, 192.0.2.6] } }",
        "looser",
        "stricter",
    ),
    // Passwords.
    ("password_authentication: allowed", "password_authentication: disabled", "stricter", "looser"),
    (
        "password_authentication: disabled",
        "password_authentication: { state: disabled, except_users: [root] }",
        "looser",
        "stricter",
    ),
    (
        "password_authentication: { state: disabled, except_users: [svc-a] }",
        "password_authentication: { state: disabled, except_users: [svc-*] }",
        "looser",
        "stricter",
    ),
    (
        "password_authentication: { state: disabled, except_paths: [/a/*] }",
        "password_authentication: { state: disabled, except_paths: [/b/*] }",
        "mixed",
        "mixed",
    ),
    // Limits.
    (
        "tokens: { limits: [{ max_lifetime: 90d }] }",
        "tokens: { limits: [{ max_lifetime: 180d }] }",
        "looser",
        "stricter",
    ),
    (
        "tokens: { limits: [{ max_lifetime: 1y }] }",
        "tokens: { limits: [{ max_lifetime: 365d }] }",
        "stricter",
        "looser",
    ),
    (
        "tokens: { limits: [{ max_lifetime: 1mo }] }",
        "tokens: { limits: [{ max_lifetime: 30d }] }",
        "mixed",
        "mixed",
    ),
    (
        "tokens: { limits: [{ max_lifetime: 12mo }] }",
        "tokens: { limits: [{ max_lifetime: 1y }] }",
        "equivalent",
        "equivalent",
    ),
    (
        "tokens: { limits: [{ groups: [a], max_per_owner: 3 }, { groups: [b], max_per_owner: 5 }] }",
        "tokens: { limits: [{ groups: [b], max_per_owner: 5 }, { groups: [a], max_per_owner: 3 }] }",
        "looser",
        "stricter",
    ),
    (
        "tokens: { limits: [{ groups: [a], max_per_owner: 3 }, { projects: [X], max_per_owner: 5 }] }",
        "tokens: { limits: [{ projects: [X], max_per_owner: 5 }, { groups: [a], max_per_owner: 3 }] }",
        "equivalent",
        "equivalent",
    ),
    (
        "tokens: { limits: [{ projects: [X*], max_scope: read-only }] }",
        "tokens: { limits: [{ projects: [XY*], max_scope: read-only }] }",
        "looser",
        "stricter",
    ),
    (
        "tokens: { limits: [{ max_scope: read-only }] }",
        "tokens: { limits: [{ max_scope: read-write }] }",
        "looser",
        "stricter",
    ),
    (
        "tokens: { limits: [{ description: \"^A\" }] }",
        "tokens: { limits: [{ description: \"^AB\" }] }",
        "not proved",
        "not proved",
    ),
    // What is done about tokens.
    (
        "tokens: { enforcement: { expired: report } }",
        "tokens: { enforcement: { expired: revoke } }",
        "stricter",
        "looser",
    ),
    (
        "tokens: { enforcement: { scope-unset: narrow } }",
        "tokens: { enforcement: { scope-unset: { action: expire, grace: 14d } } }",
        "mixed",
        "mixed",
    ),
    (
        "tokens: { enforcement: { scope-unset: { action: expire, grace: 14d } } }",
        "tokens: { enforcement: { scope-unset: { action: expire, grace: 7d } } }",
        "stricter",
        "looser",
    ),
    // It finds nothing while there is no limit.
    (
        "tokens: { enforcement: { lifetime: report } }",
        "tokens: { enforcement: { lifetime: revoke } }",
        "equivalent",
        "equivalent",
    ),
    (
        "tokens: { rules: [{ name: x, when: token.expires == null, message: m }] }",
        "tokens: { rules: [{ name: x, when: \"token.expires  == null\", message: n }] }",
        "equivalent",
        "equivalent",
    ),
    (
        "tokens: { rules: [{ name: x, when: token.expires == null, message: m }] }",
        "tokens: { rules: [{ name: x, when: token.expires != null, message: m }] }",
        "mixed",
        "mixed",
    ),
    (
        "tokens: { rules: [{ name: x, when: 'token.id.matches(\"1\")', message: m }] }",
        "tokens: { rules: [{ name: x, when: 'token.id.matches(\"2\")', message: m }] }",
        "not proved",
        "not proved",
    ),
    ("", "tokens: { rules: [{ name: x, when: token.expires == null, message: m }] }", "stricter", "looser"),
    // Exceptions.
    ("", "waivers: [{ token: 7, rules: [expired], reason: r, until: 2099-01-01 }]", "looser", "stricter"),
    (
        "waivers: [{ token: 7, rules: [expired], reason: r, until: 2099-01-01 }]",
        "waivers: [{ token: 7, rules: [expired], reason: r, until: 2099-02-01 }]",
        "looser",
        "stricter",
    ),
    (
        "waivers: [{ owner: mary, description: \"a*\", rules: [expired], reason: r, until: 2099-01-01 }]",
        "waivers: [{ owner: mary, rules: [expired], reason: other, until: 2099-01-01 }]",
        "looser",
        "stricter",
    ),
    // What the server has is not known.
    ("", "network: { allow: [10.0.0.0/8] }", "not proved", "not proved"),
    ("permissions: { use: [a] }", "permissions: { use: unmanaged }", "not proved", "not proved"),
];

#[test]
fn every_kind_of_edit_gets_its_verdict_and_the_way_back_gets_the_reverse() {
    assert!(PAIRS.len() >= 40);
    let wrong: Vec<String> = PAIRS
        .iter()
        .flat_map(|(before, after, there, back)| [(before, after, there), (after, before, back)])
        .filter(|(before, after, expected)| verdict(before, after) != **expected)
        .map(|(before, after, expected)| {
            format!("{before}\n{after}\n{expected}, not {}", verdict(before, after))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn layers_in_another_order_are_equivalent_unless_they_say_the_same_thing_differently() {
    let of = |layers: &[(&str, &str)]| {
        let layers: Vec<_> = layers
            .iter()
            .map(|(name, text)| ((*name).into(), format!("version: 1\n{text}").into_bytes()))
            .collect();
        policy::read(&layers).policy.unwrap()
    };
    let now: Timestamp = NOW.parse().unwrap();
    let verdict = |one: &Policy, other: &Policy| compare(one, other, None, now).shift().word();
    let people = ("people.yaml", "permissions: { use: [a] }\ntokens: { enforcement: { expired: revoke } }");
    let places =
        ("places.yaml", "network: { allow: [10.0.0.0/8] }\ntokens: { limits: [{ max_lifetime: 90d }] }");
    let wider = ("wider.yaml", "permissions: { use: [a, b] }");
    let (there, back) = (of(&[people, places]), of(&[places, people]));
    assert_eq!((verdict(&there, &back), verdict(&back, &there)), ("equivalent", "equivalent"));
    let (wide, narrow) = (of(&[people, places, wider]), of(&[wider, people, places]));
    assert_eq!((verdict(&wide, &narrow), verdict(&narrow, &wide)), ("stricter", "looser"));
    assert_eq!(verdict(&narrow, &there), "equivalent", "what is overridden says nothing");
}

/// What a plan of `quickstart` finds on tokens and does about them, a line each: rule, action and address.
fn found(quickstart: &Quickstart) -> BTreeSet<String> {
    let run = quickstart.run(&["plan", "--only", "tokens", "--format", "json", "--now", NOW]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let plan = json(&run);
    let changes = plan["resource_changes"].as_array().unwrap().iter().map(|change| {
        format!(
            "{} {} {} {}",
            change["address"], change["change"]["actions"], change["rules"], change["change"]["after"]
        )
    });
    changes.chain(plan["reported"].as_array().unwrap().iter().map(ToString::to_string)).collect()
}

#[test]
fn each_edit_of_what_the_quickstart_says_of_tokens_is_classified_and_its_plan_differs() {
    let old = Quickstart::new();
    let before = found(&old);
    let earlier = old.folder.path().display().to_string();
    for (file, text, edited, kind, change) in [
        ("base", "max_lifetime: 180d", "max_lifetime: 10y", "limit", "looser"),
        ("base", "max_lifetime: 180d", "max_lifetime: 5d", "limit", "stricter"),
        ("base", "max_scope: read-only", "max_scope: read-write", "limit", "looser"),
        ("base", "max_scope: read-write", "max_scope: read-only", "limit", "stricter"),
        ("base", "max_idle: 90d", "max_idle: 1d", "limit", "stricter"),
        ("base", "max_per_owner: 3", "max_per_owner: 1", "limit", "stricter"),
        ("base", "      max_unused: 30d\n", "", "limit", "looser"),
        ("base", "- groups: [ci-bots]", "- groups: [ci-bots, developers]", "limit", "looser"),
        ("base", "owner-inactive: revoke", "owner-inactive: report", "action", "looser"),
        ("base", "idle: { action: expire, grace: 7d }", "idle: revoke", "action", "stricter"),
        (
            "base",
            "lifetime: { action: expire, grace: 14d }",
            "lifetime: { action: expire, grace: 3d }",
            "action",
            "stricter",
        ),
        ("platform", "rules: [lifetime]", "rules: [idle]", "waiver", "looser"),
        ("platform", "rules: [lifetime]", "rules: [idle]", "waiver", "stricter"),
        ("platform", "until: 2099-12-31", "until: 2026-11-01", "waiver", "stricter"),
        ("base", "startsWith(\"192.0.2.\")", "startsWith(\"198.51.100.\")", "own-rule", "not proved"),
    ] {
        let new = Quickstart::new();
        new.edit(&format!("policy/{file}.yaml"), text, edited);
        let run = new.run(&["compare", "--baseline-dir", &earlier, "--format", "json", "--now", NOW]);
        let document = json(&run);
        let differences = document["comparisons"][0]["differences"].as_array().unwrap();
        let is_told = differences.iter().any(|one| one["change"] == change && one["kind"] == kind);
        assert!(is_told, "{edited}: {document:#}");
        assert_ne!(before, found(&new), "{edited}: nothing of it shows in a plan");
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// What `explain` says of the example of the first difference of requests in `quickstart`, as it is: `permit` or a reason.
fn answer(quickstart: &Quickstart, example: &[&str]) -> Value {
    let run = quickstart.run(&[&example[1..], &["--format", "json", "--now", NOW]].concat());
    assert_eq!(run.code, Some(0), "{example:?} {run:?}");
    json(&run)["decisions"][0]["after_plan"]["decision"].clone()
}

#[test]
fn each_edit_of_the_quickstart_is_classified_and_its_example_gives_two_answers() {
    let old = Quickstart::new();
    for (file, before, after, change) in [
        ("base", "create: [developers, ci-bots]", "create: [developers, ci-bots, contractors]", "looser"),
        ("base", "create: [developers, ci-bots]", "create: [developers]", "stricter"),
        ("base", "create_read_write: [ci-bots]", "create_read_write: [ci-bots, developers]", "looser"),
        ("base", "manage_others: [token-admins]", "manage_others: [developers]", "looser"),
        ("base", "- 10.0.0.0/8", "- 10.0.0.0/9", "stricter"),
        ("base", "192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.30", "looser"),
        ("base", "password_authentication: disabled", "password_authentication: allowed", "looser"),
        ("platform", "use: [developers, ci-bots, token-admins]", "use: [developers, ci-bots]", "stricter"),
        ("platform", "use: [developers, ci-bots, token-admins]", "use: everyone", "looser"),
        ("platform", "header: X-Forwarded-For", "header: X-Real-IP", "looser"),
        ("platform", "trusted_proxies: [10.0.0.5, 10.0.0.6]", "trusted_proxies: [10.0.0.5]", "looser"),
    ] {
        let new = Quickstart::new();
        new.edit(&format!("policy/{file}.yaml"), before, after);
        let earlier = old.folder.path().display().to_string();
        let run = new.run(&["compare", "--baseline-dir", &earlier, "--format", "json"]);
        let document = json(&run);
        let differences = document["comparisons"][0]["differences"].as_array().unwrap();
        let difference = differences.iter().find(|one| one["change"] == change && one["kind"] == "requests");
        let difference = difference.unwrap_or_else(|| panic!("{after}: {document:#}"));
        let example: Vec<&str> =
            difference["example"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let (was, is) = (answer(&old, &example), answer(&new, &example));
        assert_ne!(was, is, "{after}: {example:?}");
        let permitted = if change == "looser" { &is } else { &was };
        assert_eq!(permitted, "permit", "{after}: {example:?}");
    }
}

#[test]
fn a_requirement_that_is_not_met_ends_with_two() {
    let quickstart = Quickstart::new();
    for (name, text) in [
        ("old.yaml", "version: 1\npermissions: { use: [a] }\n"),
        ("new.yaml", "version: 1\npermissions: { use: [a, b] }\n"),
        ("unproved.yaml", "version: 1\n"),
    ] {
        fs::write(quickstart.path(name), text).unwrap();
    }
    for (before, after, require, code) in [
        ("old.yaml", "old.yaml", "equivalent", 0),
        ("old.yaml", "old.yaml", "no-looser", 0),
        ("old.yaml", "old.yaml", "stricter", 2),
        ("old.yaml", "new.yaml", "equivalent", 2),
        ("old.yaml", "new.yaml", "no-looser", 2),
        ("new.yaml", "old.yaml", "no-looser", 0),
        ("new.yaml", "old.yaml", "stricter", 0),
        ("old.yaml", "unproved.yaml", "no-looser", 2),
        ("unproved.yaml", "old.yaml", "stricter", 2),
    ] {
        let run = quickstart.run(&["compare", before, after, "--require", require]);
        assert_eq!(run.code, Some(code), "{before} {after} {require}: {run:?}");
    }
    let run = quickstart.run(&["compare", "old.yaml", "new.yaml", "--format", "markdown"]);
    assert!(
        run.stdout.starts_with("**compared with old.yaml: looser: 1 difference permits more.**"),
        "{run:?}"
    );
    assert_eq!(quickstart.run(&["compare", "old.yaml"]).code, Some(64));
    assert_eq!(quickstart.run(&["compare"]).code, Some(64));
}

#[test]
fn an_invalid_baseline_proves_nothing() {
    let (old, new) = (Quickstart::new(), Quickstart::new());
    fs::write(old.path("policy/base.yaml"), "version: 1\npermissions: { use: [] }\n").unwrap();
    let earlier = old.folder.path().display().to_string();
    let run = new.run(&["compare", "--baseline-dir", &earlier, "--require", "no-looser"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stdout.contains("not proved: the baseline is invalid"), "{run:?}");
}
