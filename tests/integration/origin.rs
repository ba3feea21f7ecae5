//! Where a change comes from: the policy, the server, or a date.

use std::{fs, process::Command};

use serde_json::Value;

use crate::program::{NOW, Quickstart, Run};

/// A quickstart that was applied, in a Git repository whose first commit has its policy.
fn applied() -> Quickstart {
    let quickstart = Quickstart::new();
    fs::write(quickstart.path(".gitignore"), ".tokenwarden/\n").unwrap();
    git(&quickstart, &["init", "--quiet", "--initial-branch", "main"]);
    commit(&quickstart);
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    quickstart
}

fn git(quickstart: &Quickstart, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(quickstart.folder.path());
    command.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn commit(quickstart: &Quickstart) {
    git(quickstart, &["add", "--all"]);
    git(quickstart, &["commit", "--quiet", "--message", "policy"]);
}

/// Lets passwords work again, past the policy.
fn change_by_hand(quickstart: &Quickstart) {
    let store = format!("sqlite:{}", quickstart.store().display());
    let exported = quickstart.run(&["settings", "export", "--store", &store]);
    let mut settings: Value = serde_json::from_str(&exported.stdout).unwrap();
    settings["password_authentication"] = "allowed".into();
    fs::write(quickstart.path(".tokenwarden/by-hand.json"), settings.to_string()).unwrap();
    let file = quickstart.path(".tokenwarden/by-hand.json").display().to_string();
    assert_eq!(quickstart.run(&["settings", "import", &file, "--store", &store]).code, Some(0));
}

/// The changes of a JSON plan, as `origin address`.
fn origins(run: &Run) -> Vec<String> {
    let plan: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    let line = |change: &Value| {
        let origin = change["origin"].as_str().unwrap_or("none");
        format!("{origin} {}", change["address"].as_str().unwrap().trim_start_matches("quickstart/"))
    };
    plan["resource_changes"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn a_policy_edit_a_change_by_hand_and_a_date_are_told_apart_in_one_plan() {
    let quickstart = applied();
    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    change_by_hand(&quickstart);
    let later = "2027-02-23T12:00:00Z";
    let arguments = ["drift", "--baseline", "HEAD", "--since", NOW, "--now", later, "--format", "json"];
    let found = origins(&quickstart.run(&arguments));
    assert!(found.contains(&"policy settings/permissions.create".to_owned()), "{found:?}");
    assert!(found.contains(&"drift settings/password_authentication".to_owned()), "{found:?}");
    let of = |origin: &str| found.iter().filter(|line| line.starts_with(origin)).collect::<Vec<_>>();
    assert_eq!(of("policy").len(), 1, "{found:?}");
    assert_eq!(of("drift").len(), 1, "{found:?}");
    assert!(!of("time").is_empty() && of("time").iter().all(|line| line.contains("token/")), "{found:?}");

    let text = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW]).stdout;
    let (policy, rest) = text.split_once("From drift, the server was changed:").expect(&text);
    assert!(policy.contains("From the policy, which was changed:"), "{text}");
    assert!(policy.contains("permissions.create") && !policy.contains("password_authentication"), "{text}");
    assert!(rest.contains("password_authentication"), "{text}");
    assert!(rest.contains("settings changed last by (settings import) on 2"), "{text}");
    assert!(!policy.contains("settings changed last"), "{text}");
    let json = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["targets"][0]["settings_changed"]["by"], "(settings import)");

    let arguments = ["drift", "--baseline", "HEAD", "--since", NOW, "--now", later, "--format"];
    let shown = |form| quickstart.run(&[&arguments[..], &[form]].concat()).stdout;
    let sarif: Value = serde_json::from_str(&shown("sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap().iter();
    let (changed, left): (Vec<_>, Vec<_>) = results
        .map(|result| &result["properties"])
        .partition(|of| !["pending", "report", "waived"].contains(&of["action"].as_str().unwrap()));
    assert!(!changed.is_empty() && changed.iter().all(|of| of["origin"] == "time"), "{changed:?}");
    assert!(left.iter().all(|of| of.get("origin").is_none()), "{left:?}");
    let html = shown("html");
    for (name, origin) in [("permissions.create", "policy"), ("password_authentication", "drift")] {
        let (_, behind) = html.split_once(&format!("<strong>{name}</strong>")).unwrap();
        assert!(behind.split("</p>").next().unwrap().contains(&format!(" ({origin})<")), "{behind}");
    }
    assert!(html.contains("(time)</span></td>"), "{html}");
}

#[test]
fn drift_ends_with_two_for_a_change_by_hand_and_with_zero_after_a_policy_edit() {
    let quickstart = applied();
    let quiet = quickstart.run(&["drift", "--now", NOW]);
    assert_eq!(quiet.code, Some(0), "{}{}", quiet.stdout, quiet.stderr);

    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    let edited = quickstart.run(&["drift", "--baseline", "HEAD", "--now", NOW]);
    assert_eq!(edited.code, Some(0), "{}{}", edited.stdout, edited.stderr);
    let without = quickstart.run(&["drift", "--now", NOW, "--format", "json"]);
    assert_eq!(without.code, Some(2), "without a baseline the policy at hand is what should be");
    assert_eq!(origins(&without), ["drift settings/permissions.create"]);

    change_by_hand(&quickstart);
    let changed = quickstart.run(&["drift", "--baseline", "HEAD", "--now", NOW]);
    assert_eq!(changed.code, Some(2), "{}{}", changed.stdout, changed.stderr);
}

#[test]
fn a_date_that_was_reached_counts_when_it_is_asked_to() {
    let quickstart = applied();
    let later = "2027-02-23T12:00:00Z";
    let reached = quickstart.run(&["drift", "--since", NOW, "--now", later]);
    assert_eq!(reached.code, Some(0), "{}{}", reached.stdout, reached.stderr);
    assert!(reached.stdout.contains("From time, a date was reached:"), "{}", reached.stdout);
    let counted = quickstart.run(&["drift", "--since", NOW, "--now", later, "--fail-on", "time"]);
    assert_eq!(counted.code, Some(2), "{}", counted.stderr);
    let since_the_last_run = quickstart.run(&["drift", "--now", later]);
    assert_eq!(since_the_last_run.code, Some(0), "{}", since_the_last_run.stderr);
    assert_eq!(since_the_last_run.stdout, reached.stdout, "the server knows when the last run was");
}

#[test]
fn a_baseline_is_a_commit_or_a_folder_and_nothing_else() {
    let quickstart = applied();
    for revision in ["no-such-branch", "HEAD:policy", "--output=policy/base.yaml", ""] {
        let argument = format!("--baseline={revision}");
        let run = quickstart.run(&["plan", &argument, "--now", NOW]);
        assert_eq!(run.code, Some(1), "{revision}: {}", run.stderr);
        assert!(run.stderr.contains("`git rev-parse` failed"), "{revision}: {}", run.stderr);
    }

    let checkout = Quickstart::new();
    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    let folder = checkout.folder.path().display().to_string();
    let run = quickstart.run(&["plan", "--baseline-dir", &folder, "--now", NOW, "--format", "json"]);
    assert_eq!(origins(&run), ["policy settings/permissions.create"]);
}

#[test]
fn a_baseline_without_the_file_or_with_a_link_in_its_place_is_told() {
    let quickstart = applied();
    fs::remove_file(quickstart.path("policy/platform.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", quickstart.path("policy/platform.yaml")).unwrap();
    commit(&quickstart);
    git(&quickstart, &["rm", "--quiet", "--cached", "tokenwarden.yaml"]);
    git(&quickstart, &["commit", "--quiet", "--message", "without the settings file"]);
    git(&quickstart, &["checkout", "--quiet", "HEAD~2", "--", "policy/platform.yaml"]);

    let link = quickstart.run(&["plan", "--baseline", "HEAD~1", "--now", NOW]);
    assert_eq!(link.code, Some(3), "{}", link.stderr);
    assert!(link.stderr.contains("is no regular file"), "{}", link.stderr);

    change_by_hand(&quickstart);
    let nothing = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
    assert_eq!(origins(&nothing), ["policy settings/password_authentication"]);
    assert!(nothing.stderr.contains("the baseline has no settings file"), "{}", nothing.stderr);
}
