//! Whose clock decides: that of the server, and nothing is done while ours is not near it.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    apply::{ChangeOutcome, ChangeResult, execute},
    journal::Recording,
    model::{Token, TokenId},
    serve::{
        Clock,
        store::{Store, StoreUrl},
    },
};

use crate::{
    support::{
        Setup, TOKENS, TestServer, WHOAMI, answer, status,
        world::{State, World, approve, block_on, policy, time, token},
    },
    targets::{
        bitbucket::{program as on_bitbucket, stub::token as stub_token},
        reconcile::Repository,
    },
};

/// What of time there is to go wrong: expired tokens go, endless ones end, unused and idle ones go.
const POLICY: &str = "version: 1
tokens:
  limits: [{max_scope: read-write, max_lifetime: 90d, max_idle: 60d, max_unused: 30d}]
  enforcement: {lifetime: {action: expire, grace: 14d}, expired: revoke, idle: revoke, never-used: revoke}
";

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn days(count: i32) -> SignedDuration {
    DAY * count
}

/// A server whose clock is `ahead` of ours, and stands still.
async fn server(ahead: SignedDuration) -> (TestServer, Timestamp) {
    let now = Timestamp::now() + ahead;
    let setup = Setup { clock: Clock::Fixed(now), ..Setup::default() };
    (TestServer::start(setup).await, now)
}

/// A token of `root` to work with, and one of `mary` without an end and one that ends in twenty days; all of
/// them just made.
async fn tokens(server: &TestServer, now: Timestamp) -> (String, Vec<i64>) {
    let warden = server
        .make(json!({"tokenForUserKey": "root", "tokenScope": 2, "tokenDescription": "warden",
        "tokenExpirationDateTimeMillis": (now + days(80)).as_millisecond()}))
        .await;
    let endless = server.make_token("mary", 2).await;
    let short = server
        .make(json!({"tokenForUserKey": "sam", "tokenScope": 2, "tokenDescription": "made",
            "tokenExpirationDateTimeMillis": (now + days(20)).as_millisecond()}))
        .await;
    (warden.secret, vec![endless.id, short.id])
}

async fn ends(server: &TestServer, id: i64) -> Option<i64> {
    server.token(id).await.map(|token| token["validUntil"].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_hours_or_months_away_from_its_server_changes_nothing() {
    for ahead in [
        -days(120),
        -days(400),
        days(30),
        days(400),
        SignedDuration::from_hours(25),
        -SignedDuration::from_hours(25),
        SignedDuration::from_mins(11),
        -SignedDuration::from_mins(11),
    ] {
        let (server, now) = server(ahead).await;
        let (warden, _) = tokens(&server, now).await;
        let before = server.all_tokens().await;
        let repository = Repository::new(&server, &warden, POLICY);
        let planned = repository.run(&["plan"]).await;
        assert_eq!(planned.code, Some(0), "{}{}", planned.stdout, planned.stderr);
        assert!(
            planned.stderr.contains("apply is refused on prod: the clock of the server is"),
            "{}",
            planned.stderr
        );
        let applied = repository.run(&["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(4), "{ahead}: {}{}", applied.stdout, applied.stderr);
        assert!(applied.stderr.contains("--allow-clock-skew "), "{}", applied.stderr);
        let small = repository.run(&["apply", "--auto-approve", "--allow-clock-skew", "10m"]).await;
        assert_eq!(small.code, Some(4), "{ahead}: {}{}", small.stdout, small.stderr);
        let revoked = repository.run(&["revoke", "--owner", "mary", "--reason", "r", "--auto-approve"]).await;
        assert_eq!(revoked.code, Some(4), "{}{}", revoked.stdout, revoked.stderr);
        let lasting = |tokens: &[Value]| {
            tokens.iter().map(|token| (token["id"].clone(), token["validUntil"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(lasting(&server.all_tokens().await), lasting(&before));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_let_pass_judges_by_the_clock_of_the_server() {
    for ahead in [-days(120), days(30), -days(400), SignedDuration::from_hours(25)] {
        let (server, now) = server(ahead).await;
        let (warden, ids) = tokens(&server, now).await;
        let repository = Repository::new(&server, &warden, POLICY);
        let refused = repository.run(&["apply", "--auto-approve"]).await;
        let flag =
            refused.stderr.split("--allow-clock-skew ").nth(1).unwrap().split_whitespace().next().unwrap();
        let applied = repository.run(&["apply", "--auto-approve", "--allow-clock-skew", flag]).await;
        assert_eq!(applied.code, Some(0), "{ahead}: {}{}", applied.stdout, applied.stderr);
        assert!(applied.stderr.contains("judged by the clock of the server"), "{}", applied.stderr);
        let end = ends(&server, ids[0]).await.expect("it was made seconds ago");
        let least = (now + days(14)).as_millisecond();
        assert!((least..=least + 86_400_000).contains(&end), "{ahead}: {end}");
        assert_eq!(ends(&server, ids[1]).await, Some((now + days(20)).as_millisecond()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_minutes_are_worth_a_warning_and_judged_by_the_clock_of_the_server() {
    for minutes in [5, -5] {
        let (server, now) = server(SignedDuration::from_mins(minutes)).await;
        let (warden, _) = tokens(&server, now).await;
        let repository = Repository::new(&server, &warden, POLICY);
        let applied = repository.run(&["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
        assert!(applied.stderr.contains("warning: prod: the clock of the server is "), "{}", applied.stderr);
        for command in [&["drift"][..], &["explain", "2"], &["inventory", "--out", "-"], &["import"]] {
            let run = repository.run(command).await;
            assert!(
                run.stderr.contains("warning: prod: the clock of the server is "),
                "{command:?}: {}",
                run.stderr
            );
        }
    }
    let (server, now) = server(SignedDuration::from_secs(20)).await;
    let (warden, _) = tokens(&server, now).await;
    let planned = Repository::new(&server, &warden, POLICY).run(&["plan"]).await;
    assert!(!planned.stderr.contains("clock"), "{}", planned.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_shows_the_moment_of_the_server() {
    let (server, now) = server(-days(3)).await;
    let (warden, _) = tokens(&server, now).await;
    let run = Repository::new(&server, &warden, POLICY).run(&["inventory", "--out", "-"]).await;
    let first: Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    let seen: Timestamp = first["seen_at"].as_str().unwrap().parse().unwrap();
    assert!(seen.duration_since(now).abs() < SignedDuration::from_secs(60), "{seen} {now}");
}

/// `text` as if its lines had no end.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A server on the time of this machine with `count` tokens of mary that were made and used two days later.
async fn server_with_dates_to_come(count: usize) -> (TestServer, Timestamp) {
    let (ahead, _) = server(days(2)).await;
    for _ in 0..count {
        let token = ahead.make_token("mary", 2).await;
        answer(ahead.with_token(&token.secret, Method::GET, WHOAMI), StatusCode::OK).await;
    }
    let folder = ahead.stop().await;
    let now = Timestamp::now();
    let setup =
        Setup { clock: Clock::Fixed(now), store: Some(folder.path().join("store.db")), ..Setup::default() };
    (TestServer::start(setup).await, now)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lies_behind_the_last_use_of_many_tokens_has_a_wrong_clock_whatever_ours_says() {
    let (server, now) = server_with_dates_to_come(4).await;
    let (warden, _) = tokens(&server, now).await;
    let repository = Repository::new(&server, &warden, POLICY);
    let before = server.all_tokens().await.len();
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(4), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stderr.contains("a token of `prod` was made or used at"), "{}", applied.stderr);
    assert!(applied.stderr.contains("so were 3 others"), "{}", applied.stderr);
    assert!(applied.stderr.contains("`tokenwarden settings reset-clock`"), "{}", applied.stderr);
    assert_eq!(server.all_tokens().await.len(), before);
    let too_small = repository.run(&["apply", "--auto-approve", "--allow-clock-skew", "1d"]).await;
    assert_eq!(too_small.code, Some(4), "{}{}", too_small.stdout, too_small.stderr);
    let allowed = repository.run(&["apply", "--auto-approve", "--allow-clock-skew", "3d"]).await;
    assert_eq!(allowed.code, Some(0), "{}{}", allowed.stdout, allowed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_dates_that_are_still_to_come_cost_their_tokens_alone() {
    for count in [1, 3] {
        let (server, now) = server_with_dates_to_come(count).await;
        let (warden, ids) = tokens(&server, now).await;
        let repository = Repository::new(&server, &warden, POLICY);
        let planned = repository.run(&["plan", "--format", "json"]).await;
        let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
        let held: Vec<_> =
            plan["held_back"].as_array().unwrap().iter().map(|held| &held["subject"]).collect();
        assert_eq!(held.len(), count, "{held:?}");
        assert_eq!(held[0], "token 1");
        assert!(!planned.stderr.contains("refused"), "{}", planned.stderr);
        assert_eq!(planned.code, Some(1), "something is held back");

        let applied = repository.run(&["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(1), "{}{}", applied.stdout, applied.stderr);
        let said = in_one_line(&applied.stdout);
        assert!(said.contains("? token 1 ") && said.contains("it was made or used at"), "{}", applied.stdout);
        assert!(ends(&server, ids[0]).await.unwrap() > 0, "the endless one is made to end");
        assert!(ends(&server, 1).await.unwrap() <= 0, "nothing is decided about it");
        let explained = repository.run(&["explain", "1"]).await;
        let said = in_one_line(&explained.stdout);
        assert!(said.contains("made or used in the future"), "{}", explained.stdout);

        let arguments = ["revoke", "--target", "prod", "--token", "1", "--reason", "odd", "--auto-approve"];
        let revoked = repository.run(&arguments).await;
        assert_eq!(revoked.code, Some(0), "{}{}", revoked.stdout, revoked.stderr);
        assert_eq!(server.token(1).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_to_come_that_the_clock_may_explain_is_none_when_somebody_says_so() {
    let (server, now) = server_with_dates_to_come(1).await;
    let (warden, _) = tokens(&server, now).await;
    let repository = Repository::new(&server, &warden, POLICY);
    let allowed = repository.run(&["apply", "--auto-approve", "--allow-clock-skew", "3d"]).await;
    assert_eq!(allowed.code, Some(0), "{}{}", allowed.stdout, allowed.stderr);
    assert!(ends(&server, 1).await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_bitbucket_odd_dates_cost_their_tokens_alone_until_there_are_many() {
    let later = |ahead: SignedDuration| (Timestamp::now() + ahead).to_string();
    for (odd, code) in [(1, 1), (3, 1), (4, 4)] {
        for used in [false, true] {
            let stub = on_bitbucket::server().await;
            for number in 0..odd {
                let created = if used { "2026-11-01T00:00:00Z".to_owned() } else { later(days(40)) };
                let mut token = stub_token(&format!("90000000000{number}"), "odd", &created, &["REPO_ADMIN"]);
                if used {
                    token["lastAuthenticated"] = json!((Timestamp::now() + days(40)).as_millisecond());
                }
                stub.add("users/mary_example.com", token);
            }
            let repository = on_bitbucket::Repository::new(&stub, "    unsupported: warn\n");
            let applied = repository.run(&["apply", "--auto-approve"]).await;
            assert_eq!(applied.code, Some(code), "{odd} {used}: {}{}", applied.stdout, applied.stderr);
            let written: Vec<_> = stub.contents().writes.iter().map(|(call, _)| call.clone()).collect();
            assert!(!written.iter().any(|call| call.contains("90000000000")), "{written:?}");
            assert_eq!(written.iter().any(|call| call.contains("075905477751")), code == 1, "{written:?}");
            let said = in_one_line(&applied.stdout);
            assert!(said.contains("? token 900000000000 "), "{}", applied.stdout);
            assert!(said.contains("it was made or used at"), "{}", applied.stdout);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_bitbucket_it_is_the_date_of_the_answers_that_counts() {
    let dated = |date: Option<String>| async {
        let stub = on_bitbucket::server().await;
        stub.contents().date = date;
        let repository = on_bitbucket::Repository::new(&stub, "    unsupported: warn\n");
        (stub, repository)
    };
    let http = |ahead| {
        rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&(Timestamp::now() + ahead)).unwrap()
    };
    for ahead in [days(120), -days(30), SignedDuration::from_hours(-25)] {
        let (stub, repository) = dated(Some(http(ahead))).await;
        let applied = repository.run(&["apply", "--auto-approve"]).await;
        assert_eq!(applied.code, Some(4), "{}{}", applied.stdout, applied.stderr);
        assert!(stub.contents().writes.is_empty());
    }
    // Without a date that can be read nobody knows.
    let (stub, repository) = dated(Some("yesterday".to_owned())).await;
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(4), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stderr.contains("no response of the server has a date"), "{}", applied.stderr);
    assert!(stub.contents().writes.is_empty());
    let allowed = repository.run(&["apply", "--auto-approve", "--allow-clock-skew", "10m"]).await;
    assert_eq!(allowed.code, Some(0), "{}{}", allowed.stdout, allowed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_dates_its_answers_by_the_clock_that_it_judges_by() {
    let (server, now) = server(days(9)).await;
    for path in ["/healthz", TOKENS, "/nowhere"] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        let date = response.headers()["date"].to_str().unwrap();
        let date = rfc2822::DateTimeParser::new().parse_timestamp(date).unwrap();
        assert_eq!(date.as_second(), now.as_second(), "{path}");
    }
    answer(server.request(Method::GET, "/healthz"), StatusCode::OK).await;
}

#[test]
fn a_plan_that_waited_past_midnight_ends_no_token_earlier_than_its_grace_from_then_on() {
    let made = time("2026-11-23T12:00:00Z");
    let of = |token: &str| TokenId::new(token);
    let endless =
        Token { created: time("2026-11-20T00:00:00Z"), last_used: None, expires: None, ..token("1", "mary") };
    let state = State {
        users: [("mary".into(), true)].into(),
        tokens: [(of("1"), endless)].into(),
        ..State::default()
    };
    for state in [state.clone(), state.with_marks()] {
        for (now, done) in
            [("2026-11-23T23:59:59Z", 1), ("2026-11-24T00:00:01Z", 0), ("2026-12-20T00:00:00Z", 0)]
        {
            let world = World::new(state.clone());
            let approved = approve(world.plan(&policy(POLICY), made));
            let clock = || time(now);
            let recording = Recording::new(&world, None, &approved, [].into(), &clock);
            let outcome = block_on(execute(&approved, &world, &recording, &|_| {}));
            let is_end = |one: &&ChangeOutcome| {
                one.planned.change.token().is_some() && matches!(one.result, ChangeResult::Done(_))
            };
            assert_eq!(outcome.changes.iter().filter(is_end).count(), done, "at {now}: {outcome:?}");
            assert_eq!(outcome.is_whole(), done == 1);
        }
    }
}

/// A server on the clock of the system, over a copy of the store in `folder` which saw `latest`.
async fn server_that_saw(folder: &TempDir, latest: Option<Timestamp>) -> TestServer {
    let file = folder.path().join("store.db");
    if let Some(latest) = latest {
        let store = Store::open(&StoreUrl { file: file.clone() }).await.unwrap();
        store.keep_latest_moment(latest).await.unwrap();
        store.close().await;
    }
    TestServer::start(Setup { clock: Clock::System, store: Some(file), ..Setup::default() }).await
}

async fn date_of(server: &TestServer) -> Timestamp {
    let response = server.request(Method::GET, "/healthz").send().await.unwrap();
    rfc2822::DateTimeParser::new().parse_timestamp(response.headers()["date"].to_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_store_never_goes_back_and_a_moment_that_is_given_leaves_no_trace() {
    let (given, now) = server(days(1500)).await;
    let ends = json!({"tokenForUserKey": "mary", "tokenScope": 1, "tokenDescription": "made",
        "tokenExpirationDateTimeMillis": (now + days(1)).as_millisecond()});
    let token = given.make(ends).await;
    let folder = given.stop().await;
    let whoami = |server: &TestServer| server.with_token(&token.secret, Method::GET, WHOAMI);

    let right = server_that_saw(&folder, None).await;
    assert!(date_of(&right).await.duration_since(Timestamp::now()) < SignedDuration::from_mins(1));
    assert_eq!(status(whoami(&right)).await, 200);
    drop(right);

    let later = now + days(3);
    let behind = server_that_saw(&folder, Some(later)).await;
    assert_eq!(status(whoami(&behind)).await, 401, "it had expired");
    assert!(date_of(&behind).await >= later - SignedDuration::from_secs(1));
    let made = behind.make_token("sam", 1).await;
    let created = behind.token(made.id).await.unwrap()["created"].as_i64().unwrap();
    assert!(created >= later.as_millisecond());
    // A run that is no nearer to it than the clock of the system changes nothing.
    let applied = Repository::new(&behind, behind.operator(), POLICY).run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(4), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stderr.contains("`tokenwarden settings reset-clock`"), "{}", applied.stderr);
}
