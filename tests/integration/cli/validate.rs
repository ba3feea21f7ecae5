//! The command `validate`, as a person and a script use it.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path};

use assert_cmd::Command;
use serde_json::Value;

const EMBEDDED: &str = "kind: embedded, store: a.db";
const ANOTHER: &str = "kind: embedded, store: b.db";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

/// The exit code and what was written to standard output.
fn validate(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tokenwarden"))
        .arg("-C")
        .arg(folder)
        .arg("validate")
        .args(arguments)
        .output()
        .expect("the program runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code().expect("an exit code"), String::from_utf8(output.stdout).expect("text"))
}

fn settings(targets: &str) -> String {
    format!("version: 1\ntargets:\n{targets}")
}

#[test]
fn valid_files_exit_with_0_and_are_counted_once() {
    let targets = format!(
        "  a: {{ {EMBEDDED}, policy: [policy/base.yaml] }}\n  b: {{ {ANOTHER}, policy: [policy/base.yaml, policy/b.yaml] }}\n"
    );
    let folder = folder(&[
        ("tokenwarden.yaml", &settings(&targets)),
        ("policy/base.yaml", include_str!("../fixtures/policy/complete.yaml")),
        ("policy/b.yaml", "version: 1\n"),
    ]);
    assert_eq!(validate(folder.path(), &[]), (0, "3 files valid\n".to_owned()));
}

#[test]
fn warnings_alone_exit_with_0() {
    let folder = folder(&[("p.yaml", "version: 1\nnetwork: { allow: [10.0.0.0/8, 10.1.0.0/16] }\n")]);
    let (code, text) = validate(folder.path(), &["p.yaml"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("warning[overlapping-networks]"), "{text}");
    assert!(text.ends_with("\n1 file valid, 1 warning\n"), "{text}");
}

#[test]
fn mistakes_of_the_config_file_and_of_all_layers_come_in_one_run() {
    let targets = format!(
        "  a: {{ {EMBEDDED}, policy: [base.yaml, prod.yaml], unsuported: warn }}\n  b: {{ {ANOTHER}, policy: [base.yaml] }}\n"
    );
    let folder = folder(&[
        ("tokenwarden.yaml", &settings(&targets)),
        ("base.yaml", include_str!("../fixtures/policy/mistakes-base.yaml")),
        ("prod.yaml", include_str!("../fixtures/policy/mistakes-prod.yaml")),
    ]);
    let (code, text) = validate(folder.path(), &[]);
    assert_eq!(code, 3);
    assert!(text.contains(" --> tokenwarden.yaml:3:"), "{text}");
    assert!(text.ends_with("\n27 errors, 2 warnings in 3 files\n"), "{text}");
    assert_eq!(text.matches("error[host-bits]").count(), 1, "a shared layer is reported once");
}

#[test]
fn the_json_form_says_the_same_and_fits_its_schema() {
    let folder = folder(&[
        ("base.yaml", include_str!("../fixtures/policy/mistakes-base.yaml")),
        ("prod.yaml", include_str!("../fixtures/policy/mistakes-prod.yaml")),
    ]);
    let (code, text) = validate(folder.path(), &["--format", "json", "base.yaml", "prod.yaml"]);
    assert_eq!(code, 3);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/diagnostics.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("a schema")).expect("JSON");
    let errors: Vec<_> = jsonschema::draft202012::new(&schema)
        .expect("a schema")
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
    let found = document["diagnostics"].as_array().expect("a list");
    assert_eq!(found.len(), 28);
    assert_eq!(document["errors"], 26);
    assert_eq!(found[2]["code"], "empty-groups");
    assert_eq!(found[2]["line"], 6);
    assert_eq!(found[2]["path"], "permissions.create");
    assert_eq!(found[2]["replacement"], "nobody");
}

#[test]
fn policy_files_are_checked_by_themselves_without_a_config_file() {
    let folder = folder(&[("a.yaml", "version: 1\n"), ("b.yaml", "version: 1\npermissions: {use: []}\n")]);
    assert_eq!(validate(folder.path(), &["a.yaml"]), (0, "1 file valid\n".to_owned()));
    assert_eq!(validate(folder.path(), &["a.yaml", "b.yaml", "a.yaml"]).0, 3);
    let (code, text) = validate(folder.path(), &["missing.yaml", "."]);
    assert_eq!(code, 3);
    assert!(
        text.contains("error[unreadable-file]: `missing.yaml` cannot be read: the file does not exist"),
        "{text}"
    );
    assert!(text.contains("error[no-regular-file]: `.` is not a regular file"), "{text}");
}

#[test]
fn a_missing_layer_brings_no_mistake_that_it_might_mend() {
    let targets = format!("  a: {{ {EMBEDDED}, policy: [base.yaml, gone.yaml] }}\n");
    let folder = folder(&[
        ("tokenwarden.yaml", &settings(&targets)),
        ("base.yaml", "version: 1\nnetwork: { client_address: { header: X-Real-IP } }\n"),
    ]);
    let (code, text) = validate(folder.path(), &[]);
    assert_eq!(code, 3);
    assert!(text.starts_with("error[unreadable-file]: `gone.yaml`"), "{text}");
    assert!(text.ends_with("\n1 error in 2 files\n"), "{text}");
}

#[test]
fn a_missing_config_file_is_said_and_exits_with_3() {
    let folder = folder(&[]);
    let (code, text) = validate(folder.path(), &[]);
    assert_eq!(code, 3);
    assert!(text.contains("`tokenwarden.yaml` cannot be read: the file does not exist"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_layer_that_is_a_link_out_of_the_folder_or_no_file_is_refused_at_its_place() {
    let outside = folder(&[("secret.yaml", "version: 1\n")]);
    let targets = format!(
        "  a:\n    {}\n    policy:\n      - link.yaml\n      - linked/secret.yaml\n      - inside.yaml\n      - dir\n      - gone.yaml\n",
        EMBEDDED.replace(", ", "\n    ")
    );
    let folder = folder(&[
        ("tokenwarden.yaml", &settings(&targets)),
        ("real.yaml", "version: 1\n"),
        ("dir/x.yaml", "version: 1\n"),
    ]);
    let link =
        |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).expect("a link");
    link(&outside.path().join("secret.yaml"), "link.yaml");
    link(outside.path(), "linked");
    link(Path::new("real.yaml"), "inside.yaml");
    let (code, text) = validate(folder.path(), &["--format", "json"]);
    assert_eq!(code, 3);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let found: Vec<_> = document["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|found| (found["code"].as_str().expect("a code"), found["line"].as_u64().expect("a line")))
        .collect();
    assert_eq!(
        found,
        [("path-outside", 7), ("path-outside", 8), ("no-regular-file", 10), ("unreadable-file", 11)]
    );
}

#[test]
fn a_waiver_that_ended_last_night_is_invalid_from_then_on_and_near_its_end_a_warning() {
    let targets = format!("  a: {{ {EMBEDDED}, policy: [base.yaml] }}\n");
    let waiver = "version: 1\nwaivers: [{ token: 4711, rules: [idle], reason: vendor, until: 2026-11-22 }]\n";
    let folder = folder(&[("tokenwarden.yaml", &settings(&targets)), ("base.yaml", waiver)]);
    let at = |now: &str| validate(folder.path(), &["--now", now]);
    assert_eq!(at("2026-11-01T00:00:00Z"), (0, "2 files valid\n".to_owned()));
    let (code, text) = at("2026-11-22T23:59:59Z");
    assert_eq!(code, 0, "it holds through the end of its day");
    assert!(
        text.starts_with("warning[waiver-ends-soon]: the waiver for token 4711 ends on 2026-11-22\n"),
        "{text}"
    );
    let (code, text) = at("2026-11-23T00:00:00Z");
    assert_eq!(code, 3);
    insta::assert_snapshot!(text, @r"
    error[waiver-ended]: the waiver for token 4711 ended on 2026-11-22
     --> base.yaml:2:64, at `waivers[0].until`
      |
    2 | waivers: [{ token: 4711, rules: [idle], reason: vendor, until: 2026-11-22 }]
      |                                                                ^^^^^^^^^^
    help: remove the waiver, or have it approved again and write a later day

    1 error in 2 files
    ");
    assert_eq!(validate(folder.path(), &["base.yaml"]).0, 3, "by the present time");
}
