//! Worlds of a Bitbucket, which can set no expiry: five days on which tokens are marked, are due and go, while
//! their owners take marks off and put old ones back, and the clock of the server is not ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use fastrand::Rng;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    BEGIN, DAY, HOUR,
    oracle::{Policy, Token},
};
use crate::{
    support::program::{Run, program},
    targets::bitbucket::stub::{KEY, PASSWORD, Stub},
};

const USERS: [&str; 4] = ["ada", "ben", "cleo", "dan"];
/// How many revocations a run, or all runs of a day, may come to.
const MOST: usize = 8;

struct World {
    seed: u64,
    folder: TempDir,
    random: Rng,
    stub: Stub,
    /// The moment of the server.
    now: i64,
    policy: Policy,
    /// The earliest day that each token was ever marked with.
    marked: BTreeMap<String, i64>,
    /// Every name that a token ever had with a mark.
    old_names: BTreeMap<String, String>,
    revoked: Vec<(i64, usize)>,
}

/// Tries the world with this seed.
pub(super) async fn try_world(seed: u64) {
    let mut world = World::new(seed).await;
    for _ in 0..5 {
        world.run().await;
        world.move_on();
    }
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let apart = if random.bool() { 0 } else { random.i64(-730 * DAY..730 * DAY) };
        let now = BEGIN + apart;
        let stub = Stub::start().await;
        let ids: Vec<_> = (1..=20).map(|id| format!("{id:012}")).collect();
        {
            let mut contents = stub.contents();
            contents.users = vec![("warden", "warden", true)];
            contents.users.extend(USERS.map(|user| (user, user, random.u8(0..6) > 0)));
            contents.date = Some(date(now));
        }
        for id in ids.iter().take(random.usize(1..=20)) {
            let created = now - random.i64(DAY..500 * DAY);
            let mut token = json!({
                "id": id,
                "createdDate": created,
                "name": format!("script {id}"),
                "permissions": [if random.bool() { "REPO_READ" } else { "REPO_WRITE" }],
            });
            match random.u8(0..4) {
                0 => token["expiryDate"] = json!(random.i64(created..now)),
                1 | 2 => token["expiryDate"] = json!(now + random.i64(DAY..500 * DAY)),
                _ => {}
            }
            if random.u8(0..3) > 0 {
                token["lastAuthenticated"] = json!(random.i64(created..now));
            }
            stub.add(&format!("users/{}", random.choice(USERS).unwrap()), token);
        }
        let policy = Policy::random(&mut random, &ids);
        let folder = TempDir::new().unwrap();
        let (marked, old_names, revoked) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { seed, folder, random, stub, now, policy, marked, old_names, revoked }
    }

    fn state(&self) -> BTreeMap<String, Token> {
        let contents = self.stub.contents();
        let of =
            contents.tokens.iter().flat_map(|(path, tokens)| tokens.iter().map(move |token| (path, token)));
        of.map(|(path, token)| (token["id"].as_str().unwrap().to_owned(), read(path, token))).collect()
    }

    /// Applies, and plans again, and looks at what became of every token.
    async fn run(&mut self) {
        fs::write(self.folder.path().join("policy.yaml"), self.policy.yaml()).unwrap();
        let (target, ending) = (self.random.u8(0..2), ["", "/"][usize::from(self.random.bool())]);
        let config = format!(
            "version: 1\nmark_key_env: MARK_KEY\njournal: {{directory: journal}}\ntargets:\n  target-{target}: {{\
             kind: bitbucket, url: \"{}{ending}\", auth: {{user: warden, password_env: PASSWORD}}, \
             policy: [policy.yaml], areas: [personal], rails: {{\
             revocations: {{amount: {MOST}, percent: 40, floor: 2}}, \
             expiries: {{amount: 1000, percent: 100}}, narrowings: {{amount: 1000, percent: 100}}}}}}\n",
            self.stub.url()
        );
        fs::write(self.folder.path().join("tokenwarden.yaml"), config).unwrap();
        let before = self.state();
        let active: BTreeMap<_, _> =
            self.stub.contents().users.iter().map(|(name, _, active)| (*name, *active)).collect();
        let applied = self.program(&["apply", "--auto-approve", "--allow-clock-skew", "200000h"]).await;
        let after = self.state();
        self.judge(&before, &active, &after, &applied);
        if applied.code == Some(0) {
            let again = self.program(&["plan", "--detailed-exitcode"]).await;
            assert_eq!(again.code, Some(0), "{}: {}{}", self.told(), again.stdout, again.stderr);
            assert!(again.stdout.starts_with("No changes"), "{}: {}", self.told(), again.stdout);
        }
    }

    async fn program(&self, arguments: &[&str]) -> Run {
        let mut command = program();
        command.arg("-C").arg(self.folder.path()).args(arguments);
        command.env("PASSWORD", PASSWORD).env("MARK_KEY", KEY);
        tokio::task::spawn_blocking(move || Run::of(&mut command)).await.unwrap()
    }

    fn judge(
        &mut self,
        before: &BTreeMap<String, Token>,
        active: &BTreeMap<&str, bool>,
        after: &BTreeMap<String, Token>,
        applied: &Run,
    ) {
        let told = format!("{}: {}{}", self.told(), applied.stdout, applied.stderr);
        assert!(matches!(applied.code, Some(0 | 4)), "{:?} {told}", applied.code);
        if applied.code == Some(4) {
            assert_eq!(before, after, "{told}");
            return;
        }
        let mut gone = 0;
        for (id, token) in before {
            let (words, mark) = parted(&token.words);
            let asked = self.policy.asks(id, token, active[token.owner.as_str()], self.now);
            let told = || format!("{id} {token:?} {asked:?} {told}");
            if let Some(mark) = mark {
                let earliest = self.marked.entry(id.clone()).or_insert(mark);
                *earliest = mark.min(*earliest);
            }
            let Some(now) = after.get(id) else {
                let is_due = self.marked.get(id).is_some_and(|until| *until <= self.now);
                assert!(asked.may_revoke || (asked.grace.is_some() && is_due), "{}", told());
                gone += usize::from(token.expires.is_none_or(|expires| expires > self.now));
                continue;
            };
            let (words_now, mark_now) = parted(&now.words);
            assert_eq!(words, words_now, "{}", told());
            if now.writes != token.writes {
                assert!(asked.may_narrow && !now.writes, "{}", told());
            }
            if let Some(until) = mark_now.filter(|until| Some(*until) != mark) {
                let grace = asked.grace.unwrap_or_else(|| panic!("{}", told()));
                let earliest = self.marked.get(id).copied();
                assert!(until >= self.now + grace * DAY || earliest == Some(until), "{} {until}", told());
                let earliest = self.marked.entry(id.clone()).or_insert(until);
                *earliest = until.min(*earliest);
                self.old_names.insert(id.clone(), now.words.clone());
            }
            let untouched = Token { writes: now.writes, words: now.words.clone(), ..token.clone() };
            assert_eq!(&untouched, now, "{}", told());
            if mark_now.is_none() {
                // Nothing asks for its end any more: a later mark has a day of its own.
                self.marked.remove(id);
            }
        }
        self.revoked.push((self.now, gone));
        let lately = self.revoked.iter().filter(|(at, _)| (self.now - at).abs() < DAY);
        let lately: usize = lately.map(|(_, count)| count).sum();
        assert!(lately <= MOST, "{lately} within a day: {told}");
    }

    /// A day goes by, or a part of one; people leave, tokens are used, owners handle their marks.
    fn move_on(&mut self) {
        self.now += self.random.choice([5 * HOUR, 23 * HOUR, 26 * HOUR, 9 * DAY, 30 * DAY]).unwrap();
        let mut contents = self.stub.contents();
        contents.date = Some(date(self.now));
        let user = self.random.usize(1..contents.users.len());
        contents.users[user].2 = self.random.bool();
        for token in contents.tokens.values_mut().flatten() {
            let id = token["id"].as_str().unwrap().to_owned();
            match self.random.u8(0..12) {
                0 => token["lastAuthenticated"] = json!(self.now - HOUR / 2),
                1 => token["name"] = json!(parted(token["name"].as_str().unwrap()).0),
                2 => {
                    if let Some(old) = self.old_names.get(&id) {
                        token["name"] = json!(old);
                    }
                }
                _ => {}
            }
        }
        drop(contents);
        if self.random.u8(0..4) == 0 {
            let ids: BTreeSet<_> = self.state().into_keys().collect();
            let ids: Vec<_> = ids.into_iter().collect();
            self.policy = Policy::random(&mut self.random, &ids);
        }
    }

    fn told(&self) -> String {
        format!(
            "world {} at {}, TOKENWARDEN_WORLD={0} tries it alone\n{}",
            self.seed,
            Timestamp::from_millisecond(self.now).unwrap(),
            self.policy.yaml()
        )
    }
}

/// The moment as an answer dates it.
fn date(now: i64) -> String {
    Timestamp::from_millisecond(now).unwrap().strftime("%a, %d %b %Y %T GMT").to_string()
}

fn read(path: &str, token: &Value) -> Token {
    Token {
        owner: path.strip_prefix("users/").unwrap().to_owned(),
        words: token["name"].as_str().unwrap().to_owned(),
        writes: token["permissions"] != json!(["REPO_READ"]),
        created: token["createdDate"].as_i64().unwrap(),
        last_used: token.get("lastAuthenticated").and_then(Value::as_i64),
        expires: token.get("expiryDate").and_then(Value::as_i64),
    }
}

/// The words of a name, and the moment that its mark sets.
fn parted(name: &str) -> (&str, Option<i64>) {
    let Some((words, mark)) = name.split_once(" [tokenwarden: ends ") else { return (name, None) };
    let day: Date = mark[..10].parse().unwrap();
    (words, Some(TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap().as_millisecond()))
}
