//! How the work grows: each quantity is made four times larger, and everything else stays. What is
//! shown are ratios within one run, so that they mean the same on every machine: about 4 is linear
//! (tokens, owners, findings), about 1 is no dependence, 16 would be quadratic.
//!
//! `cargo bench --bench scale`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking and prints its result"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::SecretString;
use tokenwarden::{
    http::{HttpClient, HttpCredential},
    inventory::{
        Administrators, Call, Caller, Capabilities, Coverage, InventoryReader, Overview, People, ReadError,
        Server,
    },
    model::{
        GroupName, LastUse, Owner, Scope, SettingKey, Settings, Token, TokenId, TokenScope, TokenSecret,
        UserName, Why,
        rails::{Lockout, Unsupported},
        settings::SettingsDocument,
    },
    plan::{History, Plan, Terms},
    policy::Policy,
    report::{self, Run, TargetRun},
    serve::{
        self, Clock, ServerOptions, random_bytes,
        store::{NewToken, Store, StoreUrl},
    },
    targets::gateway::Gateway,
};

const NOW: &str = "2026-11-23T12:00:00Z";

/// How much there is of everything.
#[derive(Clone, Copy)]
struct Size {
    tokens: usize,
    owners: usize,
    groups: usize,
    networks: usize,
}

const BASE: Size = Size { tokens: 50_000, owners: 2_000, groups: 100, networks: 200 };

/// A target in memory.
struct Memory(Size);

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn user(index: usize) -> UserName {
    UserName::new(format!("user-{index}"))
}

fn address(index: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(index * 7 % 60_000).unwrap() * 256 + 1))
}

/// Every tenth token reaches too far, every fiftieth never expires.
fn token(index: usize, owners: usize) -> Token {
    let ago = |days: usize| now() - jiff::SignedDuration::from_hours(24 * i64::try_from(days).unwrap());
    Token {
        id: TokenId::new((index + 1).to_string()),
        owner: Owner::User(user(index % owners)),
        description: format!("OPS-{index} script"),
        scope: TokenScope::Set(if index.is_multiple_of(10) { Scope::ReadWrite } else { Scope::ReadOnly }),
        created: ago(20),
        created_by: Some(user(index % owners)),
        last_used: Some(LastUse { at: ago(index % 20), from: Some(address(index)) }),
        expires: (!index.is_multiple_of(50)).then(|| now() + jiff::SignedDuration::from_hours(24 * 60)),
        mark: None,
    }
}

impl InventoryReader for Memory {
    async fn overview(&self) -> Result<Overview, ReadError> {
        let server = Server {
            url: "memory".to_owned(),
            version: None,
            caller: Caller::operator(),
            administrators: Some(Administrators::Group("group-0".into())),
            calls: vec![Call::new("PUT", "/settings")],
            manageable: SettingKey::ALL.into(),
            unreadable: BTreeMap::new(),
            forms: BTreeMap::new(),
            capabilities: Capabilities::everything(),
            left_out: Vec::new(),
            settings_changed: None,
        };
        Ok(Overview { server, settings: Settings::initial("administrators".into()) })
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        let mut people = People::default();
        for index in 0..self.0.owners {
            people.add_user(user(index), true);
        }
        for (index, group) in groups.iter().enumerate() {
            people.add_group(group, (index..self.0.owners).step_by(self.0.groups).map(user));
        }
        Ok(people)
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        (0..self.0.tokens).map(|index| token(index, self.0.owners)).for_each(each);
        Ok(Coverage::Complete)
    }
}

fn policy(size: Size) -> Policy {
    let mut text = "version: 1\npermissions:\n  use: [".to_owned();
    for group in 0..size.groups {
        let _ = write!(text, "group-{group}, ");
    }
    text.push_str("group-0x]\nnetwork:\n  allow:\n");
    for network in 0..size.networks {
        let _ = writeln!(text, "    - 10.{}.{}.0/24", network / 250, network % 250);
    }
    text.push_str("tokens:\n  limits:\n");
    for group in 0..size.groups.min(900) {
        let _ = writeln!(
            text,
            "    - {{groups: [group-{group}], max_scope: read-only, max_lifetime: 1y, max_per_owner: 1000}}"
        );
    }
    text.push_str("  enforcement: {scope: narrow, lifetime: expire}\n");
    let reading = tokenwarden::policy::read(&[(Arc::from("policy.yaml"), text.into_bytes())]);
    reading.policy.unwrap()
}

/// The shortest of five times that `work` takes.
fn shortest(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..5).map(time).min().unwrap()
}

fn growth(what: &str, base: Duration, larger: Duration) {
    println!("{what:<34} x{:<6.2} {base:>10.1?} -> {larger:.1?}", larger.as_secs_f64() / base.as_secs_f64());
}

fn planning(runtime: &tokio::runtime::Runtime) {
    let time = |size: Size| {
        let policy = policy(size);
        let (lockout, history) = (Lockout::default(), History::default());
        let terms = Terms {
            target: "bench",
            policy: &policy,
            lockout: &lockout,
            unsupported: Unsupported::Error,
            history: &history,
            now: now(),
        };
        shortest(|| {
            black_box(runtime.block_on(Plan::make(&terms, &Memory(size))).unwrap());
        })
    };
    let base = time(BASE);
    growth("plan, 4 times the tokens", base, time(Size { tokens: BASE.tokens * 4, ..BASE }));
    growth("plan, 4 times the owners", base, time(Size { owners: BASE.owners * 4, ..BASE }));
    growth("plan, 4 times the groups", base, time(Size { groups: BASE.groups * 4, ..BASE }));
    growth("plan, 4 times the networks", base, time(Size { networks: BASE.networks * 4, ..BASE }));
    let read = |size: Size| shortest(|| drop(black_box(policy(size))));
    let larger = Size { groups: BASE.groups * 4, networks: BASE.networks * 4, ..BASE };
    growth("read a policy 4 times as long", read(BASE), read(larger));
}

/// Tells a run, and answers how long that came out.
type Form = fn(&Run<'_>) -> usize;

/// Telling a plan in every form.
fn telling(runtime: &tokio::runtime::Runtime) {
    let plan = |tokens: usize| {
        let size = Size { tokens, ..BASE };
        let (policy, lockout, history) = (policy(size), Lockout::default(), History::default());
        let terms = Terms {
            unsupported: Unsupported::Error,
            target: "bench",
            policy: &policy,
            lockout: &lockout,
            history: &history,
            now: now(),
        };
        runtime.block_on(Plan::make(&terms, &Memory(size))).unwrap()
    };
    let (base, larger) = (plan(BASE.tokens), plan(BASE.tokens * 4));
    let forms: [(&str, Form); 7] = [
        ("json", |run| {
            serde_json::to_string(&tokenwarden::saved::document::PlanDocument::of(run)).unwrap().len()
        }),
        ("markdown", |run| report::markdown::report(run, report::markdown::CHARACTERS_AT_MOST).len()),
        ("sarif", |run| report::sarif::report(run).len()),
        ("junit", |run| report::junit::report(run).unwrap().len()),
        ("html", |run| report::html::report(run).len()),
        ("metrics", |run| report::metrics::report(run, "").len()),
        ("owners", |run| report::owners::notices(run).count()),
    ];
    for (name, tell) in forms {
        let time = |plan: &Plan| {
            let target = TargetRun { plan: Ok(&plan.view), ..TargetRun::unread("bench", Why::own("")) };
            let run = Run { at: now(), took: None, policy_verdict: None, targets: vec![target] };
            shortest(|| _ = black_box(tell(&run)))
        };
        growth(&format!("{name}, 4 times the findings"), time(&base), time(&larger));
    }
}

/// Reading all tokens of a real server over HTTP.
async fn reading(tokens: usize) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let url: StoreUrl = format!("sqlite:{}", folder.path().join("bench.db").display()).parse().unwrap();
    let store = Store::open_or_create(&url).await.unwrap();
    // Tokens without settings would be those of a store that has lost them.
    let settings = SettingsDocument::from(&Settings::initial("administrators".into()));
    store.begin_settings(&serde_json::to_string(&settings).unwrap()).await.unwrap();
    let rows: Vec<NewToken> = (0..tokens)
        .map(|index| {
            let token = token(index, BASE.owners);
            NewToken {
                owner: token.owner,
                description: token.description,
                scope: token.scope,
                created: token.created,
                created_by: token.created_by,
                parent: None,
                last_used: token.last_used,
                expires: token.expires,
                secret_hash: TokenSecret::from_random(random_bytes().unwrap()).hash(),
                permissions: None,
            }
        })
        .collect();
    store.seed(&rows, None, now()).await.unwrap();
    let operator = TokenSecret::from_random(random_bytes().unwrap());
    let secret = SecretString::from(operator.expose());
    let options = ServerOptions {
        clock: Clock::Fixed(now()),
        operator: Some(operator),
        ..ServerOptions::new("administrators".into())
    };
    let running =
        serve::start(store, serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap(), options).await.unwrap();
    let client =
        HttpClient::new(&format!("http://{}", running.address()), HttpCredential::Bearer(secret), None);
    let gateway = Gateway::new(client.unwrap(), "bench");
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let (begun, mut seen) = (Instant::now(), 0);
        gateway.tokens(&mut |_| seen += 1).await.unwrap();
        assert_eq!(seen, tokens, "every token is seen once");
        shortest = shortest.min(begun.elapsed());
    }
    running.stop().await.unwrap();
    shortest
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    planning(&runtime);
    telling(&runtime);
    let (base, larger) = (runtime.block_on(reading(50_000)), runtime.block_on(reading(200_000)));
    growth("read tokens over HTTP, 4 times", base, larger);
}
