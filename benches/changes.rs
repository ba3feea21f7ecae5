//! What a change of a token costs over HTTP: made together, as `apply` does where the server takes that, one by one, and by
//! a bare client that deletes one token after the other on one connection. What is shown are ratios to the bare client
//! within one round, so that they mean the same on every machine, and the times that they are of.
//!
//! `cargo bench --bench changes`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking and prints its result"
)]

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::SecretString;
use tempfile::TempDir;
use tokenwarden::{
    apply::execute,
    http::{HttpClient, HttpCredential},
    model::{
        ServerIdentity, TokenSecret,
        rails::{Lockout, RailClass, Rails, Unsupported},
        run::{RunHead, RunId},
    },
    plan::{History, Plan, Terms},
    serve::{
        self, Clock, Running, ServerOptions, random_bytes, seed,
        store::{Store, StoreUrl},
    },
    targets::{
        Target,
        gateway::{Gateway, Tenure},
    },
};

const NOW: &str = "2026-11-23T12:00:00Z";
const CHANGES: usize = 2_000;
const OWNERS: usize = CHANGES / 20;
const ROUNDS: usize = 5;

/// How the tokens are changed.
#[derive(Clone, Copy)]
enum Way {
    Together,
    Singly,
    Bare,
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A server with [`CHANGES`] tokens that reach too far, and the credential for it.
async fn serving() -> (TempDir, Running, String) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(&StoreUrl { file: folder.path().join("bench.db") }).await.unwrap();
    let mut tokens = "tokens:\n".to_owned();
    for index in 0..CHANGES {
        let rest = "scope: read-write, created: 1d, expires: never, last_used: never";
        writeln!(tokens, "  - {{owner: user-{}, description: 'OPS-{index}', {rest}}}", index % OWNERS)
            .unwrap();
    }
    seed::plant(&store, &tokens, "administrators".into(), now()).await.unwrap();
    let operator = TokenSecret::from_random(random_bytes().unwrap());
    let secret = operator.expose().to_owned();
    let options = ServerOptions {
        clock: Clock::Fixed(now()),
        operator: Some(operator),
        ..ServerOptions::new("administrators".into())
    };
    let running =
        serve::start(store, serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap(), options).await.unwrap();
    (folder, running, secret)
}

/// How long each change of a run takes that does `action` to every token.
async fn applied(action: &str, way: Way) -> Duration {
    let (_folder, running, secret) = serving().await;
    let url = format!("http://{}", running.address());
    let client = HttpClient::new(&url, HttpCredential::Bearer(SecretString::from(secret)), None).unwrap();
    let target = Target::Gateway(Gateway::new(client, "bench"));
    if matches!(way, Way::Together) {
        // Who does not ask what the server can do changes one by one.
        target.greet().await.unwrap();
    }
    let text = format!(
        "version: 1\ntokens: {{limits: [{{max_scope: read-only}}], enforcement: {{scope: {action}}}}}\n"
    );
    let reading = tokenwarden::policy::read(&[(Arc::from("policy.yaml"), text.into_bytes())]);
    let (policy, lockout, history) = (reading.policy.unwrap(), Lockout::default(), History::default());
    let terms = Terms {
        target: "bench",
        policy: &policy,
        lockout: &lockout,
        unsupported: Unsupported::Error,
        history: &history,
        now: now(),
    };
    let mut plan = Plan::make(&terms, &target).await.unwrap();
    plan.shut_out.clear();
    let allowed = RailClass::ALL.map(|class| (class, u64::MAX)).into();
    let approved = plan.approve(&Rails::default(), &allowed).unwrap();
    let run: RunId = "20261123T120000Z-00000001".parse().unwrap();
    let head = RunHead {
        run: run.clone(),
        target: "bench".to_owned(),
        server: ServerIdentity::default(),
        begun: now(),
        by: "bench".to_owned(),
        policy_sha256: String::new(),
    };
    target.gateway().unwrap().begin_run(&head).await.unwrap();
    let writer = target.writer(&approved, Some(Tenure::new(run, None)));
    let begun = Instant::now();
    let outcome = execute(&approved, &target, &writer, &|_| {}).await;
    let took = begun.elapsed();
    assert!(outcome.is_whole() && outcome.done() >= CHANGES, "everything is done");
    running.stop().await.unwrap();
    took / u32::try_from(CHANGES).unwrap()
}

/// How long each `DELETE` of a bare client takes.
async fn bare() -> Duration {
    let (_folder, running, secret) = serving().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let tokens = format!("http://{}/rest/de.resolution.apitokenauth/latest/user/token", running.address());
    let begun = Instant::now();
    for id in 1..=CHANGES {
        let answer = client.delete(format!("{tokens}/{id}")).bearer_auth(&secret).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
    }
    let took = begun.elapsed();
    running.stop().await.unwrap();
    took / u32::try_from(CHANGES).unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    *times.get(times.len() / 2).unwrap()
}

fn main() {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for action in ["revoke", "narrow"] {
        let mut times = [vec![], vec![], vec![]];
        for _ in 0..ROUNDS {
            for (way, times) in [Way::Bare, Way::Singly, Way::Together].into_iter().zip(&mut times) {
                times.push(match way {
                    Way::Bare => runtime.block_on(bare()),
                    Way::Singly | Way::Together => runtime.block_on(applied(action, way)),
                });
            }
        }
        let [bare, singly, together] = times.map(median);
        let ratio = |time: Duration| time.as_secs_f64() / bare.as_secs_f64();
        println!(
            "{action}: a change takes {together:.1?} together, {singly:.1?} one by one, {bare:.1?} by a bare DELETE"
        );
        println!("{action}: x{:.2} together, x{:.2} one by one", ratio(together), ratio(singly));
    }
}
