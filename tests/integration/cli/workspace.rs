//! How commands get their settings and policies: all of them, or a failure with its exit code.

use std::{fs, path::Path};

use clap::Parser;
use tokenwarden::{
    cli::{Global, files},
    run::Ending,
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    global: Global,
}

fn global(folder: &Path, arguments: &[&str]) -> Global {
    let folder = folder.as_os_str();
    let start = ["tokenwarden".as_ref(), "-C".as_ref(), folder, "--color=never".as_ref()];
    Line::parse_from(start.into_iter().chain(arguments.iter().map(AsRef::as_ref))).global
}

fn write(folder: &Path, name: &str, text: &str) {
    assert!(fs::write(folder.join(name), text).is_ok(), "{name} cannot be written");
}

const SETTINGS: &str = "\
version: 1
targets:
  b: { kind: embedded, store: b.db, policy: [base.yaml, b.yaml] }
  a: { kind: embedded, store: a.db, policy: [base.yaml] }
";

#[test]
fn each_target_gets_the_policy_of_its_layers() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "tokenwarden.yaml", SETTINGS);
    write(folder.path(), "base.yaml", "version: 1\npermissions: { use: everyone }\n");
    write(folder.path(), "b.yaml", "version: 1\npermissions: { use: nobody }\n");
    let global = global(folder.path(), &[]);
    let workspace = files::load_workspace(&global).expect("valid settings");
    assert_eq!(workspace.folder, folder.path());
    let targets = workspace.targets(&global.target).expect("all targets");
    let policies: Vec<_> = targets
        .iter()
        .map(|target| {
            (target.name.as_str(), workspace.load_policies(&[target]).expect("a policy")[0].canonical.clone())
        })
        .collect();
    let expected = [
        ("b", r#"{"permissions":{"use":"nobody"},"version":1}"#.to_owned()),
        ("a", r#"{"permissions":{"use":"everyone"},"version":1}"#.to_owned()),
    ];
    assert_eq!(policies, expected);
}

#[test]
fn targets_are_chosen_by_name_and_an_unknown_name_is_a_mistake_of_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "tokenwarden.yaml", SETTINGS);
    write(folder.path(), "base.yaml", "version: 1\n");
    write(folder.path(), "b.yaml", "version: 1\n");
    let workspace = files::load_workspace(&global(folder.path(), &[])).expect("valid settings");
    let names = |arguments: &[&str]| {
        let targets = workspace
            .targets(&global(folder.path(), arguments).target)
            .map_err(|failure| (failure.ending, failure.error.to_string()))?;
        Ok(targets.iter().map(|target| target.name.clone()).collect::<Vec<_>>())
    };
    assert_eq!(names(&["--target", "a"]), Ok(vec!["a".to_owned()]));
    assert_eq!(names(&["--target", "a", "--target", "b"]), Ok(vec!["b".to_owned(), "a".to_owned()]));
    let error = "unknown target `c`; the config file has `b`, `a`".to_owned();
    assert_eq!(names(&["--target", "c"]), Err((Ending::Usage, error)));
}

#[test]
fn invalid_settings_and_invalid_policies_end_with_their_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = || files::load_workspace(&global(folder.path(), &[]));
    assert_eq!(settings().map(|_| ()).map_err(|failure| failure.ending), Err(Ending::Invalid));
    write(folder.path(), "tokenwarden.yaml", SETTINGS);
    write(folder.path(), "base.yaml", "version: 1\n");
    assert_eq!(
        settings().map(|_| ()).map_err(|failure| failure.ending),
        Err(Ending::Invalid),
        "a layer is missing"
    );
    write(folder.path(), "b.yaml", "version: 1\npermissions: { use: [] }\n");
    let workspace = settings().expect("valid settings");
    let exits: Vec<_> = workspace
        .config
        .targets
        .iter()
        .map(|target| workspace.load_policies(&[target]).map(|_| ()).map_err(|failure| failure.ending))
        .collect();
    assert_eq!(exits, [Err(Ending::Invalid), Ok(())]);
}
