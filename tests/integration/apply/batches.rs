//! Changes of tokens that our own server makes together: what becomes of each when answers are lost, and that it is what
//! becomes of it one by one.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::FutureExt;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    apply::{ChangeResult, Effect, Outcome, execute},
    http::{HttpClient, HttpCredential},
    journal::{JournalFolder, Past, Recording},
    model::{
        ServerIdentity,
        rails::{Lockout, Unsupported},
        run::{RunHead, RunId},
    },
    plan::{History, Plan, Terms},
    targets::{
        Target,
        gateway::{Gateway, Tenure},
    },
};

use crate::{
    apply::fault_proxy::limits,
    serve::token_changes::CHANGES,
    support::{
        NOW, Setup, TOKENS, TestServer, answer,
        proxy::{self, Decide, Fate, Proxy},
        status,
        world::{approve, policy},
    },
};

const RUNS: &str = "/rest/tokenwarden/1/runs";

const PEOPLE: &str = "
users: [{name: root}, {name: mary}, {name: gone, active: false}]
groups: {administrators: [root], developers: [mary, gone]}
";

const POLICY: &str = "version: 1
tokens:
  limits: [{max_scope: read-only, max_lifetime: 30d}]
  enforcement: {scope: narrow, lifetime: expire, owner-inactive: revoke}
";

/// A policy that revokes the tokens of those who left, and nothing else.
const LEFT: &str = "version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n";

/// Tokens to expire, to narrow, to do both to, and to revoke.
const SEED: &str = "tokens:
  - {owner: mary, scope: read-write, created: 1d, expires: in 20d, last_used: never}
  - {owner: mary, scope: unset, created: 1d, expires: in 20d, last_used: never}
  - {owner: mary, scope: read-only, created: 1d, expires: never, last_used: never}
  - {owner: mary, scope: read-write, created: 1d, expires: never, last_used: never}
  - {owner: mary, scope: read-only, created: 1d, expires: in 20d, last_used: never}
  - {owner: gone, scope: read-only, created: 1d, expires: in 20d, last_used: never}
  - {owner: gone, scope: read-only, created: 1d, expires: in 20d, last_used: never}
  - {owner: gone, scope: read-only, created: 1d, expires: in 20d, last_used: never}
";

/// What an older server does not say.
const UNSAID: Fate = Fate::AnswerSaying("\"changes_at_most\"", "\"changes_at_xxxx\"");

async fn server(seed: &str) -> TestServer {
    let setup = Setup { directory: PEOPLE.to_owned(), seed: Some(seed.to_owned()), ..Setup::default() };
    TestServer::start(setup).await
}

/// The server at `url`, once it has told what it can do.
async fn target(server: &TestServer, url: &str) -> Target {
    let credential = HttpCredential::Bearer(server.operator().into());
    let client = HttpClient::with_limits(url, credential, None, limits()).unwrap();
    let target = Target::Gateway(Gateway::new(client, "the server"));
    target.greet().await.unwrap();
    target
}

async fn plan(target: &Target, yaml: &str) -> Plan {
    let (policy, lockout, history) = (policy(yaml), Lockout::default(), History::default());
    let terms = Terms {
        target: "server",
        policy: &policy,
        lockout: &lockout,
        unsupported: Unsupported::Error,
        history: &history,
        now: NOW.parse().unwrap(),
    };
    Plan::make(&terms, target).await.unwrap()
}

fn head() -> RunHead {
    RunHead {
        run: "20260601T120000Z-00000001".parse().unwrap(),
        target: "server".to_owned(),
        server: ServerIdentity::default(),
        begun: NOW.parse().unwrap(),
        by: "warden@test".to_owned(),
        policy_sha256: String::new(),
    }
}

/// Applies `plan`, under a run where one `is_run`.
async fn apply(target: &Target, plan: Plan, is_run: bool) -> Outcome {
    let tenure = if is_run {
        target.gateway().unwrap().begin_run(&head()).await.unwrap();
        Some(Tenure::new(head().run, None))
    } else {
        None
    };
    let approved = approve(plan);
    execute(&approved, target, &target.writer(&approved, tenure), &|_| {}).await
}

/// Decides by `fate` on the requests for many changes, counted from 0, and leaves everything else alone.
fn on_batches(fate: impl Fn(usize) -> Fate + Send + Sync + 'static) -> Arc<Decide> {
    let seen = AtomicUsize::new(0);
    Arc::new(move |method: &str, path: &str| {
        let is_batch = (method, path) == ("POST", CHANGES);
        let fate = if is_batch { fate(seen.fetch_add(1, Ordering::SeqCst)) } else { Fate::Whole };
        std::future::ready(fate).boxed()
    })
}

/// How many changes each request for many had that was handed on.
fn sizes(proxy: &Proxy) -> Vec<usize> {
    let batches = proxy.exchanges().into_iter().filter(|exchange| exchange.path == CHANGES);
    batches.map(|batch| batch.body["changes"].as_array().unwrap().len()).collect()
}

/// How many writes of single tokens were handed on.
fn singles(proxy: &Proxy) -> usize {
    let writes = ["PATCH", "DELETE"];
    proxy.exchanges().iter().filter(|exchange| writes.contains(&exchange.method.as_str())).count()
}

/// What the audit tells of tokens: action and token of each entry, in an order of their own.
pub(crate) async fn audited(server: &TestServer) -> Vec<(String, i64)> {
    let path = "/rest/tokenwarden/1/audit?limit=1000";
    let page = answer(server.as_operator(Method::GET, path), StatusCode::OK).await;
    let entries = page["values"].as_array().unwrap();
    let of = |entry: &Value| {
        let action = entry["action"].as_str()?.to_owned();
        let of_interest = ["token-revoke", "token-update"].contains(&action.as_str());
        of_interest.then_some((action, entry["token"].as_i64()?))
    };
    let mut audited: Vec<_> = entries.iter().filter_map(of).collect();
    audited.sort();
    audited
}

fn effects() -> Vec<(String, i64)> {
    let update = [1, 2, 3, 4, 4].map(|id| ("token-update".to_owned(), id));
    [6, 7, 8].map(|id| ("token-revoke".to_owned(), id)).into_iter().chain(update).collect()
}

fn page() -> Vec<u8> {
    proxy::answer("200 OK", &["content-type: text/html"], "<html>Log in</html>")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_answer_is_lost_is_sent_again_and_takes_effect_once() {
    for is_run in [true, false] {
        for lost in [Fate::AnswerLost, Fate::AnswerCut, Fate::AnswerReplaced(page())] {
            let server = server(SEED).await;
            let every_other = move |nth| if nth % 2 == 0 { lost.clone() } else { Fate::Whole };
            let proxy = Proxy::start(server.address(), on_batches(every_other)).await;
            let target = target(&server, &proxy.url()).await;
            let plan = plan(&target, POLICY).await;
            let outcome = apply(&target, plan, is_run).await;
            let made = |change: &ChangeResult| *change == ChangeResult::Done(Effect::Made);
            assert!(outcome.changes.iter().all(|change| made(&change.result)), "{outcome:#?}");
            assert_eq!(sizes(&proxy), [2, 2, 3, 3, 3, 3], "expire, narrow, revoke");
            assert_eq!((singles(&proxy), audited(&server).await), (0, effects()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_never_arrives_has_failed_and_one_that_nobody_can_tell_of_is_unknown() {
    let server = server(SEED).await;
    let proxy = Proxy::start(server.address(), on_batches(|_| Fate::Instead(page()))).await;
    let target = target(&server, &proxy.url()).await;
    let planned = plan(&target, POLICY).await;
    let outcome = apply(&target, planned, true).await;
    let expiries = outcome.changes.iter().filter(|change| change.planned.change.verb().word() == "expire");
    for change in expiries {
        let ChangeResult::Failed(why) = &change.result else { panic!("{change:#?}") };
        assert!(why.contains("the server did not do it") && why.contains(CHANGES), "{why}");
    }
    assert_eq!((sizes(&proxy), audited(&server).await), (vec![], vec![]));

    // It is done, and from then on nobody answers.
    let silent = AtomicBool::new(false);
    let decide: Arc<Decide> = Arc::new(move |_, path: &str| {
        let was_silent = silent.fetch_or(path == CHANGES, Ordering::SeqCst);
        let fate = match was_silent {
            true => Fate::Instead(page()),
            false if path == CHANGES => Fate::AnswerLost,
            false => Fate::Whole,
        };
        std::future::ready(fate).boxed()
    });
    let proxy = Proxy::start(server.address(), decide).await;
    let target = self::target(&server, &proxy.url()).await;
    let planned = plan(&target, LEFT).await;
    let approved = approve(planned);
    let writer = target.writer(&approved, Some(Tenure::new(head().run, None)));
    // The look before revocations, and the check before they begin, are answered.
    let outcome = execute(&approved, &target, &writer, &|_| {}).await;
    assert_eq!(outcome.changes.len(), 3);
    for change in &outcome.changes {
        let ChangeResult::Failed(why) = &change.result else { panic!("{change:#?}") };
        assert!(why.contains("whether it was done is not known"), "{why}");
    }
    assert_eq!(audited(&server).await, [6, 7, 8].map(|id| ("token-revoke".to_owned(), id)));
    let direct = self::target(&server, &server.url("")).await;
    let left = plan(&direct, LEFT).await;
    assert!(left.changes.is_empty(), "the next run finds out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_call_or_with_something_before_it_that_refuses_it_gets_changes_one_by_one() {
    let no_such_call = || {
        let body = r#"{"errorMessage":"This path does not take this method."}"#;
        Fate::Instead(proxy::answer("405 Method Not Allowed", &["content-type: application/json"], body))
    };
    let forbidden = || Fate::Instead(proxy::answer("403 Forbidden", &["content-type: text/html"], "<html>"));
    let no_page = || Fate::Instead(proxy::answer("404 Not Found", &["content-type: text/html"], "<html>"));
    let older: Arc<Decide> = Arc::new(|method: &str, path: &str| {
        let fate = match method {
            "GET" if path.starts_with(RUNS) => UNSAID,
            "POST" if path == CHANGES => panic!("an older server is not asked"),
            _ => Fate::Whole,
        };
        std::future::ready(fate).boxed()
    });
    let decides: [Arc<Decide>; 4] = [
        older,
        on_batches(move |_| no_such_call()),
        on_batches(move |_| forbidden()),
        on_batches(move |_| no_page()),
    ];
    for decide in decides {
        let server = server(SEED).await;
        let proxy = Proxy::start(server.address(), decide).await;
        let target = target(&server, &proxy.url()).await;
        let planned = plan(&target, POLICY).await;
        let outcome = apply(&target, planned, true).await;
        assert!(outcome.is_whole(), "{outcome:#?}");
        assert_eq!((singles(&proxy), audited(&server).await), (8, effects()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_changes_than_one_call_takes_are_split_and_the_longest_ones_fit() {
    let mut seed = "tokens:\n".to_owned();
    let words = "\u{1f980}".repeat(1_000);
    for _ in 0..503 {
        let rest = "scope: read-only, created: 1d, expires: in 20d, last_used: never";
        writeln!(seed, "  - {{owner: gone, description: '{words}', {rest}}}").unwrap();
    }
    let server = server(&seed).await;
    let proxy = Proxy::start(server.address(), on_batches(|_| Fate::Whole)).await;
    let target = target(&server, &proxy.url()).await;
    let yaml = "version: 1\ntokens:\n  limits: [{description: '^OPS-', max_unused: 1h}]\n  \
                enforcement: {description: revoke, never-used: revoke}\n";
    let planned = plan(&target, yaml).await;
    let outcome = apply(&target, planned, true).await;
    assert!(outcome.is_whole() && outcome.changes.len() == 504, "{}", outcome.done());
    assert_eq!((sizes(&proxy), singles(&proxy)), (vec![500, 3], 0));
    let longest = proxy.exchanges().iter().map(|exchange| exchange.body.to_string().len()).max().unwrap();
    assert!(longest < 1 << 19, "{longest} bytes");
    assert!(server.all_tokens().await.is_empty());
}

/// Everything that a run over `decide` leaves: outcomes, lines of the journal, the ledger, the audit and the tokens.
async fn traces(
    store: &Path,
    decide: Arc<Decide>,
) -> (Outcome, Vec<String>, Value, Vec<(String, i64)>, Vec<Value>) {
    let server = TestServer::start(Setup { store: Some(store.to_owned()), ..Setup::default() }).await;
    let proxy = Proxy::start(server.address(), decide).await;
    let target = target(&server, &proxy.url()).await;
    let approved = approve(plan(&target, POLICY).await);
    // One is narrowed, one revoked, one used and one renamed by others meanwhile.
    let narrowed =
        |id: i64, body: Value| server.as_operator(Method::PATCH, &format!("{TOKENS}/token/{id}")).json(&body);
    let earlier = "2026-06-02T00:00:00.000Z";
    assert_eq!(status(narrowed(6, json!({"tokenExpirationDateTime": earlier}))).await, 200);
    assert_eq!(status(narrowed(3, json!({"tokenExpirationDateTime": earlier}))).await, 200);
    assert_eq!(status(narrowed(1, json!({"tokenScope": 1}))).await, 200);
    assert_eq!(status(narrowed(7, json!({"tokenDescription": "renamed"}))).await, 200);
    for gone in [2, 8] {
        let path = format!("{TOKENS}/token/{gone}");
        assert_eq!(status(server.as_operator(Method::DELETE, &path)).await, 200);
    }
    let folder = TempDir::new().unwrap();
    let journal = JournalFolder::new(folder.path().to_owned());
    target.gateway().unwrap().begin_run(&head()).await.unwrap();
    let file =
        journal.begin(head(), &Past::default(), Vec::new(), approved.plan().notes().collect()).unwrap();
    let clock: &(dyn Fn() -> Timestamp + Sync) = &|| NOW.parse().unwrap();
    let writer = target.writer(&approved, Some(Tenure::new(head().run, None)));
    let recording = Recording::new(writer, Some(file), &approved, [].into(), clock);
    let outcome = execute(&approved, &target, &recording, &|_| {}).await;
    recording.end().unwrap();
    let path = folder.path().join(format!("{}.server.jsonl", head().run));
    let mut lines: Vec<_> = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    // Side by side, changes end in any order.
    lines.sort();
    let runs = answer(server.as_operator(Method::GET, RUNS), StatusCode::OK).await["runs"].clone();
    (outcome, lines, runs, audited(&server).await, server.all_tokens().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_journal_ledger_and_audit_are_those_of_changes_one_by_one() {
    let folder = server(SEED).await.stop().await;
    let store = folder.path().join("store.db");
    let together = traces(&store, on_batches(|_| Fate::Whole)).await;
    let older: Arc<Decide> = Arc::new(|method: &str, path: &str| {
        let fate = if method == "GET" && path.starts_with(RUNS) { UNSAID } else { Fate::Whole };
        std::future::ready(fate).boxed()
    });
    let singly = traces(&store, older).await;
    assert_eq!(together, singly);
    let results = together.0.changes.iter().map(|change| match &change.result {
        ChangeResult::Done(Effect::Made) => "made".to_owned(),
        ChangeResult::Done(Effect::AlreadySo) => "already so".to_owned(),
        ChangeResult::Failed(why) | ChangeResult::NotTried(why) => why.to_string(),
    });
    let mut counts = BTreeMap::new();
    results.for_each(|result| *counts.entry(result).or_insert(0) += 1);
    let moved = "it was changed by somebody else since the plan was made".to_owned();
    assert_eq!(counts, [("made".to_owned(), 6), ("already so".to_owned(), 2), (moved, 1)].into());
    let run: RunId = head().run;
    assert_eq!(together.2[0]["run"], run.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_lease_is_lost_writes_nothing_more_of_any_batch() {
    let server = server(SEED).await;
    let proxy = Proxy::start(server.address(), on_batches(|_| Fate::Whole)).await;
    let target = target(&server, &proxy.url()).await;
    let planned = plan(&target, LEFT).await;
    let gateway = target.gateway().unwrap();
    gateway.begin_run(&head()).await.unwrap();
    let held = gateway.take_lease(&head().run, "warden@test").await.unwrap();
    let approved = approve(planned);
    let writer = target.writer(&approved, Some(Tenure::new(head().run, Some(&held))));
    let lease = "/rest/tokenwarden/1/lease";
    let back = server.as_operator(Method::DELETE, &format!("{lease}/{}", head().run));
    assert_eq!(status(back).await, 200);
    let other = json!({"run": "run-b", "holder": "sam@ci", "seconds": 60});
    assert_eq!(status(server.as_operator(Method::PUT, lease).json(&other)).await, 200);
    let outcome = execute(&approved, &target, &writer, &|_| {}).await;
    let lost = |change: &ChangeResult| matches!(change, ChangeResult::Failed(why) if why.contains("the lease of this run was lost"));
    let failed = outcome.changes.iter().filter(|change| lost(&change.result)).count();
    assert_eq!((failed, outcome.done()), (3, 0), "{outcome:#?}");
    assert_eq!((sizes(&proxy), audited(&server).await), (vec![3], vec![]));
    let again = target.writer(&approved, Some(Tenure::new(head().run, Some(&held))));
    assert_eq!(execute(&approved, &target, &again, &|_| {}).await.done(), 0);
    assert_eq!(sizes(&proxy), [3], "nothing is sent once it is known");
    drop(held);
}
