//! Worlds of our own server: embedded and as a gateway whose clock is up to two years away from ours, with
//! budgets over time, targets that are renamed, and people who come and go between the runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use fastrand::Rng;
use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokenwarden::{
    model::GroupName,
    serve::{
        Clock, directory, seed,
        store::{Store, StoreUrl},
    },
};

use super::{
    BEGIN, DAY, HOUR,
    oracle::{Policy, Token},
};
use crate::support::{
    Setup, TestServer,
    program::{Run, program},
};

const USERS: u8 = 6;
/// How many revocations a run, or all runs of a day, may come to.
const MOST: usize = 8;

/// Everything that the server knows of tokens and people.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    tokens: BTreeMap<String, Token>,
    active: BTreeMap<String, bool>,
}

struct World {
    seed: u64,
    folder: TempDir,
    random: Rng,
    /// The moment of the server.
    now: i64,
    /// Whether the server is its own process, whose clock is not ours.
    is_gateway: bool,
    target: String,
    policy: Policy,
    /// When tokens that had not expired were revoked, and how many.
    revoked: Vec<(i64, usize)>,
}

/// Tries the world with this seed.
pub(super) async fn try_world(seed: u64) {
    let mut world = World::new(seed).await;
    for _ in 0..4 {
        world.run().await;
        world.move_on().await;
    }
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let is_gateway = random.u8(0..4) == 0;
        let apart = if random.bool() { 0 } else { random.i64(-730 * DAY..730 * DAY) };
        let now = BEGIN + apart;
        let ids: Vec<_> = (1..=30).map(|id| id.to_string()).collect();
        let policy = Policy::random(&mut random, &ids);
        let folder = TempDir::new().unwrap();
        let mut world = Self {
            seed,
            folder,
            random,
            now,
            is_gateway,
            target: "first".to_owned(),
            policy,
            revoked: Vec::new(),
        };
        world.plant().await;
        world
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// Makes the store, with users and tokens.
    async fn plant(&mut self) {
        let random = &mut self.random;
        let users: Vec<_> = (0..USERS)
            .map(|user| format!("  - {{name: user-{user}, active: {}}}\n", random.u8(0..6) > 0))
            .collect();
        let people =
            format!("users:\n  - {{name: root}}\n{}groups: {{administrators: [root]}}\n", users.concat());
        let mut tokens = "tokens:\n".to_owned();
        for _ in 0..random.u8(1..=30) {
            let (owner, created) = (random.u8(0..USERS), random.i64(1..500));
            let scope = if random.bool() { "read-only" } else { "read-write" };
            let expires = match random.u8(0..4) {
                0 => "never".to_owned(),
                1 if created > 2 => format!("{}d ago", random.i64(1..created)),
                _ => format!("in {}d", random.i64(1..500)),
            };
            let last_used = match random.u8(0..3) {
                0 => "never".to_owned(),
                _ => format!("{{ago: {}h}}", random.i64(1..created * 24)),
            };
            writeln!(
                tokens,
                "  - {{owner: user-{owner}, description: script, scope: {scope}, created: {created}d, \
                 expires: {expires}, last_used: {last_used}}}"
            )
            .unwrap();
        }
        let store = Store::open_or_create(&StoreUrl { file: self.store() }).await.unwrap();
        directory::import(&store, &people, |_| None).await.unwrap();
        let now = Timestamp::from_millisecond(self.now).unwrap();
        seed::plant(&store, &tokens, GroupName::new("administrators"), now).await.unwrap();
        store.close().await;
    }

    async fn state(&self) -> State {
        let options = SqliteConnectOptions::new().filename(self.store());
        let mut store = SqliteConnection::connect_with(&options).await.unwrap();
        let tokens = sqlx::query("SELECT * FROM tokens").fetch_all(&mut store).await.unwrap();
        let token = |row: &sqlx::sqlite::SqliteRow| {
            let token = Token {
                owner: row.get("owner"),
                words: row.get("description"),
                writes: row.get::<Option<i64>, _>("scope") != Some(1),
                created: row.get("created"),
                last_used: row.get("last_used"),
                expires: row.get("expires"),
            };
            (row.get::<i64, _>("id").to_string(), token)
        };
        let users = sqlx::query("SELECT name, active FROM users").fetch_all(&mut store).await.unwrap();
        let active = users.iter().map(|row| (row.get("name"), row.get::<i64, _>("active") == 1));
        State { tokens: tokens.iter().map(token).collect(), active: active.collect() }
    }

    async fn change(&self, statement: &str) {
        let options = SqliteConnectOptions::new().filename(self.store());
        let mut store = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut store).await.unwrap();
        store.close().await.unwrap();
    }

    /// Applies, and plans again, and looks at what became of every token.
    async fn run(&mut self) {
        fs::write(self.folder.path().join("policy.yaml"), self.policy.yaml()).unwrap();
        let before = self.state().await;
        let (applied, again) =
            if self.is_gateway { self.run_gateway().await } else { self.run_embedded().await };
        let after = self.state().await;
        self.judge(&before, &after, &applied);
        if applied.code == Some(0) {
            let again = again.expect("a plan follows an apply");
            assert_eq!(again.code, Some(0), "{}: {}{}", self.told(), again.stdout, again.stderr);
            assert!(again.stdout.starts_with("No changes."), "{}: {}", self.told(), again.stdout);
        }
    }

    async fn run_embedded(&mut self) -> (Run, Option<Run>) {
        self.write_config("kind: embedded, store: store.db");
        let now = Timestamp::from_millisecond(self.now).unwrap().to_string();
        let applied = self.program(&["apply", "--auto-approve", "--now", &now]).await;
        let again = self.program(&["plan", "--detailed-exitcode", "--now", &now]).await;
        (applied, Some(again))
    }

    async fn run_gateway(&mut self) -> (Run, Option<Run>) {
        let clock = Clock::Fixed(Timestamp::from_millisecond(self.now).unwrap());
        let setup = Setup { clock, store: Some(self.store()), ..Setup::default() };
        let server = TestServer::start(setup).await;
        let address = match self.random.u8(0..3) {
            0 => server.url("/"),
            1 => server.url("").replace("127.0.0.1", "localhost"),
            _ => server.url(""),
        };
        self.write_config(&format!("kind: gateway, url: \"{address}\", auth: {{token_env: WARDEN}}"));
        let secret = server.operator().to_owned();
        let run = async |arguments: &[&str]| {
            let mut command = program();
            command.arg("-C").arg(self.folder.path()).args(arguments).env("WARDEN", &secret);
            tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
        };
        let before = self.state().await;
        let apart = (Timestamp::now().as_millisecond() - self.now).abs();
        if apart > HOUR {
            let refused = run(&["apply", "--auto-approve"]).await;
            assert_eq!(refused.code, Some(4), "{}: {}{}", self.told(), refused.stdout, refused.stderr);
        }
        let applied = run(&["apply", "--auto-approve", "--allow-clock-skew", "200000h"]).await;
        let again = run(&["plan", "--detailed-exitcode"]).await;
        let folder = server.stop().await;
        if apart > HOUR && applied.code != Some(0) {
            assert_eq!(before, self.state().await);
        }
        for ending in ["", "-wal", "-shm"] {
            let (from, to) =
                (format!("store.db{ending}"), self.folder.path().join(format!("store.db{ending}")));
            let _ = fs::remove_file(&to);
            if folder.path().join(&from).exists() {
                fs::copy(folder.path().join(&from), to).unwrap();
            }
        }
        (applied, Some(again))
    }

    async fn program(&self, arguments: &[&str]) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.folder.path()).args(arguments);
        tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
    }

    fn write_config(&mut self, server: &str) {
        if self.random.u8(0..3) == 0 {
            self.target = format!("slice-{}", self.random.u16(..));
        }
        let config = format!(
            "version: 1\ntargets:\n  {}: {{{server}, policy: [policy.yaml], rails: {{\
             revocations: {{amount: {MOST}, percent: 40, floor: 2}}, \
             expiries: {{amount: 1000, percent: 100}}, narrowings: {{amount: 1000, percent: 100}}}}}}\n",
            self.target
        );
        fs::write(self.folder.path().join("tokenwarden.yaml"), config).unwrap();
    }

    fn judge(&mut self, before: &State, after: &State, applied: &Run) {
        let told = format!("{}: {}{}", self.told(), applied.stdout, applied.stderr);
        assert!(matches!(applied.code, Some(0 | 4)), "{:?} {told}", applied.code);
        if applied.code == Some(4) {
            assert_eq!(before, after, "{told}");
            return;
        }
        assert_eq!(before.active, after.active, "{told}");
        assert!(after.tokens.keys().all(|id| before.tokens.contains_key(id)), "{told}");
        let mut gone = 0;
        for (id, token) in &before.tokens {
            let asked = self.policy.asks(id, token, before.active[&token.owner], self.now);
            let told = || format!("{id} {token:?} {asked:?} {told}");
            let Some(now) = after.tokens.get(id) else {
                assert!(asked.may_revoke, "{}", told());
                gone += usize::from(token.expires.is_none_or(|expires| expires > self.now));
                continue;
            };
            if now.writes != token.writes {
                assert!(asked.may_narrow && !now.writes, "{}", told());
            }
            if now.expires != token.expires {
                let grace = asked.grace.unwrap_or_else(|| panic!("{}", told()));
                let end = now.expires.unwrap_or_else(|| panic!("{}", told()));
                assert!(token.expires.is_none_or(|before| end < before), "{}", told());
                assert!(end >= self.now + grace * DAY, "{} {end}", told());
            }
            let untouched = Token { writes: now.writes, expires: now.expires, ..token.clone() };
            assert_eq!(&untouched, now, "{}", told());
        }
        self.revoked.push((self.now, gone));
        let lately = self.revoked.iter().filter(|(at, _)| (self.now - at).abs() < DAY);
        let lately: usize = lately.map(|(_, count)| count).sum();
        assert!(lately <= MOST, "{lately} within a day: {told}");
    }

    /// Time goes by, people leave and come back, tokens are used, the policy is edited.
    async fn move_on(&mut self) {
        self.now += self.random.choice([HOUR, 5 * HOUR, 23 * HOUR, 26 * HOUR, 40 * DAY]).unwrap();
        let mut statements = String::new();
        let users: BTreeSet<_> = (0..2).map(|_| self.random.u8(0..USERS)).collect();
        for user in users {
            let active = self.random.u8(0..2);
            writeln!(statements, "UPDATE users SET active = {active} WHERE name = 'user-{user}';").unwrap();
        }
        let used = self.random.u8(1..30);
        let (at, now) = (self.now - HOUR / 2, self.now);
        writeln!(
            statements,
            "UPDATE tokens SET last_used = {at} WHERE id = {used} AND (expires IS NULL OR expires > {now});"
        )
        .unwrap();
        self.change(&statements).await;
        if self.random.u8(0..3) == 0 {
            let ids: Vec<_> = (1..=30).map(|id| id.to_string()).collect();
            self.policy = Policy::random(&mut self.random, &ids);
        }
    }

    fn told(&self) -> String {
        let path: &Path = self.folder.path();
        format!(
            "world {} at {} on `{}` in {}, TOKENWARDEN_WORLD={0} tries it alone\n{}",
            self.seed,
            Timestamp::from_millisecond(self.now).unwrap(),
            self.target,
            path.display(),
            self.policy.yaml()
        )
    }
}
