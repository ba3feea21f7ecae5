//! Arguments that cannot be used, and what is said of them.

use crate::support::program::{Run, program};

#[test]
fn a_credential_in_an_address_on_the_command_line_is_refused_and_not_repeated() {
    let url = "https://user:hunter2@127.0.0.1:1";
    for arguments in [
        ["init", "new", "--url", url].as_slice(),
        &["review", "--plan", "p", "--project", "A", "--repo", "b", "--pull-request", "1", "--url", url],
        &["serve", "--store", "sqlite:none.db", "--upstream", url],
        &["serve", "--store", "sqlite:none.db", "--public-url", url],
        &["serve", "--store", "postgres://user:hunter2@host/db"],
        &["store", "check", "--store", "postgres://user:hunter2@host/db"],
    ] {
        let run = Run::of(program().args(arguments));
        assert_eq!(run.code, Some(64), "{arguments:?} {}", run.stderr);
        assert!(run.stderr.contains("(hidden)"), "{}", run.stderr);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
}
