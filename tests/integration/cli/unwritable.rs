//! Output that cannot be written changes neither what is done nor how the program ends.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use futures_util::FutureExt;

use crate::{
    support::{
        program::{NOW, Quickstart, program},
        proxy::{Fate, Proxy},
    },
    targets::reconcile::{Repository, server, token},
};

/// Where nothing can be written.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn left(quickstart: &Quickstart) -> usize {
    let plan = quickstart.run(&["plan", "--format", "json", "--now", NOW]);
    plan.stdout.matches("\"action_reason\"").count()
}

#[test]
fn an_apply_that_can_say_nothing_is_done_all_the_same() {
    let apply = ["-vv", "apply", "--auto-approve", "--now", NOW];
    for (name, stdout, stderr) in [
        ("full standard error", Stdio::null(), full()),
        ("closed standard error", Stdio::null(), closed()),
        ("full standard output", full(), Stdio::null()),
        ("closed standard output", closed(), Stdio::null()),
        ("both full", full(), full()),
    ] {
        let quickstart = Quickstart::new();
        let status = quickstart.command(&apply).stdout(stdout).stderr(stderr).status().unwrap();
        assert_eq!((status.code(), left(&quickstart)), (Some(0), 0), "{name}");
    }
    let quickstart = Quickstart::new();
    let json = quickstart.command(&[&apply[..], &["--format", "json"]].concat()).stdout(full()).output();
    let json = json.unwrap();
    assert_eq!((json.status.code(), left(&quickstart)), (Some(0), 0));
    let said = String::from_utf8(json.stderr).unwrap();
    assert!(said.contains("warning: standard output could not be written: No space left"), "{said}");
}

#[test]
fn a_refusal_stays_a_refusal_when_it_cannot_be_told() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "      revocations: { amount: 10, percent: 25 }\n", "");
    for format in ["text", "json"] {
        let mut apply = quickstart.command(&["apply", "--auto-approve", "--now", NOW, "--format", format]);
        assert_eq!(apply.stdout(full()).stderr(full()).status().unwrap().code(), Some(4), "{format}");
    }
    fs::write(quickstart.path("policy/base.yaml"), "version: 1\nnetwork: {allow: []}\n").unwrap();
    for command in ["plan", "apply", "validate"] {
        let code =
            quickstart.command(&[command]).stderr(full()).stdout(Stdio::null()).status().unwrap().code();
        assert_eq!(code, Some(3), "{command}");
    }
}

#[test]
fn a_reading_command_whose_data_cannot_be_written_is_an_error() {
    let quickstart = Quickstart::new();
    for command in [&["plan", "--now", NOW][..], &["drift", "--now", NOW], &["validate"]] {
        let output = quickstart.command(command).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("error: No space left"), "{command:?}");
    }
}

#[test]
fn what_a_store_took_over_is_taken_over_although_nobody_hears_of_it() {
    let quickstart = Quickstart::new();
    let mut import = quickstart.command(&["directory", "import", "directory.yaml", "--store", "sqlite:s.db"]);
    fs::write(quickstart.path("directory.yaml"), "users: [{name: mary}]\n").unwrap();
    assert_eq!(import.stderr(full()).status().unwrap().code(), Some(0));
}

/// What happens to the reports while the changes are made.
type Mishap = fn(&Path, u32);

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_after_apply_is_said_and_leaves_no_stale_text() {
    let mishaps: [(&str, Mishap); 3] = [
        ("its folder is gone", |reports, _| fs::remove_dir_all(reports).unwrap()),
        ("a folder stands in its place", |reports, _| {
            fs::remove_file(reports.join("p.md")).unwrap();
            fs::create_dir(reports.join("p.md")).unwrap();
        }),
        ("the folder takes no draft", |reports, process| {
            fs::create_dir(reports.join(format!(".p.md.{process}.draft"))).unwrap();
        }),
    ];
    for (name, mishap) in mishaps {
        let server = server().await;
        let warden = token(&server, "root", "warden").await;
        let script = token(&server, "mary", "script").await;
        let policy = "version: 1\ntokens: {limits: [{groups: [administrators]}, {max_scope: read-only}], \
                      enforcement: {scope: narrow}}\n";
        let repository = Repository::new(&server, &warden.secret, policy);
        let reports = repository.folder.path().join("reports");
        fs::create_dir(&reports).unwrap();
        let process = Arc::new(Mutex::new(None));
        let (place, known) = (reports.clone(), Arc::clone(&process));
        let decide = move |method: &str, _: &str| {
            if method == "PATCH" {
                let report = fs::read_to_string(place.join("p.md")).unwrap();
                assert!(report.contains("1 token to narrow"), "it says what would be done: {report}");
                let process: u32 = known.lock().unwrap().unwrap();
                mishap(&place, process);
            }
            async { Fate::Whole }.boxed()
        };
        let proxy = Proxy::start(server.address(), Arc::new(decide)).await;
        repository.edit_settings(&server.url(""), &proxy.url());

        let mut command = program();
        command.arg("-C").arg(repository.folder.path()).env("WARDEN_TOKEN", &repository.secret);
        command.args(["apply", "--auto-approve", "--report", "markdown=reports/p.md"]);
        let child = {
            let mut process = process.lock().unwrap();
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            *process = Some(child.id());
            child
        };
        let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        assert_eq!(server.token(script.id).await.unwrap()["tokenScope"], 1);
        assert!(said.contains("warning: the changes were made, but cannot write"), "{name}: {said}");
        assert!(!reports.join("p.md").is_file(), "{name}: nothing stale is left");
    }
}

#[test]
fn a_report_goes_into_a_file_and_never_to_standard_output() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW, "--report", "json=-"]);
    assert_eq!(run.code, Some(64), "{}", run.stderr);
    assert!(run.stderr.contains("for standard output write `--format json`"), "{}", run.stderr);
    let revoke = ["revoke", "--token", "1", "--reason", "lost", "--auto-approve", "--now", NOW];
    let run = quickstart.run(&[&revoke[..], &["--report", "html=missing/x.html"]].concat());
    assert_eq!((run.code, quickstart.store().exists()), (Some(64), false), "{}", run.stderr);
}

#[test]
fn a_pipe_in_the_place_of_a_file_keeps_nobody_waiting() {
    let quickstart = Quickstart::new();
    let made = Command::new("mkfifo").arg(quickstart.path("pipe")).status().unwrap();
    assert!(made.success());
    let settings =
        |lines: &str| format!("version: 1\ntargets:\n  quickstart:\n    policy: [policy/base.yaml]\n{lines}");
    let gateway = "    kind: gateway\n    url: https://127.0.0.1:9\n";
    for (lines, arguments) in [
        (format!("{gateway}    auth: {{bearer_file: pipe}}\n"), &["plan"][..]),
        (format!("{gateway}    auth: {{bearer_env: PATH}}\n    tls_ca: pipe\n"), &["plan"]),
        ("    kind: embedded\n    store: s.db\n    directory: pipe\n".to_owned(), &["plan"]),
        ("    kind: embedded\n    store: s.db\n    seed: pipe\n".to_owned(), &["plan"]),
        ("    kind: embedded\n    store: s.db\n".to_owned(), &["plan", "--inventory", "pipe"]),
        ("    kind: embedded\n    store: s.db\n".to_owned(), &["apply", "pipe"]),
        ("    kind: embedded\n    store: s.db\n".to_owned(), &["show", "pipe"]),
        (String::new(), &["directory", "import", "pipe", "--store", "sqlite:s.db"]),
        (String::new(), &["validate", "pipe"]),
    ] {
        fs::write(quickstart.path("tokenwarden.yaml"), settings(&lines)).unwrap();
        let run = quickstart.run(arguments);
        assert!(!matches!(run.code, Some(0) | None), "{lines}{arguments:?}: {}", run.stderr);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains("regular file"), "{lines}{arguments:?}: {told}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_stays_as_private_as_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let quickstart = Quickstart::new();
    let file = quickstart.path("plan.json");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(quickstart.run(&["plan", "--now", NOW, "--out", "plan.json"]).code, Some(0));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::metadata(&file).unwrap().len() > 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_is_broken_off_half_way_leaves_the_one_before() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.run(&["plan", "--now", NOW, "--out", "saved.json"]).code, Some(0));
    let show = ["show", "saved.json", "--report", "json=report.json"];
    fs::write(quickstart.path("report.json"), "the one before").unwrap();
    // A file has room for 8 or 16 KiB. The signal that says so ends the program, or is ignored and the write fails.
    for (ignoring, said) in [("", ""), ("trap '' XFSZ; ", "error: cannot write `")] {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("{ignoring}ulimit -f 16; exec \"$@\""), "sh"]);
        limited.arg(program().get_program()).arg("-C").arg(quickstart.folder.path()).args(show);
        let done = limited.output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && told.contains(said), "{told}");
        assert_eq!(fs::read_to_string(quickstart.path("report.json")).unwrap(), "the one before");
    }
    assert_eq!(quickstart.run(&show).code, Some(0));
    assert!(fs::metadata(quickstart.path("report.json")).unwrap().len() > 16 << 10);
}
