//! The program that `auth.command` names: what it may do, and for how long.

use std::{
    fs,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::program::{Run, program};

/// A plan for a target whose credential comes from the shell script `script`, within `seconds`.
fn plan(script: &str, seconds: u32, arguments: &[&str]) -> Run {
    let folder = TempDir::new().unwrap();
    let settings = format!(
        "version: 1\ntargets:\n  prod:\n    kind: gateway\n    url: http://127.0.0.1:9\n    \
         timeout_seconds: {seconds}\n    auth: {{ command: [sh, helper.sh] }}\n    policy: [policy.yaml]\n"
    );
    fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    fs::write(folder.path().join("policy.yaml"), "version: 1\n").unwrap();
    fs::write(folder.path().join("helper.sh"), script).unwrap();
    Run::of(program().arg("-C").arg(folder.path()).arg("plan").args(arguments))
}

#[test]
fn a_program_that_hangs_is_ended_with_everything_that_it_has_started() {
    let begun = Instant::now();
    // The inner one holds standard error open: who reads that to its end waits until it is gone.
    for script in ["sleep 600 & wait\n", "sleep 600 >/dev/null & exec >&-; wait\n"] {
        let run = plan(script, 1, &["--allow-auth-command"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(
            run.stderr.contains("the program of `auth.command` did not give a credential"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("it did not end within 1 seconds and was terminated"), "{}", run.stderr);
    }
    assert!(begun.elapsed() < Duration::from_mins(5), "nothing was waited for");
}

#[test]
fn what_a_program_writes_is_the_credential_only_when_it_ends_well() {
    let good = plan("echo s3cret\n", 60, &["--allow-auth-command"]);
    assert!(good.stderr.contains("127.0.0.1:9") && !good.stderr.contains("credential"), "{}", good.stderr);
    let failing = plan("echo s3cret; exit 3\n", 60, &["--allow-auth-command"]);
    assert!(failing.stderr.contains("it ended with an error"), "{}", failing.stderr);
    let silent = plan("true\n", 60, &["--allow-auth-command"]);
    assert!(
        silent.stderr.contains("the output of `auth.command` must hold exactly one line"),
        "{}",
        silent.stderr
    );
    let forbidden = plan("echo s3cret\n", 60, &[]);
    assert!(forbidden.stderr.contains("--allow-auth-command"), "{}", forbidden.stderr);
    for run in [good, failing, silent, forbidden] {
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(!run.stderr.contains("s3cret") && !run.stdout.contains("s3cret"), "{run:?}");
    }
}
