//! Where a change comes from: the policy, the server, or a date.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::program::{NOW, Quickstart, Run, program};

/// A quickstart that was applied, in a Git repository whose first commit has its policy.
fn applied() -> Quickstart {
    let quickstart = Quickstart::in_git(".tokenwarden/\n");
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    quickstart
}

/// Lets passwords work again, past the policy.
fn change_by_hand(quickstart: &Quickstart) {
    let store = format!("sqlite:{}", quickstart.store().display());
    let exported = quickstart.run(&["settings", "export", "--store", &store]);
    let mut settings: Value = serde_json::from_str(&exported.stdout).unwrap();
    settings["password_authentication"] = "allowed".into();
    fs::write(quickstart.path(".tokenwarden/by-hand.json"), settings.to_string()).unwrap();
    let file = quickstart.path(".tokenwarden/by-hand.json").display().to_string();
    assert_eq!(quickstart.run(&["settings", "import", &file, "--store", &store]).code, Some(0));
}

/// The changes of a JSON plan, as `origin address`.
fn origins(run: &Run) -> Vec<String> {
    let plan: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    let line = |change: &Value| {
        let origin = change["origin"].as_str().unwrap_or("none");
        format!("{origin} {}", change["address"].as_str().unwrap().trim_start_matches("quickstart/"))
    };
    plan["resource_changes"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn a_policy_edit_a_change_by_hand_and_a_date_are_told_apart_in_one_plan() {
    let quickstart = applied();
    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    change_by_hand(&quickstart);
    let later = "2027-02-23T12:00:00Z";
    let arguments = ["drift", "--baseline", "HEAD", "--since", NOW, "--now", later, "--format", "json"];
    let found = origins(&quickstart.run(&arguments));
    assert!(found.contains(&"policy settings/permissions.create".to_owned()), "{found:?}");
    assert!(found.contains(&"drift settings/password_authentication".to_owned()), "{found:?}");
    let of = |origin: &str| found.iter().filter(|line| line.starts_with(origin)).collect::<Vec<_>>();
    assert_eq!(of("policy").len(), 1, "{found:?}");
    assert_eq!(of("drift").len(), 1, "{found:?}");
    assert!(!of("time").is_empty() && of("time").iter().all(|line| line.contains("token/")), "{found:?}");

    let text = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW]).stdout;
    let (policy, rest) = text.split_once("From drift, the server was changed:").expect(&text);
    assert!(policy.contains("From the policy, which was changed:"), "{text}");
    assert!(policy.contains("permissions.create") && !policy.contains("password_authentication"), "{text}");
    assert!(rest.contains("password_authentication"), "{text}");
    assert!(rest.contains("settings changed last by (settings import) on 2"), "{text}");
    assert!(!policy.contains("settings changed last"), "{text}");
    assert!(policy.ends_with("\n\n") && !text.contains("\n\n\n"), "one line is left free: {text}");
    let json = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["targets"][0]["settings_changed"]["by"], "(settings import)");

    let arguments = ["drift", "--baseline", "HEAD", "--since", NOW, "--now", later, "--format"];
    let shown = |form| quickstart.run(&[&arguments[..], &[form]].concat()).stdout;
    let sarif: Value = serde_json::from_str(&shown("sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap().iter();
    let (changed, left): (Vec<_>, Vec<_>) = results
        .map(|result| &result["properties"])
        .partition(|of| !["pending", "report", "waived"].contains(&of["action"].as_str().unwrap()));
    assert!(!changed.is_empty() && changed.iter().all(|of| of["origin"] == "time"), "{changed:?}");
    assert!(left.iter().all(|of| of.get("origin").is_none()), "{left:?}");
    let html = shown("html");
    for (name, origin) in [("permissions.create", "policy"), ("password_authentication", "drift")] {
        let (_, behind) = html.split_once(&format!("<strong>{name}</strong>")).unwrap();
        assert!(behind.split("</p>").next().unwrap().contains(&format!(" ({origin})<")), "{behind}");
    }
    assert!(html.contains("(time)</span></td>"), "{html}");
}

#[test]
fn drift_ends_with_two_for_a_change_by_hand_and_with_zero_after_a_policy_edit() {
    let quickstart = applied();
    let quiet = quickstart.run(&["drift", "--now", NOW]);
    assert_eq!(quiet.code, Some(0), "{}{}", quiet.stdout, quiet.stderr);

    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    let edited = quickstart.run(&["drift", "--baseline", "HEAD", "--now", NOW]);
    assert_eq!(edited.code, Some(0), "{}{}", edited.stdout, edited.stderr);
    let without = quickstart.run(&["drift", "--now", NOW, "--format", "json"]);
    assert_eq!(without.code, Some(2), "without a baseline the policy at hand is what should be");
    assert_eq!(origins(&without), ["drift settings/permissions.create"]);

    change_by_hand(&quickstart);
    let changed = quickstart.run(&["drift", "--baseline", "HEAD", "--now", NOW]);
    assert_eq!(changed.code, Some(2), "{}{}", changed.stdout, changed.stderr);
}

#[test]
fn a_date_that_was_reached_counts_when_it_is_asked_to() {
    let quickstart = applied();
    let later = "2027-02-23T12:00:00Z";
    let reached = quickstart.run(&["drift", "--since", NOW, "--now", later]);
    assert_eq!(reached.code, Some(0), "{}{}", reached.stdout, reached.stderr);
    assert!(reached.stdout.contains("From time, a date was reached:"), "{}", reached.stdout);
    let counted = quickstart.run(&["drift", "--since", NOW, "--now", later, "--fail-on", "time"]);
    assert_eq!(counted.code, Some(2), "{}", counted.stderr);
    let since_the_last_run = quickstart.run(&["drift", "--now", later]);
    assert_eq!(since_the_last_run.code, Some(0), "{}", since_the_last_run.stderr);
    assert_eq!(since_the_last_run.stdout, reached.stdout, "the server knows when the last run was");
}

#[test]
fn a_baseline_is_a_commit_or_a_folder_and_nothing_else() {
    let quickstart = applied();
    for revision in ["no-such-branch", "HEAD:policy", "--output=policy/base.yaml", ""] {
        let argument = format!("--baseline={revision}");
        let run = quickstart.run(&["plan", &argument, "--now", NOW]);
        assert_eq!(run.code, Some(1), "{revision}: {}", run.stderr);
        assert!(run.stderr.contains("`git rev-parse` failed"), "{revision}: {}", run.stderr);
    }

    let checkout = Quickstart::new();
    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    let folder = checkout.folder.path().display().to_string();
    let run = quickstart.run(&["plan", "--baseline-dir", &folder, "--now", NOW, "--format", "json"]);
    assert_eq!(origins(&run), ["policy settings/permissions.create"]);
}

/// Asserts that `run`, after a change by hand, was planned without saying where changes come from, and that all
/// of `told` was said of the baseline `name`.
fn assert_untold(run: &Run, name: &str, told: &[&str]) {
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(origins(run), ["none settings/password_authentication"]);
    for said in told.iter().copied().chain([&*format!("warning: the baseline `{name}` is invalid")]) {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
}

#[test]
fn a_baseline_that_cannot_be_read_does_not_stop_the_change_that_mends_it() {
    let out = |from: &str, to: &'static str| (from.to_owned(), to);
    for (at, to) in [
        out("policy/platform.yaml", "/etc/passwd"),
        out("policy/platform.yaml", "../../outside.yaml"),
        out("policy/platform.yaml", "platform.yaml"),
        out("policy", "/etc"),
        out("tokenwarden.yaml", "/etc/passwd"),
        out("tokenwarden.yaml", "../tokenwarden.yaml"),
    ] {
        let quickstart = applied();
        change_by_hand(&quickstart);
        let there = quickstart.path(&at);
        if there.is_dir() { fs::remove_dir_all(&there) } else { fs::remove_file(&there) }.unwrap();
        symlink(to, &there).unwrap();
        quickstart.commit("policy");
        let checkout = beside(&quickstart, "main");
        quickstart.git(&["worktree", "add", "--quiet", checkout.to_str().unwrap(), "HEAD"]);
        fs::remove_file(&there).unwrap();
        quickstart.git(&["checkout", "--quiet", "HEAD~1", "--", "."]);

        let run = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
        assert_untold(&run, "HEAD", &["HEAD:tokenwarden.yaml"]);
        let drift = quickstart.run(&["drift", "--baseline", "HEAD", "--now", NOW]);
        assert_eq!(drift.code, Some(2), "what may be drift counts: {}", drift.stderr);
        let arguments = ["plan", "--baseline-dir", ".tokenwarden/main", "--now", NOW, "--format", "json"];
        assert_untold(
            &quickstart.run(&arguments),
            ".tokenwarden/main",
            &[".tokenwarden/main/tokenwarden.yaml"],
        );
    }

    // A folder of the config file that leads out.
    let quickstart = applied();
    change_by_hand(&quickstart);
    symlink("/etc", quickstart.path("team")).unwrap();
    quickstart.commit("policy");
    fs::remove_file(quickstart.path("team")).unwrap();
    fs::create_dir(quickstart.path("team")).unwrap();
    for name in ["tokenwarden.yaml", "policy", "directory.yaml", "tokens.yaml", ".tokenwarden"] {
        fs::rename(quickstart.path(name), quickstart.path("team").join(name)).unwrap();
    }
    let config = ["--config", "team/tokenwarden.yaml"];
    let plan = ["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"];
    let run = quickstart.run(&[&config[..], &plan].concat());
    assert_untold(&run, "HEAD", &["HEAD:team/tokenwarden.yaml"]);
}

#[test]
fn a_baseline_without_the_file_or_with_a_link_in_its_place_is_told() {
    let quickstart = applied();
    fs::remove_file(quickstart.path("policy/platform.yaml")).unwrap();
    symlink("/etc/passwd", quickstart.path("policy/platform.yaml")).unwrap();
    quickstart.commit("policy");
    quickstart.git(&["rm", "--quiet", "--cached", "tokenwarden.yaml"]);
    quickstart.git(&["commit", "--quiet", "--message", "without the config file"]);
    quickstart.git(&["checkout", "--quiet", "HEAD~2", "--", "policy/platform.yaml"]);

    change_by_hand(&quickstart);
    let link = quickstart.run(&["plan", "--baseline", "HEAD~1", "--now", NOW, "--format", "json"]);
    assert_untold(&link, "HEAD~1", &["is not a regular file"]);
    let nothing = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
    assert_eq!(origins(&nothing), ["policy settings/password_authentication"]);
    assert!(nothing.stderr.contains("the baseline has no config file"), "{}", nothing.stderr);
}

/// A folder beside the quickstart that goes away with it, with a name that Git ignores.
fn beside(quickstart: &Quickstart, name: &str) -> PathBuf {
    quickstart.path(".tokenwarden").join(name)
}

#[test]
fn the_variables_that_git_sets_for_a_hook_do_not_hide_the_baseline() {
    let quickstart = applied();
    change_by_hand(&quickstart);
    let expected = ["drift settings/password_authentication"];
    // A linked worktree in the state of HEAD, on the store of the quickstart.
    let worktree = beside(&quickstart, "worktree");
    quickstart.git(&["worktree", "add", "--quiet", "--detach", worktree.to_str().unwrap()]);
    symlink(quickstart.path(".tokenwarden"), worktree.join(".tokenwarden")).unwrap();
    let of_hook = [
        ("GIT_DIR", quickstart.path(".git/worktrees/worktree").display().to_string()),
        ("GIT_WORK_TREE", "/".to_owned()),
        ("GIT_INDEX_FILE", quickstart.path(".git/worktrees/worktree/index").display().to_string()),
        ("GIT_PREFIX", "policy/".to_owned()),
        ("GIT_COMMON_DIR", "/nowhere".to_owned()),
        ("GIT_OBJECT_DIRECTORY", "/nowhere".to_owned()),
        ("GIT_NAMESPACE", "elsewhere".to_owned()),
        ("GIT_CONFIG_COUNT", "many".to_owned()),
        ("GIT_CONFIG_PARAMETERS", "'nonsense".to_owned()),
        ("GIT_LITERAL_PATHSPECS", "perhaps".to_owned()),
        ("GIT_TRACE", "1".to_owned()),
    ];
    let arguments = ["--baseline", "HEAD", "--now", NOW, "--format", "json"];
    for command in ["plan", "drift"] {
        for folder in [quickstart.folder.path(), worktree.as_path()] {
            let mut program = program();
            program.current_dir(folder).arg(command).args(arguments).envs(of_hook.clone());
            let run = Run::of(&mut program);
            assert_eq!(origins(&run), expected, "{command} in {}: {}", folder.display(), run.stderr);
            assert_eq!(run.stderr, "");
        }
    }

    // The same as Git itself starts it.
    let hook = quickstart.path(".git/hooks/pre-commit");
    let path = env!("CARGO_BIN_EXE_tokenwarden");
    fs::write(&hook, format!("#!/bin/sh\nexec {path} drift --baseline HEAD --now {NOW} >drift.txt 2>&1\n"))
        .unwrap();
    fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    let mut commit = Command::new("git");
    commit.arg("-C").arg(&worktree).args(["-c", "user.name=x", "-c", "user.email=x@example.com"]);
    commit.args(["commit", "--allow-empty", "--message", "empty"]);
    let done = Run::of(&mut commit);
    let told = fs::read_to_string(worktree.join("drift.txt")).unwrap();
    assert!(told.contains("From drift, the server was changed:"), "{told}");
    assert_eq!(done.code, Some(1), "the hook ends the commit: {done:?}");
}

#[test]
fn nothing_that_the_configuration_of_the_repository_names_is_run() {
    let quickstart = applied();
    change_by_hand(&quickstart);
    let (trap, sprung) = (beside(&quickstart, "trap"), beside(&quickstart, "sprung"));
    fs::write(&trap, format!("#!/bin/sh\ntouch {}\ncat\n", sprung.display())).unwrap();
    fs::set_permissions(&trap, Permissions::from_mode(0o755)).unwrap();
    let trap = trap.to_str().unwrap();
    let names = [
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "diff.x.textconv",
        "filter.x.smudge",
        "core.sshCommand",
    ];
    for name in names {
        quickstart.git(&["config", name, trap]);
    }
    fs::write(quickstart.path(".git/info/attributes"), "* diff=x filter=x\n").unwrap();
    let mut command = quickstart.command(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
    command
        .envs(["GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_SSH", "GIT_ASKPASS", "PAGER"].map(|name| (name, trap)));
    assert_eq!(origins(&Run::of(&mut command)), ["drift settings/password_authentication"]);
    assert!(!sprung.exists());
}

#[test]
fn a_layer_behind_a_link_in_the_repository_is_read_from_the_revision() {
    let quickstart = applied();
    let link = |target: &str, at: &str| symlink(target, quickstart.path(at)).unwrap();
    fs::create_dir_all(quickstart.path("common/deep")).unwrap();
    fs::rename(quickstart.path("policy/base.yaml"), quickstart.path("common/deep/base.yaml")).unwrap();
    link("../common/./deep/../now/base.yaml", "policy/base.yaml");
    link("deep", "common/now");
    quickstart.commit("policy");
    quickstart.edit("common/deep/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    let run = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
    assert_eq!(origins(&run), ["policy settings/permissions.create"], "{}", run.stderr);

    // The config file too, and one that lies in a folder further down.
    fs::create_dir(quickstart.path("team")).unwrap();
    for name in ["tokenwarden.yaml", "policy", "common", "directory.yaml", "tokens.yaml"] {
        if quickstart.path(name).exists() {
            fs::rename(quickstart.path(name), quickstart.path("team").join(name)).unwrap();
        }
    }
    link("tokenwarden.yaml", "team/same.yaml");
    quickstart.commit("policy");
    quickstart.edit(
        "team/common/deep/base.yaml",
        "  create: [developers]",
        "  create: [developers, ci-bots]",
    );
    for arguments in [&["--config", "team/same.yaml"][..], &["-C", "team"][..]] {
        let mut command = program();
        command.current_dir(quickstart.folder.path()).args(arguments);
        command.args(["plan", "--baseline", "HEAD", "--format", "json"]);
        let run = Run::of(&mut command);
        let found = origins(&run);
        assert!(found.contains(&"policy settings/permissions.create".to_owned()), "{found:?} {}", run.stderr);
        assert!(!found.iter().any(|line| line.starts_with("none")), "{found:?}");
        assert_eq!(run.stderr.matches("the baseline has no config file").count(), 0, "{}", run.stderr);
    }
}

#[test]
fn a_layer_in_a_submodule_is_told_with_the_submodule_and_its_revision() {
    let quickstart = applied();
    let module = Quickstart::new();
    module.git(&["init", "--quiet", "--initial-branch", "main"]);
    module.commit("policy");
    let head = Command::new("git").arg("-C").arg(module.folder.path()).args(["rev-parse", "HEAD"]).output();
    let head = String::from_utf8(head.unwrap().stdout).unwrap().trim().to_owned();
    let address = module.folder.path().to_str().unwrap();
    quickstart.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        address,
        "rules/shared",
    ]);
    change_by_hand(&quickstart);
    let settings = fs::read_to_string(quickstart.path("tokenwarden.yaml")).unwrap();
    for direct in [true, false] {
        let layer = if direct { "rules/shared/policy/base.yaml" } else { "policy/link.yaml" };
        if !direct {
            symlink("../rules/shared/policy/base.yaml", quickstart.path(layer)).unwrap();
        }
        fs::write(quickstart.path("tokenwarden.yaml"), settings.replace("policy/base.yaml", layer)).unwrap();
        quickstart.commit("policy");
        let run = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
        assert_untold(&run, "HEAD", &["submodule `rules/shared`", &head, layer, "HEAD:tokenwarden.yaml:"]);
    }
}

#[test]
fn an_invalid_baseline_does_not_stop_the_change_that_mends_it() {
    type Break = fn(&Quickstart);
    let breaks: [(&str, Break); 4] = [
        ("HEAD:policy/base.yaml:1:", |it| fs::write(it.path("policy/base.yaml"), "{ broken\n").unwrap()),
        ("HEAD:policy/base.yaml:", |it| it.edit("policy/base.yaml", "permissions:", "permisions:")),
        ("HEAD:tokenwarden.yaml:", |it| it.edit("tokenwarden.yaml", "targets:", "tragets:")),
        ("HEAD:tokenwarden.yaml:", |it| fs::remove_file(it.path("policy/base.yaml")).unwrap()),
    ];
    for (place, break_it) in breaks {
        let quickstart = applied();
        change_by_hand(&quickstart);
        break_it(&quickstart);
        quickstart.commit("policy");
        quickstart.git(&["checkout", "--quiet", "HEAD~1", "--", "."]);

        let run = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
        assert_eq!(run.code, Some(0), "{place}: {}", run.stderr);
        assert_eq!(origins(&run), ["none settings/password_authentication"]);
        assert!(run.stderr.contains(place), "{place}: {}", run.stderr);
        assert!(run.stderr.contains("warning: the baseline `HEAD` is invalid"), "{}", run.stderr);
        let drift = quickstart.run(&["drift", "--baseline", "HEAD", "--now", NOW]);
        assert_eq!(drift.code, Some(2), "what may be drift counts: {}", drift.stderr);

        let checkout = beside(&quickstart, "main");
        quickstart.git(&["worktree", "add", "--quiet", checkout.to_str().unwrap(), "HEAD"]);
        let arguments = ["plan", "--baseline-dir", ".tokenwarden/main", "--now", NOW, "--format", "json"];
        let run = quickstart.run(&arguments);
        assert_eq!(run.code, Some(0), "{place}: {}", run.stderr);
        assert_eq!(origins(&run), ["none settings/password_authentication"]);
        let place = place.replace("HEAD:", ".tokenwarden/main/");
        assert!(run.stderr.contains(&place), "{place}: {}", run.stderr);
    }
}

#[test]
fn a_clone_that_does_not_have_the_baseline_says_what_to_do() {
    let quickstart = applied();
    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    quickstart.commit("policy");
    let clone = |name: &str, arguments: &[&str]| {
        let folder = beside(&quickstart, name);
        let address = format!("file://{}", quickstart.folder.path().display());
        quickstart.git(&[&["clone", "--quiet"], arguments, &[&address, folder.to_str().unwrap()]].concat());
        folder
    };
    let plan = |folder: &Path, revision: &str| {
        let mut command = program();
        command.arg("-C").arg(folder).args(["plan", "--now", NOW, "--format", "json"]);
        Run::of(command.arg(format!("--baseline={revision}")))
    };
    let shallow = plan(&clone("shallow", &["--depth", "1"]), "HEAD~1");
    assert_eq!(shallow.code, Some(1), "{}", shallow.stderr);
    assert!(
        shallow.stderr.contains("shallow clone") && shallow.stderr.contains("HEAD~1"),
        "{}",
        shallow.stderr
    );

    quickstart.git(&["config", "uploadpack.allowFilter", "true"]);
    let partial = plan(&clone("partial", &["--filter", "blob:none"]), "HEAD~1");
    assert_eq!(partial.code, Some(0), "{}", partial.stderr);
    assert!(partial.stderr.contains("warning: the baseline `HEAD~1` is invalid"), "{}", partial.stderr);
    let told = partial.stderr.contains("a partial clone must fetch it first, such as with `git cat-file -p ");
    assert!(told && partial.stderr.contains("policy/base.yaml"), "{}", partial.stderr);

    let sparse = clone("sparse", &["--sparse"]);
    let told = plan(&sparse, "HEAD~1");
    assert_eq!(told.code, Some(3), "the layers are not there: {}", told.stderr);

    for option in ["--help", "--git-dir", "-h", "--all", "@{nothing"] {
        let run = plan(quickstart.folder.path(), option);
        assert_eq!(run.code, Some(1), "{option}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("no commit `{option}`")), "{}", run.stderr);
    }

    let bare = clone("bare.git", &["--bare"]);
    for name in ["tokenwarden.yaml", "policy", "directory.yaml", "tokens.yaml"] {
        if quickstart.path(name).exists() {
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(quickstart.path(name)).arg(&bare);
            assert_eq!(Run::of(&mut copy).code, Some(0));
        }
    }
    let run = plan(&bare, "HEAD");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("not in the work tree of a Git repository"), "{}", run.stderr);
}

#[test]
fn a_repository_with_the_longer_hashes_has_baselines_too() {
    let quickstart = Quickstart::new();
    fs::write(quickstart.path(".gitignore"), ".tokenwarden/\n").unwrap();
    quickstart.git(&["init", "--quiet", "--object-format", "sha256"]);
    quickstart.commit("policy");
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    quickstart.edit("policy/base.yaml", "  create: [developers, ci-bots]", "  create: [developers]");
    let run = quickstart.run(&["plan", "--baseline", "HEAD", "--now", NOW, "--format", "json"]);
    assert_eq!(origins(&run), ["policy settings/permissions.create"]);
}
