//! `compare`: own rules whose condition was written differently, proved, and refuted with a token that policy tests take.

use std::fs;

use serde_json::Value;

use crate::support::program::Quickstart;

/// A folder with a policy for each of two sides, whose own rule `mine` has these conditions.
fn sides(before: &str, after: &str) -> Quickstart {
    let quickstart = Quickstart::new();
    for (name, condition) in [("old.yaml", before), ("new.yaml", after)] {
        let text = format!(
            "version: 1\ntokens:\n  rules:\n    - {{ name: mine, when: '{condition}', message: m }}\n    - {{ name: other, when: token.expires == null, message: m }}\n"
        );
        fs::write(quickstart.path(name), text).unwrap();
    }
    quickstart
}

/// Whether the rule finds the token of `example` under the policy in `file`.
fn is_found(quickstart: &Quickstart, file: &str, example: &str) -> bool {
    let config =
        format!("version: 1\ntargets: {{ it: {{ kind: embedded, store: a.db, policy: [{file}] }} }}\n");
    fs::write(quickstart.path("c.yaml"), config).unwrap();
    // The words of the example are keys of the case and of the file.
    let (now, rest) = example.strip_prefix("now: ").unwrap().split_once(", owners: ").unwrap();
    let (owners, token) = rest.split_once(", token: ").unwrap();
    let case = format!(
        "version: 1\nnow: {now}\ntarget: it\nowners: {owners}\ncases: [{{ name: it, token: {token}, expect: {{}} }}]\n"
    );
    fs::write(quickstart.path("case.yaml"), case).unwrap();
    let run = quickstart.run(&["--config", "c.yaml", "test", "case.yaml", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    let found = report["cases"][0]["actual"].as_array().unwrap().clone();
    found.contains(&Value::from("finding mine"))
}

#[test]
fn the_token_that_shows_a_difference_is_found_on_one_side_only_by_a_policy_test() {
    for (before, after, change) in [
        ("token.scope == \"read-write\"", "token.scope != \"read-only\"", "stricter"),
        (
            "\"a\" in owner.groups && owner.active == true",
            "\"a\" in owner.groups && owner.active == true && token.last_used != null",
            "looser",
        ),
        ("now - token.created > duration(\"720h\")", "now - token.created > duration(\"700h\")", "stricter"),
        ("token.description.startsWith(\"OPS-\")", "token.description.contains(\"OPS-\")", "stricter"),
        ("owner.project == \"lab\"", "owner.project == \"lab\" && owner.kind == \"repository\"", "looser"),
    ] {
        let quickstart = sides(before, after);
        let run = quickstart.run(&["compare", "old.yaml", "new.yaml", "--format", "json"]);
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let compared = &document["comparisons"][0];
        assert_eq!(compared["own_rules"], serde_json::json!({ "total": 2, "proved": 2 }), "{after}");
        let difference = &compared["differences"][0];
        assert_eq!(
            (&difference["change"], &document["proved"]),
            (&Value::from(change), &Value::from(true)),
            "{after}"
        );
        let example = difference["token"].as_str().unwrap();
        let [was, is] = ["old.yaml", "new.yaml"].map(|file| is_found(&quickstart, file, example));
        assert_eq!((was, is), (change == "looser", change == "stricter"), "{after}: {example}");
    }
}

#[test]
fn a_condition_that_was_only_written_differently_is_no_difference() {
    let quickstart = sides(
        "token.scope == \"read-write\" && \"a\" in owner.groups",
        "!(!(\"A\" in owner.groups) || token.scope in [\"read-only\", \"unset\"])",
    );
    let run = quickstart.run(&["compare", "old.yaml", "new.yaml", "--require", "equivalent"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "compared with old.yaml: equivalent: it permits exactly the same.\n")
    );
}

#[test]
fn a_condition_beyond_what_can_be_decided_is_not_proved_and_counted() {
    let quickstart = sides("token.description.matches(\"^A\")", "token.description.matches(\"^AB\")");
    let run = quickstart.run(&["compare", "old.yaml", "new.yaml", "--require", "no-looser"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stdout.contains("\n1 of 2 own rules proved.\n"), "{run:?}");
}

#[test]
fn where_failing_has_an_effect_a_condition_that_fails_elsewhere_is_not_proved() {
    let quickstart = sides(
        "token.expires != null && token.expires > now + duration(\"24h\")",
        "token.expires != null && token.expires - now > duration(\"24h\")",
    );
    for (enforcement, proved) in [("", true), ("  enforcement: { rule-error: revoke }\n", false)] {
        let text = fs::read_to_string(quickstart.path("new.yaml")).unwrap();
        fs::write(quickstart.path("acts.yaml"), text + enforcement).unwrap();
        let run = quickstart.run(&["compare", "old.yaml", "acts.yaml", "--format", "json"]);
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let own = document["comparisons"][0]["differences"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["kind"] == "own-rule")
            .cloned();
        assert_eq!(own.unwrap()["change"], if proved { "looser" } else { "not proved" });
    }
}
