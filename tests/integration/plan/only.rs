//! `--only`: one part of a plan, judged by what is really done.

use serde_json::Value;

use crate::{
    support::program::{NOW, Quickstart, dump},
    targets::reconcile::{self, Repository},
};

fn settings_and_tokens(quickstart: &Quickstart) -> (Vec<String>, Vec<String>) {
    dump(&quickstart.store()).into_iter().partition(|line| line.starts_with("settings "))
}

#[test]
fn each_part_is_applied_by_itself_and_both_make_the_whole() {
    let quickstart = Quickstart::new();
    quickstart.run(&["plan", "--now", NOW]);
    let before = settings_and_tokens(&quickstart);
    let first = quickstart.run(&["apply", "--only", "settings", "--auto-approve", "--now", NOW]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stdout.contains("Plan: 8 settings to change.\nLeft out by `--only settings`: 6 tokens to narrow, 8 tokens to expire, 6 tokens to revoke.\n"), "{}", first.stdout);
    assert!(
        first.stdout.contains("was read back: nothing of the settings is left to do."),
        "{}",
        first.stdout
    );
    let between = settings_and_tokens(&quickstart);
    assert_eq!(between.1, before.1, "no token was touched");
    assert_ne!(between.0, before.0);
    let again = quickstart.run(&["apply", "--only", "settings", "--auto-approve", "--now", NOW]);
    assert!(again.stdout.starts_with("No changes. The settings of quickstart"), "{}", again.stdout);

    let second = quickstart.run(&["apply", "--only", "tokens", "--auto-approve", "--now", NOW]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stdout.contains("nothing of the tokens is left to do"), "{}", second.stdout);
    assert_eq!(settings_and_tokens(&quickstart).0, between.0, "no setting was touched");
    let whole = quickstart.run(&["plan", "--detailed-exitcode", "--now", NOW]);
    assert_eq!(whole.code, Some(0), "{}", whole.stdout);
}

#[test]
fn rails_count_what_is_really_done() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "      revocations: { amount: 10, percent: 25 }\n", "");
    let whole = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(whole.code, Some(4), "{}", whole.stderr);
    let tokens = quickstart.run(&["apply", "--only", "tokens", "--auto-approve", "--now", NOW]);
    assert_eq!(tokens.code, Some(4), "{}", tokens.stderr);
    let settings = quickstart.run(&["apply", "--only", "settings", "--auto-approve", "--now", NOW]);
    assert_eq!(settings.code, Some(0), "{}", settings.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn lockouts_are_those_of_what_is_really_done() {
    let server = reconcile::server().await;
    let warden = reconcile::token(&server, "root", "warden").await;
    reconcile::token(&server, "mary", "script").await;
    let policy = "version: 1\nnetwork: {allow: [203.0.113.0/24]}\ntokens: {limits: [{groups: [administrators], \
                  max_scope: read-write}, {max_scope: read-only}], enforcement: {scope: narrow}}\n";
    let repository = Repository::new(&server, &warden.secret, policy);
    let settings = repository.run(&["apply", "--only", "settings", "--auto-approve"]).await;
    assert_eq!(settings.code, Some(4), "{}", settings.stdout);
    assert!(settings.stderr.contains("lockout"), "{}", settings.stderr);
    let tokens = repository.run(&["apply", "--only", "tokens", "--auto-approve"]).await;
    assert_eq!(tokens.code, Some(0), "{}{}", tokens.stdout, tokens.stderr);
    assert!(
        tokens.stdout.contains("Left out by `--only tokens`: 2 settings to change."),
        "{}",
        tokens.stdout
    );
}

#[test]
fn what_is_held_back_of_the_other_part_is_left_out_too() {
    let quickstart = Quickstart::new();
    quickstart.edit("policy/base.yaml", "groups: [ci-bots]", "groups: [ci-bts]");
    let settings = quickstart.run(&["plan", "--only", "settings", "--now", NOW]);
    assert!(!settings.stdout.contains("rule lifetime"), "{}", settings.stdout);
    let tokens = quickstart.run(&["plan", "--only", "tokens", "--now", NOW]);
    assert!(tokens.stdout.contains("rule lifetime"), "{}", tokens.stdout);
    assert!(!tokens.stdout.contains("? tokens.limits"), "{}", tokens.stdout);
    for run in [settings, tokens] {
        assert_eq!(
            run.code,
            Some(1),
            "a group that is not known is said whatever is left out: {}",
            run.stdout
        );
        assert!(run.stdout.contains("group `ci-bts` is not known to the server"), "{}", run.stdout);
    }
}

#[test]
fn the_json_says_what_it_is_confined_to() {
    let quickstart = Quickstart::new();
    let plan = |arguments: &[&str]| -> Value {
        let run = quickstart.run(&[&["plan", "--format", "json", "--now", NOW], arguments].concat());
        serde_json::from_str(&run.stdout).unwrap()
    };
    let settings = plan(&["--only", "settings"]);
    assert_eq!(
        (&settings["targets"][0]["only"], &settings["targets"][0]["left_out"]),
        (&"settings".into(), &20.into())
    );
    let addresses = settings["resource_changes"].as_array().unwrap();
    assert!(addresses.iter().all(|change| change["address"].as_str().unwrap().contains("/settings/")));
    assert_eq!(plan(&[])["targets"][0].get("only"), None);
}
