//! Text on a terminal: its width, its colour, and how much of a plan is shown.

use std::fs;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::support::program::{NOW, Quickstart, Run};

/// What a run prints in `variables`.
fn run_with(quickstart: &Quickstart, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    Run::of(quickstart.command(arguments).envs(variables.iter().copied()))
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn a_plan_fits_80_120_and_200_columns_and_no_word_is_cut() {
    let quickstart = Quickstart::new();
    let piped = quickstart.run(&["plan", "--now", NOW]).stdout;
    for columns in ["80", "120", "200"] {
        let shown = run_with(&quickstart, &["plan", "--now", NOW], &[("COLUMNS", columns)]).stdout;
        let width: usize = columns.parse().unwrap();
        for line in shown.lines() {
            assert!(line.width() <= width, "{columns}: {line}");
        }
        assert_eq!(words(&shown), words(&piped), "{columns}");
        insta::assert_snapshot!(format!("plan_at_{columns}_columns"), shown);
    }
}

#[test]
fn explanations_drift_and_mistakes_fit_80_columns_too() {
    let quickstart = Quickstart::new();
    fs::write(quickstart.path("wrong.yaml"), "version: 1\npermisions:\n  use: everyone\n").unwrap();
    for arguments in [
        &["explain", "28", "--now", NOW][..],
        &["explain", "19", "--now", NOW],
        &["drift", "--now", NOW],
        &["plan", "--summary", "--now", NOW],
        &["validate", "wrong.yaml"],
    ] {
        let piped = quickstart.run(arguments).stdout;
        let shown = run_with(&quickstart, arguments, &[("COLUMNS", "80")]).stdout;
        for line in shown.lines() {
            assert!(line.width() <= 80, "{arguments:?}: {line}");
        }
        assert_eq!(words(&shown), words(&piped), "{arguments:?}");
    }
}

#[test]
fn wide_characters_count_as_two_columns() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokens.yaml", "OPS-89 test reports", "OPS-89 試験報告 試験報告 試験報告");
    let shown = run_with(&quickstart, &["plan", "--now", NOW], &[("COLUMNS", "80")]).stdout;
    let line = shown.lines().find(|line| line.contains("試験報告")).expect(&shown);
    assert!(shown.lines().all(|line| line.width() <= 80), "{shown}");
    let place = line.find("policy/").map(|at| line[..at].width());
    assert!(place.is_none_or(|place| place == 57 || place == 80 - "policy/platform.yaml:17".len()), "{line}");
}

#[test]
fn colour_obeys_the_variables_that_people_set() {
    let quickstart = Quickstart::new();
    let coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["plan", "--now", NOW], arguments].concat();
        run_with(&quickstart, &arguments, variables).stdout.contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]), "a pipe has no colour");
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")]));
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")]));
    for off in [
        &[("CLICOLOR_FORCE", "0")][..],
        &[("CLICOLOR_FORCE", "")],
        &[("CLICOLOR", "1")],
        &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
    ] {
        assert!(!coloured(&[], off), "{off:?}");
    }
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]), "an option counts before a variable");
    assert!(!coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn a_terminal_without_a_cursor_gets_neither_colour_nor_a_bar() {
    let quickstart = Quickstart::new();
    let command = |term: &str| {
        let program = env!("CARGO_BIN_EXE_tokenwarden");
        let folder = quickstart.folder.path().display();
        let line = format!("stty rows 24 cols 80; {program} -C {folder} plan --now {NOW}");
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("TERM", term).env_remove("COLUMNS");
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        Run::of(&mut command)
    };
    let dumb = command("dumb");
    assert_eq!(dumb.code, Some(0), "{dumb:?}");
    assert!(!dumb.stdout.contains('\u{1b}'), "{}", dumb.stdout);
    assert!(dumb.stdout.lines().all(|line| line.trim_end().width() <= 80), "{}", dumb.stdout);
    let able = command("xterm-256color");
    assert!(able.stdout.contains("\u{1b}[1mPlan:"), "{}", able.stdout);
}

#[test]
fn what_is_shown_of_a_plan_can_be_chosen_and_the_plan_stays_whole() {
    let quickstart = Quickstart::new();
    let plan = |arguments: &[&str]| quickstart.run(&[&["plan", "--now", NOW], arguments].concat()).stdout;
    let subjects =
        |text: &str| text.lines().filter(|line| line.contains(" token ") && line.contains('"')).count();
    let end = "Plan: 8 settings to change, 6 tokens to narrow, 8 tokens to expire, 6 tokens to revoke.";

    let olga = plan(&["--owner", "OLGA"]);
    assert_eq!(subjects(&olga), 2, "{olga}");
    assert!(olga.contains(end) && !olga.contains("permissions.use"), "{olga}");
    let idle = plan(&["--rule", "idle"]);
    assert_eq!(subjects(&idle), 2, "{idle}");
    let neither = plan(&["--owner", "olga", "--rule", "idle"]);
    assert_eq!(subjects(&neither), 0, "{neither}");
    assert!(neither.contains("Listed are only tokens of `olga` with `idle`."), "{neither}");

    let few = plan(&["--limit", "1"]);
    assert!(few.contains("and 5 tokens to narrow, 8 tokens to expire, not listed here"), "{few}");
    assert!(few.contains("\n  x token "), "what cannot be undone is not crowded out: {few}");
    assert!(few.contains(end), "{few}");

    let summary = plan(&["--summary"]);
    assert_eq!(subjects(&summary), 0, "{summary}");
    assert!(summary.lines().any(|line| words(line) == ["scope", "6", "0", "0", "0"]), "{summary}");
    assert!(summary.contains(end), "{summary}");

    let file = quickstart.path("plan.json");
    quickstart.run(&["plan", "--now", NOW, "--summary", "--owner", "olga", "--out", "plan.json"]);
    let saved: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let whole: Value = serde_json::from_str(&plan(&["--format", "json"])).unwrap();
    assert_eq!(saved["resource_changes"], whole["resource_changes"]);
}

#[test]
fn no_changes_is_short_and_all_lists_the_rest() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    let short = quickstart.run(&["plan", "--now", NOW]).stdout;
    assert!(!short.contains("Report only:") && !short.contains("Waived:"), "{short}");
    assert!(short.contains("`--all` lists them"), "{short}");
    assert!(short.contains("Held back:"), "what is held back is always told: {short}");
    let all = quickstart.run(&["plan", "--now", NOW, "--all"]).stdout;
    for section in ["Already scheduled to end:", "Report only:", "Waived:"] {
        assert!(all.contains(section), "{section}: {all}");
    }
    assert!(all.lines().count() > 2 * short.lines().count(), "{short}");
}

#[test]
fn drift_tells_what_was_done_and_leaves_out_what_is_no_drift() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    let quiet = quickstart.run(&["drift", "--now", NOW]).stdout;
    assert!(!quiet.contains("Report only:") && !quiet.contains("token 35"), "{quiet}");

    let store = format!("sqlite:{}", quickstart.store().display());
    let exported = quickstart.run(&["settings", "export", "--store", &store]).stdout;
    let mut settings: Value = serde_json::from_str(&exported).unwrap();
    settings["permissions"]["create"] = serde_json::json!(["developers", "contractors"]);
    settings["password_authentication"] = "allowed".into();
    fs::write(quickstart.path("by-hand.json"), settings.to_string()).unwrap();
    let imported = quickstart.run(&["settings", "import", "by-hand.json", "--store", &store]);
    assert_eq!(imported.code, Some(0), "{imported:?}");

    let drifted = quickstart.run(&["drift", "--now", NOW]);
    assert_eq!(drifted.code, Some(2), "{drifted:?}");
    let told = drifted.stdout;
    assert!(!told.contains("will make these changes"), "{told}");
    assert!(told.contains("settings changed last by (settings import) on 2"), "{told}");
    assert!(
        told.contains("      + group contractors\n") && told.contains("      - group ci-bots\n"),
        "{told}"
    );
    assert!(told.contains("      disabled -> allowed\n"), "{told}");
    assert!(!told.contains("Report only:") && !told.contains("Waived:"), "{told}");
    assert!(told.contains("Drift: `apply` undoes it: 2 settings to change."), "{told}");
}
