//! Names that a shell completes, asked for by a real one.

use std::{env, fs, path::Path, process::Command};

use crate::support::program::{NOW, Quickstart, Run};

/// What bash would offer behind `words`, the last of which is begun, in `folder`.
fn completed(folder: &Path, words: &[&str]) -> Vec<String> {
    let script = "source <(tokenwarden completions bash --names)
        COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1))
        _clap_complete_tokenwarden tokenwarden \"${@: -1}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let program = Path::new(env!("CARGO_BIN_EXE_tokenwarden")).parent().unwrap();
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash", "tokenwarden"]).args(words).current_dir(folder).env("PATH", path);
    let run = Run::of(&mut bash);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{words:?}: {}", run.stdout);
    run.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn names_are_completed_from_the_files_at_hand_and_nothing_is_started_for_it() {
    let quickstart = Quickstart::new();
    let folder = quickstart.folder.path();
    assert_eq!(completed(folder, &["plan", "--target", ""]), ["quickstart"]);
    assert_eq!(completed(folder, &["apply", "--allow", "rev"]), ["revocations="]);
    let rules = completed(folder, &["tokens", "--rule", "owner-"]);
    assert_eq!(rules, ["owner-inactive", "owner-not-permitted", "owner-unknown"]);
    assert_eq!(completed(folder, &["explain", "1"]), ["19"], "a token with a waiver");
    assert!(!quickstart.store().exists(), "no server is started");

    quickstart.edit("tokenwarden.yaml", "version: 1\n", "version: 1\njournal: { directory: runs }\n");
    quickstart.edit(
        "policy/platform.yaml",
        "waivers:\n",
        "waivers:\n  - { owner: ines, rules: [idle], reason: is away, until: 2099-12-31 }\n  \
         - { owner: \"$(touch here)\", rules: [idle], reason: is hostile, until: 2099-12-31 }\n",
    );
    let applied = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    let runs = completed(folder, &["journal", "show", "2"]);
    let shown = quickstart.run(&["journal", "show", &runs[0]]);
    assert_eq!((runs.len(), shown.code), (1, Some(0)), "{runs:?}: {}", shown.stderr);
    let tokens = completed(folder, &["revoke", "--token", ""]);
    assert!(tokens.len() > 15 && tokens.contains(&"19".to_owned()), "also those of runs: {tokens:?}");
    assert_eq!(completed(folder, &["plan", "--owner", ""]), ["ines"], "and no name that a shell could run");
}

#[test]
fn the_options_that_say_where_the_files_are_count_and_a_broken_file_has_no_names() {
    let quickstart = Quickstart::new();
    let (folder, elsewhere) = (quickstart.folder.path(), tempfile::TempDir::new().unwrap());
    let named = folder.display().to_string();
    let begun = ["-C", &named, "drift", "--target", "qu"];
    assert_eq!(completed(elsewhere.path(), &begun), ["quickstart"]);
    fs::rename(quickstart.path("tokenwarden.yaml"), quickstart.path("other.yaml")).unwrap();
    assert_eq!(completed(folder, &["--config", "other.yaml", "plan", "--target", ""]), ["quickstart"]);
    assert!(completed(folder, &["plan", "--target", ""]).is_empty());
    fs::write(quickstart.path("tokenwarden.yaml"), "targets: 7\n").unwrap();
    assert!(completed(folder, &["plan", "--target", ""]).is_empty());
}
