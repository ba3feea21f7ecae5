//! The reports that a run leaves in files, written by the real program.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    support::program::{NOW, Quickstart, Run, program},
    targets::reconcile::{Repository, server, token},
};

/// The files in a folder by name, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(quickstart: &Quickstart, name: &str) -> String {
    fs::read_to_string(quickstart.path(name)).unwrap()
}

#[test]
fn the_plan_of_the_quickstart_reads_like_this_in_a_pull_request() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["plan", "--now", NOW, "--format", "markdown"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn the_owners_of_the_quickstart_are_told_this() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["plan", "--now", NOW, "--report", "owners=notices"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let notices = names(&quickstart.path("notices"));
    let told: Vec<_> = notices
        .iter()
        .map(|name| format!("==> {name}\n{}", read(&quickstart, &format!("notices/{name}"))))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn whoever_has_a_waiver_that_ends_soon_is_told_of_it() {
    let quickstart = Quickstart::new();
    let notice = |until: &str, before: &str| {
        quickstart.edit("policy/platform.yaml", &format!("until: {before}"), &format!("until: {until}"));
        let run = quickstart.run(&["plan", "--now", NOW, "--report", "owners=notices"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let files = names(&quickstart.path("notices")).into_iter();
        let texts = files.map(|name| read(&quickstart, &format!("notices/{name}")));
        texts.into_iter().find(|text| text.contains("## token 19 "))
    };
    assert_eq!(notice("2026-12-31", "2099-12-31"), None, "that is far away");
    insta::assert_snapshot!(notice("2026-12-01", "2026-12-31").unwrap());
}

#[test]
fn one_run_writes_every_report_and_what_is_on_standard_output_stays_as_it_was() {
    let quickstart = Quickstart::new();
    let alone = quickstart.run(&["plan", "--now", NOW]);
    let mut arguments = vec!["plan".to_owned(), "--now".to_owned(), NOW.to_owned()];
    let kinds = ["text", "json", "markdown", "sarif", "junit", "html", "metrics", "owners"];
    fs::create_dir(quickstart.path("out")).unwrap();
    arguments.extend(kinds.iter().flat_map(|kind| ["--report".to_owned(), format!("{kind}=out/{kind}")]));
    let run = quickstart.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((run.code, &run.stdout), (Some(0), &alone.stdout), "{}", run.stderr);
    assert_eq!(names(&quickstart.path("out")).len(), kinds.len(), "and no half-written file beside them");
    assert_eq!(read(&quickstart, "out/text"), alone.stdout);
    for kind in ["json", "markdown", "sarif", "junit", "html"] {
        let shown = quickstart.run(&["plan", "--now", NOW, "--format", kind]).stdout;
        assert_eq!(read(&quickstart, &format!("out/{kind}")), shown, "{kind}");
    }
}

#[test]
fn a_report_that_cannot_be_written_stops_the_run_before_anything_is_read_or_changed() {
    let quickstart = Quickstart::new();
    for (arguments, said) in [
        (&["--report", "html"][..], "KIND=FILE"),
        (&["--report", "pdf=x"], "unknown report `pdf`"),
        (&["--report", "html=missing/x.html"], "the directory of `missing/x.html` does not exist"),
        (&["--report", "html=x", "--report", "sarif=x"], "two reports go to `x`"),
    ] {
        let run = quickstart.run(&[&["apply", "--auto-approve"], arguments].concat());
        assert_eq!(run.code, Some(64), "{}", run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert!(!quickstart.store().exists(), "the server was not even started");
    }
}

#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let quickstart = Quickstart::new();
    fs::create_dir(quickstart.path("folder")).unwrap();
    let run =
        quickstart.run(&["plan", "--now", NOW, "--report", "html=folder", "--report", "json=plan.json"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("cannot write") && run.stderr.contains("not a regular file"),
        "{}",
        run.stderr
    );
    assert!(quickstart.path("folder").is_dir());
    assert!(quickstart.path("plan.json").is_file(), "the other report is written all the same");
}

#[test]
fn a_notice_that_is_no_longer_due_goes_and_other_files_of_the_folder_stay() {
    let quickstart = Quickstart::new();
    let write = ["plan", "--now", NOW, "--report", "owners=notices"];
    assert_eq!(quickstart.run(&write).code, Some(0));
    assert!(quickstart.path("notices/user-olga.md").exists());
    fs::write(quickstart.path("notices/mine.md"), "mine").unwrap();
    // An index that somebody tampered with leads nowhere else.
    let index =
        read(&quickstart, "notices/index.json").replacen("user-ci-deploy.md", "../tokenwarden.yaml", 1);
    fs::write(quickstart.path("notices/index.json"), index).unwrap();

    let applied = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    assert_eq!(quickstart.run(&write).code, Some(0));
    assert!(!quickstart.path("notices/user-olga.md").exists(), "{:?}", names(&quickstart.path("notices")));
    assert!(
        read(&quickstart, "notices/user-carl.md").contains("It ends on 2026-12-01."),
        "the date is set now"
    );
    assert!(quickstart.path("notices/mine.md").exists() && quickstart.path("tokenwarden.yaml").exists());
    let index: Value = serde_json::from_str(&read(&quickstart, "notices/index.json")).unwrap();
    for notice in index["notices"].as_array().unwrap() {
        assert!(quickstart.path("notices").join(notice["file"].as_str().unwrap()).is_file());
    }
}

#[test]
fn after_apply_reports_say_what_was_done_and_what_is_left() {
    let quickstart = Quickstart::new();
    let reports = ["--report", "markdown=p.md", "--report", "metrics=p.prom", "--report", "owners=notices"];
    let applied = quickstart.run(&[&["apply", "--auto-approve", "--now", NOW], &reports[..]].concat());
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    let text = read(&quickstart, "p.md");
    assert!(text.starts_with("**tokenwarden on quickstart: 8 settings changed,"), "{text}");
    assert!(text.contains("### Tokens revoked (6)") && text.contains("### Settings changed (8)"), "{text}");
    let metrics = read(&quickstart, "p.prom");
    assert!(!metrics.contains("tokenwarden_pending_changes{"), "nothing is left to do: {metrics}");
    assert!(
        metrics.contains(r#"tokenwarden_applied_changes{target="quickstart",result="failed"} 0"#),
        "{metrics}"
    );
    assert!(read(&quickstart, "notices/user-mary.md").contains("It was revoked."));
}

#[test]
fn a_refused_apply_leaves_reports_that_say_why() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "      revocations: { amount: 10, percent: 25 }\n", "");
    let refused = quickstart.run(&["apply", "--auto-approve", "--now", NOW, "--report", "markdown=p.md"]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    let text = read(&quickstart, "p.md");
    assert!(text.contains("`apply` is refused") && text.contains("revocations: 5 of 35"), "{text}");
}

#[test]
fn every_report_of_a_refusal_and_of_a_lockout_ends_with_what_to_do() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "      revocations: { amount: 10, percent: 25 }\n", "");
    for kind in ["markdown", "html", "junit", "sarif", "json"] {
        let shown = quickstart.run(&["plan", "--now", NOW, "--format", kind]);
        assert!(
            shown.stdout.contains("to let these pass in this run: --allow revocations=5"),
            "{kind}: {}",
            shown.stdout
        );
    }
}

#[test]
fn sarif_names_files_from_the_root_of_the_repository() {
    let quickstart = Quickstart::new();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        assert!(command.arg("-C").arg(quickstart.folder.path()).args(arguments).status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    fs::create_dir(quickstart.path("teams")).unwrap();
    fs::create_dir(quickstart.path("teams/my team")).unwrap();
    for entry in ["tokenwarden.yaml", "policy", "directory.yaml", "tokens.yaml"] {
        fs::rename(quickstart.path(entry), quickstart.path("teams/my team").join(entry)).unwrap();
    }
    let here = quickstart.folder.path();
    let team = quickstart.path("teams/my team");
    let absolute = team.join("tokenwarden.yaml").display().to_string();
    for (folder, arguments) in [
        (here, &["-C", "teams/my team"][..]),
        (here, &["--config", "teams/my team/tokenwarden.yaml"]),
        (here, &["--config", "./teams/./my team/tokenwarden.yaml"]),
        (here, &["-C", "teams", "--config", "my team/tokenwarden.yaml"]),
        (&quickstart.path("teams"), &["-C", "../teams/my team", "--config", "../my team/tokenwarden.yaml"]),
        (&team, &[]),
        (here, &["--config", &absolute]),
    ] {
        let mut command = program();
        command.current_dir(folder).args(arguments).args(["plan", "--now", NOW, "--format", "sarif"]);
        let shown = Run::of(&mut command);
        let document: Value = serde_json::from_str(&shown.stdout).expect(&shown.stderr);
        let results = document["runs"][0]["results"].as_array().unwrap();
        assert!(results.len() > 5);
        for result in results {
            let file = &result["locations"][0]["physicalLocation"]["artifactLocation"];
            let uri = file["uri"].as_str().unwrap();
            let names = ["policy/base.yaml", "policy/platform.yaml", "tokenwarden.yaml"];
            let is_known = names.iter().any(|name| uri == format!("teams/my%20team/{name}"));
            assert!(is_known && file["uriBaseId"] == "%SRCROOT%", "{arguments:?}: {file}");
        }
    }
}

#[test]
fn a_form_that_nobody_can_say_yes_to_needs_a_yes_beforehand() {
    let quickstart = Quickstart::new();
    let asked = quickstart.run(&["apply", "--format", "html", "--now", NOW]);
    assert_eq!(asked.code, Some(64));
    assert!(asked.stderr.contains("--auto-approve"), "{}", asked.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_does_not_take_the_last_success_from_the_metrics() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    let repository = Repository::new(&server, &warden.secret, "version: 1\npermissions: {use: everyone}\n");
    let plan = ["plan", "--report", "metrics=m.prom", "--report", "markdown=p.md"];
    assert_eq!(repository.run(&plan).await.code, Some(0));
    let read = |name: &str| fs::read_to_string(repository.folder.path().join(name)).unwrap();
    let last = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("tokenwarden_last_success_timestamp_seconds{"));
        line.map(str::to_owned)
    };
    let before = last(&read("m.prom"));
    assert!(before.is_some());
    repository.edit_settings(&server.url(""), "http://127.0.0.1:9");
    let away = repository.run(&plan).await;
    assert_eq!(away.code, Some(1), "{}", away.stderr);
    let after = read("m.prom");
    assert_eq!(last(&after), before);
    assert!(after.contains(r#"tokenwarden_success{target="prod"} 0"#), "{after}");
    assert!(read("p.md").starts_with("**tokenwarden on prod: "), "{}", read("p.md"));
    assert!(read("p.md").contains("1 target could not be read"));
    for text in [&after, &read("p.md")] {
        assert!(!text.contains(&warden.secret));
    }
}
