//! What an earlier version of the program wrote: it is read, and the same input still gives the same bytes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::support::program::{copy, program};

/// Policy, snapshot, plan, saved plan and journal of one target, as the version before wrote them.
fn before() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/fixtures/before")
}

/// What the program writes to standard output in a copy of that folder.
fn output(arguments: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    copy(&before(), folder.path());
    let done = program().arg("-C").arg(folder.path()).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn written(file: &str) -> String {
    fs::read_to_string(before().join(file)).unwrap()
}

#[test]
fn a_snapshot_of_the_version_before_gives_the_plan_document_of_the_version_before() {
    assert!(output(&["plan", "--inventory", "inventory.jsonl", "--format", "json"]) == written("plan.json"));
}

#[test]
fn a_saved_plan_of_the_version_before_is_shown_as_it_was_written() {
    assert!(output(&["show", "saved-plan.json", "--format", "json"]) == written("saved-plan.json"));
    let text = output(&["show", "saved-plan.json"]);
    let fresh = output(&["plan", "--inventory", "inventory.jsonl"]);
    for line in fresh.lines().filter(|line| line.starts_with("  ")) {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_journal_of_the_version_before_tells_of_its_runs_as_before() {
    assert!(output(&["journal", "show", "--format", "json"]) == written("runs.json"));
}
