//! What a run writes never takes the place of what it reads, or of something else that it writes.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    os::unix::fs::symlink,
    path::Path,
};

use crate::support::program::{NOW, Quickstart, Run};

const DIGITS: &str = "0123456789abcdef";

/// A quickstart with files of every kind that a run reads.
fn with_inputs() -> Quickstart {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "version: 1\n", "version: 1\njournal: { directory: journal }\n");
    quickstart.edit(
        "tokenwarden.yaml",
        "targets:\n",
        "targets:\n  far:\n    kind: gateway\n    url: https://127.0.0.1:9\n    auth: { bearer_file: secret }\n    \
         tls_ca: ca.pem\n    policy: [policy/base.yaml]\n  run:\n    kind: gateway\n    url: https://127.0.0.1:8\n    \
         auth: { command: [sh, get-secret.sh] }\n    policy: [policy/base.yaml]\n",
    );
    for name in ["secret", "ca.pem", "get-secret.sh", "plan.json", "taken.jsonl"] {
        fs::write(quickstart.path(name), DIGITS).unwrap();
    }
    fs::create_dir(quickstart.path("journal")).unwrap();
    fs::write(quickstart.path("journal/20261123T120000Z-00000001.far.jsonl"), "").unwrap();
    fs::create_dir(quickstart.path("base")).unwrap();
    copy(&quickstart, "tokenwarden.yaml", "base/tokenwarden.yaml");
    fs::create_dir(quickstart.path("base/policy")).unwrap();
    for name in ["policy/base.yaml", "policy/platform.yaml"] {
        copy(&quickstart, name, &format!("base/{name}"));
    }
    quickstart
}

fn copy(quickstart: &Quickstart, from: &str, to: &str) {
    fs::copy(quickstart.path(from), quickstart.path(to)).unwrap();
}

/// Every file below `folder`, with its content.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

/// Asserts that `run` was refused as a wrong command line that names all of `named`, before anything was read
/// from a server or changed.
fn assert_refused(quickstart: &Quickstart, before: &BTreeMap<String, Vec<u8>>, run: &Run, named: &[&str]) {
    assert_eq!(run.code, Some(64), "{named:?}: {}", run.stderr);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    for name in named {
        assert!(run.stderr.contains(name), "{name}: {}", run.stderr);
    }
    assert!(!quickstart.store().exists(), "the server was not even started");
    assert_eq!(contents(quickstart.folder.path()), *before, "{named:?}");
}

#[test]
fn no_report_takes_the_place_of_what_a_run_reads() {
    let quickstart = with_inputs();
    let before = contents(quickstart.folder.path());
    let inputs = [
        "tokenwarden.yaml",
        "policy/base.yaml",
        "policy/platform.yaml",
        "tests/policy.yaml",
        "tests/another.yaml",
        "directory.yaml",
        "tokens.yaml",
        ".tokenwarden/quickstart.db",
        "secret",
        "ca.pem",
        "get-secret.sh",
        "journal/20261123T120000Z-00000001.far.jsonl",
        "journal/20261123T120000Z-00000002.far.jsonl",
        "journal/far.lock",
    ];
    fs::create_dir(quickstart.path(".tokenwarden")).unwrap();
    for input in inputs {
        let report = format!("json={input}");
        for command in [
            &["plan", "--now", NOW][..],
            &["drift"],
            &["apply", "--auto-approve"],
            &["revoke", "--owner", "mary", "--reason", "x", "--auto-approve"],
            &["show", "plan.json"],
        ] {
            let run = quickstart.run(&[command, &["--report", &report]].concat());
            assert_refused(&quickstart, &before, &run, &[&format!("--report {report}"), "would overwrite"]);
        }
        let run = quickstart.run(&["plan", "--out", input]);
        assert_refused(&quickstart, &before, &run, &[&format!("--out {input}"), "would overwrite"]);
        let run = quickstart.run(&["inventory", "--target", "quickstart", "--out", input]);
        assert_refused(&quickstart, &before, &run, &[&format!("--out {input}"), "would overwrite"]);
    }
}

#[test]
fn no_report_takes_the_place_of_what_the_command_line_names() {
    let quickstart = with_inputs();
    let before = contents(quickstart.folder.path());
    for (arguments, named) in [
        (
            &["plan", "--inventory", "taken.jsonl", "--out", "./taken.jsonl"][..],
            "the inventory `taken.jsonl`",
        ),
        (&["apply", "plan.json", "--report", "json=plan.json"], "the saved plan `plan.json`"),
        (&["show", "./plan.json", "--report", "html=plan.json"], "the saved plan `./plan.json`"),
        (
            &["plan", "--baseline-dir", "base", "--out", "base/policy/platform.yaml"],
            "the policy layer `base/policy/platform.yaml`",
        ),
        (
            &["drift", "--baseline-dir", "base", "--report", "json=base/tokenwarden.yaml"],
            "the config file `base/tokenwarden.yaml`",
        ),
        (
            &["--config", "base/tokenwarden.yaml", "plan", "--out", "base/policy/base.yaml"],
            "the policy layer `base/policy/base.yaml`",
        ),
    ] {
        assert_refused(&quickstart, &before, &quickstart.run(arguments), &[named, "would overwrite"]);
    }
}

#[test]
fn a_file_is_known_whatever_way_leads_to_it() {
    let quickstart = with_inputs();
    symlink("policy/base.yaml", quickstart.path("link.yaml")).unwrap();
    symlink("policy", quickstart.path("folder")).unwrap();
    fs::hard_link(quickstart.path("policy/base.yaml"), quickstart.path("hard.yaml")).unwrap();
    fs::hard_link(quickstart.path("tests/policy.yaml"), quickstart.path("test.yaml")).unwrap();
    let before = contents(quickstart.folder.path());
    let absolute = quickstart.path("policy/base.yaml").display().to_string();
    for way in [
        "./policy/base.yaml",
        "policy/./base.yaml",
        "policy//base.yaml",
        "policy/../policy/base.yaml",
        "link.yaml",
        "folder/base.yaml",
        "hard.yaml",
        "test.yaml",
        &absolute,
    ] {
        let run = quickstart.run(&["plan", "--report", &format!("html={way}")]);
        let read = if way == "test.yaml" { "the policy tests in `tests`" } else { "`policy/base.yaml`" };
        assert_refused(&quickstart, &before, &run, &[&format!("--report html={way}"), read]);
    }
}

#[test]
fn two_reports_that_go_to_one_place_are_refused_however_it_is_written() {
    let quickstart = Quickstart::new();
    fs::write(quickstart.path("a.json"), DIGITS).unwrap();
    symlink("a.json", quickstart.path("link.json")).unwrap();
    fs::hard_link(quickstart.path("a.json"), quickstart.path("hard.json")).unwrap();
    fs::create_dir(quickstart.path("notices")).unwrap();
    let before = contents(quickstart.folder.path());
    for (one, other) in [
        (["--out", "new.json"], ["--report", "json=./new.json"]),
        (["--report", "html=new"], ["--report", "sarif=tests/../new"]),
        (["--report", "html=a.json"], ["--report", "sarif=link.json"]),
        (["--out", "a.json"], ["--report", "markdown=hard.json"]),
        (["--report", "owners=notices"], ["--report", "json=notices/index.json"]),
        (["--report", "owners=new"], ["--report", "markdown=new"]),
        (["--report", "markdown=notices/user-mary.md"], ["--report", "owners=notices/"]),
        (["--report", "owners=notices"], ["--report", "owners=./notices"]),
    ] {
        let run = quickstart.run(&[&["plan"], &one[..], &other].concat());
        assert_refused(&quickstart, &before, &run, &["two reports go to", &one.join(" "), &other.join(" ")]);
    }
}

#[test]
fn notices_and_other_files_may_share_a_folder() {
    let quickstart = Quickstart::new();
    fs::create_dir(quickstart.path("out")).unwrap();
    let reports = ["--report", "owners=out", "--report", "markdown=out/plan.md", "--out", "out/plan.json"];
    let run = quickstart.run(&[&["plan", "--now", NOW], &reports[..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(quickstart.path("out/index.json").is_file() && quickstart.path("out/plan.md").is_file());
}

#[test]
fn notices_take_the_place_of_nothing_in_their_folder() {
    let quickstart = Quickstart::new();
    fs::create_dir(quickstart.path("out")).unwrap();
    copy(&quickstart, "policy/platform.yaml", "policy/index.json");
    quickstart.edit("tokenwarden.yaml", "policy/platform.yaml", "policy/index.json");
    symlink("../policy/base.yaml", quickstart.path("out/user-mary.md")).unwrap();
    let before = contents(quickstart.folder.path());
    for (folder, read) in [("policy", "policy/index.json"), ("out", "policy/base.yaml")] {
        let run = quickstart.run(&["plan", "--report", &format!("owners={folder}")]);
        assert_refused(&quickstart, &before, &run, &[&format!("owners={folder}"), read]);
    }
}

#[test]
fn standard_output_that_goes_to_a_file_counts_too() {
    let quickstart = with_inputs();
    let before = contents(quickstart.folder.path());
    let store = format!("sqlite:{}", quickstart.store().display());
    fs::create_dir(quickstart.path(".tokenwarden")).unwrap();
    let cases: [(&str, &[&str], &str); 8] = [
        ("policy/base.yaml", &["plan"], "the policy layer `policy/base.yaml`"),
        (
            "policy/base.yaml",
            &["import", "--target", "far", "--waive-existing", "9d", "--only-waivers"],
            "layer",
        ),
        ("tokenwarden.yaml", &["import", "--target", "quickstart"], "the config file"),
        ("tests/policy.yaml", &["test", "--format", "junit"], "the policy tests"),
        ("plan.json", &["show", "plan.json", "--format", "html"], "the saved plan"),
        ("policy/base.yaml", &["validate", "policy/base.yaml"], "the policy file"),
        ("taken.jsonl", &["inventory", "--target", "far", "--out", "./taken.jsonl"], "--out ./taken.jsonl"),
        ("journal/far.lock", &["journal", "show"], "the journal in `journal`"),
    ];
    File::create(quickstart.path("journal/far.lock")).unwrap();
    for (file, arguments, named) in cases {
        let appended = OpenOptions::new().append(true).open(quickstart.path(file)).unwrap();
        let run = Run::of(quickstart.command(arguments).stdout(appended));
        let named = [named, "standard output"];
        fs::remove_file(quickstart.path("journal/far.lock")).unwrap();
        assert_refused(&quickstart, &before, &run, &named);
        File::create(quickstart.path("journal/far.lock")).unwrap();
    }
    // The store itself.
    fs::write(quickstart.store(), DIGITS).unwrap();
    let appended = OpenOptions::new().append(true).open(quickstart.store()).unwrap();
    let run = Run::of(quickstart.command(&["settings", "export", "--store", &store]).stdout(appended));
    assert_eq!(run.code, Some(64), "{}", run.stderr);
    assert_eq!(fs::read_to_string(quickstart.store()).unwrap(), DIGITS);
}

#[test]
fn what_import_writes_may_become_the_layer_that_the_config_file_waits_for() {
    let quickstart = Quickstart::new();
    let file = File::create(quickstart.path("policy/platform.yaml")).unwrap();
    let run = Run::of(quickstart.command(&["import", "--now", NOW]).stdout(file));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(fs::read_to_string(quickstart.path("policy/platform.yaml")).unwrap().contains("permissions"));
}
