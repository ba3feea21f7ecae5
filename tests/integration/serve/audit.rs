//! The audit of our own server: every effect leaves one entry, in the transaction that does it and for good.

use std::{collections::BTreeSet, path::Path};

use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokenwarden::{
    model::{TokenSecret, audit::AuditFilter},
    serve::{
        random_bytes, seed, settings,
        store::{PageRequest, Store, StoreUrl},
    },
};

use crate::{
    serve::{
        front::restrictions::source,
        process::{Process, folder},
    },
    support::{
        DIRECTORY, NOW, SETTINGS, Setup, TOKENS, TestServer, WHOAMI, answer, client, lay_over,
        program::{NOW as RUN_NOW, Quickstart, Run, program},
        status,
    },
    targets::bitbucket::stub::Stub,
};

const AUDIT: &str = "/rest/tokenwarden/1/audit";
const OPENAPI: &str = "/rest/tokenwarden/1/openapi.json";
const PERSONAL: &str = "/rest/access-tokens/latest/users/root";

/// The entries that `query` selects.
async fn entries(server: &TestServer, query: &str) -> Vec<Value> {
    let path = format!("{AUDIT}?limit=1000&{query}");
    let page = answer(server.as_operator(Method::GET, &path), StatusCode::OK).await;
    assert_eq!(page["isLastPage"], true);
    page["values"].as_array().unwrap().clone()
}

async fn store_of(server: &TestServer) -> Store {
    Store::open(&StoreUrl { file: server.store_file() }).await.unwrap()
}

async fn raw(file: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap()
}

/// The actions of all entries in `store`.
async fn actions(store: &Store) -> Vec<String> {
    let page = PageRequest { start: 0, limit: 1000 };
    let entries = store.audit(&AuditFilter::default(), page).await.unwrap();
    entries.iter().map(|entry| entry.action.to_string()).collect()
}

/// A server in front of a Bitbucket.
async fn in_front() -> TestServer {
    let stub = Stub::start().await;
    TestServer::start(Setup { mirror: Some(source(&stub)), ..Setup::default() }).await
}

/// A write that takes effect, and the action that its entry has.
async fn write(server: &TestServer, method: &str, path: &str) -> (RequestBuilder, &'static str) {
    let (document, etag) = server.settings().await;
    let as_root = |method: Method, path: &str| server.with_password("root", method, path);
    let own = || server.make_token("root", 2);
    let real = path.replace("/1.0/", "/latest/");
    match (method, real.strip_prefix(TOKENS).unwrap_or(&real)) {
        ("post", "/token" | "/rest/tokenwarden/1/tokens") => {
            (as_root(Method::POST, path).json(&json!({"tokenDescription": "a"})), "token-create")
        }
        ("patch", "/token/{id}") => {
            let path = path.replace("{id}", &own().await.id.to_string());
            (
                as_root(Method::PATCH, &path).json(&json!({"tokenDescription": "b", "tokenScope": 1})),
                "token-update",
            )
        }
        ("delete", "/token/{id}" | "/rest/tokenwarden/1/tokens/{id}") => {
            let path = path.replace("{id}", &own().await.id.to_string());
            (as_root(Method::DELETE, &path), "token-revoke")
        }
        ("post", "/rest/tokenwarden/1/tokens/changes") => {
            let body = json!({"changes": [{"token": own().await.id, "change": {"revoke": {}}}]});
            (as_root(Method::POST, path).json(&body), "token-revoke")
        }
        ("delete", "/token/deleteAllFor/{userKey}") => {
            server.make_token("sam", 1).await;
            (as_root(Method::DELETE, &path.replace("{userKey}", "sam")), "token-revoke")
        }
        ("put", "/rest/tokenwarden/1/settings") => {
            let mut document = document;
            lay_over(&mut document, json!({"network": {"allow": ["127.0.0.0/8"]}}));
            (as_root(Method::PUT, path).header("if-match", etag).json(&document), "settings-replace")
        }
        ("put", "/rest/basicauth/latest/config") => {
            (as_root(Method::PUT, path).json(&json!({"block-requests": false})), "settings-replace")
        }
        ("put", "/rest/tokenwarden/1/lease") => {
            let body = json!({"run": "run-a", "holder": "root@ci", "seconds": 60});
            (as_root(Method::PUT, path).json(&body), "lease-take")
        }
        ("delete", "/rest/tokenwarden/1/lease/{run}") => {
            (as_root(Method::DELETE, &path.replace("{run}", "run-a")), "lease-give-back")
        }
        ("put", "/rest/tokenwarden/1/restrictions/{id}") => {
            let request = as_root(Method::PUT, &path.replace("{id}", "000000000001"));
            (request.header("if-none-match", "*").json(&json!({"max_scope": "read-only"})), "restriction-set")
        }
        ("delete", "/rest/tokenwarden/1/restrictions/{id}") => {
            let path = path.replace("{id}", "000000000002");
            let request = server.as_operator(Method::PUT, &path).header("if-none-match", "*");
            let made = request.json(&json!({"max_scope": "read-only"})).send().await.unwrap();
            let etag = made.headers()["etag"].clone();
            (as_root(Method::DELETE, &path).header("if-match", etag), "restriction-remove")
        }
        ("delete", "/rest/tokenwarden/1/mirror/tokens/{id}") => {
            (as_root(Method::DELETE, &path.replace("{id}", "000000000003")), "upstream-revoke")
        }
        ("post", "/rest/tokenwarden/1/runs") => {
            let head = json!({
                "run": "run-a", "target": "prod", "begun": NOW, "by": "root@ci", "policy_sha256": "00",
            });
            (as_root(Method::POST, path).json(&head), "run-begin")
        }
        ("post", "/rest/tokenwarden/1/runs/{run}/end") => {
            (as_root(Method::POST, &path.replace("{run}", "run-a")), "run-end")
        }
        (method, place) if place.starts_with("/rest/access-tokens/") => {
            let (place, permission, user) = if place.contains("{slug}") {
                ("projects/PLAT/repos/app", "REPO_READ", "(operator)")
            } else if place.contains("{key}") {
                ("projects/PLAT", "PROJECT_READ", "(operator)")
            } else {
                ("users/root", "PROJECT_READ", "root")
            };
            let base = path.split("/users").next().unwrap().split("/projects").next().unwrap();
            let made = match user {
                "root" => own().await,
                _ => server.make_for(place, &[&permission.replace("READ", "WRITE")]).await,
            };
            let (all, one) = (format!("{base}/{place}"), format!("{base}/{place}/{:012}", made.id));
            match method {
                "put" => {
                    let body = json!({"name": "c", "permissions": [permission]});
                    (as_root(Method::PUT, &all).json(&body), "token-create")
                }
                "post" => (as_root(Method::POST, &one).json(&json!({"name": "d"})), "token-update"),
                "delete" => (as_root(Method::DELETE, &one), "token-revoke"),
                _ => panic!("{method} {path} writes, and nobody said what it leaves in the audit"),
            }
        }
        _ => panic!("{method} {path} writes, and nobody said what it leaves in the audit"),
    }
}

#[tokio::test]
async fn every_endpoint_that_writes_leaves_one_entry_that_says_who_from_where_and_in_which_request() {
    let server = in_front().await;
    let document = answer(server.request(Method::GET, OPENAPI), StatusCode::OK).await;
    let mut writes: Vec<(String, String)> = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let methods = operations.as_object().unwrap().keys().filter(|method| *method != "get");
        writes.extend(methods.map(|method| (method.clone(), path.clone())));
    }
    // A lease is taken before it is given back, a run begun before it ends.
    writes.sort_by_key(|(method, path)| (method == "delete" || path.ends_with("/end"), path.clone()));
    assert!(writes.len() > 20, "{writes:?}");
    for (method, path) in &writes {
        let (request, action) = write(&server, method, path).await;
        let before = entries(&server, "").await.len();
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{method} {path}: {}", response.status());
        let request = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let now = entries(&server, "").await;
        assert_eq!(now.len(), before + 1, "{method} {path}");
        let entry = now.last().unwrap();
        assert_eq!(
            (&entry["action"], &entry["who"], &entry["credential"], &entry["request"]),
            (&json!(action), &json!("root"), &json!("password"), &json!(request)),
            "{method} {path}"
        );
        assert_eq!(entry["client_address"], "127.0.0.1", "{method} {path}");
        assert_eq!(entry["at"], NOW, "{method} {path}");
        assert_eq!(entry["token"].is_i64(), action.starts_with("token-"), "{method} {path}: {entry}");
        assert_eq!(entry.get("run").is_some(), path.contains("lease") || path.contains("runs"), "{entry}");
    }
}

#[tokio::test]
async fn every_write_on_the_file_of_a_store_leaves_an_entry_of_the_host() {
    let folder = TempDir::new().unwrap();
    let store = Store::open_or_create(&StoreUrl { file: folder.path().join("store.db") }).await.unwrap();
    let now = NOW.parse().unwrap();
    let import = async |text: &str| {
        tokenwarden::serve::directory::import(&store, text, |_| None).await.unwrap();
    };
    import("users: [{name: mary}, {name: sam}]\ngroups: {developers: [mary]}\nprojects: {PLAT: [app]}").await;
    let planted =
        "tokens:\n  - {owner: mary, scope: read-only, created: 10d, expires: never, last_used: never}\n";
    assert!(seed::plant(&store, planted, "administrators".into(), now).await.unwrap());
    settings::import(&store, &settings::export(&store).await.unwrap(), now).await.unwrap();
    store.go_back_to(now).await.unwrap();
    let all =
        ["directory-import", "settings-begin", "seed", "token-create", "settings-import", "clock-reset"];
    assert_eq!(actions(&store).await, all);

    // What has no effect leaves no entry.
    import("users: [{name: mary}, {name: sam}]\ngroups: {developers: [mary]}\nprojects: {PLAT: [app]}").await;
    assert!(!seed::plant(&store, planted, "administrators".into(), now).await.unwrap());
    store.begin_settings("{}").await.unwrap();
    store.probe(now).await.unwrap();
    assert_eq!(actions(&store).await, all);

    import("users: [{name: mary, active: false}]\ngroups: {developers: [], admins: [mary]}").await;
    let page = PageRequest { start: 0, limit: 1000 };
    let last = store.audit(&AuditFilter::default(), page).await.unwrap().pop().unwrap();
    assert_eq!((last.who.as_str(), last.credential.word()), ("(host)", "host"));
    assert_eq!(
        Value::from(last.details),
        json!({
            "users": {
                "mary": {"active": {"before": true, "after": false}},
                "sam": {
                    "active": {"before": true, "after": false},
                    "departed": {"before": false, "after": true},
                },
            },
            "groups": {
                "developers": {"mary": {"before": true}},
                "admins": {"after": {"mary": true}},
            },
            "projects": {"PLAT": {"before": {"app": true}}},
        })
    );
    store.close().await;
}

#[tokio::test]
async fn who_made_which_token_for_whom_is_known_once_it_is_gone_and_its_maker_too() {
    let server = TestServer::new().await;
    let own = server.make_token("root", 2).await;
    let create = server.with_token(&own.secret, Method::POST, &format!("{TOKENS}/token"));
    let body = json!({"tokenForUserKey": "mary", "tokenDescription": "for mary", "tokenScope": 1});
    let made = answer(create.json(&body), StatusCode::OK).await["id"].as_i64().unwrap();
    for id in [made, own.id] {
        let path = format!("{TOKENS}/token/{id}");
        assert_eq!(status(server.with_password("toor", Method::DELETE, &path)).await, 200);
    }
    server.import("users: []").await.unwrap();
    let told = entries(&server, &format!("token={made}")).await;
    assert_eq!(told.len(), 2);
    assert_eq!(
        (&told[0]["action"], &told[0]["who"], &told[0]["credential"], &told[0]["credential_token"]),
        (&json!("token-create"), &json!("root"), &json!("token"), &json!(own.id))
    );
    assert_eq!((&told[0]["owner"], &told[0]["details"]["description"]), (&json!("mary"), &json!("for mary")));
    assert_eq!((&told[1]["action"], &told[1]["who"]), (&json!("token-revoke"), &json!("toor")));
    // With a token, too.
    let with = entries(&server, &format!("token={}", own.id)).await;
    assert_eq!(with.len(), 3, "it was made, made another one, and went: {with:?}");
}

#[tokio::test]
async fn an_update_tells_what_changed_and_its_repetition_leaves_no_second_entry() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let path = format!("{TOKENS}/token/{}", made.id);
    let narrowed = || {
        let body = json!({"tokenScope": 1, "tokenDescription": "made", "tokenExpirationDateTime": "2026-07-01T00:00:00Z"});
        server.as_operator(Method::PATCH, &path).json(&body)
    };
    assert_eq!(status(narrowed()).await, 200);
    assert_eq!(status(narrowed()).await, 200);
    let told = entries(&server, &format!("token={}&action=token-update", made.id)).await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0]["details"],
        json!({
            "scope": {"before": "read-write", "after": "read-only"},
            "expires": {"after": "2026-07-01T00:00:00Z"},
        })
    );
    server.change_settings(json!({"network": {"allow": ["127.0.0.0/8"]}})).await;
    let told = entries(&server, "action=settings-replace").await;
    let allow = &told[0]["details"]["settings"]["network"]["allow"];
    assert_eq!(*allow, json!({"before": "anywhere", "after": ["127.0.0.0/8"]}));
}

#[tokio::test]
async fn an_entry_that_cannot_be_kept_takes_the_effect_back() {
    let server = in_front().await;
    let document = answer(server.request(Method::GET, OPENAPI), StatusCode::OK).await;
    let mut failing = raw(&server.store_file()).await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "get") {
            if path.contains("{run}") {
                continue;
            }
            let (request, _) = write(&server, method, path).await;
            sqlx::query("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
                .execute(&mut failing)
                .await
                .unwrap();
            let before = everything(&mut failing).await;
            assert_eq!(status(request).await, 503, "{method} {path}");
            assert_eq!(everything(&mut failing).await, before, "{method} {path}");
            sqlx::query("DROP TRIGGER full").execute(&mut failing).await.unwrap();
        }
    }
    let store = store_of(&server).await;
    sqlx::query("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        .execute(&mut failing)
        .await
        .unwrap();
    let before = everything(&mut failing).await;
    let text = settings::export(&store).await.unwrap();
    let now: jiff::Timestamp = NOW.parse().unwrap();
    assert!(settings::import(&store, &text, now).await.is_err());
    assert!(store.go_back_to(now).await.is_err());
    assert!(server.import("users: []").await.is_err());
    assert!(store.prune_audit(jiff::Timestamp::MAX).await.is_err());
    assert_eq!(everything(&mut failing).await, before);
    store.close().await;
    let _ = failing.close().await;
}

/// Every row of every table but the last uses of tokens and the clock.
async fn everything(connection: &mut SqliteConnection) -> Vec<String> {
    let mut rows = Vec::new();
    for query in [
        "SELECT id || owner || description || coalesce(scope, 0) || coalesce(expires, 0) FROM tokens",
        "SELECT document || revision || coalesce(changed_by, '') FROM settings",
        "SELECT name || active || coalesce(password_hash, '') FROM users",
        "SELECT number || run || expires FROM lease",
        "SELECT run || coalesce(ended, 0) FROM runs",
        "SELECT id || action || details FROM audit",
    ] {
        let found = sqlx::query_scalar::<_, String>(query).fetch_all(&mut *connection).await.unwrap();
        rows.extend(found);
    }
    rows
}

#[tokio::test]
async fn no_secret_no_password_and_no_hash_of_either_is_in_the_audit() {
    let server = TestServer::new().await;
    let mut secrets = vec![server.operator().to_owned(), "sesame".to_owned()];
    for owner in ["root", "mary"] {
        secrets.push(server.make_token(owner, 2).await.secret);
    }
    secrets.push(server.make_for("projects/PLAT", &["PROJECT_READ"]).await.secret);
    server.change_settings(json!({"permissions": {"use": ["developers"]}})).await;
    let directory = DIRECTORY.replace("password_env: sam", "password_env: sesame");
    server.import(&directory).await.unwrap();
    let mut connection = raw(&server.store_file()).await;
    let hashes: Vec<String> =
        sqlx::query_scalar("SELECT password_hash FROM users WHERE password_hash IS NOT NULL")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let of_tokens: Vec<String> = sqlx::query_scalar("SELECT lower(hex(secret_hash)) FROM tokens")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(hashes.len() == 6 && of_tokens.len() == 3, "{hashes:?}");
    let rows = sqlx::query("SELECT * FROM audit").fetch_all(&mut connection).await.unwrap();
    assert!(rows.len() >= 6);
    for row in rows {
        for column in 0..row.len() {
            let Ok(Some(text)) = row.try_get::<Option<String>, _>(column) else { continue };
            for secret in secrets.iter().chain(&hashes).chain(&of_tokens) {
                assert!(!text.to_lowercase().contains(&secret.to_lowercase()), "{text}");
            }
            assert!(!text.contains("$argon2"), "{text}");
        }
    }
    let told = entries(&server, "action=directory-import").await;
    let passwords = told.last().unwrap()["details"]["passwords"].as_array().unwrap();
    assert_eq!(*passwords, [json!("sam")], "that a password changed is said, and of no other one");
}

#[tokio::test]
async fn an_entry_is_never_changed_replaced_or_deleted() {
    let server = TestServer::new().await;
    server.make_token("mary", 2).await;
    let mut connection = raw(&server.store_file()).await;
    let before = everything(&mut connection).await;
    for statement in [
        "UPDATE audit SET who = 'sam'",
        "UPDATE audit SET details = '{}' WHERE id = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)",
        "INSERT OR REPLACE INTO audit (id, at, action, who, who_folded, credential, details) \
         VALUES (1, 0, 'seed', 'x', 'x', 'host', '{}')",
        "INSERT INTO audit (id, at, action, who, who_folded, credential, details) \
         VALUES (1, 0, 'seed', 'x', 'x', 'host', '{}') ON CONFLICT (id) DO UPDATE SET who = 'x'",
    ] {
        let refused = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("an entry of the audit is"), "{statement}: {refused}");
    }
    assert_eq!(everything(&mut connection).await, before);
}

#[tokio::test]
async fn an_entry_deletes_what_it_says_at_once_and_no_entry_lets_anything_else_be_deleted() {
    let server = TestServer::new().await;
    for owner in ["mary", "sam", "bot"] {
        server.make_token(owner, 2).await;
    }
    let mut connection = raw(&server.store_file()).await;
    let mut all = entries(&server, "").await;
    let columns = "at, action, who, who_folded, credential, details, through";
    let values = "4102444800000, 'ACTION', '(host)', '(host)', 'host', 'DETAILS', THROUGH";
    let told = |action: &str, details: &str, through: &str| {
        values.replace("ACTION", action).replace("DETAILS", details).replace("THROUGH", through)
    };
    let all_of_it = format!("{{\"deleted\":{}}}", all.len());
    let last = all.last().unwrap()["id"].to_string();
    // An entry that says too much is refused.
    for (action, details, through, before) in [
        ("audit-prune", "{}", last.as_str(), "4102444800000"),
        ("audit-prune", r#"{"deleted":1}"#, &last, "4102444800000"),
        ("audit-prune", &all_of_it, &last, "4102444800001"),
        ("audit-prune", &all_of_it, "1000", "4102444800000"),
        ("audit-prune", &all_of_it, "NULL", "4102444800000"),
        ("seed", &all_of_it, &last, "4102444800000"),
    ] {
        let entry = told(action, details, through);
        let statement = format!("INSERT INTO audit ({columns}, pruned_before) VALUES ({entry}, {before})");
        let refused = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("an entry of the audit is deleted only"), "{entry}: {refused}");
    }
    assert_eq!(entries(&server, "").await, all);
    // One that does not say before when lets nothing go, whatever it says else.
    let statement = format!("INSERT INTO audit ({columns}) VALUES ({})", told("audit-prune", "{}", "1000"));
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    all = entries(&server, "").await;
    let is_refused = async |connection: &mut SqliteConnection| {
        for statement in [
            "DELETE FROM audit",
            "DELETE FROM audit WHERE id = (SELECT min(id) FROM audit)",
            "UPDATE audit SET through = 1000, pruned_before = 4102444800000",
            "UPDATE audit SET at = 0",
            "INSERT INTO audit (id, at, action, who, who_folded, credential, details) \
             VALUES (-1, 0, 'seed', 'x', 'x', 'host', '{}')",
        ] {
            let refused = sqlx::query(statement).execute(&mut *connection).await.unwrap_err();
            assert!(refused.to_string().contains("an entry of the audit is"), "{statement}: {refused}");
        }
    };
    is_refused(&mut connection).await;
    assert_eq!(entries(&server, "").await, all);
    // Neither does a true one, once what it says is gone: not in its own transaction, nor with a number from before.
    let store = store_of(&server).await;
    assert!(!store.prune_audit("2026-06-01T12:00:00.001Z".parse().unwrap()).await.unwrap());
    store.close().await;
    let left = entries(&server, "").await;
    assert_eq!(left.last().unwrap()["details"]["deleted"], 3);
    is_refused(&mut connection).await;
    let number = all.iter().find(|entry| !left.contains(entry)).unwrap()["id"].to_string();
    let again =
        format!("INSERT INTO audit (id, {columns}) VALUES ({number}, {})", told("seed", "{}", "NULL"));
    let refused = sqlx::query(sqlx::AssertSqlSafe(again)).execute(&mut connection).await.unwrap_err();
    assert!(refused.to_string().contains("behind all others"), "{refused}");
    assert_eq!(entries(&server, "").await, left);
}

#[tokio::test]
async fn a_server_whose_audit_is_damaged_is_not_ready_and_says_what_is_wrong() {
    for (statement, said) in [
        ("DROP TABLE audit", "its table `audit` is missing"),
        ("DROP TRIGGER audit_is_never_changed", "its trigger `audit_is_never_changed` is missing"),
        (
            "DROP TRIGGER audit_only_grows; CREATE TRIGGER audit_only_grows AFTER INSERT ON audit BEGIN SELECT 1; END",
            "its trigger `audit_only_grows` was changed",
        ),
    ] {
        let server = TestServer::new().await;
        let mut connection = raw(&server.store_file()).await;
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        let body = answer(server.request(Method::GET, "/readyz"), StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(body.to_string().contains(said), "{said}: {body}");
    }
    for (statement, said) in [
        ("DELETE FROM audit WHERE id = 2", "entry 2 of its audit is missing"),
        ("DELETE FROM audit WHERE id < 4", "entries 1 to 3 of its audit are missing"),
        ("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", "of its audit is missing"),
        ("UPDATE audit SET action = 'nothing' WHERE id = 3", "entry 3 of its audit cannot be read"),
        ("UPDATE audit SET details = '' WHERE id = 3", "entry 3 of its audit cannot be read"),
    ] {
        let server = TestServer::new().await;
        for owner in ["mary", "sam", "bot"] {
            server.make_token(owner, 2).await;
        }
        unguarded(&server.store_file(), statement).await;
        for path in ["/readyz", "/healthz"] {
            let body = answer(server.request(Method::GET, path), StatusCode::SERVICE_UNAVAILABLE).await;
            assert!(body.to_string().contains(said), "{said}: {body}");
        }
        let url = format!("sqlite:{}", server.store_file().display());
        let checked = Run::of(program().args(["store", "check", "--store", &url]));
        assert!(checked.code == Some(1) && checked.stdout.contains(said), "{said}: {}", checked.stdout);
    }
    // What retention took is not missing, and of many entries some are looked at each time.
    let server = TestServer::new().await;
    let mut connection = raw(&server.store_file()).await;
    sqlx::query(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1200) \
         INSERT INTO audit (at, action, who, who_folded, credential, details) \
         SELECT 0, 'seed', 'x', 'x', 'host', '{}' FROM numbers",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let store = store_of(&server).await;
    let mut next = 1;
    for _ in 0..3 {
        next = store.look_through_audit(next).await.unwrap();
    }
    assert_eq!(next, 1, "after the last one it begins again");
    assert!(!store.prune_audit(NOW.parse().unwrap()).await.unwrap());
    assert_eq!(store.look_through_audit(1).await.unwrap(), 1);
    assert_eq!(status(server.request(Method::GET, "/readyz")).await, 200);
    store.close().await;
}

/// Does what the triggers of the audit refuse to do, and puts them back.
pub(crate) async fn unguarded(file: &Path, statement: &'static str) {
    let mut connection = raw(file).await;
    let guards: Vec<(String, String)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(guards.len() >= 4);
    let drops = guards.iter().map(|(name, _)| format!("DROP TRIGGER {name}"));
    let back = guards.iter().map(|(_, sql)| sql.clone());
    for step in drops.chain([statement.to_owned()]).chain(back) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(step)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn retention_deletes_what_is_older_and_says_how_many_and_nothing_else() {
    let server = TestServer::new().await;
    let store = store_of(&server).await;
    let old = "2020-01-01T00:00:00Z".parse().unwrap();
    assert!(!store.prune_audit(old).await.unwrap());
    for owner in ["root", "mary", "sam"] {
        server.make_token(owner, 1).await;
    }
    let before = entries(&server, "").await;
    assert!(entries(&server, "action=audit-prune").await.is_empty(), "nothing went, so nothing is said");
    // What the server did is from the moment at which its clock stands, the directory was imported now.
    let cut = "2026-06-01T12:00:00.001Z".parse().unwrap();
    assert!(!store.prune_audit(cut).await.unwrap());
    let after = entries(&server, "").await;
    let went: Vec<&Value> = before.iter().filter(|entry| entry["at"] == NOW).collect();
    assert_eq!(went.len(), 3);
    let stayed: Vec<&Value> = before.iter().filter(|entry| entry["at"] != NOW).collect();
    assert_eq!(after.iter().take(stayed.len()).collect::<Vec<_>>(), stayed);
    let last = after.last().unwrap();
    assert_eq!((after.len(), &last["action"]), (stayed.len() + 1, &json!("audit-prune")));
    assert_eq!(last["details"], json!({"deleted": 3, "before": "2026-06-01T12:00:00.001Z"}));
    let mut connection = raw(&server.store_file()).await;
    assert!(sqlx::query("DELETE FROM audit").execute(&mut connection).await.is_err(), "the rest stays");
    store.close().await;
}

#[tokio::test]
async fn the_audit_is_read_by_administrators_alone_and_a_filter_that_is_not_understood_is_refused() {
    let server = TestServer::new().await;
    for user in ["mary", "sam", "bot"] {
        assert_eq!(status(server.with_password(user, Method::GET, AUDIT)).await, 403, "{user}");
    }
    assert_eq!(status(server.request(Method::GET, AUDIT)).await, 401);
    assert_eq!(status(server.with_password("root", Method::GET, AUDIT)).await, 200);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(status(server.as_operator(method.clone(), AUDIT)).await, 405, "{method}");
    }
    for query in [
        "actor=mary",
        "action=revoke",
        "action=",
        "token=x",
        "since=yesterday",
        "until=2026-01-01",
        "run=a%2Fb",
        "owner=repository%20PLAT",
        "owner=",
        "who=a&who=b",
        "start=-1",
        "limit=0",
    ] {
        let path = format!("{AUDIT}?{query}");
        assert_eq!(status(server.as_operator(Method::GET, &path)).await, 400, "{query}");
    }
}

#[tokio::test]
async fn filters_hold_together_and_pages_hold_every_entry_once() {
    let server = TestServer::new().await;
    let mine = server.make_token("mary", 1).await;
    for _ in 0..5 {
        let request = server.with_password("root", Method::POST, &format!("{TOKENS}/token"));
        let body = json!({"tokenForUserKey": "sam", "tokenDescription": "x"});
        answer(request.json(&body), StatusCode::OK).await;
    }
    server.make_for("projects/PLAT", &["PROJECT_READ"]).await;
    let count = async |query: &str| entries(&server, query).await.len();
    assert_eq!(count("who=ROOT").await, 5);
    assert_eq!(count("who=root&owner=sam&action=token-create").await, 5);
    assert_eq!(count("who=root&owner=mary").await, 0);
    assert_eq!(count("owner=Mary").await, 1);
    assert_eq!(count("owner=project%20plat").await, 1);
    assert_eq!(count(&format!("token={}", mine.id)).await, 1);
    let now = NOW.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let of_server = count("action=token-create").await;
    assert_eq!(count(&format!("action=token-create&since={now}&until={}", now + 1)).await, of_server);
    assert_eq!(count(&format!("action=token-create&since={}", now + 1)).await, 0);
    assert_eq!(count(&format!("action=token-create&until={now}")).await, 0);
    assert_eq!(count("run=no-such-run").await, 0);

    let all = entries(&server, "").await;
    let (mut paged, mut start) = (Vec::new(), json!(0));
    loop {
        let path = format!("{AUDIT}?limit=2&start={start}");
        let page = answer(server.as_operator(Method::GET, &path), StatusCode::OK).await;
        paged.extend(page["values"].as_array().unwrap().clone());
        start = page["nextPageStart"].clone();
        if page["isLastPage"] == true {
            break;
        }
    }
    assert_eq!(paged, all);
    assert!(all.is_sorted_by(|a, b| a["id"].as_i64() < b["id"].as_i64()));
}

#[tokio::test]
async fn a_run_on_an_embedded_target_is_in_the_audit_with_its_name() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["apply", "--auto-approve", "--now", RUN_NOW]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines = |further: &[&str]| {
        let arguments: Vec<&str> = ["audit", "--format", "json"].iter().chain(further).copied().collect();
        let run = quickstart.run(&arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let begun = lines(&["--action", "run-begin"]);
    assert_eq!(begun.len(), 1);
    let name = begun[0]["run"].as_str().unwrap();
    let of_run = lines(&["--run", name]);
    let actions: BTreeSet<&str> = of_run.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = [
        "lease-give-back",
        "lease-take",
        "run-begin",
        "run-end",
        "settings-replace",
        "token-revoke",
        "token-update",
    ];
    assert_eq!(actions, BTreeSet::from(expected));
    assert!(of_run.iter().all(|entry| entry["who"] == "(operator)" && entry["credential"] == "operator"));
    // From the file of the store it is the same.
    let store = format!("sqlite:{}", quickstart.store().display());
    let of_store = lines(&["--store", &store, "--run", name]);
    assert_eq!(of_store, of_run);
    let bytes = std::fs::read(quickstart.store()).unwrap();
    quickstart.edit("directory.yaml", "users:", "users:\n  - {name: newcomer}");
    lines(&[]);
    assert!(std::fs::read(quickstart.store()).unwrap() == bytes, "whoever reads it imports nothing");
    quickstart.edit("directory.yaml", "users:\n  - {name: newcomer}", "users:");
    let again = quickstart.run(&["plan", "--now", RUN_NOW]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let all = lines(&["--store", &store]);
    assert_eq!(lines(&[]), all, "a command that changes nothing leaves no entry");
}

#[test]
fn the_audit_of_an_embedded_target_is_read_and_no_store_created_for_it() {
    let quickstart = Quickstart::new();
    let run = quickstart.run(&["audit"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("there is no store at"), "{}", run.stderr);
    assert!(!quickstart.store().exists());
}

#[tokio::test]
async fn the_command_shows_a_table_whose_text_cannot_steer_a_terminal() {
    let server = TestServer::new().await;
    let body = json!({"tokenForUserKey": "mary", "tokenDescription": "a\u{1b}[31m\u{202e}b"});
    server.make(body).await;
    let store = format!("sqlite:{}", server.store_file().display());
    let run = Run::of(program().args(["audit", "--store", &store, "--action", "token-create"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    assert!(lines[0].starts_with("when") && lines[1].starts_with("2026-06-01T12:00:00.000Z token-create"));
    assert!(lines[1].contains("token 1 of mary from 127.0.0.1"), "{}", lines[1]);
    assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{}", run.stdout);
    let none = Run::of(program().args(["audit", "--store", &store, "--who", "nobody"]));
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    for wrong in [["--action", "nothing"], ["--token", "x"], ["--since", "soon"], ["--run", "a b"]] {
        let run = Run::of(program().args(["audit", "--store", &store]).args(wrong));
        assert_eq!(run.code, Some(64), "{wrong:?}");
    }
    let missing = Run::of(program().args(["audit", "--store", "sqlite:nowhere.db"]));
    assert_eq!(missing.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn since_and_until_take_a_date_a_timestamp_or_a_duration_back_from_the_time_of_the_server() {
    let server = TestServer::new().await;
    server.make_token("mary", 1).await;
    let store = format!("sqlite:{}", server.store_file().display());
    let settings = format!(
        "version: 1\ntargets:\n  prod: {{kind: gateway, url: \"{}\", auth: {{token_env: OPERATOR}}, policy: [p.yaml]}}\n",
        server.url("")
    );
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    std::fs::write(folder.path().join("p.yaml"), "version: 1\n").unwrap();
    let made = |from: &[&str], bounds: &[&str]| {
        let mut command = program();
        command.current_dir(folder.path()).env("OPERATOR", server.operator());
        let run = Run::of(
            command.args(["audit", "--action", "token-create", "--format", "json"]).args(from).args(bounds),
        );
        assert_eq!(run.code, Some(0), "{bounds:?}: {}", run.stderr);
        run.stdout.lines().count()
    };
    // The token was made at 2026-06-01T12:00:00Z, and there it is that moment still.
    for (bounds, count) in [
        (&["--since", "2026-06-01"][..], 1),
        (&["--since", "2026-06-02"], 0),
        (&["--until", "2026-06-01"], 0),
        (&["--until", "2026-06-02"], 1),
        (&["--since", "2026-06-01T14:00:00+02:00"], 1),
        (&["--since", "2026-06-01T12:00:01Z"], 0),
        (&["--since", "1d"], 1),
        (&["--until", "1h"], 0),
    ] {
        assert_eq!(made(&[], bounds), count, "{bounds:?}");
        let of_store = made(&["--store", &store, "--now", "2026-06-01T12:00:00Z"], bounds);
        assert_eq!(of_store, count, "{bounds:?}");
    }
    assert_eq!(made(&["--store", &store, "--now", "2026-06-03T12:00:00Z"], &["--since", "1d"]), 0);
    for flag in ["--since", "--until"] {
        let run = Run::of(program().args(["audit", "--store", &store, flag, "yesterday"]));
        assert_eq!(run.code, Some(64));
        for said in ["a date (2026-11-26", "a timestamp (2026-11-26T12:00:00Z)", "a duration back from now"] {
            assert!(run.stderr.contains(said), "{}", run.stderr);
        }
    }
    let help = Run::of(program().args(["audit", "--help"])).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        help.contains("a date (2026-11-26, from 00:00 UTC), a timestamp") && help.contains("(1d)"),
        "{help}"
    );
}

#[tokio::test]
async fn a_store_of_an_earlier_version_gets_an_audit() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 1).await;
    let folder = server.stop().await;
    let file = folder.path().join("store.db");
    let mut connection = raw(&file).await;
    for statement in [
        "DROP TABLE audit",
        "DROP TABLE ancestors",
        "DROP TABLE restrictions",
        "DROP TABLE upstream_uses",
        "DROP TABLE gone_tokens",
        "DROP INDEX tokens_by_parent",
        "DELETE FROM _sqlx_migrations WHERE version >= 7",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let server = TestServer::start(Setup { store: Some(file), ..Setup::default() }).await;
    assert_eq!(entries(&server, "").await, Vec::<Value>::new());
    let path = format!("{TOKENS}/token/{}", made.id);
    assert_eq!(status(server.as_operator(Method::DELETE, &path)).await, 200);
    assert_eq!(entries(&server, &format!("token={}", made.id)).await.len(), 1);
}

#[tokio::test]
async fn a_killed_server_has_for_every_token_its_entry_and_for_every_entry_its_token() {
    let folder = folder();
    let client = client();
    for round in 1..=3 {
        let process = Process::start_with(&folder, "127.0.0.1:0", &[]);
        let url = process.url(&format!("{TOKENS}/token"));
        let makers = (0..4).map(|_| async {
            let body = json!({"tokenScope": 2, "tokenDescription": "made"});
            let request = client.post(&url).basic_auth("root", Some("root")).json(&body);
            request.send().await.is_ok_and(|response| response.status() == 200)
        });
        let mut makers: futures_util::stream::FuturesUnordered<_> = makers.collect();
        for _ in 0..round {
            assert_eq!(makers.next().await, Some(true));
        }
        process.kill();
        makers.collect::<Vec<bool>>().await;
        let mut connection = raw(&folder.path().join("store.db")).await;
        let tokens: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM tokens ORDER BY id").fetch_all(&mut connection).await.unwrap();
        let told: Vec<i64> =
            sqlx::query_scalar("SELECT token FROM audit WHERE action = 'token-create' ORDER BY token")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        assert!(tokens.len() >= round);
        assert_eq!(tokens, told);
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_has_no_right_any_more_leaves_no_entry() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 1).await;
    let before = entries(&server, "").await;
    let post = |secret: &str| {
        let body = json!({"tokenDescription": "x"});
        server.with_token(secret, Method::POST, &format!("{TOKENS}/token")).json(&body)
    };
    assert_eq!(status(post(&made.secret)).await, 403);
    assert_eq!(status(post(TokenSecret::from_random(random_bytes().unwrap()).expose())).await, 401);
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 200);
    assert_eq!(status(server.with_password("mary", Method::PUT, SETTINGS)).await, 403);
    assert_eq!(status(server.with_password("root", Method::GET, PERSONAL)).await, 200);
    assert_eq!(entries(&server, "").await, before);
}

#[tokio::test]
async fn a_server_with_a_retention_deletes_old_entries_when_it_starts() {
    let folder = folder();
    let store = Store::open_or_create(&StoreUrl { file: folder.path().join("store.db") }).await.unwrap();
    store.close().await;
    let mut connection = raw(&folder.path().join("store.db")).await;
    sqlx::query(
        "INSERT INTO audit (at, action, who, who_folded, credential, details) \
         VALUES (0, 'seed', '(host)', '(host)', 'host', '{}')",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let process = Process::start_with(&folder, "127.0.0.1:0", &["--create", "--audit-retention", "400d"]);
    let left = loop {
        let url = process.url(&format!("{AUDIT}?action=audit-prune"));
        let page = answer(client().get(url).basic_auth("root", Some("root")), StatusCode::OK).await;
        if page["size"] == 1 {
            break page["values"][0].clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(left["details"]["deleted"], 1);
    let seeds: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = 'seed'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(seeds, 0);
    process.stop();
}

#[tokio::test]
async fn a_clock_that_went_ahead_deletes_no_entry_that_was_not_seen_to_grow_old() {
    let folder = folder();
    Process::start(&folder).stop();
    let mut connection = raw(&folder.path().join("store.db")).await;
    let days_ago =
        |days: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).as_millisecond();
    // The last time that a server ran on it is three years ago, as far as anybody knows.
    sqlx::query("UPDATE marks SET at = ?1").bind(days_ago(3 * 365)).execute(&mut connection).await.unwrap();
    for (days, who) in [(2 * 365, "young"), (3 * 365 + 399, "almost"), (3 * 365 + 401, "old")] {
        sqlx::query(
            "INSERT INTO audit (at, action, who, who_folded, credential, details) \
             VALUES (?1, 'seed', ?2, ?2, 'host', '{}')",
        )
        .bind(days_ago(days))
        .bind(who)
        .execute(&mut connection)
        .await
        .unwrap();
    }
    let mut process = Process::start_with(&folder, "127.0.0.1:0", &["--audit-retention", "400d"]);
    let mut line = process.next_log_line();
    while !line.contains("the clock went ahead: the audit is pruned by the time that was seen to go by") {
        assert!(!line.is_empty(), "it says nothing of the clock");
        line = process.next_log_line();
    }
    let page = loop {
        let url = process.url(&format!("{AUDIT}?limit=1000"));
        let page = answer(client().get(url).basic_auth("root", Some("root")), StatusCode::OK).await;
        if page.to_string().contains("audit-prune") {
            break page["values"].as_array().unwrap().clone();
        }
        tokio::task::yield_now().await;
    };
    let left: Vec<&Value> = page.iter().filter(|entry| entry["action"] == "seed").collect();
    assert_eq!(left.iter().map(|entry| &entry["who"]).collect::<Vec<_>>(), ["young", "almost"]);
    process.stop();
}
