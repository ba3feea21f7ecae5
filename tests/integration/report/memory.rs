//! What a plan and its reports take of memory: the real program, looked at while it waits for its reader.

use std::{
    fs,
    io::Read,
    process::{Child, Stdio},
};

use tempfile::TempDir;

use super::instance;
use crate::support::program::program;

/// Bytes that are read between two looks: far more than a pipe holds.
const PART: usize = 1 << 20;

/// What `child` had in memory at most up to now, in KiB; `None` when it has ended.
fn most_memory(child: &Child) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// What a plan of so many findings takes at most, in KiB, while all but the end of it is written to a reader in
/// `format`.
fn taken(findings: usize, format: &str) -> usize {
    let folder = TempDir::new().unwrap();
    instance::write(folder.path(), findings, 100, "").unwrap();
    let mut child = program()
        .arg("-C")
        .arg(folder.path())
        .args(["plan", "--inventory", "snapshot.jsonl", "--format", format])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut part, mut most, mut parts) = (vec![0; PART], 0, 0);
    // What was not read yet does not fit into the pipe: but for the last time, the program is there and waits.
    while out.read_exact(&mut part).is_ok() {
        (most, parts) = (most_memory(&child).unwrap_or(most), parts + 1);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(parts > 1, "{findings} findings are too few to look at");
    most
}

#[test]
fn a_report_takes_no_memory_for_what_it_tells_beyond_that_of_the_plan() {
    for format in ["json", "sarif"] {
        let (few, many) = (taken(11_000, format), taken(22_000, format));
        let of_a_finding = (many - few) * 1024 / 11_000;
        // A plan keeps a token and why in 900. As JSON that is 1,760, and more than 7,000 as a document in memory.
        assert!(of_a_finding < 1_600, "{format}: {of_a_finding} bytes for each finding");
    }
}
