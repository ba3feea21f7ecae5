//! The program is killed at many points of a run: the next run finishes, and nothing takes effect twice.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::program::{NOW, Quickstart, dump};

/// How many points of a run are tried.
const POINTS: u32 = 24;

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

#[test]
fn apply_killed_at_any_point_ends_in_the_same_state_after_the_next_run() {
    let reference = Quickstart::new();
    let all = left(&reference);
    let whole = finish(&reference);
    let wanted = dump(&reference.store());

    let mut half_way = 0;
    for point in 0..POINTS {
        let quickstart = Quickstart::new();
        let mut applying = quickstart
            .command(&["apply", "--auto-approve", "--now", NOW])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Where exactly it is hit does not matter: every point must do.
        std::thread::sleep(whole * point / POINTS);
        applying.kill().unwrap();
        applying.wait().unwrap();
        half_way += usize::from((1..all).contains(&left(&quickstart)));
        finish(&quickstart);
        // The revision of the settings counts every write of them: none was made twice.
        let ended = dump(&quickstart.store());
        let different: Vec<_> = wanted.iter().zip(&ended).filter(|(wanted, ended)| wanted != ended).collect();
        assert!(different.is_empty() && ended.len() == wanted.len(), "killed at {point}: {different:#?}");
    }
    assert!(half_way > 0, "some run was hit in the middle of its changes");
}
