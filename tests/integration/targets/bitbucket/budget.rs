//! The budget over time belongs to the server, whatever its targets are called and however they reach it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::FutureExt;
use tempfile::TempDir;
use tokenwarden::journal::RunLock;

use super::stub::{KEY, PASSWORD, Stub, token};
use crate::support::{
    program::{Run, program},
    proxy::{Fate, Proxy, answer},
};

/// Every token without an end goes at once.
const POLICY: &str = "version: 1\ntokens: {limits: [{owner_kind: [project], max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n";
/// Six pass, and no more.
const RAILS: &str = "rails: {revocations: {amount: 9, percent: 100, floor: 1}}";

/// A server with six tokens of each of two projects.
async fn server() -> Stub {
    let stub = Stub::start().await;
    for index in 1..=6 {
        let of =
            |number: u64| token(&format!("{number:012}"), "script", "2026-01-01T00:00:00Z", &["REPO_READ"]);
        stub.add("projects/PLAT", of(100 + index));
        stub.add("projects/DOCS", of(200 + index));
    }
    stub
}

struct Slices(TempDir);

impl Slices {
    /// Targets by name, address and projects.
    fn new(targets: &[(&str, &str, &str)]) -> Self {
        let slices = Self(TempDir::new().unwrap());
        fs::write(slices.0.path().join("policy.yaml"), POLICY).unwrap();
        slices.write(targets);
        slices
    }

    fn write(&self, targets: &[(&str, &str, &str)]) {
        let mut settings =
            "version: 1\nmark_key_env: MARK_KEY\njournal: {directory: journal}\ntargets:\n".to_owned();
        for (name, url, projects) in targets {
            writeln!(
                settings,
                "  {name}: {{kind: bitbucket, url: '{url}', auth: {{user: warden, password_env: PASSWORD}}, \
                 policy: [policy.yaml], areas: [project], projects: [{projects}], {RAILS}}}"
            )
            .unwrap();
        }
        fs::write(self.0.path().join("tokenwarden.yaml"), settings).unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.0.path()).args(arguments).env("PASSWORD", PASSWORD).env("MARK_KEY", KEY);
        tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
    }

    async fn apply(&self) -> Run {
        self.run(&["apply", "--auto-approve"]).await
    }

    fn journal(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path().join("journal")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
        paths.sort();
        paths
    }
}

fn left(stub: &Stub) -> usize {
    stub.contents().tokens.values().map(Vec::len).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_by_projects_of_one_server_count_together_before_the_first_change_of_any() {
    let stub = server().await;
    let (url, other) = (stub.url(), stub.url().replace("127.0.0.1", "LOCALHOST") + "/");
    let slices = Slices::new(&[("plat", &url, "PLAT"), ("docs", &other, "DOCS")]);
    let validated = slices.run(&["validate"]).await;
    assert_eq!(validated.code, Some(0), "{}{}", validated.stdout, validated.stderr);
    let said = validated.stdout + &validated.stderr;
    assert!(said.contains("`docs` is the same server as `plat`"), "{said}");
    let refused = slices.apply().await;
    assert_eq!((refused.code, left(&stub)), (Some(4), 12), "{}", refused.stderr);
    let together = "revocations: 12 of 12 with those of `docs` on the same server, the limit is 9";
    assert!(refused.stderr.contains(together), "{}", refused.stderr);
    // One after the other is no way round it, and one run is not kept waiting by itself.
    let first = slices.run(&["apply", "--auto-approve", "--target", "plat"]).await;
    assert_eq!((first.code, left(&stub)), (Some(0), 6), "{}", first.stderr);
    let second = slices.apply().await;
    assert_eq!((second.code, left(&stub)), (Some(4), 6), "{}", second.stderr);
    assert!(second.stderr.contains("earlier runs of the last 1d did 6"), "{}", second.stderr);
    let allowed = slices.run(&["apply", "--auto-approve", "--allow", "revocations=6"]).await;
    assert_eq!((allowed.code, left(&stub)), (Some(0), 0), "{}", allowed.stderr);
    let shown = slices.run(&["journal", "show"]).await;
    assert_eq!(
        shown.stdout.matches(" plat ").count() + shown.stdout.matches(" docs ").count(),
        3,
        "{}",
        shown.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_name_and_no_other_way_to_write_the_address_gives_a_budget_of_its_own() {
    let stub = server().await;
    let slices = Slices::new(&[("plat", &stub.url(), "PLAT")]);
    assert_eq!(slices.apply().await.code, Some(0));
    for (name, url) in [
        ("renamed", stub.url()),
        ("plat", stub.url() + "//"),
        ("other", stub.url().replace("127.0.0.1", "localhost")),
        ("third", stub.url().replace("127.0.0.1", "127.1") + "/./"),
    ] {
        slices.write(&[(name, &url, "DOCS")]);
        let refused = slices.apply().await;
        assert_eq!((refused.code, left(&stub)), (Some(4), 6), "{name} {url}: {}", refused.stderr);
        assert!(refused.stderr.contains("earlier runs of the last 1d did 6"), "{}", refused.stderr);
        // A run that does nothing hides nothing.
        slices.write(&[(name, &url, "PLAT")]);
        assert_eq!(slices.apply().await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_journal_says_counts_by_its_times_whatever_its_files_are_called() {
    let stub = server().await;
    let slices = Slices::new(&[("plat", &stub.url(), "PLAT")]);
    assert_eq!(slices.apply().await.code, Some(0));
    let [first] = slices.journal(".jsonl").try_into().unwrap();
    let old = first.with_file_name("20200101T000000Z-00000000.plat.jsonl");
    fs::rename(&first, &old).unwrap();
    // Nothing done, two days behind by what the file says.
    assert_eq!(slices.apply().await.code, Some(0));
    slices.write(&[("plat", &stub.url(), "DOCS")]);
    assert_eq!((slices.apply().await.code, left(&stub)), (Some(4), 6));
    // A record of a version that knew no servers, of a name that nobody has any more.
    let text = fs::read_to_string(&old).unwrap();
    let (begun, rest) = text.split_once('\n').unwrap();
    let mut begun: serde_json::Value = serde_json::from_str(begun).unwrap();
    for key in ["server", "number"] {
        begun.as_object_mut().unwrap().remove(key).unwrap();
    }
    fs::write(&old, format!("{begun}\n{rest}")).unwrap();
    slices.write(&[("new", &stub.url(), "DOCS")]);
    assert_eq!((slices.apply().await.code, left(&stub)), (Some(4), 6));
    // Long ago is over.
    let day = jiff::Timestamp::now().to_string()[..10].to_owned();
    fs::write(&old, text.replace(&day, "2026-01-01")).unwrap();
    for empty in slices.journal(".jsonl").into_iter().filter(|path| *path != old) {
        fs::remove_file(empty).unwrap();
    }
    assert_eq!((slices.apply().await.code, left(&stub)), (Some(0), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_refused_and_done_all_the_same_counts_and_one_that_was_not_does_not() {
    for (is_done, code, tokens) in [(true, 4, 6), (false, 0, 6)] {
        let stub = server().await;
        let refusal = || answer("403 Forbidden", &["content-type: application/json"], "{\"errors\": []}");
        let decide = move |method: &str, _: &str| {
            let fate = match method {
                "DELETE" if is_done => Fate::AnswerReplaced(refusal()),
                "DELETE" => Fate::Instead(refusal()),
                _ => Fate::Whole,
            };
            std::future::ready(fate).boxed()
        };
        let proxy =
            Proxy::start(stub.url().trim_start_matches("http://").parse().unwrap(), Arc::new(decide)).await;
        let slices = Slices::new(&[("prod", &proxy.url(), "PLAT")]);
        let failed = slices.apply().await;
        assert!(matches!(failed.code, Some(1 | 5)), "{}{}", failed.stdout, failed.stderr);
        assert_eq!(left(&stub), if is_done { 6 } else { 12 });
        // The same name at the server itself.
        slices.write(&[("prod", &stub.url(), if is_done { "PLAT, DOCS" } else { "PLAT" })]);
        let next = slices.apply().await;
        assert_eq!((next.code, left(&stub)), (Some(code), tokens), "{is_done}: {}", next.stderr);
        if is_done {
            assert!(
                next.stderr.contains("6 changes that were refused to an earlier run took effect anyway, or may have: they count"),
                "{}",
                next.stderr
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_another_name_waits_for_the_one_that_writes_to_the_server() {
    let stub = server().await;
    let slices = Slices::new(&[("plat", &stub.url(), "PLAT")]);
    assert_eq!(slices.apply().await.code, Some(0));
    let locks: Vec<_> = slices.journal(".lock");
    let of_server = locks.iter().find(|path| !path.ends_with("plat.lock")).unwrap();
    let held = RunLock::take(of_server, "mary@laptop since 2026-11-23T11:59:00Z").unwrap();
    slices.write(&[("renamed", &stub.url().replace("127.0.0.1", "localhost"), "DOCS")]);
    let refused = slices.apply().await;
    assert_eq!((refused.code, left(&stub)), (Some(4), 6), "{}", refused.stderr);
    assert!(refused.stderr.contains("another run is applying to it: mary@laptop"), "{}", refused.stderr);
    drop(held);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_lock_is_deleted_or_made_a_link_meanwhile_writes_nothing_more() {
    for link in [false, true] {
        let stub = Stub::start().await;
        for number in 101..=140 {
            let id = format!("{number:012}");
            stub.add("projects/PLAT", token(&id, "script", "2026-01-01T00:00:00Z", &["REPO_READ"]));
        }
        let slices = Slices::new(&[("plat", &stub.url(), "PLAT")]);
        let settings = slices.0.path().join("tokenwarden.yaml");
        let text = fs::read_to_string(&settings).unwrap();
        fs::write(&settings, text.replace("amount: 9", "amount: 99")).unwrap();
        let journal = slices.0.path().join("journal");
        let precious = slices.0.path().join("precious");
        fs::write(&precious, "words").unwrap();
        let at_work = precious.clone();
        // The first token is looked at again right before it is revoked.
        stub.after("/rest/access-tokens/latest/projects/PLAT/000000000101", move |_| {
            for entry in fs::read_dir(&journal).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "lock") {
                    fs::remove_file(&path).unwrap();
                    if link {
                        std::os::unix::fs::symlink(&at_work, &path).unwrap();
                    }
                }
            }
        });
        let run = slices.apply().await;
        assert_eq!(run.code, Some(5), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("the lease of this run was lost"), "{}", run.stdout);
        let kept = left(&stub);
        assert!(kept > 0);
        if link {
            let next = slices.apply().await;
            assert_eq!((next.code, left(&stub)), (Some(1), kept), "{}{}", next.stdout, next.stderr);
            assert!(next.stderr.contains("it is not a regular file"), "{}", next.stderr);
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "words");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_keeps_its_day_when_its_target_gets_another_name() {
    let stub = Stub::start().await;
    let of = token("000000000101", "script", "2026-01-01T00:00:00Z", &["REPO_READ"]);
    stub.add("projects/PLAT", of);
    let slices = Slices::new(&[("plat", &stub.url(), "PLAT")]);
    let policy = POLICY.replace("lifetime: revoke", "lifetime: {action: expire, grace: 14d}");
    fs::write(slices.0.path().join("policy.yaml"), policy).unwrap();
    assert_eq!(slices.apply().await.code, Some(0));
    let marked = stub.only("projects/PLAT");
    assert!(marked["name"].as_str().unwrap().starts_with("script [tokenwarden: ends "), "{marked}");
    slices.write(&[("renamed", &stub.url().replace("127.0.0.1", "localhost"), "PLAT")]);
    fs::remove_dir_all(slices.0.path().join("journal")).unwrap();
    let again = slices.apply().await;
    assert!(again.stdout.starts_with("No changes in"), "{}{}", again.stdout, again.stderr);
    assert_eq!(stub.only("projects/PLAT"), marked);
}

/// Lets the deadlines that a journal file tells of be over, and takes out what its server is known by when
/// `is_old`, as versions wrote it that did not keep that.
fn let_deadlines_pass(file: &Path, is_old: bool) {
    let over = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30 * 24)).to_string();
    let text = fs::read_to_string(file).unwrap();
    let rewritten = text.lines().map(|line| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        let record = record.as_object_mut().unwrap();
        if is_old {
            record.remove("server");
            record.remove("number");
        }
        record.entry("deadline").and_modify(|deadline| *deadline = over.clone().into());
        serde_json::Value::from(record.clone()).to_string() + "\n"
    });
    let rewritten: String = rewritten.collect();
    assert!(rewritten.contains(&over), "{text}");
    fs::write(file, rewritten).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_of_a_token_of_another_server_is_not_one_of_the_token_with_its_number_here() {
    let policy = POLICY.replace("lifetime: revoke", "lifetime: {action: expire, grace: 14d}");
    // Under which name the other server was, whether the record tells its address, and the name of ours.
    for (before, is_old, now) in [("prod", false, "prod"), ("jira", true, "bb"), ("jira", true, "jira")] {
        let (theirs, ours) = (Stub::start().await, Stub::start().await);
        let script = token("000000000101", "script", "2026-01-01T00:00:00Z", &["REPO_READ"]);
        theirs.add("projects/PLAT", script.clone());
        ours.add("projects/PLAT", script.clone());
        let slices = Slices::new(&[(before, &theirs.url(), "PLAT")]);
        fs::write(slices.0.path().join("policy.yaml"), &policy).unwrap();
        assert_eq!(slices.apply().await.code, Some(0));
        let [record] = slices.journal(".jsonl").try_into().unwrap();
        let_deadlines_pass(&record, is_old);
        slices.write(&[(now, &ours.url(), "PLAT"), ("elsewhere", &theirs.url(), "DOCS")]);
        let run = slices.run(&["apply", "--auto-approve", "--target", now]).await;
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        // The name is all that an old record tells of its server.
        let is_ours = is_old && before == now;
        assert_eq!(left(&ours), usize::from(!is_ours), "{before} {now}: {}", run.stdout);
    }
    // Under another name on one server the deadline stands, though the owner took the mark off.
    let stub = Stub::start().await;
    let script = token("000000000101", "script", "2026-01-01T00:00:00Z", &["REPO_READ"]);
    stub.add("projects/PLAT", script.clone());
    let slices = Slices::new(&[("plat", &stub.url(), "PLAT")]);
    fs::write(slices.0.path().join("policy.yaml"), &policy).unwrap();
    assert_eq!(slices.apply().await.code, Some(0));
    let [record] = slices.journal(".jsonl").try_into().unwrap();
    let_deadlines_pass(&record, false);
    stub.contents().tokens.insert("projects/PLAT".to_owned(), vec![script]);
    slices.write(&[("renamed", &stub.url(), "PLAT")]);
    let run = slices.apply().await;
    assert_eq!((run.code, left(&stub)), (Some(0), 0), "{}{}", run.stdout, run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_stands_neither_in_the_way_of_other_tokens_nor_of_an_incident() {
    let in_a_hurry = ["revoke", "--auto-approve", "--reason", "laptop stolen", "--owner", "project DOCS"];
    for (targets, arguments) in [
        // What the other target shows none of.
        (&[("plat", "PLAT"), ("docs", "DOCS")][..], &["apply", "--auto-approve", "--target", "docs"][..]),
        // Of the tokens of others an incident shows nothing.
        (&[("plat", "PLAT, DOCS")], &in_a_hurry),
    ] {
        let stub = server().await;
        let decide = |method: &str, path: &str| {
            let refused = answer("403 Forbidden", &["content-type: application/json"], "{\"errors\": []}");
            let is_refused = method == "DELETE" && path.contains("/PLAT/");
            std::future::ready(if is_refused { Fate::Instead(refused) } else { Fate::Whole }).boxed()
        };
        let proxy =
            Proxy::start(stub.url().trim_start_matches("http://").parse().unwrap(), Arc::new(decide)).await;
        let url = proxy.url();
        let slices = Slices::new(&[("plat", &url, "PLAT")]);
        let failed = slices.apply().await;
        assert!(matches!(failed.code, Some(1 | 5)), "{}{}", failed.stdout, failed.stderr);
        assert_eq!(left(&stub), 12);
        let targets: Vec<_> = targets.iter().map(|(name, projects)| (*name, &*url, *projects)).collect();
        slices.write(&targets);
        let run = slices.run(arguments).await;
        assert_eq!((run.code, left(&stub)), (Some(0), 6), "{arguments:?}: {}{}", run.stdout, run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_used_costs_only_the_targets_that_it_may_be_about() {
    let (ours, theirs) = (server().await, server().await);
    let (ours, theirs) = (ours.url(), theirs.url());
    let slices = Slices::new(&[("ours", &ours, "PLAT"), ("theirs", &theirs, "PLAT")]);
    assert_eq!(slices.apply().await.code, Some(0));
    let of = |target: &str| slices.journal(&format!("{target}.jsonl")).pop().unwrap();
    let text = fs::read_to_string(of("theirs")).unwrap();
    let newer = text.replacen("\"format_version\":\"1.", "\"format_version\":\"9.", 1);
    let unknown = newer.replacen("\"record\":\"begun\"", "\"record\":\"opened\"", 1);
    let broken = text.replacen('{', "", 1);
    let cut = text.split_at(40).0;
    let names = ["20261122T000000Z-0000000a.theirs.jsonl", "20261122T000000Z-0000000a.ours.jsonl"];
    for (name, content, is_ours) in [
        (names[0], &*newer, false),
        // Its first line says whose it is.
        (names[1], &newer, false),
        (names[1], &unknown, false),
        (names[0], &broken, false),
        (names[0], cut, false),
        (names[0], "", false),
        // Only its name does.
        (names[1], &broken, true),
        (names[1], "", true),
    ] {
        let file = of("theirs").with_file_name(name);
        fs::write(&file, content).unwrap();
        let (stopped, free) = if is_ours { ("ours", "theirs") } else { ("theirs", "ours") };
        let other = slices.run(&["plan", "--target", free]).await;
        assert_eq!(other.code, Some(0), "{name}: {}", other.stderr);
        let run = slices.run(&["plan", "--target", stopped]).await;
        assert_eq!(run.code, Some(1), "{name}: {}", run.stderr);
        assert!(run.stderr.contains(name) && run.stderr.contains("is damaged at line 1"), "{}", run.stderr);
        fs::remove_file(file).unwrap();
    }
    // Of a name that nobody has, it may be about everybody.
    fs::write(of("theirs").with_file_name("20261122T000000Z-0000000a.former.jsonl"), broken).unwrap();
    for target in ["ours", "theirs"] {
        assert_eq!(slices.run(&["plan", "--target", target]).await.code, Some(1), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_gone_or_shorter_than_it_was_is_missed_and_what_it_said_is_not_taken_for_nothing() {
    type Lose<'a> = &'a dyn Fn(&Path);
    let elsewhere = TempDir::new().unwrap();
    let gone: [(&str, Lose<'_>); 4] = [
        ("removed", &|file| fs::remove_file(file).unwrap()),
        ("moved away", &|file| fs::rename(file, elsewhere.path().join("moved.jsonl")).unwrap()),
        ("renamed", &|file| fs::rename(file, file.with_extension("jsonl.old")).unwrap()),
        ("cut off", &|file| {
            let text = fs::read_to_string(file).unwrap();
            fs::write(file, text.split_inclusive('\n').take(2).collect::<String>()).unwrap();
        }),
    ];
    for (how, lose) in gone {
        let stub = server().await;
        let slices = Slices::new(&[("plat", &stub.url(), "PLAT")]);
        // The second one does nothing but note that there was a first.
        assert_eq!([slices.apply().await.code, slices.apply().await.code], [Some(0); 2]);
        let [first, _] = slices.journal(".jsonl").try_into().unwrap();
        lose(&first);
        slices.write(&[("renamed", &stub.url(), "DOCS")]);
        let refused = slices.apply().await;
        assert_eq!((refused.code, left(&stub)), (Some(4), 6), "{how}: {}", refused.stderr);
        for said in [
            "warning: renamed: the journal file of run",
            "what earlier runs of the last 1d did is not known",
            "these pass from ",
            "--allow revocations=6",
        ] {
            assert!(refused.stderr.contains(said), "{how}: {}", refused.stderr);
        }
        let shown = slices.run(&["plan", "--format", "json"]).await;
        assert_eq!(shown.code, Some(0), "looking is free: {}", shown.stderr);
        let allowed = slices.run(&["apply", "--auto-approve", "--allow", "revocations=6"]).await;
        assert_eq!((allowed.code, left(&stub)), (Some(0), 0), "{how}: {}", allowed.stderr);
    }
}
