//! What runs leave behind, and what later runs make of it.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tokenwarden::{
    apply::{Effect, TargetWriter, WriteError, execute},
    journal::{ItsTokens, JournalFolder, Past, Recording, RunFile, RunLock, Sought, history},
    model::{
        Period, Scope, ServerIdentity, Token, TokenScope,
        rails::{Lockout, RailClass},
        run::{Fate, RunHead, RunId},
    },
    plan::{Change, History, Plan, Terms},
    policy::Policy,
};
use tokio::sync::Notify;

use crate::support::{
    program::{NOW, Quickstart, Run, program},
    world::{State, World, approve, block_on, policy, time, token},
};

/// A day and an hour after [`NOW`].
const NEXT_DAY: &str = "2026-11-24T13:00:00Z";

/// An embedded server with sixty tokens, six of each of ten owners.
struct Office {
    folder: TempDir,
}

impl Office {
    fn new(head: &str, rails: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = format!(
            "version: 1\n{head}targets:\n  office: {{kind: embedded, store: office.db, directory: users.yaml, \
             seed: tokens.yaml, policy: [policy.yaml]{rails}}}\n"
        );
        fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
        let policy = "version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n";
        fs::write(folder.path().join("policy.yaml"), policy).unwrap();
        let mut tokens = "tokens:\n".to_owned();
        for index in 0..60 {
            let rest = "description: script, scope: read-only, created: 1d, expires: never, last_used: never";
            writeln!(tokens, "  - {{owner: user-{}, {rest}}}", index % 10).unwrap();
        }
        fs::write(folder.path().join("tokens.yaml"), tokens).unwrap();
        let office = Self { folder };
        office.leave(0);
        // Made before the moment of the first run.
        assert_eq!(office.run(&["plan", "--now", "2026-11-20T00:00:00Z"]).code, Some(0));
        office
    }

    /// So many of the owners have left.
    fn leave(&self, gone: usize) {
        let mut users = "groups: {}\nusers:\n".to_owned();
        for index in 0..10 {
            writeln!(users, "  - {{name: user-{index}, active: {}}}", index >= gone).unwrap();
        }
        fs::write(self.folder.path().join("users.yaml"), users).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(program().arg("-C").arg(self.folder.path()).args(arguments))
    }

    fn apply(&self, now: &str, more: &[&str]) -> Run {
        self.run(&[&["apply", "--auto-approve", "--now", now], more].concat())
    }
}

#[test]
fn slices_of_a_large_change_do_not_get_past_a_rail_before_the_window_is_over() {
    for head in ["", "journal: {directory: journal}\n"] {
        let office = Office::new(head, ", rails: {revocations: {amount: 10, percent: 50}}");
        office.leave(1);
        let first = office.apply(NOW, &[]);
        assert_eq!(first.code, Some(0), "{}", first.stderr);
        assert!(first.stdout.contains("6 tokens revoked"), "{}", first.stdout);
        office.leave(2);
        let later = "2026-11-23T18:00:00Z";
        let second = office.apply(later, &[]);
        assert_eq!(second.code, Some(4), "{}{}", second.stdout, second.stderr);
        insta::allow_duplicates! {
            insta::assert_snapshot!(second.stderr, @"
            apply is refused on office: revocations: 6 of 54, and earlier runs of the last 1d did 6: 12 of 60 together, the limit is 10 or 50 % (up to 3 always pass); these pass from 2026-11-24T12:00:00Z on; to let these pass in this run: --allow revocations=6
            error: refused, nothing was changed anywhere
            ");
        }
        assert_eq!(office.apply("2026-11-24T11:59:59Z", &[]).code, Some(4));
        let after = office.apply(NEXT_DAY, &[]);
        assert_eq!(after.code, Some(0), "{}", after.stderr);
        office.leave(3);
        assert_eq!(office.apply("2026-11-24T14:00:00Z", &[]).code, Some(4));
        let allowed = office.apply("2026-11-24T14:00:00Z", &["--allow", "revocations=6"]);
        assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
    }
}

#[test]
fn an_allowance_lets_exactly_so_many_pass() {
    let office = Office::new("", "");
    office.leave(3);
    let refused = office.apply(NOW, &[]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.stderr.contains("revocations: 18 of 60, the limit is 10 or 5 %"), "{}", refused.stderr);
    assert_eq!(office.apply(NOW, &["--allow", "revocations=17"]).code, Some(4), "18 are one too many");
    let allowed = office.apply(NOW, &["--allow", "revocations=18"]);
    assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
    assert!(allowed.stdout.contains("18 tokens revoked"), "{}", allowed.stdout);
}

#[test]
fn the_window_is_what_the_config_file_says() {
    let office = Office::new("journal: {window: 2d}\n", ", rails: {revocations: {amount: 10, percent: 50}}");
    office.leave(1);
    assert_eq!(office.apply(NOW, &[]).code, Some(0));
    office.leave(2);
    assert_eq!(office.apply(NEXT_DAY, &[]).code, Some(4));
    assert_eq!(office.apply("2026-11-25T12:00:00Z", &[]).code, Some(0));
}

/// The journal files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names.retain(|name| Path::new(name).extension().is_some_and(|ending| ending == "jsonl"));
    names
}

#[test]
fn every_run_has_a_file_of_lines_that_fit_the_schema_and_older_files_stay_as_they_were() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "version: 1\n", "version: 1\njournal: {directory: journal}\n");
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    let folder = quickstart.path("journal");
    let first = files(&folder);
    let before = fs::read(folder.join(&first[0])).unwrap();
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    let both = files(&folder);
    assert_eq!((both.len(), &both[0]), (2, &first[0]), "they sort by time");
    assert_eq!(fs::read(folder.join(&first[0])).unwrap(), before);

    let schema: Value = serde_json::from_str(&quickstart.run(&["schema", "journal"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let text = String::from_utf8(before).unwrap();
    for line in text.lines() {
        let errors: Vec<_> = validator
            .iter_errors(&serde_json::from_str(line).unwrap())
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{line}");
    }
    assert_eq!(text.matches("\"record\":\"planned\"").count(), text.matches("\"fate\":\"done\"").count());
    for private in ["mary", "nightly", "olga", "OPS-"] {
        assert!(!text.contains(private), "names and descriptions stay out of it: {private}");
    }
}

#[test]
fn a_damaged_journal_is_named_and_nothing_is_written() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "version: 1\n", "version: 1\njournal: {directory: journal}\n");
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    let file = quickstart.path("journal").join(&files(&quickstart.path("journal"))[0]);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"record\":\"attempted\"", "\"record\":\"tempted\"", 1)).unwrap();
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("is damaged at line 31: it is not a record"), "{}", run.stderr);
    assert_eq!(files(&quickstart.path("journal")).len(), 1);
}

#[test]
fn a_journal_that_cannot_be_written_keeps_the_run_from_changing_anything() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "version: 1\n", "version: 1\njournal: {directory: journal/here}\n");
    quickstart.run(&["plan", "--now", NOW]);
    let before = crate::support::program::dump(&quickstart.store());
    fs::write(quickstart.path("journal"), "in the way").unwrap();
    let run = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("journal"), "{}", run.stderr);
    assert_eq!(crate::support::program::dump(&quickstart.store()), before);
}

#[test]
fn the_latest_runs_are_shown_as_a_table_one_in_full_and_all_as_json() {
    let office = Office::new("journal: {directory: journal}\n", "");
    assert_eq!(office.run(&["journal", "show"]).stdout, "No runs are recorded.\n");
    office.leave(1);
    assert_eq!(office.apply(NOW, &["--allow", "revocations=6"]).code, Some(0));
    assert_eq!(office.apply(NOW, &[]).code, Some(0));
    let shown = office.run(&["journal", "show"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", shown.stdout);
    assert!(lines[1].ends_with("nothing to do") && lines[2].ends_with("6 done"), "{}", shown.stdout);

    let name = lines[2].split(' ').next().unwrap();
    let full = office.run(&["journal", "show", name]).stdout;
    assert!(full.contains("  done       2026-11-23T12:00:00Z revoke token/1\n"), "{full}");
    assert!(full.ends_with("6 changes: 6 done.\n"), "{full}");

    let document: Value =
        serde_json::from_str(&office.run(&["journal", "show", "--format", "json"]).stdout).unwrap();
    assert_eq!(document["runs"][1]["changes"][0]["counts"]["revocations"], 1);
    let schema: Value = serde_json::from_str(&office.run(&["schema", "runs"]).stdout).unwrap();
    assert!(jsonschema::is_valid(&schema, &document));
    assert_eq!(office.run(&["journal", "show", "20200101T000000Z-00000000"]).code, Some(1));
}

#[test]
fn what_a_journal_says_cannot_steer_a_terminal() {
    let office = Office::new("journal: {directory: journal}\n", "");
    office.leave(1);
    assert_eq!(office.apply(NOW, &["--allow", "revocations=6"]).code, Some(0));
    let file = office.folder.path().join("journal").join(&files(&office.folder.path().join("journal"))[0]);
    let text = fs::read_to_string(&file).unwrap();
    let start = text.find("\"by\":\"").unwrap() + 6;
    let end = start + text[start..].find('"').unwrap();
    fs::write(&file, format!("{}\\u001b]0;owned\\u0007{}", &text[..start], &text[end..])).unwrap();
    let shown = office.run(&["journal", "show", "--color", "never"]).stdout;
    assert!(shown.contains("\\u{1b}]0;owned\\u{7}") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn a_second_apply_to_an_embedded_server_is_refused_with_the_name_of_the_first() {
    let quickstart = Quickstart::new();
    let lock = quickstart.path(".tokenwarden/quickstart.db.lock");
    let held = RunLock::take(&lock, "mary@laptop since 2026-11-23T11:59:00Z").unwrap();
    let refused = quickstart.run(&["apply", "--auto-approve", "--now", NOW]);
    assert_eq!(refused.code, Some(4), "{}", refused.stdout);
    insta::assert_snapshot!(refused.stderr, @"error: quickstart: another run is applying to it: mary@laptop since 2026-11-23T11:59:00Z; wait for it with --lock-timeout 5m");
    let waited = quickstart.run(&["apply", "--auto-approve", "--now", NOW, "--lock-timeout", "1s"]);
    assert_eq!(waited.code, Some(4));
    assert!(waited.stderr.contains("it did not end within 1 seconds"), "{}", waited.stderr);
    assert_eq!(quickstart.run(&["plan", "--now", NOW]).code, Some(0), "looking is free");
    drop(held);
    assert_eq!(quickstart.run(&["apply", "--auto-approve", "--now", NOW]).code, Some(0));
    assert_eq!(quickstart.run(&["apply", "--lock-timeout", "soon"]).code, Some(64));
}

/// A writer whose process dies with one of its changes: before that takes effect, or behind it.
struct Dying<'a> {
    world: &'a World,
    left: AtomicUsize,
    takes_effect: bool,
    dead: &'a Notify,
}

impl TargetWriter for Dying<'_> {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return self.world.make(change).await;
        }
        if self.takes_effect {
            self.world.make(change).await?;
        }
        self.dead.notify_one();
        std::future::pending().await
    }
}

/// Twelve tokens of somebody who left, three of them to be narrowed and not revoked.
fn leaver() -> State {
    let mut state = State::default();
    state.users.insert("gone".into(), false);
    state.users.insert("mary".into(), true);
    for index in 1..=12 {
        let token = Token {
            description: String::new(),
            scope: TokenScope::Set(Scope::ReadWrite),
            last_used: None,
            expires: None,
            ..token(&index.to_string(), if index <= 9 { "gone" } else { "mary" })
        };
        state.tokens.insert(token.id.clone(), token);
    }
    state
}

/// A target in memory with a journal in a folder.
struct Journaled {
    world: World,
    policy: Policy,
    folder: JournalFolder,
    _temporary: TempDir,
}

impl Journaled {
    fn new() -> Self {
        let temporary = TempDir::new().unwrap();
        let yaml = "version: 1\ntokens:\n  limits: [{max_scope: read-only, max_lifetime: 90d}]\n  \
                    enforcement: {owner-inactive: revoke, scope: narrow, lifetime: {action: expire, grace: 14d}}\n";
        Self {
            world: World::new(leaver()),
            policy: policy(yaml),
            folder: JournalFolder::new(temporary.path().join("journal")),
            _temporary: temporary,
        }
    }

    fn past(&self, since: Timestamp) -> Past {
        self.folder.past(&Sought { target: "world".to_owned(), ..Sought::default() }, since).unwrap()
    }

    fn history(&self) -> History {
        let window = Period::days(1);
        history(self.past(window.before(time(NOW))), window, time(NOW))
    }

    fn plan(&self, history: &History) -> Plan {
        let (policy, lockout) = (&self.policy, &Lockout::default());
        let terms = Terms {
            unsupported: tokenwarden::model::rails::Unsupported::Error,
            target: "world",
            policy,
            lockout,
            history,
            now: time(NOW),
        };
        block_on(Plan::make(&terms, &self.world)).unwrap()
    }

    fn begin(&self, plan: &Plan) -> RunFile {
        let latest = self.folder.latest_name().unwrap();
        let run = RunId::new(time(NOW), [0; 4], latest.as_ref());
        let (target, by) = ("world".to_owned(), "warden@test".to_owned());
        let (server, policy_sha256) = (ServerIdentity::default(), plan.policy_fingerprint.clone());
        let head = RunHead { run, target, server, begun: time(NOW), by, policy_sha256 };
        self.folder
            .begin(head, &self.past(Timestamp::MAX), plan.settled.clone(), plan.notes().collect())
            .unwrap()
    }

    /// A run that dies with its change number `with`, counted from 1.
    fn die(&self, with: usize, takes_effect: bool) {
        let history = self.history();
        let plan = self.plan(&history);
        let file = self.begin(&plan);
        let approved = approve(plan);
        let dead = Notify::new();
        let dying = Dying { world: &self.world, left: AtomicUsize::new(with), takes_effect, dead: &dead };
        let clock: &(dyn Fn() -> Timestamp + Sync) = &|| time(NOW);
        let recording = Recording::new(dying, Some(file), &approved, [].into(), clock);
        block_on(async {
            tokio::select! {
                outcome = execute(&approved, &self.world, &recording, &|_| {}) => panic!("{outcome:?}"),
                () = dead.notified() => {}
            }
        });
    }
}

#[test]
fn what_a_killed_run_had_under_way_is_found_out_and_counts_once() {
    let all = Journaled::new().plan(&History::default()).changes.len();
    for with in 1..=all {
        for takes_effect in [false, true] {
            let journaled = Journaled::new();
            journaled.die(with, takes_effect);
            let before = journaled.history();
            assert!(!before.open.is_empty(), "change {with} was under way");
            let plan = journaled.plan(&before);
            assert_eq!(plan.settled.len(), before.open.len());
            for (open, settled) in before.open.iter().zip(&plan.settled) {
                let again = plan.changes.iter().any(|one| {
                    one.change.object().address() == open.note.address
                        && Some(one.change.verb()) == open.note.verb()
                });
                assert_eq!(settled.fate, if again { Fate::Failed } else { Fate::Done }, "{open:?}");
            }
            let gone = 12 - journaled.world.state().tokens.len() as u64;
            assert_eq!(plan.spent.as_ref().unwrap().of(RailClass::Revocations), gone);

            // The next run dies at once; the one behind it still knows.
            drop(journaled.begin(&plan));
            let after = journaled.history();
            assert_eq!(after.open, [], "the second run has settled it");
            assert_eq!(after.spent.unwrap().of(RailClass::Revocations), gone);
        }
    }
}

#[test]
fn the_first_deadline_of_a_token_is_known_to_every_later_run_until_it_is_revoked() {
    let journaled = Journaled::new();
    let (history, clock) = (journaled.history(), || time(NOW));
    let plan = journaled.plan(&history);
    let approved = approve(plan.clone());
    let recording =
        Recording::new(&journaled.world, Some(journaled.begin(&plan)), &approved, [].into(), &clock);
    block_on(execute(&approved, &journaled.world, &recording, &|_| {}));
    recording.end().unwrap();
    let deadline = time("2026-12-08T00:00:00Z");
    for _ in 0..10 {
        let history = journaled.history();
        let tokens: Vec<_> = history.deadlines.iter().map(|(id, at)| (id.as_str(), *at)).collect();
        assert_eq!(tokens, [("10", deadline), ("11", deadline), ("12", deadline)]);
        drop(journaled.begin(&journaled.plan(&history)));
    }
    journaled.world.change(|state| *state.users.get_mut(&"mary".into()).unwrap() = false);
    let history = journaled.history();
    let plan = journaled.plan(&history);
    let approved = approve(plan.clone());
    let recording =
        Recording::new(&journaled.world, Some(journaled.begin(&plan)), &approved, [].into(), &clock);
    block_on(execute(&approved, &journaled.world, &recording, &|_| {}));
    assert!(journaled.history().deadlines.is_empty(), "{:?}", journaled.history());
}

#[test]
fn what_was_done_within_the_window_counts_whatever_the_file_is_called_and_whatever_came_behind_it() {
    let journaled = Journaled::new();
    let line = |run: &str, target: &str, begun: &str| {
        format!(
            "{{\"record\":\"begun\",\"format_version\":\"1.0\",\"run\":\"{run}\",\"target\":\"{target}\",\
             \"begun\":\"{begun}\",\"by\":\"x@y\",\"policy_sha256\":\"\"}}\n"
        )
    };
    let revoked = |at: &str| {
        format!(
            "{{\"record\":\"planned\",\"change\":0,\"address\":\"token/77\",\"action\":\"revoke\",\"counts\":{{\"revocations\":1}}}}\n\
             {{\"record\":\"attempted\",\"change\":0,\"at\":\"{at}\"}}\n\
             {{\"record\":\"result\",\"change\":0,\"fate\":\"done\",\"at\":\"{at}\"}}\n"
        )
    };
    let write = |run: &str, target: &str, begun: &str, rest: &str| {
        fs::create_dir_all(journaled.folder.path()).unwrap();
        let path = journaled.folder.path().join(format!("{run}.{target}.jsonl"));
        fs::write(path, line(run, target, begun) + rest).unwrap();
    };
    let spent = || journaled.history().spent.unwrap().of(RailClass::Revocations);
    // The name and the begin say 2020, what was done is an hour old.
    write("20200101T000000Z-00000000", "world", "2020-01-01T00:00:00Z", &revoked("2026-11-23T11:00:00Z"));
    // A clock that was two days behind, and did nothing.
    write("20261121T120000Z-00000000", "world", "2026-11-21T12:00:00Z", "");
    assert_eq!(spent(), 1);
    // A clock that was ahead of the present.
    write("20270101T000000Z-00000000", "world", "2027-01-01T00:00:00Z", &revoked("2027-01-01T00:00:00Z"));
    assert_eq!(spent(), 2);
    // Two days ago is over.
    write("20261121T110000Z-00000000", "world", "2026-11-21T11:00:00Z", &revoked("2026-11-21T11:00:00Z"));
    assert_eq!(spent(), 2);
    // A name that no target has any more, and one that another target has.
    write("20261123T100000Z-00000000", "before", "2026-11-23T10:00:00Z", &revoked("2026-11-23T10:00:00Z"));
    assert_eq!(spent(), 3);
    let others = [("before".to_owned(), ItsTokens::Shared)].into();
    let sought = Sought { target: "world".to_owned(), others, ..Sought::default() };
    let past = journaled.folder.past(&sought, time("2026-11-22T12:00:00Z")).unwrap();
    assert!(past.runs.iter().all(|run| run.head.target == "world"), "{past:?}");
}

#[test]
fn a_record_of_a_run_that_was_over_before_the_window_is_not_read_whole() {
    let journaled = Journaled::new();
    fs::create_dir_all(journaled.folder.path()).unwrap();
    let write = |run: &str, rest: &str| {
        let begun = format!(
            "{{\"record\":\"begun\",\"format_version\":\"1.0\",\"run\":\"{run}\",\"target\":\"world\",\
             \"begun\":\"2026-11-20T11:00:00Z\",\"by\":\"x@y\",\"policy_sha256\":\"\"}}\n"
        );
        fs::write(journaled.folder.path().join(format!("{run}.world.jsonl")), begun + rest).unwrap();
    };
    let ended = |at: &str| format!("no record\n{{\"record\":\"ended\",\"at\":\"{at}\"}}\n");
    write("20261120T110000Z-00000001", &ended("2026-11-20T11:00:01Z"));
    write("20261120T110000Z-00000009", "");
    assert_eq!(journaled.past(time("2026-11-22T12:00:00Z")).runs.len(), 1);
    // One that was not over by then is.
    write("20261120T110000Z-00000002", &ended("2026-11-22T13:00:00Z"));
    let sought = Sought { target: "world".to_owned(), ..Sought::default() };
    let error = journaled.folder.past(&sought, time("2026-11-22T12:00:00Z")).unwrap_err();
    assert!(error.to_string().contains("00000002.world.jsonl` is damaged at line 2"), "{error}");
}

#[test]
fn what_another_run_tells_of_tokens_is_believed_where_its_tokens_are_ours() {
    let (ours, theirs) = (Some("ours.example.com"), Some("theirs.example.com"));
    let both_done = [Some(Fate::Done), Some(Fate::Done)];
    // What was interrupted counts wherever it was; what was refused, only where it can be seen.
    let unseen = [Some(Fate::Unknown), None];
    for (target, server, has_deadline, fates) in [
        ("world", ours, true, both_done),
        ("world", None, true, both_done),
        ("world", theirs, false, both_done),
        ("renamed", ours, true, both_done),
        ("renamed", None, false, unseen),
        ("shared", ours, true, both_done),
        ("apart", ours, true, unseen),
        ("kind", ours, false, unseen),
    ] {
        let journaled = Journaled::new();
        let mut begun = serde_json::json!({
            "record": "begun", "format_version": "1.0", "run": "20261123T100000Z-00000000", "target": target,
            "begun": "2026-11-23T10:00:00Z", "by": "x@y", "policy_sha256": "",
            "deadlines": {"10": "2026-11-01T00:00:00Z"},
        });
        if let Some(server) = server {
            begun["server"] = serde_json::json!([server]);
        }
        let at = "2026-11-23T10:00:01Z";
        let planned = |change: u32| {
            serde_json::json!({"record": "planned", "change": change, "address": format!("token/{}", 90 + change),
                "action": "revoke", "counts": {"revocations": 1}})
        };
        let attempted = |change: u32| serde_json::json!({"record": "attempted", "change": change, "at": at});
        let refused = serde_json::json!({"record": "result", "change": 1, "fate": "failed", "at": at});
        let lines = [begun, planned(0), planned(1), attempted(0), attempted(1), refused];
        let lines = lines.map(|line| line.to_string() + "\n").concat();
        fs::create_dir_all(journaled.folder.path()).unwrap();
        let file = journaled.folder.path().join(format!("20261123T100000Z-00000000.{target}.jsonl"));
        fs::write(file, lines).unwrap();
        let others =
            [("shared", ItsTokens::Shared), ("apart", ItsTokens::Apart), ("kind", ItsTokens::OtherKind)];
        let sought = Sought {
            target: "world".to_owned(),
            server: ServerIdentity::at("https://ours.example.com"),
            others: others.map(|(name, tokens)| (name.to_owned(), tokens)).into(),
        };
        let past = journaled.folder.past(&sought, time("2026-11-22T12:00:00Z")).unwrap();
        assert_eq!(past.runs.len(), 1, "{target} {server:?}");
        assert_eq!(!past.deadlines.is_empty(), has_deadline, "{target} {server:?}");
        let history = history(past, Period::days(1), time(NOW));
        let plan = journaled.plan(&history);
        let fate = |change: u32| plan.settled.iter().find(|one| one.change == change).map(|one| one.fate);
        assert_eq!([fate(0), fate(1)], fates, "{target} {server:?}");
        let counted = fates.iter().flatten().count() as u64;
        assert_eq!(plan.view.spent.unwrap().of(RailClass::Revocations), counted, "{target} {server:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_journal_file_that_is_a_link_a_pipe_or_a_device_is_named_and_not_read() {
    use std::os::unix::fs::symlink;
    let journaled = Journaled::new();
    fs::create_dir_all(journaled.folder.path()).unwrap();
    let path = journaled.folder.path().join("20261123T100000Z-00000000.world.jsonl");
    let refused = || {
        let sought = Sought { target: "world".to_owned(), ..Sought::default() };
        let error = journaled.folder.past(&sought, time(NOW)).unwrap_err();
        assert!(error.to_string().contains("20261123T100000Z-00000000.world.jsonl"), "{error}");
        std::error::Error::source(&error).unwrap().to_string()
    };
    symlink("/dev/zero", &path).unwrap();
    assert_eq!(refused(), "it is not a regular file");
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert_eq!(refused(), "it is not a regular file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(refused(), "it is not a regular file");
}

#[test]
fn a_run_whose_record_is_taken_away_writes_nothing_more() {
    let journaled = Journaled::new();
    let plan = journaled.plan(&journaled.history());
    let file = journaled.begin(&plan);
    let approved = approve(plan);
    let clock = || time(NOW);
    fs::remove_dir_all(journaled.folder.path()).unwrap();
    let recording = Recording::new(&journaled.world, Some(file), &approved, [].into(), &clock);
    let before = journaled.world.state().tokens.clone();
    let outcome = block_on(execute(&approved, &journaled.world, &recording, &|_| {}));
    assert!(!outcome.is_whole(), "{outcome:?}");
    assert_eq!(journaled.world.state().tokens, before);
}
