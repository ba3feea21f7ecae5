//! A policy repository that `init` wrote: it works as it stands, and nothing is overwritten.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::support::program::{Run, program};

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Run {
    Run::of(program().arg("-C").arg(folder).args(arguments))
}

pub(crate) fn init(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&["init"], arguments].concat())
}

/// Every file below `folder` by its path, with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, into: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else {
                into.insert(path.clone(), fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, &mut found);
    found
}

#[test]
fn what_is_written_validates_plans_and_applies_as_it_stands() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("policies");
    let written = init(folder.path(), &["policies"]);
    assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""));
    assert!(written.stdout.contains("wrote tokenwarden.yaml\n"), "{}", written.stdout);

    let checked = run(&path, &["validate"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), "2 files valid\n"));
    let planned = run(&path, &["plan", "--detailed-exitcode"]);
    assert_eq!(planned.code, Some(2), "{}", planned.stderr);
    for action in ["narrow", "expire", "revoke"] {
        assert!(planned.stdout.contains(&format!("1 token to {action}")), "{}", planned.stdout);
    }
    let applied = run(&path, &["apply", "--auto-approve"]);
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("Converged:"));
    assert!(run(&path, &["plan"]).stdout.starts_with("No changes."));
}

#[test]
fn the_same_again_writes_nothing_and_ci_can_be_added_later() {
    let folder = TempDir::new().unwrap();
    init(folder.path(), &[]);
    let before = files(folder.path());
    let again = init(folder.path(), &[]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(!again.stdout.contains("wrote"), "{}", again.stdout);
    assert_eq!(files(folder.path()), before);

    let more = init(folder.path(), &["--ci", "gitlab"]);
    assert_eq!(more.code, Some(0), "{}", more.stderr);
    assert!(more.stdout.starts_with("wrote .gitlab-ci.yml\n\n"), "{}", more.stdout);
    assert_eq!(files(folder.path()).len(), before.len() + 1);
}

#[test]
fn a_file_that_says_something_else_stops_everything_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("policy")).unwrap();
    fs::write(folder.path().join("policy/base.yaml"), "version: 1\n").unwrap();
    fs::write(folder.path().join("Jenkinsfile"), "node {}\n").unwrap();
    let before = files(folder.path());
    let refused = init(folder.path(), &["--ci", "jenkins"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""));
    assert_eq!(
        refused.stderr,
        "error: nothing was written: these files exist with other content: `policy/base.yaml`; `--diff` shows how they differ, `--update` rewrites the files of CI alone\n"
    );
    assert_eq!(files(folder.path()), before);
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_in_the_way_and_is_not_followed() {
    let folder = TempDir::new().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, folder.path().join("tokenwarden.yaml")).unwrap();
    assert_eq!(init(folder.path(), &[]).code, Some(4));
    assert!(!elsewhere.exists());
}

#[test]
fn an_ignore_file_may_ignore_more() {
    let folder = TempDir::new().unwrap();
    let ignored = folder.path().join(".gitignore");
    fs::write(&ignored, "target\n/plan.*\n/.tokenwarden/\n/schema/\n").unwrap();
    assert_eq!(init(folder.path(), &[]).code, Some(0));
    assert!(fs::read_to_string(&ignored).unwrap().starts_with("target\n"));
    let other = TempDir::new().unwrap();
    fs::write(other.path().join(".gitignore"), "target\n").unwrap();
    let refused = init(other.path(), &[]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.stderr.contains("`.gitignore`"), "{}", refused.stderr);
}

#[test]
fn a_repository_for_a_named_server_is_valid_and_its_tests_pass() {
    for kind in ["gateway", "bitbucket", "resolution"] {
        let folder = TempDir::new().unwrap();
        let url = "https://host.example.com:8443/context/";
        let written = init(folder.path(), &["--target", kind, "--url", url, "--user", "ward: en"]);
        assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""), "{kind}");
        let config = fs::read_to_string(folder.path().join("tokenwarden.yaml")).unwrap();
        assert!(config.contains(&format!("kind: {kind}\n")), "{config}");
        assert!(config.contains("url: https://host.example.com:8443/context\n"), "{config}");
        assert_eq!(config.contains("user: \"ward: en\""), kind != "gateway", "{config}");
        let checked = run(folder.path(), &["validate"]);
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{kind}: {}", checked.stdout);
        let tested = run(folder.path(), &["test"]);
        assert_eq!(tested.code, Some(0), "{kind}: {}{}", tested.stdout, tested.stderr);
    }
}

#[test]
fn a_server_is_named_whole_or_not_at_all() {
    for (arguments, told) in [
        (&["--target", "bitbucket"][..], "`--target` and `--url` go together"),
        (&["--url", "https://x.example.com"], "`--target` and `--url` go together"),
        (&["--target", "gitea", "--url", "https://x.example.com"], "not `gitea`"),
        (&["--target", "gateway", "--url", "x.example.com"], "write e.g. https://"),
        (&["--target", "gateway", "--url", "https://u:p@x.example.com"], "has a credential"),
        (&["--target", "gateway", "--url", "https://x.example.com/?a=b"], "write a base address"),
        (&["--target", "gateway", "--url", "ftp://x.example.com"], "write a base address"),
        (&["--update"], "--ci <SYSTEM>"),
    ] {
        let folder = TempDir::new().unwrap();
        let refused = init(folder.path(), arguments);
        assert_eq!(refused.code, Some(64), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(told), "{arguments:?}: {}", refused.stderr);
        assert!(files(folder.path()).is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_update_rewrites_the_files_of_ci_alone_and_goes_by_the_config_file_that_is_there() {
    let folder = TempDir::new().unwrap();
    init(folder.path(), &["--ci", "gitlab", "--target", "gateway", "--url", "https://example.com"]);
    let path = |name: &str| folder.path().join(name);
    let edit = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(path(name)).unwrap();
        assert!(text.contains(from), "{name}");
        fs::write(path(name), text.replace(from, to)).unwrap();
    };
    edit("tokenwarden.yaml", "TOKENWARDEN_TOKEN", "WARDEN_SECRET");
    edit("policy/base.yaml", "90d", "60d");
    edit(".gitlab-ci.yml", "tokenwarden validate", "tokenwarden validate --old");
    let before = files(folder.path());

    let shown = init(folder.path(), &["--ci", "gitlab", "--diff"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for line in
        ["-    - tokenwarden validate --old\n", "+    - tokenwarden validate\n", "+#     WARDEN_SECRET\n"]
    {
        assert!(shown.stdout.contains(line), "{line}: {}", shown.stdout);
    }
    assert_eq!(files(folder.path()), before);

    let updated = init(folder.path(), &["--ci", "gitlab", "--update"]);
    assert_eq!(
        (updated.code, updated.stdout.as_str()),
        (Some(0), "wrote .gitlab-ci.yml\n"),
        "{}",
        updated.stderr
    );
    let after = files(folder.path());
    let changed: Vec<_> =
        before.iter().filter(|(name, text)| after[*name] != **text).map(|(name, _)| name).collect();
    assert_eq!(changed, [&path(".gitlab-ci.yml")]);
    assert!(after[&path(".gitlab-ci.yml")].contains("WARDEN_SECRET"));
    assert_eq!(init(folder.path(), &["--ci", "gitlab", "--diff"]).stdout, "Nothing differs.\n");
}

#[test]
fn completions_and_manual_pages_tell_of_every_command() {
    let folder = TempDir::new().unwrap();
    let manual = run(folder.path(), &["man", "--out", "pages"]);
    assert_eq!((manual.code, manual.stderr.as_str()), (Some(0), ""));
    let pages = files(folder.path());
    let page = |name: &str| &pages[&folder.path().join("pages").join(name)];
    assert_eq!(&run(folder.path(), &["man"]).stdout, page("tokenwarden.1"));
    let complete = run(folder.path(), &["completions", "bash"]).stdout;
    for command in ["init", "validate", "plan", "apply", "serve", "schema", "completions", "man"] {
        assert!(page(&format!("tokenwarden-{command}.1")).contains(command), "{command}");
        assert!(complete.contains(&format!("tokenwarden,{command})")), "{command}");
    }
}

#[test]
fn how_a_file_differs_is_shown_without_the_secrets_in_it() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("trial")).unwrap();
    let config = "# hunter2\nversion: 1\ntargets:\n  prod:\n    kind: gateway\n    url: https://tokens.example.com\n    \
                  auth: { user: me, password: hunter2 }\n    policy: [policy/base.yaml]\n";
    let users = "users:\n  - name: hunter2\n    password_hash: hunter2\n";
    for config in [config.to_owned(), format!("{config}    broken: [hunter2\n"), "\0hunter2".to_owned()] {
        fs::write(folder.path().join("tokenwarden.yaml"), &config).unwrap();
        fs::write(folder.path().join("trial/directory.yaml"), users).unwrap();
        let shown = init(folder.path(), &["--diff"]).stdout;
        assert!(!shown.contains("hunter2") && shown.contains("+++ b/tokenwarden.yaml"), "{shown}");
        assert!(shown.contains("-    password_hash: *******"), "{shown}");
    }
    fs::write(folder.path().join("tokenwarden.yaml"), config).unwrap();
    let shown = init(folder.path(), &["--diff"]).stdout;
    for line in ["-    url: https://tokens.example.com", "password: *******", " targets:"] {
        assert!(shown.contains(line), "{shown}");
    }
}
