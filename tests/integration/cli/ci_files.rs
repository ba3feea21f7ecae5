//! The CI files that `init` writes: their steps run as they are written, in a folder that is used again, from a
//! repository without a policy to the second change that is merged.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::init::{init, run},
    support::program::Run,
};

const SYSTEMS: [&str; 4] = ["jenkins", "bamboo", "github", "gitlab"];

/// The YAML documents of a file.
fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let documents = text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap());
    documents.filter(|document: &Value| document.is_object()).collect()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// A shell script of a CI file, and the output of an earlier one that must be there for it to run.
pub(crate) struct Step {
    script: String,
    needs: Option<String>,
}

impl Step {
    fn always(script: String) -> Self {
        Self { script, needs: None }
    }

    /// Whether it has `words`.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.script.contains(words)
    }
}

/// The steps with a script of a job on GitHub.
fn of_github(workflow: &Path, jobs: &[&str]) -> Vec<Step> {
    let workflow = &documents(workflow)[0];
    let steps = jobs.iter().flat_map(|job| workflow["jobs"][job]["steps"].as_array().unwrap());
    let step = |step: &Value| {
        let condition = step["if"].as_str().unwrap_or_default();
        let needs = condition.strip_prefix("steps.servers.outputs.").map(str::to_owned);
        Some(Step { script: step["run"].as_str()?.to_owned(), needs })
    };
    steps.filter_map(step).collect()
}

/// The lines `sh '..'` of a Jenkinsfile.
fn of_jenkins(file: &Path) -> Vec<Step> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''));
    let needs =
        |script: &str| ["plan.json", "cp base/", "-dir base"].iter().any(|word| script.contains(word));
    lines
        .map(|script| Step { script: script.to_owned(), needs: needs(script).then(|| "planned".to_owned()) })
        .collect()
}

fn of_gitlab(file: &Path, jobs: &[&str]) -> Vec<Step> {
    let document = &documents(file)[0];
    // The lines of a job are run in one shell.
    jobs.iter().map(|job| Step::always(strings(&document[job]["script"]).join("\n"))).collect()
}

fn of_bamboo(file: &Path, plan: usize, jobs: &[&str]) -> Vec<Step> {
    let document = &documents(file)[plan];
    let tasks = jobs.iter().flat_map(|job| document[job]["tasks"].as_array().unwrap());
    tasks.flat_map(|task| strings(&task["script"]["scripts"])).map(Step::always).collect()
}

/// The steps that a pull request runs, in their order.
fn of_a_pull_request(system: &str, folder: &Path) -> Vec<Step> {
    match system {
        "jenkins" => of_jenkins(&folder.join("ci/pull-request.Jenkinsfile")),
        "bamboo" => of_bamboo(&folder.join("bamboo-specs/bamboo.yaml"), 0, &["Plan"]),
        "github" => {
            let workflow = folder.join(".github/workflows/tokenwarden-pull-request.yml");
            let mut steps = of_github(&workflow, &["check", "plan", "comment"]);
            for step in steps.iter_mut().filter(|step| step.says("gh api")) {
                step.needs = Some("planned".to_owned());
            }
            steps
        }
        _ => of_gitlab(&folder.join(".gitlab-ci.yml"), &["check", "plan", "keep"]),
    }
}

/// The steps that the main branch runs once something is merged, with those that find the plan where shell scripts do.
fn of_a_merge(system: &str, folder: &Path) -> Vec<Step> {
    match system {
        "jenkins" => {
            let text = fs::read_to_string(folder.join("ci/main.Jenkinsfile")).unwrap();
            let before = text.lines().find_map(|line| {
                line.trim().strip_prefix("def before = sh(script: '")?.split('\'').next().map(str::to_owned)
            });
            let told =
                format!("test -z \"$({})\" || echo planned=true >>\"$GITHUB_OUTPUT\"", before.unwrap());
            let apply = of_jenkins(&folder.join("ci/main.Jenkinsfile"));
            let reviewed = apply.into_iter().filter(|step| step.script.contains("apply plan.json"));
            [Step::always(told)].into_iter().chain(reviewed).collect()
        }
        "bamboo" => of_bamboo(&folder.join("bamboo-specs/bamboo.yaml"), 2, &["Plan", "Apply"]),
        "github" => {
            let mut steps =
                of_github(&folder.join(".github/workflows/tokenwarden-main.yml"), &["reviewed", "apply"]);
            for step in &mut steps {
                // These are conditions on what the plan was found by.
                let is_applied =
                    step.script.contains("tokenwarden apply") || step.script.contains("applied.md");
                if is_applied {
                    step.needs = Some("known".to_owned());
                }
            }
            steps
        }
        _ => of_gitlab(&folder.join(".gitlab-ci.yml"), &["servers", "reviewed", "apply"]),
    }
}

/// The steps that say in the pull request what the plan would do, where the program does that itself.
pub(crate) fn of_a_comment(system: &str, folder: &Path) -> Vec<Step> {
    let steps = match system {
        "jenkins" => of_jenkins(&folder.join("ci/comment.Jenkinsfile")),
        "bamboo" => of_bamboo(&folder.join("bamboo-specs/bamboo.yaml"), 0, &["Comment"]),
        _ => Vec::new(),
    };
    steps.into_iter().map(|step| Step::always(step.script)).collect()
}

/// The steps of a run that somebody starts by hand.
pub(crate) fn by_hand(system: &str, folder: &Path) -> Vec<Step> {
    let steps = match system {
        "jenkins" => of_jenkins(&folder.join("ci/main.Jenkinsfile")),
        // Each run of the main branch is one.
        "bamboo" => return of_a_merge(system, folder),
        "github" => of_github(&folder.join(".github/workflows/tokenwarden-main.yml"), &["by-hand"]),
        _ => of_gitlab(&folder.join(".gitlab-ci.yml"), &["by-hand"]),
    };
    steps.into_iter().filter(|step| step.says("--auto-approve")).collect()
}

/// The steps of every morning.
pub(crate) fn of_drift(system: &str, folder: &Path) -> Vec<Step> {
    let steps = match system {
        "jenkins" => of_jenkins(&folder.join("ci/main.Jenkinsfile")),
        "bamboo" => of_bamboo(&folder.join("bamboo-specs/bamboo.yaml"), 1, &["Drift"]),
        "github" => of_github(&folder.join(".github/workflows/tokenwarden-main.yml"), &["drift"]),
        _ => of_gitlab(&folder.join(".gitlab-ci.yml"), &["drift"]),
    };
    steps.into_iter().filter(|step| step.says("tokenwarden drift")).collect()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"];
    let run = Run::of(Command::new("git").args(identity).args(arguments).current_dir(folder));
    assert_eq!(run.code, Some(0), "git {arguments:?}: {}", run.stderr);
    run.stdout.trim().to_owned()
}

/// Environment variables.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// A clone that a runner uses again and again, and where it fetches from.
pub(crate) struct Runner {
    system: &'static str,
    folder: TempDir,
    /// What pull requests and mornings are given, and what can write.
    pub(crate) read: Variables,
    pub(crate) write: Variables,
}

impl Runner {
    /// Of a repository with nothing but a file to read.
    pub(crate) fn new(system: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        let origin = folder.path().join("origin");
        fs::create_dir(&origin).unwrap();
        git(&origin, &["init", "--quiet"]);
        fs::write(origin.join("README"), "policies\n").unwrap();
        // The quickstart needs no credential, and Bamboo hands one over.
        let variables = vec![("bamboo_tokenwarden_token_secret", "x".to_owned())];
        let runner = Self { system, folder, read: variables.clone(), write: variables };
        runner.commit("the first file");
        git(runner.folder.path(), &["clone", "--quiet", "origin", "clone"]);
        runner.stand_in();
        runner
    }

    /// What stands in for the host of the repository: `gh`, which keeps one comment, and a folder of packages of GitLab.
    fn stand_in(&self) {
        let tools = self.folder.path().join("tools");
        fs::create_dir(&tools).unwrap();
        fs::create_dir_all(self.packages().join("projects/3/packages/generic/tokenwarden-plan/1")).unwrap();
        let gh = format!(
            "#!/bin/sh -eu
            case \"$*\" in
            *commits/*/pulls*) echo 1 ;;
            *actions/artifacts*name=plan-1*) echo 42 ;;
            *--paginate*issues/1/comments*) test ! -f '{comment}' || echo 7 ;;
            *PATCH*issues/comments/7*body=@comment.md) test -f '{comment}'; cp comment.md '{comment}' ;;
            *issues/1/comments*body=@comment.md) test ! -f '{comment}'; cp comment.md '{comment}' ;;
            *) echo \"gh: $*\" >&2; exit 1 ;;
            esac\n",
            comment = self.comment().display()
        );
        fs::write(tools.join("gh"), gh).unwrap();
        fs::set_permissions(tools.join("gh"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The comment in the pull request on GitHub.
    pub(crate) fn comment(&self) -> PathBuf {
        self.folder.path().join("comment")
    }

    fn packages(&self) -> PathBuf {
        self.folder.path().join("packages")
    }

    /// The working copy of whoever writes the policy, where Git fetches from.
    pub(crate) fn origin(&self) -> PathBuf {
        self.folder.path().join("origin")
    }

    pub(crate) fn clone(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    fn commit(&self, message: &str) {
        git(&self.origin(), &["add", "."]);
        git(&self.origin(), &["commit", "--quiet", "-m", message]);
    }

    /// A branch that changes something is proposed, and its steps run `times`; each of them must succeed.
    pub(crate) fn propose(&self, change: impl FnOnce(&Path), times: &[Option<&str>]) {
        let (origin, clone) = (self.origin(), self.clone());
        let before = git(&origin, &["rev-parse", "HEAD"]);
        git(&origin, &["checkout", "--quiet", "-b", "change"]);
        change(&origin);
        self.commit("a change");
        git(&origin, &["checkout", "--quiet", "main"]);
        for time in times {
            git(&clone, &["fetch", "--quiet", "origin"]);
            git(&clone, &["checkout", "--quiet", "--force", "--detach", "origin/change"]);
            if *time == Some("clean") {
                git(&clone, &["clean", "--quiet", "-ffdx", "--exclude=.tokenwarden"]);
            }
            if self.system != "gitlab" {
                // The checkout steps of the other ones do this.
                let _ = fs::remove_dir_all(clone.join("base"));
                git(&clone, &["clone", "--quiet", origin.to_str().unwrap(), "base"]);
            }
            self.run(&of_a_pull_request(self.system, &clone), &before, &self.read);
        }
    }

    /// What was proposed is merged. Answers what the steps said of that, each of which must succeed.
    pub(crate) fn merge(&self) -> String {
        let (origin, clone) = (self.origin(), self.clone());
        let before = git(&origin, &["rev-parse", "HEAD"]);
        git(&origin, &["merge", "--quiet", "--no-ff", "-m", "Pull request #1: a change", "change"]);
        git(&origin, &["branch", "--quiet", "--delete", "change"]);
        git(&clone, &["fetch", "--quiet", "origin"]);
        git(&clone, &["checkout", "--quiet", "--force", "--detach", "origin/main"]);
        let _ = fs::remove_file(clone.join("first-commit"));
        if self.system == "gitlab" {
            // A job has the artifacts of those that it needs, and no others.
            let _ = fs::remove_file(clone.join("plan.json"));
        }
        self.run(&of_a_merge(self.system, &clone), &before, &self.write)
    }

    /// Runs `steps` as they are written, after the main branch was at `before`.
    pub(crate) fn run(&self, steps: &[Step], before: &str, variables: &Variables) -> String {
        let clone = self.clone();
        let (outputs, summary) = (self.folder.path().join("outputs"), self.folder.path().join("summary"));
        fs::write(&outputs, "").unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_tokenwarden")).parent().unwrap();
        let tools = self.folder.path().join("tools");
        let path = format!("{}:{}:{}", program.display(), tools.display(), env::var("PATH").unwrap());
        let mut said = String::new();
        for Step { script, needs } in steps {
            let has = |key: &String| match self.system {
                "jenkins" if script.contains("base") => clone.join("base/tokenwarden.yaml").exists(),
                _ => fs::read_to_string(&outputs).unwrap().contains(&format!("{key}=true")),
            };
            if !needs.as_ref().is_none_or(has) {
                continue;
            }
            let mut shell = Command::new("sh");
            shell.args(["-euc", script]).current_dir(&clone).env("PATH", &path);
            shell
                .env("BEFORE", before)
                .env("CI_COMMIT_BEFORE_SHA", before)
                .env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")
                .env("CI_MERGE_REQUEST_IID", "1")
                .env(
                    "CI_COMMIT_MESSAGE",
                    "Merge branch 'change' into 'main'\n\nSee merge request ops/policies!1",
                )
                .env("CI_API_V4_URL", format!("file://{}", self.packages().display()))
                .envs([("CI_PROJECT_ID", "3"), ("CI_JOB_TOKEN", "of-a-job")])
                .envs([("GH_REPO", "ops/policies"), ("NUMBER", "1"), ("GITHUB_SHA", "c0ffee")])
                .env("GITHUB_REPOSITORY", "ops/policies")
                .env("GITHUB_OUTPUT", &outputs)
                .env("GITHUB_STEP_SUMMARY", &summary)
                .envs(variables.iter().cloned());
            let ran = Run::of(&mut shell);
            let told = format!("{}: {script}: {}{}", self.system, ran.stdout, ran.stderr);
            assert_eq!(ran.code, Some(0), "{told}");
            said += &ran.stdout;
        }
        said
    }
}

#[test]
fn from_a_repository_without_a_policy_to_the_second_merge_every_step_succeeds_in_one_folder() {
    for system in SYSTEMS {
        let runner = Runner::new(system);
        let write = |folder: &Path| {
            let written = init(folder, &["--ci", system]);
            assert_eq!(written.code, Some(0), "{}", written.stderr);
        };
        runner.propose(write, &[None]);
        let first = runner.merge();
        // Bamboo shows the plan of the main branch to somebody before it is applied.
        assert_eq!(first.contains("Converged:"), system == "bamboo", "{system}: {first}");

        let narrow = |folder: &Path| {
            let policy = folder.join("policy/base.yaml");
            let edited = fs::read_to_string(&policy).unwrap().replace("max_idle: 90d", "max_idle: 60d");
            fs::write(&policy, edited).unwrap();
            // It points the credential elsewhere, which nobody heeds before it is merged.
            let config = fs::read_to_string(folder.join("tokenwarden.yaml")).unwrap();
            fs::write(folder.join("tokenwarden.yaml"), config + "# elsewhere\n").unwrap();
        };
        runner.propose(narrow, &[None, Some("again"), Some("clean")]);
        let second = runner.merge();
        let is_applied = second.contains("Converged:") || second.contains("No changes.");
        assert!(is_applied, "{system}: {second}");
        for report in ["plan.html", "plan.junit.xml", "plan.sarif"] {
            assert!(runner.clone().join(report).exists(), "{system} leaves {report}");
        }
        if system == "github" {
            let comment = fs::read_to_string(runner.comment()).unwrap();
            assert!(comment.starts_with("<!-- tokenwarden plan -->\n**Compared with"), "{comment}");
        }
        runner.run(&of_drift(system, &runner.clone()), "", &runner.read);
        if system != "bamboo" {
            runner.run(&by_hand(system, &runner.clone()), "", &runner.write);
        }
        let planned = run(&runner.clone(), &["plan"]);
        assert!(planned.stdout.starts_with("No changes."), "{system}: {}", planned.stdout);
    }
}

#[test]
fn a_ci_file_hands_over_every_variable_that_the_config_file_names() {
    for system in SYSTEMS {
        for (kind, variables, foreign) in [
            ("gateway", &["TOKENWARDEN_TOKEN"][..], "TOKENWARDEN_MARK_KEY"),
            ("bitbucket", &["TOKENWARDEN_PASSWORD", "TOKENWARDEN_MARK_KEY"], "TOKENWARDEN_TOKEN"),
            ("resolution", &["TOKENWARDEN_TOKEN", "TOKENWARDEN_MARK_KEY"], "TOKENWARDEN_PASSWORD"),
        ] {
            let folder = TempDir::new().unwrap();
            let written =
                init(folder.path(), &["--ci", system, "--target", kind, "--url", "https://example.com"]);
            assert_eq!(written.code, Some(0), "{}", written.stderr);
            let config = fs::read_to_string(folder.path().join("tokenwarden.yaml")).unwrap();
            let files = written.stdout.lines().filter_map(|line| line.strip_prefix("wrote "));
            let is_of_ci = |path: &&str| {
                !["policy/", "tests/", "tokenwarden.yaml"].iter().any(|own| path.starts_with(own))
            };
            let ci: String = files
                .filter(is_of_ci)
                .map(|path| fs::read_to_string(folder.path().join(path)).unwrap())
                .collect();
            for variable in variables {
                assert!(config.contains(&format!("_env: {variable}")), "{kind}: {config}");
                assert!(ci.contains(variable), "{system}, {kind}: {variable}");
            }
            assert!(!config.contains(foreign) && !ci.contains(foreign), "{system}, {kind}: {foreign}");
        }
    }
}

#[test]
fn no_job_of_a_pull_request_names_the_credential_that_can_write() {
    for system in SYSTEMS {
        let folder = TempDir::new().unwrap();
        assert_eq!(init(folder.path(), &["--ci", system]).code, Some(0));
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
        assert!(!of_pull_requests.contains("-write"), "{system}");
    }
}
