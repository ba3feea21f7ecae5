//! The example that the README starts with, run by the real program.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::program::{NOW, Quickstart, Run, dump};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The lines of tokens by id.
fn tokens(quickstart: &Quickstart) -> BTreeMap<String, String> {
    dump(&quickstart.store())
        .into_iter()
        .filter_map(|line| {
            let (id, rest) = line.strip_prefix("token ")?.split_once(' ')?;
            Some((id.to_owned(), rest.to_owned()))
        })
        .collect()
}

#[test]
fn the_first_apply_converges_and_the_second_has_nothing_to_do() {
    let quickstart = Quickstart::new();
    let before = quickstart.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(before.code, Some(2), "{}", before.stderr);

    let first = quickstart.run(&["apply", "--auto-approve"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stdout.starts_with("tokenwarden will make these changes on quickstart"));
    assert!(first.stdout.contains("\nConverged: quickstart was read back: nothing is left to do.\n"));

    let second = quickstart.run(&["apply", "--auto-approve"]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stdout.starts_with("No changes."));

    let after = quickstart.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(after.code, Some(0), "{}", after.stderr);
}

#[test]
fn a_machine_without_any_certificates_can_try_it_out() {
    let quickstart = Quickstart::new();
    let mut command = quickstart.command(&["plan"]);
    let nothing = quickstart.folder.path();
    let run = Run::of(command.env("SSL_CERT_FILE", nothing.join("none")).env("SSL_CERT_DIR", nothing));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn the_server_is_really_different_afterwards_and_compliant_tokens_are_as_they_were() {
    let quickstart = Quickstart::new();
    let plan = json(&quickstart.run(&["plan", "--format", "json", "--now", NOW]).stdout);
    let before = tokens(&quickstart);
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    let after = tokens(&quickstart);

    let mut actions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for change in plan["resource_changes"].as_array().unwrap() {
        if let Some(id) = change["address"].as_str().unwrap().strip_prefix("quickstart/token/") {
            actions.entry(id).or_default().push(change["change"]["actions"][0].as_str().unwrap());
        }
    }
    assert!(actions.len() > 15);
    for (id, was) in &before {
        let field = |line: &str, index: usize| line.split('|').nth(index).unwrap().to_owned();
        match actions.get(id.as_str()) {
            None => assert_eq!(after.get(id), Some(was), "token {id} complies"),
            Some(actions) if actions.contains(&"revoke") => assert!(!after.contains_key(id)),
            Some(actions) => {
                let is = &after[id];
                if actions.contains(&"narrow") && field(was, 2) == "2" {
                    assert_eq!(field(is, 2), "1", "token {id} is read-only");
                }
                assert_eq!(field(is, 7) != field(was, 7), actions.contains(&"expire"));
                for kept in [0, 1, 3, 4, 5, 6] {
                    assert_eq!(field(is, kept), field(was, kept), "token {id}, field {kept}");
                }
            }
        }
    }
}

#[test]
fn the_plan_of_the_quickstart_reads_like_this() {
    let quickstart = Quickstart::new();
    let plan = quickstart.run(&["plan", "--now", NOW]);
    insta::assert_snapshot!(plan.stdout);
}

#[test]
fn the_same_plan_has_the_same_bytes() {
    let quickstart = Quickstart::new();
    let plan = || quickstart.run(&["plan", "--format", "json", "--now", NOW]).stdout;
    assert_eq!(plan(), plan());
}

#[test]
fn without_a_yes_nothing_is_applied() {
    let quickstart = Quickstart::new();
    let planned = quickstart.run(&["plan", "--now", NOW]);
    let before = dump(&quickstart.store());
    let refused = quickstart.run(&["apply", "--now", NOW]);
    assert_eq!(refused.code, Some(4));
    assert_eq!(refused.stdout, planned.stdout, "the plan is shown first");
    assert!(refused.stderr.contains("--auto-approve"), "{}", refused.stderr);
    assert_eq!(dump(&quickstart.store()), before);
}

#[test]
fn a_rail_refuses_before_anything_is_written_and_says_how_to_pass() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "      revocations: { amount: 10, percent: 25 }\n", "");
    quickstart.run(&["plan", "--now", NOW]);
    let before = dump(&quickstart.store());
    let refused = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("revocations: 5 of 35"), "{}", refused.stderr);
    assert_eq!(dump(&quickstart.store()), before);
    let too_few = quickstart.run(&["apply", "--auto-approve", "--now", NOW, "--allow", "revocations=4"]);
    assert_eq!(too_few.code, Some(4));
    let allowed = quickstart.run(&["apply", "--auto-approve", "--now", NOW, "--allow", "revocations=5"]);
    assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
}

#[test]
fn a_setting_that_was_changed_by_hand_is_exactly_one_change() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    let store = format!("sqlite:{}", quickstart.store().display());
    let exported = quickstart.run(&["settings", "export", "--store", &store]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let mut settings = json(&exported.stdout);
    settings["permissions"]["create"] = Value::from("everyone");
    std::fs::write(quickstart.path("by-hand.json"), settings.to_string()).unwrap();
    let imported = quickstart.run(&["settings", "import", "by-hand.json", "--store", &store]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);

    let plan = json(&quickstart.run(&["plan", "--format", "json", "--now", NOW]).stdout);
    let changes = plan["resource_changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!(changes[0]["address"], "quickstart/settings/permissions.create");
    assert_eq!(changes[0]["change"]["actions"][0], "withdraw");
    assert_eq!(changes[0]["change"]["before"], "everyone");
}

#[test]
fn a_group_that_the_server_does_not_know_is_held_back_and_the_run_says_so() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    quickstart.edit("policy/base.yaml", "create: [developers, ci-bots]", "create: [develpers, ci-bots]");
    let plan = quickstart.run(&["plan", "--now", NOW]);
    assert_eq!(plan.code, Some(1));
    assert!(!plan.stdout.contains("No changes."), "{}", plan.stdout);
    assert!(plan.stdout.contains("group `develpers` is not known to the server"), "{}", plan.stdout);
    let applied = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(applied.code, Some(1), "{}", applied.stderr);
}

#[test]
fn the_plan_as_json_keeps_to_its_schema() {
    let quickstart = Quickstart::new();
    let schema = json(&quickstart.run(&["schema", "plan"]).stdout);
    let validator = jsonschema::validator_for(&schema).unwrap();
    for command in [&["plan", "--format", "json"][..], &["apply", "--auto-approve", "--format", "json"][..]] {
        let run = quickstart.run(command);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let errors: Vec<_> =
            validator.iter_errors(&json(&run.stdout)).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}

#[test]
fn json_is_written_when_a_run_is_refused_too_and_nobody_is_asked_about_it() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.run(&["apply", "--format", "json", "--now", NOW]).code, Some(64));
    quickstart.edit("tokenwarden.yaml", "      revocations: { amount: 10, percent: 25 }\n", "");
    let refused = quickstart.run(&["apply", "--format", "json", "--auto-approve", "--now", NOW]);
    assert_eq!(refused.code, Some(4));
    let refusals = json(&refused.stdout)["refusals"].clone();
    assert_eq!(refusals[0]["target"], "quickstart");
    assert!(refusals[0]["message"].as_str().unwrap().starts_with("revocations: 5 of 35"), "{refusals}");
}

#[test]
fn apply_for_a_moment_that_the_target_has_left_behind_is_refused() {
    let quickstart = Quickstart::new();
    quickstart.run(&["plan", "--now", NOW]);
    let before = dump(&quickstart.store());
    let early = quickstart.run(&["apply", "--auto-approve", "--now", "2026-11-23T11:00:00Z"]);
    assert_eq!(early.code, Some(0), "the last use of any token is hours ago: {}", early.stderr);
    let quickstart = Quickstart::new();
    quickstart.run(&["plan", "--now", NOW]);
    let refused = quickstart.run(&["apply", "--auto-approve", "--now", "2026-11-23T01:00:00Z"]);
    assert_eq!(refused.code, Some(64), "{}", refused.stderr);
    assert_eq!(dump(&quickstart.store()), before);
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_a_server_on_this_machine() {
    let quickstart = Quickstart::new();
    let mut command = quickstart.command(&["plan", "--now", NOW]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let run = Run::of(&mut command);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_file_that_an_embedded_target_names_is_checked_like_the_policy() {
    let quickstart = Quickstart::new();
    std::fs::write(quickstart.path("directory.yaml"), "users: 3\n").unwrap();
    let run = quickstart.run(&["plan"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("directory.yaml"), "{}", run.stderr);
}

#[test]
fn what_is_waived_and_what_there_is_to_say_of_waivers_is_in_the_json_and_on_standard_error() {
    let quickstart = Quickstart::new();
    let run = |now: &str| quickstart.run(&["plan", "--format", "json", "--now", now]);
    let plan = json(&run(NOW).stdout);
    assert_eq!(plan["targets"][0]["tokens_waived"], 1);
    assert_eq!(plan["warnings"], Value::Array(Vec::new()));
    let waived = &plan["waived"][0];
    assert_eq!(waived["address"], "quickstart/token/19");
    assert_eq!(waived["findings"][0]["rule"], "lifetime");
    assert_eq!(waived["findings"][0]["waiver"]["until"], "2099-12-31");

    quickstart.edit("policy/platform.yaml", "until: 2099-12-31", "until: 2020-12-31");
    let ended = run(NOW);
    assert_eq!(ended.code, Some(0), "plan goes on");
    assert!(ended.stderr.contains("warning[waiver-ended]: the waiver for token 19 ended on 2020-12-31"));
    let plan = json(&ended.stdout);
    assert_eq!(plan["warnings"][0]["code"], "waiver-ended");
    assert_eq!(plan["waived"], Value::Array(Vec::new()));
    assert_eq!(quickstart.run(&["validate", "--now", NOW]).code, Some(3));
}
