//! A policy repository that `init` wrote: it works as it stands, nothing is overwritten, and the steps of
//! its CI files run as they are written.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Run, program};

const SYSTEMS: [&str; 4] = ["jenkins", "bamboo", "github", "gitlab"];

fn run(folder: &Path, arguments: &[&str]) -> Run {
    Run::of(program().arg("-C").arg(folder).args(arguments))
}

fn init(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&["init"], arguments].concat())
}

/// A folder with the repository for `system`.
fn repository(system: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let written = init(folder.path(), &["--ci", system]);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    folder
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
        "error: nothing was written: these files exist with other content: `policy/base.yaml`; move them away, or name an empty folder\n"
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
    fs::write(&ignored, "target\n/plan.json\n/.tokenwarden/\n/plan.md\n").unwrap();
    assert_eq!(init(folder.path(), &[]).code, Some(0));
    assert!(fs::read_to_string(&ignored).unwrap().starts_with("target\n"));
    let other = TempDir::new().unwrap();
    fs::write(other.path().join(".gitignore"), "target\n").unwrap();
    let refused = init(other.path(), &[]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.stderr.contains("`.gitignore`"), "{}", refused.stderr);
}

/// The YAML documents of a file.
fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let documents = text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap());
    documents.filter(|document: &Value| document.is_object()).collect()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// The shell scripts that a pull request runs, in their order, each by itself.
fn steps(system: &str, folder: &Path) -> Vec<String> {
    match system {
        "jenkins" => {
            let text = fs::read_to_string(folder.join("ci/pull-request.Jenkinsfile")).unwrap();
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''));
            lines.map(str::to_owned).collect()
        }
        "bamboo" => {
            let tasks = &documents(&folder.join("bamboo-specs/bamboo.yaml"))[0]["Plan"]["tasks"];
            let scripts = tasks.as_array().unwrap().iter().map(|task| &task["script"]["scripts"]);
            scripts.flat_map(strings).collect()
        }
        "github" => {
            let workflow = &documents(&folder.join(".github/workflows/tokenwarden-pull-request.yml"))[0];
            let steps = ["check", "plan"].map(|job| workflow["jobs"][job]["steps"].as_array().unwrap());
            let lines = steps.into_iter().flatten().filter_map(|step| step["run"].as_str());
            lines.map(str::to_owned).collect()
        }
        _ => {
            let jobs = &documents(&folder.join(".gitlab-ci.yml"))[0];
            ["check", "plan"].iter().flat_map(|job| strings(&jobs[job]["script"])).collect()
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"];
    let run = Run::of(Command::new("git").args(identity).args(arguments).current_dir(folder));
    assert_eq!(run.code, Some(0), "git {arguments:?}: {}", run.stderr);
}

#[test]
fn the_steps_of_a_pull_request_run_as_they_are_written_also_in_a_clone_that_is_used_again() {
    for system in SYSTEMS {
        let origin = repository(system);
        git(origin.path(), &["init", "--quiet"]);
        git(origin.path(), &["add", "."]);
        git(origin.path(), &["commit", "--quiet", "-m", "the policy"]);

        let work = TempDir::new().unwrap();
        let clone = work.path().join("clone");
        let address = origin.path().to_str().unwrap();
        git(work.path(), &["clone", "--quiet", address, "clone"]);
        let policy = clone.join("policy/base.yaml");
        let edited = fs::read_to_string(&policy).unwrap().replace("max_idle: 90d", "max_idle: 60d");
        fs::write(&policy, edited).unwrap();
        fs::write(clone.join("tokenwarden.yaml"), "version: 1\n# this pull request points elsewhere\n")
            .unwrap();
        git(&clone, &["commit", "--quiet", "--all", "-m", "a change"]);
        git(&clone, &["checkout", "--quiet", "origin/main", "--", "tokenwarden.yaml"]);
        let steps = steps(system, &clone);
        for command in ["tokenwarden validate", "tokenwarden test", "tokenwarden plan"] {
            assert!(steps.iter().any(|step| step.contains(command)), "{system} runs {command}");
        }
        let program = Path::new(env!("CARGO_BIN_EXE_tokenwarden")).parent().unwrap();
        let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
        // A runner uses its clone again, as the build before left it or cleaned by Git.
        for before in [None, Some("nothing"), Some("clean")] {
            if before == Some("clean") {
                git(&clone, &["clean", "--quiet", "-ffdx"]);
            }
            if system != "gitlab" && !clone.join("base").exists() {
                // The checkout steps of the other ones do this.
                git(&clone, &["clone", "--quiet", address, "base"]);
            }
            for step in &steps {
                let mut shell = Command::new("sh");
                shell.args(["-euc", step]).current_dir(&clone).env("PATH", &path);
                shell
                    .env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")
                    .env("bamboo_tokenwarden_read_password", "x");
                let ran = Run::of(&mut shell);
                let told = format!("{system} after {before:?}: {step}: {}{}", ran.stdout, ran.stderr);
                assert_eq!(ran.code, Some(0), "{told}");
            }
            assert!(clone.join("plan.json").exists(), "{system} leaves the plan");
            fs::remove_file(clone.join("plan.json")).unwrap();
        }
    }
}

#[test]
fn no_job_of_a_pull_request_names_the_credential_that_can_write() {
    for system in SYSTEMS {
        let folder = repository(system);
        let read = |path: &str| {
            let text = fs::read_to_string(folder.path().join(path)).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with(['#', '/']));
            code.collect::<Vec<_>>().join("\n")
        };
        let of_pull_requests = match system {
            "jenkins" => read("ci/pull-request.Jenkinsfile") + &read("ci/comment.Jenkinsfile"),
            "bamboo" => {
                let plans = documents(&folder.path().join("bamboo-specs/bamboo.yaml"));
                let reading = plans.iter().filter(|plan| plan["plan"]["project-key"] == "TWREAD");
                reading.map(Value::to_string).collect()
            }
            "github" => read(".github/workflows/tokenwarden-pull-request.yml"),
            _ => {
                let jobs = &documents(&folder.path().join(".gitlab-ci.yml"))[0];
                ["check", "plan", "keep"].map(|job| jobs[job].to_string()).concat()
            }
        };
        assert!(of_pull_requests.contains("tokenwarden plan"), "{system}");
        assert!(of_pull_requests.contains("cp base/tokenwarden.yaml tokenwarden.yaml"), "{system}");
        assert!(
            !of_pull_requests.contains("write-") && !of_pull_requests.contains("tokenwarden-write"),
            "{system}"
        );
        assert!(!of_pull_requests.contains("write_password"), "{system}");
    }
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
