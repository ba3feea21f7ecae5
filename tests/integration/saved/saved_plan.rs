//! Plans as files: saved, reviewed, and applied only as far as the policy still asks for them.

use std::fs;

use serde_json::{Value, json};

use crate::support::program::{NOW, Quickstart, dump};

/// A quickstart whose plan was saved.
fn saved() -> Quickstart {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["plan", "--now", NOW, "--out", "plan.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("Plan: 8 settings to change"), "the report is shown beside: {}", run.stdout);
    quickstart
}

fn apply(quickstart: &Quickstart, more: &[&str]) -> crate::support::program::Run {
    quickstart.run(&[&["apply", "plan.json", "--now", NOW], more].concat())
}

/// Writes the saved plan anew with what `edit` makes of it, and a digest that is right.
fn forge(quickstart: &Quickstart, edit: impl FnOnce(&mut Value)) {
    let path = quickstart.path("plan.json");
    let mut plan: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    plan.as_object_mut().unwrap().shift_remove("digest");
    edit(&mut plan);
    let text = serde_json::to_string_pretty(&plan).unwrap();
    let body = text.strip_suffix("\n}").unwrap();
    let digest = tokenwarden::model::digest::sha256(body.as_bytes());
    fs::write(path, format!("{body},\n  \"digest\": \"sha256:{digest}\"\n}}\n")).unwrap();
}

/// Sets `key` of the store's settings by hand.
fn set_by_hand(quickstart: &Quickstart, key: &str, value: Value) {
    let store = format!("sqlite:{}", quickstart.store().display());
    let exported = quickstart.run(&["settings", "export", "--store", &store]);
    let mut settings: Value = serde_json::from_str(&exported.stdout).unwrap();
    settings[key] = value;
    fs::write(quickstart.path("by-hand.json"), settings.to_string()).unwrap();
    let file = quickstart.path("by-hand.json").display().to_string();
    assert_eq!(quickstart.run(&["settings", "import", &file, "--store", &store]).code, Some(0));
}

#[test]
fn a_saved_plan_is_applied_without_a_question_and_a_second_time_changes_nothing() {
    let quickstart = saved();
    let run = apply(&quickstart, &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("nothing that was reviewed is left to do"), "{}", run.stdout);
    let after = dump(&quickstart.store());
    let again = apply(&quickstart, &[]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.starts_with("No changes."), "{}", again.stdout);
    assert!(again.stderr.contains("it is so already"), "{}", again.stderr);
    assert_eq!(dump(&quickstart.store()), after);
}

#[test]
fn saving_the_same_plan_twice_gives_the_same_bytes() {
    let quickstart = saved();
    let first = fs::read(quickstart.path("plan.json")).unwrap();
    quickstart.run(&["plan", "--now", NOW, "--out", "plan.json"]);
    assert_eq!(fs::read(quickstart.path("plan.json")).unwrap(), first);
    let printed = quickstart.run(&["plan", "--now", NOW, "--format", "json"]);
    assert_eq!(printed.stdout.as_bytes(), first, "one form, wherever it is written");
}

#[test]
fn what_moved_since_is_refused_by_itself_and_the_rest_is_applied() {
    let quickstart = saved();
    set_by_hand(
        &quickstart,
        "password_authentication",
        json!({"state": "disabled", "except_users": ["root"]}),
    );
    let run = apply(&quickstart, &[]);
    assert_eq!(run.code, Some(5), "{}{}", run.stdout, run.stderr);
    let refused: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("refused:")).collect();
    assert_eq!(
        refused,
        [
            "refused: set quickstart/settings/password_authentication: it was changed by somebody since the plan was made"
        ]
    );
    assert!(run.stdout.contains("7 settings changed"), "{}", run.stdout);
    let store = dump(&quickstart.store()).join("\n");
    assert!(store.contains(r#""except_users":["root"]"#), "what was set by hand is still there");
}

#[test]
fn a_plan_forged_to_revoke_a_compliant_token_with_a_right_digest_does_not_do_it() {
    let quickstart = saved();
    let compliant = "2";
    forge(&quickstart, |plan| {
        let changes = plan["resource_changes"].as_array_mut().unwrap();
        let mut revoke =
            changes.iter().find(|change| change["change"]["actions"] == json!(["revoke"])).unwrap().clone();
        let about = |change: &Value| change["address"] == format!("quickstart/token/{compliant}");
        assert!(!changes.iter().any(about), "token {compliant} complies");
        revoke["address"] = format!("quickstart/token/{compliant}").into();
        changes.push(revoke);
    });
    let run = apply(&quickstart, &[]);
    assert_eq!(run.code, Some(5), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("refused: revoke quickstart/token/2: "), "{}", run.stderr);
    assert!(dump(&quickstart.store()).iter().any(|line| line.starts_with("token 2 ")), "it is still there");
}

#[test]
fn a_forged_plan_alone_is_refused_whole() {
    let quickstart = saved();
    forge(&quickstart, |plan| {
        let changes = plan["resource_changes"].as_array_mut().unwrap();
        changes.retain(|change| change["change"]["actions"] == json!(["revoke"]));
        changes.truncate(1);
        changes[0]["address"] = "quickstart/token/2".into();
    });
    let before = dump(&quickstart.store());
    let run = apply(&quickstart, &[]);
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
    assert_eq!(dump(&quickstart.store()), before);
}

#[test]
fn a_flipped_byte_anywhere_refuses_the_plan_and_nothing_is_written() {
    let quickstart = saved();
    let before = dump(&quickstart.store());
    let whole = fs::read(quickstart.path("plan.json")).unwrap();
    for at in [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 80, whole.len() - 20, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(quickstart.path("plan.json"), damaged).unwrap();
        let run = apply(&quickstart, &[]);
        assert_eq!(run.code, Some(4), "byte {at}: {}", run.stderr);
    }
    fs::write(quickstart.path("plan.json"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(apply(&quickstart, &[]).code, Some(4), "cut off");
    assert_eq!(dump(&quickstart.store()), before);
}

#[test]
fn a_plan_is_refused_when_it_is_too_old_not_the_reviewed_one_or_for_another_target() {
    let quickstart = saved();
    let before = dump(&quickstart.store());
    let late = quickstart.run(&["apply", "plan.json", "--now", "2026-11-30T12:00:01Z"]);
    assert_eq!(late.code, Some(4), "{}", late.stderr);
    assert!(late.stderr.contains("expired at 2026-11-30T12:00:00Z"), "{}", late.stderr);

    let other = apply(&quickstart, &["--expect-digest", &"0".repeat(64)]);
    assert_eq!(other.code, Some(4), "{}", other.stderr);
    assert!(other.stderr.contains("not the expected one"), "{}", other.stderr);

    let early = quickstart.run(&["apply", "plan.json", "--now", "2026-11-23T10:00:00Z"]);
    assert_eq!(early.code, Some(4), "{}", early.stderr);

    forge(&quickstart, |plan| plan["targets"][0]["url"] = "https://elsewhere.example.com".into());
    let elsewhere = apply(&quickstart, &[]);
    assert_eq!(elsewhere.code, Some(4), "{}", elsewhere.stderr);
    assert!(elsewhere.stderr.contains("https://elsewhere.example.com"), "{}", elsewhere.stderr);

    forge(&quickstart, |plan| plan["targets"][0]["name"] = "production".into());
    let unknown = apply(&quickstart, &[]);
    assert_eq!(unknown.code, Some(4), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("`production`"), "{}", unknown.stderr);

    forge(&quickstart, |plan| plan["format_version"] = "9.0".into());
    assert_eq!(apply(&quickstart, &[]).code, Some(4));
    assert_eq!(dump(&quickstart.store()), before, "nothing was written");
}

#[test]
fn the_digest_of_the_review_binds_the_plan() {
    let quickstart = saved();
    let plan: Value = serde_json::from_slice(&fs::read(quickstart.path("plan.json")).unwrap()).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    let run = apply(&quickstart, &["--expect-digest", digest]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_plan_applied_some_days_after_its_review_gives_nobody_less_grace() {
    let quickstart = saved();
    let later = "2026-11-26T12:00:00Z";
    let run = quickstart.run(&["apply", "plan.json", "--now", later]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let store = dump(&quickstart.store());
    let token = store.iter().find(|line| line.starts_with("token 18 ")).unwrap();
    let reviewed: Value = serde_json::from_slice(&fs::read(quickstart.path("plan.json")).unwrap()).unwrap();
    let of_18 = |change: &&Value| change["address"] == "quickstart/token/18";
    let reviewed = reviewed["resource_changes"].as_array().unwrap().iter().find(of_18).unwrap();
    assert_eq!(reviewed["change"]["after"]["expires"], "2026-12-08T00:00:00Z");
    let two_weeks_from_the_run: jiff::Timestamp = "2026-12-11T00:00:00Z".parse().unwrap();
    assert!(token.ends_with(&two_weeks_from_the_run.as_millisecond().to_string()), "{token}");
}

#[test]
fn a_change_that_was_not_reviewed_waits_for_its_own_review() {
    let quickstart = saved();
    quickstart.edit("policy/base.yaml", "\npassword_authentication: disabled", "\n");
    let run = quickstart.run(&["plan", "--now", NOW, "--out", "plan.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    quickstart.edit("policy/base.yaml", "\n\ntokens:", "\npassword_authentication: disabled\n\ntokens:");
    let run = apply(&quickstart, &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("the policy of quickstart has changed"), "{}", run.stderr);
    assert!(run.stdout.contains("it was not reviewed or has moved: "), "{}", run.stdout);
    let left = quickstart.run(&["plan", "--now", NOW]);
    assert!(left.stdout.contains("Plan: 1 setting to change."), "{}", left.stdout);
}

#[test]
fn show_says_what_plan_said_and_asks_no_server() {
    let quickstart = Quickstart::new();
    let plan = quickstart.run(&["plan", "--now", NOW, "--out", "plan.json"]);
    fs::remove_dir_all(quickstart.path(".tokenwarden")).unwrap();
    fs::remove_file(quickstart.path("tokenwarden.yaml")).unwrap();
    let shown = quickstart.run(&["show", "plan.json"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert_eq!(shown.stdout, plan.stdout);
    assert!(shown.stderr.contains("digest sha256:"), "{}", shown.stderr);

    forge(&quickstart, |plan| plan["resource_changes"][0]["change"]["after"] = json!({"everyone": true}));
    let nonsense = quickstart.run(&["show", "plan.json"]);
    assert_eq!(nonsense.code, Some(4), "{}", nonsense.stderr);
    assert!(nonsense.stderr.contains("invalid entry for"), "{}", nonsense.stderr);
}
