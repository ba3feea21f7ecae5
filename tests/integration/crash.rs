//! The program is killed at many points of a run: the next run finishes, and nothing takes effect twice.

use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::program::{NOW, Quickstart, dump};

/// At how many moments of a run it is killed.
const MOMENTS: u32 = 12;

/// How many changes are left to do.
fn left(quickstart: &Quickstart) -> usize {
    let plan = quickstart.run(&["plan", "--format", "json", "--now", NOW]);
    plan.stdout.matches("\"action_reason\"").count()
}

/// Applies to the end and answers how long it took.
fn finish(quickstart: &Quickstart) -> Duration {
    let begun = Instant::now();
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    begun.elapsed()
}

/// How many writes a store has seen, against what it was at first.
fn progress(store: &Path, at_first: &[String]) -> usize {
    let now = dump(store);
    let revision = |lines: &[String]| -> usize {
        let settings = lines.iter().find_map(|line| line.strip_prefix("settings "));
        settings.and_then(|line| line.split(' ').next()).and_then(|number| number.parse().ok()).unwrap()
    };
    let untouched = at_first.iter().filter(|line| now.contains(line)).count();
    revision(&now) - revision(at_first) + (at_first.len() - untouched)
}

fn begin(quickstart: &Quickstart) -> Child {
    quickstart
        .command(&["apply", "--auto-approve", "--now", NOW])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The next run after one that was killed ends where one whole run does.
fn assert_the_next_run_finishes(quickstart: &Quickstart, wanted: &[String]) {
    finish(quickstart);
    // The revision of the settings counts every write of them: none was made twice.
    let ended = dump(&quickstart.store());
    let different: Vec<_> = wanted.iter().zip(&ended).filter(|(wanted, ended)| wanted != ended).collect();
    assert!(different.is_empty() && ended.len() == wanted.len(), "{different:#?}");
}

#[test]
fn apply_killed_between_any_two_writes_is_finished_by_the_next_run() {
    let reference = Quickstart::new();
    let all = left(&reference);
    finish(&reference);
    let wanted = dump(&reference.store());

    let mut half_way = 0;
    for point in (1..all).step_by(3) {
        let quickstart = Quickstart::new();
        left(&quickstart);
        let at_first = dump(&quickstart.store());
        let mut applying = begin(&quickstart);
        while applying.try_wait().unwrap().is_none() && progress(&quickstart.store(), &at_first) < point {}
        applying.kill().unwrap();
        applying.wait().unwrap();
        half_way += usize::from((1..all).contains(&left(&quickstart)));
        assert_the_next_run_finishes(&quickstart, &wanted);
    }
    assert!(half_way > 3, "{half_way} runs were hit in the middle of their changes");
}

#[test]
fn apply_killed_at_any_moment_from_its_very_start_is_finished_by_the_next_run() {
    let reference = Quickstart::new();
    let whole = finish(&reference);
    let wanted = dump(&reference.store());
    for moment in 0..MOMENTS {
        let quickstart = Quickstart::new();
        let mut applying = begin(&quickstart);
        // Where exactly it is hit does not matter: any moment must do, also while the store is made.
        std::thread::sleep(whole * moment / MOMENTS);
        applying.kill().unwrap();
        applying.wait().unwrap();
        assert_the_next_run_finishes(&quickstart, &wanted);
    }
}
