//! Many changes of tokens in one call: each is judged as it would be alone and has an outcome of its own, and the call
//! takes effect once and as a whole.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokenwarden::model::digest::sha256;

use crate::{
    serve::process::{Process, folder},
    support::{DIRECTORY, Made, Setup, TOKENS, TestServer, WHOAMI, answer, client, status},
};

pub(crate) const CHANGES: &str = "/rest/tokenwarden/1/tokens/changes";
const RUNS: &str = "/rest/tokenwarden/1/runs";
const LEASE: &str = "/rest/tokenwarden/1/lease";
const AUDIT: &str = "/rest/tokenwarden/1/audit?limit=1000";

fn revoke(id: i64) -> Value {
    json!({"token": id, "change": {"revoke": {}}})
}

fn narrow(id: i64) -> Value {
    json!({"token": id, "change": {"narrow": {"to": "read-only"}}})
}

fn expire(id: i64, at: &str) -> Value {
    json!({"token": id, "change": {"expire": {"at": at}}})
}

/// `change`, with the note that the ledger keeps of it.
fn noted(mut change: Value) -> Value {
    let action = change["change"].as_object().unwrap().keys().next().unwrap().clone();
    let class = match action.as_str() {
        "revoke" => "revocations",
        "narrow" => "narrowings",
        _ => "expiries",
    };
    change["note"] =
        json!({"address": format!("token/{}", change["token"]), "action": action, "counts": {class: 1}});
    change
}

/// The `outcome` of each result.
fn outcomes(told: &Value) -> Vec<&str> {
    told["results"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect()
}

async fn begin(server: &TestServer, run: &str) -> i64 {
    let ask = json!({"run": run, "holder": "mary@ci", "seconds": 60});
    let lease = answer(server.as_operator(Method::PUT, LEASE).json(&ask), StatusCode::OK).await;
    let head = json!({"run": run, "target": "prod", "begun": "2026-06-01T12:00:00Z", "by": "mary@ci", "policy_sha256": ""});
    answer(server.as_operator(Method::POST, RUNS).json(&head), StatusCode::OK).await;
    lease["number"].as_i64().unwrap()
}

/// What the audit has of `action`, as token and the token that it went along with.
async fn told(server: &TestServer, action: &str) -> Vec<(i64, Option<i64>)> {
    let path = format!("{AUDIT}&action={action}");
    let page = answer(server.as_operator(Method::GET, &path), StatusCode::OK).await;
    let of = |entry: &Value| (entry["token"].as_i64().unwrap(), entry["with_token"].as_i64());
    page["values"].as_array().unwrap().iter().map(of).collect()
}

/// What the ledger has of the only run.
async fn ledger(server: &TestServer) -> BTreeSet<String> {
    let runs = answer(server.as_operator(Method::GET, RUNS), StatusCode::OK).await;
    let changes = runs["runs"][0]["changes"].as_array().unwrap().clone();
    let words = |change: &Value| {
        format!("{} {}", change["action"].as_str().unwrap(), change["address"].as_str().unwrap())
    };
    changes.iter().map(words).collect()
}

async fn alive(server: &TestServer) -> BTreeSet<i64> {
    server.all_tokens().await.iter().map(|token| token["id"].as_i64().unwrap()).collect()
}

async fn child(server: &TestServer, parent: &Made, owner: &str) -> Made {
    let body = json!({"tokenForUserKey": owner, "tokenScope": 2, "tokenDescription": "child"});
    let request = server.with_token(&parent.secret, Method::POST, &format!("{TOKENS}/token")).json(&body);
    let made = answer(request, StatusCode::OK).await;
    Made { id: made["id"].as_i64().unwrap(), secret: made["plainTextToken"].as_str().unwrap().to_owned() }
}

#[tokio::test]
async fn each_change_of_many_has_the_outcome_that_it_would_have_alone_and_keeps_no_other_from_being_made() {
    let server = TestServer::new().await;
    server.change_settings(json!({"permissions": {"manage_others": ["token-admins"]}})).await;
    let sam = server.make_token("sam", 2).await;
    let [one, two, three, four] = [
        server.make_token("mary", 2).await,
        server.make_token("mary", 2).await,
        server.make_token("mary", 1).await,
        server.make_token("bot", 2).await,
    ];
    let of_administrator = server.make_token("root", 2).await;
    let mut moved = revoke(two.id);
    moved["only_if"] = json!({"scopes": ["read-only", null]});
    let mut stays = revoke(one.id);
    stays["only_if"] = json!({
        "scopes": ["read-only", "read-write"], "expiries": [null], "last_uses": [null],
        "descriptions_sha256": [sha256(b"made")],
    });
    let changes = json!({"changes": [
        stays,
        moved,
        revoke(9_999),
        revoke(of_administrator.id),
        narrow(four.id),
        json!({"token": three.id, "change": {"narrow": {"to": "read-write"}}}),
        expire(two.id, "2026-12-01T00:00:00Z"),
        revoke(one.id),
        expire(two.id, "2027-12-01T00:00:00Z"),
    ]});
    let request = server.with_token(&sam.secret, Method::POST, CHANGES).json(&changes);
    let given = answer(request, StatusCode::OK).await;
    let expected = ["done", "moved", "gone", "refused", "done", "already-so", "done", "gone", "already-so"];
    assert_eq!(outcomes(&given), expected, "{given}");
    assert_eq!(given["results"][3]["status"], 403, "{given}");
    assert_eq!(given["results"][3]["message"], "You are not permitted to do this.");
    let asked = changes["changes"].as_array().unwrap().iter().map(|change| &change["token"]);
    assert!(given["results"].as_array().unwrap().iter().map(|one| &one["token"]).eq(asked));

    assert_eq!(alive(&server).await, [sam.id, two.id, three.id, four.id, of_administrator.id].into());
    assert_eq!(server.token(four.id).await.unwrap()["tokenScope"], 1);
    assert_eq!(server.token(two.id).await.unwrap()["validUntil"], 1_796_083_200_000_i64);
    assert_eq!(told(&server, "token-revoke").await, [(one.id, None)]);
    assert_eq!(told(&server, "token-update").await, [(four.id, None), (two.id, None)]);
}

#[tokio::test]
async fn who_may_not_manage_the_tokens_of_others_does_not_learn_which_there_are() {
    let server = TestServer::new().await;
    let (own, other) = (server.make_token("mary", 2).await, server.make_token("sam", 2).await);
    let mine = server.make_token("mary", 2).await;
    let body = json!({"changes": [revoke(other.id), revoke(9_999), narrow(other.id), narrow(9_999), revoke(mine.id)]});
    let given =
        answer(server.with_token(&own.secret, Method::POST, CHANGES).json(&body), StatusCode::OK).await;
    assert_eq!(outcomes(&given), ["refused", "refused", "refused", "refused", "done"]);
    let results = given["results"].as_array().unwrap();
    for pair in results[..4].chunks(2) {
        assert_eq!((&pair[0]["status"], &pair[0]["message"]), (&pair[1]["status"], &pair[1]["message"]));
    }
    assert_eq!(alive(&server).await, [own.id, other.id].into());
    let reader = server.make_token("root", 1).await;
    let body = json!({"changes": [revoke(other.id)]});
    assert_eq!(status(server.with_token(&reader.secret, Method::POST, CHANGES).json(&body)).await, 403);
    let of_run = json!({"run": "run-a", "changes": [noted(revoke(own.id))]});
    let forged = server.with_token(&own.secret, Method::POST, CHANGES).json(&of_run);
    assert_eq!(status(forged).await, 403, "nobody else writes into the ledger");
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_answered_the_same_and_does_nothing_twice() {
    let server = TestServer::new().await;
    let lease = begin(&server, "run-a").await;
    let [gone, narrowed, ended, kept] = [
        server.make_token("mary", 2).await,
        server.make_token("mary", 2).await,
        server.make_token("mary", 2).await,
        server.make_token("mary", 2).await,
    ];
    let mut moved = noted(revoke(kept.id));
    moved["only_if"] = json!({"scopes": ["read-only"]});
    let body = json!({"run": "run-a", "lease": lease, "changes": [
        noted(revoke(gone.id)),
        noted(narrow(narrowed.id)),
        noted(expire(ended.id, "2026-12-01T00:00:00Z")),
        noted(revoke(9_999)),
        moved,
    ]});
    let send = || server.as_operator(Method::POST, CHANGES).json(&body);
    let first = answer(send(), StatusCode::OK).await;
    assert_eq!(outcomes(&first), ["done", "done", "done", "gone", "moved"]);
    // What somebody widened since is not narrowed once more: the run did that.
    let mut store = writing(&server).await;
    let widened = format!("UPDATE tokens SET scope = 2 WHERE id = {}", narrowed.id);
    sqlx::query(sqlx::AssertSqlSafe(widened)).execute(&mut store).await.unwrap();
    sqlx::query("COMMIT").execute(&mut store).await.unwrap();
    let before = (told(&server, "token-revoke").await, told(&server, "token-update").await);
    for _ in 0..3 {
        assert_eq!(answer(send(), StatusCode::OK).await, first);
    }
    assert_eq!((told(&server, "token-revoke").await, told(&server, "token-update").await), before);
    assert_eq!(server.token(narrowed.id).await.unwrap()["tokenScope"], 2);
    assert_eq!(before.0, [(gone.id, None)]);
    let made = [("revoke", gone.id), ("narrow", narrowed.id), ("expire", ended.id)];
    let made = made.map(|(action, id)| format!("{action} token/{id}"));
    assert_eq!(ledger(&server).await, made.into(), "the ledger has what took effect, and nothing else");

    // Another run takes the lease: nothing of the batch is done.
    server.as_operator(Method::DELETE, &format!("{LEASE}/run-a")).send().await.unwrap();
    begin(&server, "run-b").await;
    let late =
        json!({"run": "run-a", "lease": lease, "changes": [noted(revoke(kept.id)), noted(revoke(ended.id))]});
    assert_eq!(status(server.as_operator(Method::POST, CHANGES).json(&late)).await, 409);
    assert!(alive(&server).await.is_superset(&[kept.id, ended.id].into()));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_as_a_whole_with_what_to_write() {
    let server = TestServer::new().await;
    let token = server.make_token("mary", 2).await;
    let lease = begin(&server, "run-a").await;
    let post = |body: &Value| server.as_operator(Method::POST, CHANGES).json(body);
    let mut other_token = noted(revoke(token.id));
    other_token["note"]["address"] = json!("token/1000");
    let mut other_action = noted(revoke(token.id));
    other_action["note"]["action"] = json!("narrow");
    let mut unknown = revoke(token.id);
    unknown["change"]["revoke"]["child"] = json!("keep");
    let mut misspelt = revoke(token.id);
    misspelt["only_if"] = json!({"scope": ["read-only"]});
    for (body, said) in [
        (json!({"changes": []}), "`changes` takes 1 to 500 changes, and has 0"),
        (json!({"changes": vec![revoke(token.id); 501]}), "`changes` takes 1 to 500 changes, and has 501"),
        (json!({"lease": lease, "changes": [revoke(token.id)]}), "`run` takes the run that has the `lease`"),
        (
            json!({"run": "run-a", "lease": 0, "changes": [noted(revoke(token.id))]}),
            "`lease` takes the number",
        ),
        (
            json!({"run": "run-a", "changes": [revoke(token.id)]}),
            "`changes[0]`: `note` takes what the run does",
        ),
        (
            json!({"changes": [revoke(9), noted(revoke(token.id))]}),
            "`changes[1]`: `note` is for changes of a `run`",
        ),
        (json!({"run": "run-a", "changes": [other_token]}), "the address `token/"),
        (json!({"run": "run-a", "changes": [other_action]}), "the action `revoke`"),
        (json!({"run": "no-run", "changes": [noted(revoke(token.id))]}), "There is no run `no-run`"),
        (json!({"changes": [expire(token.id, "1970-01-01T00:00:00Z")]}), "`at` takes a moment after 1970"),
        (json!({"changes": [unknown]}), "`child`"),
        (json!({"changes": [misspelt]}), "`scope`"),
        (json!({"changes": [{"token": 1, "change": {"widen": {}}}]}), "`widen`"),
    ] {
        let given = answer(post(&body), StatusCode::BAD_REQUEST).await.to_string();
        assert!(given.contains(said), "{said}: {given}");
    }
    let mut large = revoke(token.id);
    large["only_if"] = json!({"descriptions_sha256": [" ".repeat(1 << 20)]});
    let given = answer(post(&json!({"changes": [large]})), StatusCode::PAYLOAD_TOO_LARGE).await.to_string();
    assert!(given.contains("larger than 1024 KiB"), "{given}");
    assert_eq!(alive(&server).await, [token.id].into());
}

#[tokio::test]
async fn a_change_that_ends_the_right_of_the_sender_is_the_last_one_that_is_made() {
    for ending in [revoke, narrow, |id| expire(id, "2026-06-01T12:00:00Z")] {
        let server = TestServer::new().await;
        let own = server.make_token("root", 2).await;
        let [first, last] = [server.make_token("mary", 2).await, server.make_token("mary", 2).await];
        let body = json!({"changes": [revoke(first.id), ending(own.id), revoke(last.id)]});
        let request = server.with_token(&own.secret, Method::POST, CHANGES).json(&body);
        let given = answer(request, StatusCode::OK).await;
        assert_eq!(outcomes(&given), ["done", "done", "right-ended"], "{given}");
        let left = alive(&server).await;
        assert!(!left.contains(&first.id) && left.contains(&last.id));
    }
}

#[tokio::test]
async fn what_was_made_with_a_token_goes_along_unless_a_run_asks_and_a_run_never_takes_its_own_credential_along()
 {
    let server = TestServer::new().await;
    let parent = server.make_token("root", 2).await;
    let (own, other) = (child(&server, &parent, "root").await, server.make_token("mary", 2).await);
    let of_other = child(&server, &own, "mary").await;
    let lease = begin(&server, "run-a").await;
    let mut with_children = noted(revoke(parent.id));
    with_children["change"]["revoke"]["children"] = json!("revoke");
    let body = json!({"run": "run-a", "lease": lease, "changes": [
        with_children, noted(narrow(parent.id)), noted(revoke(other.id)), noted(revoke(of_other.id)),
    ]});
    let given =
        answer(server.with_token(&own.secret, Method::POST, CHANGES).json(&body), StatusCode::OK).await;
    assert_eq!(outcomes(&given), ["refused", "refused", "done", "done"], "{given}");
    assert_eq!(given["results"][0]["status"], 400);
    assert!(given["results"][1]["message"].as_str().unwrap().contains("rotate it first"), "{given}");
    assert_eq!(alive(&server).await, [parent.id, own.id].into());
    assert_eq!(server.token(parent.id).await.unwrap()["tokenScope"], 2, "nothing half done is left");

    // Without a run children go along; to a run they have changes of their own.
    let [first, second] = [server.make_token("root", 2).await, server.make_token("root", 2).await];
    let (kept, gone) = (child(&server, &first, "root").await, child(&server, &second, "root").await);
    let body = json!({"run": "run-a", "lease": lease, "changes": [noted(revoke(first.id))]});
    answer(server.as_operator(Method::POST, CHANGES).json(&body), StatusCode::OK).await;
    let body = json!({"changes": [revoke(second.id), revoke(gone.id)]});
    let given = answer(server.as_operator(Method::POST, CHANGES).json(&body), StatusCode::OK).await;
    assert_eq!(outcomes(&given), ["done", "gone"]);
    let left = alive(&server).await;
    assert!(left.contains(&kept.id) && !left.contains(&gone.id));
    assert!(told(&server, "token-revoke").await.ends_with(&[(second.id, None), (gone.id, Some(second.id))]));

    // What a parent leaves of its children is seen by the changes behind it.
    let above = server.make_token("root", 2).await;
    let below = child(&server, &above, "root").await;
    let mut condition = revoke(below.id);
    condition["only_if"] = json!({"scopes": ["read-only"]});
    let body = json!({"changes": [narrow(above.id), condition]});
    let given = answer(server.as_operator(Method::POST, CHANGES).json(&body), StatusCode::OK).await;
    assert_eq!(outcomes(&given), ["done", "done"]);
}

/// A transaction of another process that writes into the store of `server`, and keeps everybody else from it.
async fn writing(server: &TestServer) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(server.store_file());
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test]
async fn a_list_writes_no_last_uses_and_tells_those_that_wait_to_be_written() {
    let server = TestServer::new().await;
    let mary = server.make_token("mary", 2).await;
    let lock = writing(&server).await;
    assert_eq!(status(server.with_token(&mary.secret, Method::GET, WHOAMI)).await, 200);
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.token(mary.id).await.unwrap()["lastAccessed"], 1_780_315_200_000_i64);
        let own = server.with_token(&mary.secret, Method::GET, &format!("{TOKENS}/token"));
        assert_ne!(answer(own, StatusCode::OK).await["content"][0]["lastAccessed"], 0);
        let path = "/rest/access-tokens/latest/users/mary";
        let page = answer(server.with_password("mary", Method::GET, path), StatusCode::OK).await;
        assert_ne!(page["values"][0]["lastAuthenticated"], Value::Null);
    }
    // One that writes waits a second for the lock.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    lock.close().await.unwrap();
}

#[tokio::test]
async fn a_condition_on_the_last_use_sees_one_that_waits_to_be_written() {
    let server = TestServer::new().await;
    let [used, unused] = [server.make_token("mary", 2).await, server.make_token("mary", 2).await];
    assert_eq!(status(server.with_token(&used.secret, Method::GET, WHOAMI)).await, 200);
    let unless_used = |id: i64| {
        let mut change = revoke(id);
        change["only_if"] = json!({"last_uses": [null]});
        change
    };
    let body = json!({"changes": [unless_used(used.id), unless_used(unused.id)]});
    let given = answer(server.as_operator(Method::POST, CHANGES).json(&body), StatusCode::OK).await;
    assert_eq!(outcomes(&given), ["moved", "done"]);
}

/// How many tokens a batch revokes that is killed.
const MANY: usize = 300;
/// At how many moments it is killed.
const MOMENTS: u32 = 10;

/// A folder with the store of a gateway that has [`MANY`] tokens, the first of all that of an administrator, whose secret
/// is answered.
async fn crowded() -> (TempDir, String) {
    let folder = folder();
    let process = Process::start(&folder);
    let own = client().post(process.url(&format!("{TOKENS}/token"))).basic_auth("root", Some("root"));
    let made = answer(own.json(&json!({"tokenScope": 2})), StatusCode::OK).await;
    let secret = made["plainTextToken"].as_str().unwrap().to_owned();
    process.stop();
    let mut values = String::new();
    for id in 2..MANY + 2 {
        let comma = if id == 2 { "" } else { ", " };
        write!(values, "{comma}({id}, 'mary', 'mary', 'user', '', 2, 0, X'{id:064x}')").unwrap();
    }
    let options = SqliteConnectOptions::new().filename(folder.path().join("store.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let columns = "id, owner, owner_folded, owner_kind, description, scope, created, secret_hash";
    let insert = format!("INSERT INTO tokens ({columns}) VALUES {values}");
    sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    (folder, secret)
}

/// A batch of the run `run-a` that revokes all tokens of [`crowded`], sent to `process`.
fn revoke_all(process: &Process, secret: &str) -> RequestBuilder {
    let changes: Vec<Value> = (2..MANY + 2).map(|id| noted(revoke(i64::try_from(id).unwrap()))).collect();
    client().post(process.url(CHANGES)).bearer_auth(secret).json(&json!({"run": "run-a", "changes": changes}))
}

async fn begin_at(process: &Process, secret: &str) {
    let head = json!({"run": "run-a", "target": "prod", "begun": "2026-06-01T12:00:00Z", "by": "x", "policy_sha256": ""});
    answer(client().post(process.url(RUNS)).bearer_auth(secret).json(&head), StatusCode::OK).await;
}

/// How many tokens were revoked, by the tokens that are left, by the audit, and by the ledger.
async fn revoked(process: &Process, secret: &str) -> [usize; 3] {
    let get = |path: String| answer(client().get(process.url(&path)).bearer_auth(secret), StatusCode::OK);
    let left = get(format!("{TOKENS}/tokensByFilter?limit=1000")).await["content"].as_array().unwrap().len();
    let told = get(format!("{AUDIT}&action=token-revoke")).await["values"].as_array().unwrap().len();
    let kept = get(RUNS.to_owned()).await["runs"][0]["changes"].as_array().unwrap().len();
    [MANY + 1 - left, told, kept]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_of_a_batch_has_all_of_it_or_nothing_and_does_it_once_when_asked_again()
 {
    let (template, secret) = crowded().await;
    let copy = || {
        let copied = folder();
        std::fs::copy(template.path().join("store.db"), copied.path().join("store.db")).unwrap();
        copied
    };
    let folder = copy();
    let process = Process::start(&folder);
    begin_at(&process, &secret).await;
    let begun = Instant::now();
    let given = answer(revoke_all(&process, &secret), StatusCode::OK).await;
    let mut whole = begun.elapsed();
    assert_eq!(outcomes(&given), ["done"; MANY]);
    process.kill();

    let mut unanswered = 0;
    for moment in 0..MOMENTS {
        let folder = copy();
        let process = Process::start(&folder);
        let address = process.address.to_string();
        begin_at(&process, &secret).await;
        let sent = tokio::spawn(revoke_all(&process, &secret).send());
        // Where exactly it is hit does not matter: any moment must do.
        tokio::time::sleep(whole * (moment + 1) / MOMENTS).await;
        process.kill();
        match sent.await.unwrap() {
            Err(_) => unanswered += 1,
            // The machine has less to do than before.
            Ok(_) => whole = whole * 2 / 3,
        }

        let process = Process::start_at(&folder, &address);
        let found = revoked(&process, &secret).await;
        assert!(found == [0; 3] || found == [MANY; 3], "all or nothing: {found:?}");
        let given = answer(revoke_all(&process, &secret), StatusCode::OK).await;
        assert_eq!(outcomes(&given), ["done"; MANY]);
        assert_eq!(revoked(&process, &secret).await, [MANY; 3], "once each");
        process.kill();
    }
    assert!(unanswered > 3, "{unanswered} of {MOMENTS} were hit before they were answered");
}

#[tokio::test]
async fn a_batch_in_a_world_that_changes_meanwhile_is_judged_by_what_is_there_where_it_is_committed() {
    let server = TestServer::start(Setup { directory: DIRECTORY.to_owned(), ..Setup::default() }).await;
    server.change_settings(json!({"permissions": {"manage_others": ["token-admins"]}})).await;
    let sam = server.make_token("sam", 2).await;
    let [of_mary, of_bot] = [server.make_token("mary", 2).await, server.make_token("bot", 2).await];
    let body = json!({"changes": [revoke(of_mary.id), revoke(of_bot.id)]});
    // The batch waits for the lock while mary becomes an administrator.
    let mut lock = writing(&server).await;
    let request = server.with_token(&sam.secret, Method::POST, CHANGES).json(&body);
    let sent = tokio::spawn(request.send());
    let member = "INSERT INTO members (group_id, user_id) SELECT g.id, u.id FROM groups g, users u \
                  WHERE g.name = 'administrators' AND u.name = 'mary'";
    sqlx::query(member).execute(&mut lock).await.unwrap();
    sqlx::query("COMMIT").execute(&mut lock).await.unwrap();
    let given: Value = sent.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(outcomes(&given), ["refused", "done"], "{given}");
    assert!(alive(&server).await.contains(&of_mary.id));
    lock.close().await.unwrap();
}
