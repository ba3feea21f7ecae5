//! `never` with `holds` in policy tests: who never has a token that reaches so far, proved over permissions, limits and
//! rules.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{Run, program};

/// Whether contractors never hold read-write under `policy`, and what is said when they may.
fn tested(policy: &str, statement: &str, more: &[&str]) -> Run {
    let folder = TempDir::new().unwrap();
    let config = "version: 1\ntargets: { prod: { kind: embedded, store: a.db, policy: [policy.yaml] } }\n";
    let tests =
        format!("version: 1\nnow: 2026-12-01\ntarget: prod\nnever:\n  - {{ name: it, {statement} }}\n");
    for (name, text) in [("tokenwarden.yaml", config), ("policy.yaml", policy), ("a.yaml", &tests)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Run::of(program().arg("-C").arg(folder.path()).args(["test", "a.yaml", "--format", "json"]).args(more))
}

const CONTRACTORS: &str = "in_groups: [contractors], holds: read-write";

#[test]
fn that_nobody_of_a_group_holds_read_write_is_proved_over_permissions_limits_and_rules() {
    let limits = "limits: [{ groups: [ci-bots], max_scope: read-write }, { max_scope: read-only }]";
    let excepting = "in_groups: [contractors], not_in_groups: [ci-bots], holds: read-write";
    let own = |action: &str, condition: &str| {
        format!(
            "permissions: {{ create_read_write: [staff], manage_others: nobody }}
tokens:
  rules: [{{ name: mine, when: '{condition}', message: no }}]
  enforcement: {{ mine: {action} }}"
        )
    };
    let in_own = "\"contractors\" in owner.groups && token.scope != \"read-only\"";
    for (policy, statement, actual) in [
        (format!("tokens: {{ {limits}, enforcement: {{ scope: narrow }} }}"), excepting, "never held"),
        // Somebody may be in both groups.
        (format!("tokens: {{ {limits}, enforcement: {{ scope: narrow }} }}"), CONTRACTORS, "a user in ci-bots, contractors with the scope read-write can be made"),
        (format!("tokens: {{ {limits}, enforcement: {{ scope: report }} }}"), excepting, "a user in contractors with the scope read-write stays"),
        ("tokens: { enforcement: { scope: revoke } }".to_owned(), CONTRACTORS, "can be made"),
        // Limits narrow what there is, and nobody is given more.
        ("permissions: { use: [staff] }\ntokens: { limits: [{ max_scope: read-only }], enforcement: { owner-not-permitted: revoke } }".to_owned(), CONTRACTORS, "a user in contractors, staff with the scope read-write stays"),
        // A waiver for somebody who may be one of them.
        (
            format!("tokens: {{ {limits}, enforcement: {{ scope: narrow }} }}
waivers: [{{ owner: mary, rules: [scope], reason: r, approved_by: b, until: 2027-01-01 }}]"),
            excepting,
            "stays",
        ),
        (
            format!("tokens: {{ {limits}, enforcement: {{ scope: narrow }} }}
waivers: [{{ owner: mary, rules: [scope], reason: r, approved_by: b, until: 2026-11-01 }}]"),
            excepting,
            "never held",
        ),
        // Own rules that surely find them.
        (own("revoke", in_own), "in_groups: [contractors], not_in_groups: [staff], holds: read-write", "never held"),
        (own("report", in_own), "in_groups: [contractors], not_in_groups: [staff], holds: read-write", "stays"),
        (own("revoke", in_own), CONTRACTORS, "can be made"),
        (
            own("revoke", "\"contractors\" in owner.groups && token.scope == \"read-write\""),
            "in_groups: [contractors], not_in_groups: [staff], holds: read-write",
            "with the scope unset stays",
        ),
        (
            own("revoke", "\"contractors\" in owner.groups && token.scope != \"read-only\" && !(\"x\" in owner.groups)"),
            "in_groups: [contractors], not_in_groups: [staff], holds: read-write",
            "a user in contractors, x with the scope read-write stays",
        ),
        // A name that has to be written out as it is.
        (
            own("revoke", "token.scope != \"read-only\" && !(\"x\u{ad}\" in owner.groups)"),
            "in_groups: [contractors], not_in_groups: [staff], holds: read-write",
            "with the scope read-write stays",
        ),
        (
            own("revoke", "token.scope != \"read-only\" && !(\"x\u{ad}\" in owner.groups)"),
            "in_groups: [contractors], not_in_groups: [staff, \"x\u{ad}\"], holds: read-write",
            "never held",
        ),
        (
            own("revoke", "token.scope != \"read-only\" && token.description.matches(\".*\")"),
            "in_groups: [contractors], not_in_groups: [staff], holds: read-write",
            "stays",
        ),
        // Of projects too, when no groups are named.
        ("tokens: { limits: [{ projects: [LAB*], max_scope: read-write }, { max_scope: read-only }], enforcement: { scope: narrow } }".to_owned(), "holds: read-write", "a token of project X with the scope read-write can be made"),
    ] {
        let run = tested(&format!("version: 1\n{policy}\n"), statement, &[]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{policy} {error} {run:?}"));
        let case = &report["cases"][0];
        let told = case["actual"][0].as_str().unwrap();
        assert!(told.contains(actual), "{policy}\n{statement}\n{case:#}");
        let passed = actual == "never held";
        assert_eq!((case["passed"].as_bool(), run.code), (Some(passed), Some(if passed { 0 } else { 3 })), "{policy}");
        assert_eq!(case["because"].as_array().unwrap().is_empty(), passed, "{case:#}");
    }
}

#[test]
fn a_statement_on_tokens_covers_the_limits_and_rules_that_it_rests_on() {
    let policy = "version: 1
tokens: { limits: [{ max_scope: read-only }], enforcement: { scope: narrow } }
";
    let run = tested(policy, CONTRACTORS, &["--coverage-min", "100"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_statement_on_tokens_says_nothing_of_requests() {
    let run = tested(
        "version: 1\npermissions: { use: [a] }\n",
        "holds: read-write, with: token, creates: read-only, from: { inside: [10.0.0.1] }",
        &[],
    );
    assert_eq!(run.code, Some(3), "{run:?}");
    assert_eq!(run.stderr.matches("`holds` is about tokens that exist").count(), 3, "{run:?}");
}
