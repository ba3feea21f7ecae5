//! A store from its beginning to its end: when one is created, and what a server does when its store is lost or locked.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode, header};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::{
    serve::process::{Process, folder, run},
    support::{
        SETTINGS, TOKENS, WHOAMI, answer, client,
        program::{NOW, Quickstart},
        status,
    },
};

const SERVE: [&str; 5] = ["serve", "--store", "sqlite:store.db", "--listen", "127.0.0.1:0"];

fn store(folder: &TempDir) -> PathBuf {
    folder.path().join("store.db")
}

/// A connection of another process to the store.
async fn connect(store: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(store).busy_timeout(Duration::from_secs(20));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn execute(connection: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.unwrap();
}

async fn make(client: &Client, process: &Process) -> Response {
    let body = json!({"tokenScope": 2, "tokenDescription": "made"});
    let url = process.url(&format!("{TOKENS}/token"));
    client.post(url).basic_auth("root", Some("root")).json(&body).send().await.unwrap()
}

async fn secret_of(made: Response) -> String {
    assert_eq!(made.status(), StatusCode::OK);
    made.json::<Value>().await.unwrap()["plainTextToken"].as_str().unwrap().to_owned()
}

/// Asks until the server says that it takes requests.
async fn until_ready(client: &Client, process: &Process) {
    let (began, mut again) = (Instant::now(), tokio::time::interval(Duration::from_millis(100)));
    while status(client.get(process.url("/readyz"))).await != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not recover");
        again.tick().await;
    }
}

#[test]
fn a_store_that_is_not_there_is_created_only_by_a_server_that_is_told_to() {
    let folder = folder();
    let refused = |why: &str| {
        let (code, _, told) = run(&folder, &SERVE, "");
        assert_eq!((code, told.contains("add `--create` once")), (64, true), "{why}: {told}");
    };
    refused("there is none");
    assert!(!store(&folder).exists());
    fs::write(store(&folder), "").unwrap();
    refused("it is empty");
    assert_eq!(fs::metadata(store(&folder)).unwrap().len(), 0);
    fs::remove_file(store(&folder)).unwrap();
    let import = ["directory", "import", "directory.yaml", "--store", "sqlite:store.db"];
    let (code, _, told) = run(&folder, &import, "");
    assert!(code == 0 && told.contains("created the store") && told.contains("store.db"), "{told}");
    refused("no server ever ran on it");
    assert!(!run(&folder, &import, "").2.contains("created"));
    Process::start_with(&folder, "127.0.0.1:0", &["--create"]).stop();
    Process::start(&folder).stop();
}

#[test]
fn a_server_that_is_always_told_to_create_its_store_says_what_that_leads_to() {
    let folder = folder();
    Process::start(&folder).stop();
    let process = Process::start_with(&folder, "127.0.0.1:0", &["--create"]);
    let (log, code) = process.stopped();
    assert!(code == Some(0) && log.contains("remove `--create`"), "{log}");
}

#[tokio::test]
async fn a_store_that_lost_its_settings_is_not_opened_to_everybody() {
    for left in ["", "DELETE FROM tokens", "DELETE FROM tokens; DELETE FROM marks"] {
        let folder = folder();
        let process = Process::start(&folder);
        secret_of(make(&client(), &process).await).await;
        process.stop();
        let mut connection = connect(&store(&folder)).await;
        execute(&mut connection, "DELETE FROM settings").await;
        execute(&mut connection, left).await;
        connection.close().await.unwrap();
        assert_eq!(run(&folder, &SERVE, "").0, 64, "{left}");
        let (code, _, told) = run(&folder, &[&SERVE[..], &["--create"]].concat(), "");
        assert_eq!((code, told.contains("has lost its settings")), (64, true), "{told}");
    }
}

#[test]
fn what_is_a_database_of_something_else_is_left_as_it_is() {
    let folder = folder();
    let other = crate::support::world::block_on(async {
        let options = SqliteConnectOptions::new().filename(store(&folder)).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        execute(&mut connection, "CREATE TABLE songs (title TEXT)").await;
        connection.close().await.unwrap();
        fs::read(store(&folder)).unwrap()
    });
    for arguments in [
        &[&SERVE[..], &["--create"]].concat()[..],
        &["directory", "import", "directory.yaml", "--store", "sqlite:store.db"],
        &["settings", "export", "--store", "sqlite:store.db"],
    ] {
        let (code, _, told) = run(&folder, arguments, "");
        assert!(code == 1 && told.contains("is not a store of tokenwarden"), "{told}");
    }
    assert_eq!(fs::read(store(&folder)).unwrap(), other);
}

#[test]
fn an_embedded_target_whose_store_is_lost_is_no_empty_world() {
    let quickstart = Quickstart::new();
    quickstart.edit("tokenwarden.yaml", "    seed: tokens.yaml\n", "");
    for arguments in [&["plan"][..], &["apply", "--auto-approve"], &["inventory", "--out", "x"], &["import"]]
    {
        let run = quickstart.run(&[arguments, &["--now", NOW]].concat());
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("there is no store at") && run.stderr.contains("seed"), "{}", run.stderr);
        assert!(!quickstart.store().exists());
    }
    let quickstart = Quickstart::new();
    let first = quickstart.run(&["plan", "-v", "--now", NOW]);
    assert!(
        first.code == Some(0) && first.stderr.contains("creating one from the seed file"),
        "{}",
        first.stderr
    );
    assert!(!quickstart.run(&["plan", "-v", "--now", NOW]).stderr.contains("creating"));
}

/// What can happen to the store of a server.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
enum Loss {
    Deleted,
    DeletedWithItsLog,
    Moved,
    Replaced,
    Emptied,
    Cut,
    WrittenOver,
    AnotherWrittenOver,
    WithoutItsLog,
}

#[cfg(unix)]
impl Loss {
    fn happens(self, store: &Path, other: &Path) {
        let beside = |ending: &str| PathBuf::from(format!("{}{ending}", store.display()));
        match self {
            Self::Deleted => fs::remove_file(store).unwrap(),
            Self::DeletedWithItsLog => {
                for ending in ["", "-wal", "-shm"] {
                    fs::remove_file(beside(ending)).unwrap();
                }
            }
            Self::Moved => fs::rename(store, beside(".away")).unwrap(),
            Self::Replaced => fs::rename(other, store).unwrap(),
            Self::Emptied => fs::File::options().write(true).open(store).unwrap().set_len(0).unwrap(),
            Self::Cut => fs::File::options().write(true).open(store).unwrap().set_len(200).unwrap(),
            Self::WrittenOver => {
                fs::File::options().write(true).open(store).unwrap().write_all(&[7; 4096]).unwrap();
            }
            Self::AnotherWrittenOver => drop(fs::copy(other, store).unwrap()),
            Self::WithoutItsLog => fs::remove_file(beside("-wal")).unwrap(),
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_on_a_store_that_is_lost_under_the_server() {
    let client = client();
    let elsewhere = folder();
    Process::start(&elsewhere).stop();
    for loss in [
        Loss::Deleted,
        Loss::DeletedWithItsLog,
        Loss::Moved,
        Loss::Replaced,
        Loss::Emptied,
        Loss::Cut,
        Loss::WrittenOver,
        Loss::AnotherWrittenOver,
        Loss::WithoutItsLog,
    ] {
        let folder = folder();
        // Without its write-ahead log, so that all of it lies in the file.
        Process::start(&folder).stop();
        let other = folder.path().join("other.db");
        fs::copy(store(&elsewhere), &other).unwrap();
        let process = Process::start(&folder);
        let secret = secret_of(make(&client, &process).await).await;
        assert_eq!(status(client.get(process.url("/readyz"))).await, 200);
        loss.happens(&store(&folder), &other);
        let lost = make(&client, &process).await;
        assert_eq!(lost.status(), 503, "{loss:?}");
        let told: Value = lost.json().await.unwrap();
        assert!(told["errorMessage"].as_str().unwrap().starts_with("The store was "), "{told}");
        assert_eq!(status(client.get(process.url(WHOAMI)).bearer_auth(&secret)).await, 503, "{loss:?}");
        for path in ["/readyz", "/healthz"] {
            let told = answer(client.get(process.url(path)), StatusCode::SERVICE_UNAVAILABLE).await;
            assert!(told["errorMessage"].as_str().unwrap().starts_with("The store was "), "{told}");
        }
        if let Loss::Moved = loss {
            fs::rename(folder.path().join("store.db.away"), store(&folder)).unwrap();
            until_ready(&client, &process).await;
            assert_eq!(make(&client, &process).await.status(), 200);
            assert_eq!(status(client.get(process.url(WHOAMI)).bearer_auth(&secret)).await, 200);
        }
        process.kill();
    }
}

#[tokio::test]
async fn an_older_copy_written_over_the_store_is_seen() {
    let (folder, client) = (folder(), client());
    let process = Process::start(&folder);
    secret_of(make(&client, &process).await).await;
    process.stop();
    let copy = folder.path().join("copy.db");
    fs::copy(store(&folder), &copy).unwrap();
    Process::start(&folder).stop();
    let process = Process::start(&folder);
    fs::copy(&copy, store(&folder)).unwrap();
    assert_eq!(make(&client, &process).await.status(), 503);
    assert_eq!(status(client.get(process.url("/readyz"))).await, 503);
    process.kill();
}

#[tokio::test]
async fn settings_that_are_put_back_under_their_old_number_hold_from_the_next_request_on() {
    let (folder, client) = (folder(), client());
    let process = Process::start(&folder);
    let secret = secret_of(make(&client, &process).await).await;
    let whoami = || status(client.get(process.url(WHOAMI)).bearer_auth(&secret));
    assert_eq!(whoami().await, 200);
    let settings = client.get(process.url(SETTINGS)).basic_auth("root", Some("root")).send().await.unwrap();
    let etag = settings.headers()[header::ETAG].to_str().unwrap().to_owned();
    let mut connection = connect(&store(&folder)).await;
    let use_by = |whom: &'static str| format!("json_set(document, '$.permissions.use', json('{whom}'))");
    let nobody = format!("UPDATE settings SET document = {}", use_by("\"nobody\""));
    sqlx::query(sqlx::AssertSqlSafe(nobody)).execute(&mut connection).await.unwrap();
    assert_eq!(whoami().await, 403);
    let everyone = format!("UPDATE settings SET document = {}", use_by("[\"administrators\"]"));
    sqlx::query(sqlx::AssertSqlSafe(everyone)).execute(&mut connection).await.unwrap();
    assert_eq!(whoami().await, 200);
    connection.close().await.unwrap();
    let document: Value = settings.json().await.unwrap();
    let put = client.put(process.url(SETTINGS)).basic_auth("root", Some("root"));
    assert_eq!(status(put.header(header::IF_MATCH, etag).json(&document)).await, 412);
}

#[tokio::test]
async fn while_another_process_locks_the_store_reads_go_on_and_writes_are_told_to_come_back() {
    let (folder, client) = (folder(), client());
    let process = Process::start(&folder);
    let secret = secret_of(make(&client, &process).await).await;
    let mut connection = connect(&store(&folder)).await;
    execute(&mut connection, "BEGIN EXCLUSIVE").await;
    let began = Instant::now();
    assert_eq!(status(client.get(process.url(WHOAMI)).bearer_auth(&secret)).await, 200);
    let list = client.get(process.url(&format!("{TOKENS}/token"))).basic_auth("root", Some("root"));
    assert_eq!(answer(list, StatusCode::OK).await["totalElements"], 1);
    assert!(began.elapsed() < Duration::from_secs(5), "reading waits for the lock");
    let refused = futures_util::future::join_all((0..3).map(|_| make(&client, &process))).await;
    assert!(began.elapsed() < Duration::from_secs(25), "writing waits for too long");
    for refused in refused {
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        let told: Value = refused.json().await.unwrap();
        assert!(told["errorMessage"].as_str().unwrap().starts_with("The store is locked"), "{told}");
    }
    let told = answer(client.get(process.url("/readyz")), StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(told["errorMessage"].as_str().unwrap().starts_with("The store is locked"), "{told}");
    execute(&mut connection, "ROLLBACK").await;
    connection.close().await.unwrap();
    assert_eq!(make(&client, &process).await.status(), 200);
    until_ready(&client, &process).await;
}
