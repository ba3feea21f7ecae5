//! Plans and applies over a network that fails in every way, chosen by a seed: whatever the outcome
//! says of a change is what the server has, nothing else is ever sent, and nothing takes effect twice.
//!
//! `TOKENWARDEN_FAULT_RUNS` says how many seeds are run, 60 unless it is set; a sixth as many are run on the
//! server's own endpoints of Bitbucket, and on those of the app.

mod bitbucket;
mod resolution;
mod together;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokenwarden::{
    apply::{ChangeResult, Outcome, execute},
    http::{CallLimits, HttpClient, HttpCredential, Retries},
    inventory::InventoryReader,
    model::{
        Mark, Settings, Token, TokenId, TokenScope,
        rails::{Lockout, Unsupported},
        settings::SettingsDocument,
    },
    plan::{Change, History, Object, Plan, PlannedChange, Terms, TokenStep},
    policy::Policy,
    targets::{Target, gateway::Gateway},
};

use crate::{
    serve::token_changes::CHANGES,
    support::{
        NOW, SETTINGS, Setup, TOKENS, TestServer,
        proxy::{Decide, Exchange, Fate, Proxy, answer},
        world::{approve, policy},
    },
};

const POLICY: &str = "version: 1
permissions: {use: [developers, administrators], create: [developers]}
network: {allow: [127.0.0.0/8, 10.0.0.0/8]}
password_authentication: disabled
tokens:
  limits: [{max_scope: read-only, max_lifetime: 30d}]
  enforcement: {scope: narrow, lifetime: expire, owner-inactive: revoke}
";

const PEOPLE: &str = "
users: [{name: root}, {name: mary}, {name: gone, active: false}]
groups: {administrators: [root], developers: [mary, gone]}
";

/// Tokens to narrow, to expire, to do both to, to revoke, and to leave alone.
const SEED: &str = "
settings: {permissions: {use: [developers, contractors]}}
tokens:
  - {owner: mary, scope: read-write, created: 1d, expires: in 20d, last_used: never}
  - {owner: mary, scope: unset, created: 1d, expires: in 20d, last_used: never}
  - {owner: mary, scope: read-only, created: 1d, expires: never, last_used: never}
  - {owner: mary, scope: read-write, created: 1d, expires: never, last_used: never}
  - {owner: mary, scope: read-only, created: 1d, expires: in 20d, last_used: never}
  - {owner: gone, scope: read-only, created: 1d, expires: in 20d, last_used: never}
  - {owner: gone, scope: read-only, created: 1d, expires: in 20d, last_used: never}
";

/// Waits are short, and a call that nobody answers is given up after a while that no real answer takes.
pub(crate) fn limits() -> CallLimits {
    let retries = Retries {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(4),
        ..Retries::default()
    };
    CallLimits { call: Duration::from_secs(5), retries, ..CallLimits::default() }
}

/// Decides on requests by a seed: now and then something goes wrong, for one request or a burst of them.
struct Weather {
    chance: f64,
    random: fastrand::Rng,
    burst: (Fate, u32),
}

impl Weather {
    fn next(&mut self) -> Fate {
        if let (fate, left @ 1..) = &mut self.burst {
            *left -= 1;
            return fate.clone();
        }
        if self.random.f64() >= self.chance {
            return Fate::Whole;
        }
        let page = answer("200 OK", &["content-type: text/html"], "<html>Log in</html>");
        let busy = |status: &str| answer(status, &["retry-after: 0"], "");
        let (fate, most) = match self.random.u32(0..100) {
            0..15 => (Fate::Reset, 3),
            15..30 => (Fate::AnswerLost, 2),
            30..40 => (Fate::AnswerCut, 2),
            40..50 => (Fate::AnswerInBytes, 2),
            50..60 => (Fate::Instead(busy("429 Too Many Requests")), 12),
            60..70 => (Fate::Instead(busy("503 Service Unavailable")), 12),
            70..78 => (Fate::AnswerReplaced(busy("502 Bad Gateway")), 2),
            78..85 => (Fate::AnswerReplaced(busy("504 Gateway Timeout")), 2),
            85..91 => (Fate::Instead(page), 1),
            91..96 => (Fate::AnswerReplaced(page), 1),
            96..98 => {
                (Fate::AnswerReplaced(answer("200 OK", &["content-type: application/json"], "{\"a\":")), 1)
            }
            _ => (Fate::AnswerWithheld, 1),
        };
        self.burst = (fate, self.random.u32(1..=most));
        self.next()
    }
}

/// What a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    settings: Settings,
    tokens: BTreeMap<TokenId, Token>,
}

impl State {
    async fn of(target: &Target) -> Self {
        let mut tokens = BTreeMap::new();
        let mut keep = |token: Token| {
            tokens.insert(token.id.clone(), token);
        };
        target.tokens(&mut keep).await.unwrap();
        Self { settings: target.overview().await.unwrap().settings, tokens }
    }

    /// The state once `change` is made.
    fn with(mut self, change: &Change) -> Self {
        let (token, step) = match change {
            Change::Setting { .. } => {
                change.write_into(&mut self.settings);
                return self;
            }
            Change::Token { token, step } => (token, *step),
        };
        if step == TokenStep::Revoke {
            self.tokens.remove(&token.id);
            return self;
        }
        let live = self.tokens.get_mut(&token.id).unwrap();
        match step {
            TokenStep::Narrow { to } => live.scope = TokenScope::Set(to),
            TokenStep::Expire { at } => live.expires = Some(at),
            TokenStep::Mark { until } => live.mark = Some(Mark { until, shown: Some(until) }),
            TokenStep::Unmark => live.mark = None,
            TokenStep::Revoke => unreachable!("it is gone"),
        }
        self
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ending {
    /// The target could not be read; nothing was tried.
    Unread,
    /// Everything was done.
    Whole,
    /// Something failed or was not tried.
    Partly,
    /// Of something nobody could tell.
    Unknown,
}

/// A way of applying a policy to the server.
struct Way {
    policy: &'static str,
    /// The server, reached through a URL.
    target: fn(&str, &TestServer) -> Target,
    /// Whether a write is one of the changes of a plan, on a server that had this state.
    is_planned: fn(&[PlannedChange], &State, &Exchange) -> bool,
    /// Whether the server is asked first how many changes it takes together.
    together: bool,
}

const GATEWAY: Way = Way { policy: POLICY, target: gateway, is_planned, together: false };

fn gateway(url: &str, server: &TestServer) -> Target {
    let credential = HttpCredential::Bearer(server.operator().into());
    let client = HttpClient::with_limits(url, credential, None, limits()).unwrap();
    Target::Gateway(Gateway::new(client, "the server"))
}

async fn plan(policy: &Policy, target: &Target) -> Option<Plan> {
    let (lockout, history) = (Lockout::default(), History::default());
    let now: Timestamp = NOW.parse().unwrap();
    let terms = Terms {
        target: "server",
        policy,
        lockout: &lockout,
        unsupported: Unsupported::Error,
        history: &history,
        now,
    };
    Plan::make(&terms, target).await.ok()
}

async fn apply(plan: Plan, target: &Target) -> Outcome {
    let approved = approve(plan);
    execute(&approved, target, &target.writer(&approved, None), &|_| {}).await
}

/// A plan and its application over the network that `seed` makes, on a copy of `store`.
async fn run(way: &Way, seed: u64, store: &Path) -> Ending {
    let server = TestServer::start(Setup { store: Some(store.to_owned()), ..Setup::default() }).await;
    let policy = policy(way.policy);
    let mut random = fastrand::Rng::with_seed(seed);
    let chance = *random.choice(&[0.03, 0.1, 0.25, 0.5]).unwrap();
    // In half of the runs the weather is fine until the plan is there.
    let begins_with_the_plan = random.bool();
    let weather = Mutex::new(Weather { chance, random, burst: (Fate::Whole, 0) });
    let stormy = Arc::new(AtomicBool::new(false));
    let is_stormy = Arc::clone(&stormy);
    let decide: Arc<Decide> = Arc::new(move |_, _| {
        let fate =
            if is_stormy.load(Ordering::Relaxed) { weather.lock().unwrap().next() } else { Fate::Whole };
        std::future::ready(fate).boxed()
    });
    let proxy = Proxy::start(server.address(), decide).await;
    let target = (way.target)(&proxy.url(), &server);

    if way.together {
        target.greet().await.unwrap();
    }
    let before = State::of(&target).await;
    stormy.store(begins_with_the_plan, Ordering::Relaxed);
    let planned = plan(&policy, &target).await;
    stormy.store(true, Ordering::Relaxed);
    let outcome = match &planned {
        Some(plan) => apply(plan.clone(), &target).await,
        None => Outcome { changes: Vec::new(), along: Vec::new(), verification: None },
    };
    stormy.store(false, Ordering::Relaxed);

    let changes = planned.as_ref().map_or(&[][..], |plan| &plan.changes);
    check_sent(seed, &proxy.exchanges(), |write| (way.is_planned)(changes, &before, write));
    let after = State::of(&target).await;
    let possible = possible(&outcome, before);
    assert!(possible.contains(&after), "seed {seed}: {outcome:#?}\nbut the server has {after:#?}");
    let left = plan(&policy, &target).await.unwrap();
    let next = apply(left, &target).await;
    assert!(next.is_whole(), "seed {seed}: the next run finishes: {next:#?}");
    assert!(plan(&policy, &target).await.unwrap().is_converged(), "seed {seed}");
    if way.together {
        assert_eq!(together::effects(&server).await, together::ONCE, "seed {seed}");
    }
    server.stop().await;
    match planned {
        None => Ending::Unread,
        Some(_) if unknown(&outcome) > 0 => Ending::Unknown,
        Some(_) if outcome.is_whole() => Ending::Whole,
        Some(_) => Ending::Partly,
    }
}

fn is_unknown(result: &ChangeResult) -> bool {
    matches!(result, ChangeResult::Failed(why) if why.contains("whether it was done is not known"))
}

fn unknown(outcome: &Outcome) -> usize {
    outcome.changes.iter().filter(|change| is_unknown(&change.result)).count()
}

/// The states that the server may be in: all that was done was done, and of what is unknown either.
fn possible(outcome: &Outcome, before: State) -> Vec<State> {
    outcome.changes.iter().fold(vec![before], |states, change| {
        let made = |state: State| state.with(&change.planned.change);
        match &change.result {
            ChangeResult::Done(_) => states.into_iter().map(made).collect(),
            result if is_unknown(result) => {
                states.into_iter().flat_map(|state| [state.clone(), made(state)]).collect()
            }
            ChangeResult::Failed(_) | ChangeResult::NotTried(_) => states,
        }
    })
}

/// Every write that reached the server is one of the plan, and the server did each at most once.
fn check_sent(seed: u64, exchanges: &[Exchange], is_planned: impl Fn(&Exchange) -> bool) {
    let mut done = BTreeSet::new();
    for write in exchanges.iter().filter(|exchange| exchange.method != "GET") {
        assert!(is_planned(write), "seed {seed}: {write:?} is not in the plan");
        // The server may be told many changes twice, and does nothing twice.
        if (200..300).contains(&write.status) && write.path != CHANGES {
            let once = done.insert((&write.method, &write.path, write.body.to_string()));
            assert!(once, "seed {seed}: {write:?} took effect twice");
        }
    }
}

fn is_planned(changes: &[PlannedChange], before: &State, write: &Exchange) -> bool {
    let mut changes = changes.iter().map(|planned| &planned.change);
    if write.path != SETTINGS {
        let sent = (write.method.as_str(), write.path.clone(), write.body.clone());
        return changes.filter_map(token_write).any(|planned| planned == sent);
    }
    let mut state = before.settings.clone();
    let mut settings = leaves("", &json!(SettingsDocument::from(&state)));
    for change in changes.by_ref().filter(|change| matches!(change.object(), Object::Setting(_))) {
        change.write_into(&mut state);
        settings.extend(leaves("", &json!(SettingsDocument::from(&state))));
    }
    write.method == "PUT" && leaves("", &write.body).is_subset(&settings)
}

/// Each setting of a settings document, as a line.
fn leaves(path: &str, value: &Value) -> HashSet<String> {
    match value {
        Value::Object(entries) => {
            entries.iter().flat_map(|(key, value)| leaves(&format!("{path}/{key}"), value)).collect()
        }
        value => HashSet::from([format!("{path}: {value}")]),
    }
}

/// Method, path and body of the call that makes a change of a token.
fn token_write(change: &Change) -> Option<(&'static str, String, Value)> {
    let (token, step) = change.token_step()?;
    let path = format!("{TOKENS}/token/{}", token.id);
    Some(match step {
        TokenStep::Narrow { to } => ("PATCH", path, json!({ "tokenScope": to.number() })),
        TokenStep::Expire { at } => {
            ("PATCH", path, json!({ "tokenExpirationDateTimeMillis": at.as_millisecond() }))
        }
        TokenStep::Revoke => ("DELETE", path, Value::Null),
        TokenStep::Mark { .. } | TokenStep::Unmark => return None,
    })
}

/// Runs `seeds` on a server with `people` and the tokens of [`SEED`]: how they ended.
async fn endings(way: &Way, people: &str, seeds: u64) -> Vec<Ending> {
    let setup = Setup { directory: people.to_owned(), seed: Some(SEED.to_owned()), ..Setup::default() };
    let folder = TestServer::start(setup).await.stop().await;
    let store = folder.path().join("store.db");
    stream::iter(0..seeds).map(|seed| run(way, seed, &store)).buffer_unordered(16).collect().await
}

/// How many seeds are run.
fn seeds() -> u64 {
    std::env::var("TOKENWARDEN_FAULT_RUNS").map_or(60, |runs| runs.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_network_that_fails_in_every_way_each_outcome_is_exact_and_nothing_takes_effect_twice() {
    let endings = endings(&GATEWAY, PEOPLE, seeds()).await;
    let count = |of: Ending| endings.iter().filter(|ending| **ending == of).count();
    let counts = [Ending::Unread, Ending::Whole, Ending::Partly, Ending::Unknown].map(|of| (of, count(of)));
    assert!(counts.iter().all(|(_, count)| *count > 0), "every ending is met: {counts:?}");
}
