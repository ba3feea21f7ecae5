//! Backups of a store: made under a running server, put back without bringing anything back that was taken, and what
//! is said of damage and of stores of other versions.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokenwarden::serve::store::{Store, StoreUrl};

use crate::{
    serve::process::{Process, folder, run},
    support::{SETTINGS, TOKENS, WHOAMI, answer, client, status},
};

const STORE: [&str; 2] = ["--store", "sqlite:store.db"];

fn store(folder: &TempDir) -> PathBuf {
    folder.path().join("store.db")
}

/// Exit code, standard output and standard error of `store` with these arguments.
fn ask(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    run(folder, &[&["store"], arguments, &STORE].concat(), "")
}

/// The same, done and without a mistake.
fn done(folder: &TempDir, arguments: &[&str]) -> String {
    let (code, out, told) = ask(folder, arguments);
    assert_eq!(code, 0, "{out}{told}");
    format!("{out}{told}")
}

async fn execute(store: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(store).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

struct Server {
    process: Process,
    client: Client,
}

impl Server {
    fn start(folder: &TempDir) -> Self {
        Self { process: Process::start(folder), client: client() }
    }

    fn as_root(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.process.url(path)).basic_auth("root", Some("root"))
    }

    async fn make(&self) -> (i64, String) {
        let body = json!({"tokenScope": 2, "tokenDescription": "made"});
        let made =
            answer(self.as_root(Method::POST, &format!("{TOKENS}/token")).json(&body), StatusCode::OK).await;
        (made["id"].as_i64().unwrap(), made["plainTextToken"].as_str().unwrap().to_owned())
    }

    async fn revoke(&self, id: i64) {
        assert_eq!(status(self.as_root(Method::DELETE, &format!("{TOKENS}/token/{id}"))).await, 200);
    }

    async fn uses(&self, secret: &str) -> u16 {
        status(self.client.get(self.process.url(WHOAMI)).bearer_auth(secret)).await
    }

    /// Lays `change` over the settings.
    async fn change_settings(&self, change: impl FnOnce(&mut Value)) {
        let response = self.as_root(Method::GET, SETTINGS).send().await.unwrap();
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        let mut document: Value = response.json().await.unwrap();
        change(&mut document);
        let put = self.as_root(Method::PUT, SETTINGS).header("if-match", etag).json(&document);
        assert_eq!(status(put).await, 200);
    }
}

#[tokio::test]
async fn a_backup_is_made_while_the_server_runs_and_replaces_no_file() {
    let folder = folder();
    let server = Server::start(&folder);
    let (_, secret) = server.make().await;
    assert!(done(&folder, &["backup", "backup.db"]).contains("backed up"));
    let backup = folder.path().join("backup.db");
    let checked = run(&folder, &["store", "check", "--store", "sqlite:backup.db"], "");
    assert!(checked.0 == 0 && checked.1.contains("1 tokens\nno problems found\n"), "{checked:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = fs::read(&backup).unwrap();
    let (code, _, told) = ask(&folder, &["backup", "backup.db"]);
    assert_eq!(
        (code, told.contains("exist"), fs::read(&backup).unwrap() == before),
        (4, true, true),
        "{told}"
    );
    assert_eq!(ask(&folder, &["backup", "none/backup.db"]).0, 1);
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("draft"));
    assert_eq!(left.count(), 0);
    assert_eq!(server.uses(&secret).await, 200);
    let missing = run(&folder, &["store", "backup", "x.db", "--store", "sqlite:none.db"], "");
    assert!(missing.0 == 1 && missing.2.contains("there is no store"), "{missing:?}");
    assert!(!folder.path().join("x.db").exists() && !folder.path().join("none.db").exists());
}

#[tokio::test]
async fn what_was_taken_since_a_backup_does_not_come_back_with_it() {
    let folder = folder();
    let server = Server::start(&folder);
    let (stays, revoked, narrowed) = (server.make().await, server.make().await, server.make().await);
    server.process.stop();
    done(&folder, &["backup", "backup.db"]);
    let server = Server::start(&folder);
    server.revoke(revoked.0).await;
    let later = server.make().await;
    server.change_settings(|document| document["permissions"]["use"] = json!("nobody")).await;
    server.process.stop();
    execute(
        &store(&folder),
        "UPDATE tokens SET scope = 1 WHERE id = 3; UPDATE users SET active = 0 WHERE name = 'mary'; \
         INSERT INTO runs (run, target, begun, run_by, policy_sha256, last) VALUES ('r', 't', 1, 'x', 'y', 1); \
         INSERT INTO lease VALUES (1, 41, 'r', 'x', 0, 0)",
    )
    .await;
    let before = Store::open(&StoreUrl { file: store(&folder) }).await.unwrap();
    let (identity, clock) = (before.identity().await.unwrap(), before.latest_moment().await.unwrap());
    let revision = before.settings(None).await.unwrap().unwrap().revision;
    before.close().await;

    let told = done(&folder, &["restore", "backup.db"]);
    for said in [
        "2 tokens are as they are now; 1 that were revoked since stay revoked",
        &format!("1 tokens that were created since are gone: {}", later.0),
        "kept at",
        "the settings are those of the backup: apply the policy",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let after = Store::open(&StoreUrl { file: store(&folder) }).await.unwrap();
    assert_eq!(after.identity().await.unwrap(), identity);
    assert!(after.latest_moment().await.unwrap() >= clock);
    assert!(after.settings(None).await.unwrap().unwrap().revision > revision);
    let mary = after.user(&"mary".into()).await.unwrap().unwrap();
    assert!(!mary.active, "who was deactivated stays inactive");
    after.close().await;
    let options = SqliteConnectOptions::new().filename(store(&folder));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let kept: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM runs), (SELECT number FROM lease), (SELECT scope FROM tokens WHERE id = 3)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(kept, (1, 41, 1), "what runs did, the lease, and what was narrowed stay");
    connection.close().await.unwrap();
    assert!(done(&folder, &["check"]).contains("no problems found"));
    let audit = run(&folder, &["audit", "--store", "sqlite:store.db"], "").1;
    assert!(audit.contains("token-revoke") && audit.contains("store-restore"), "{audit}");

    let server = Server::start(&folder);
    assert_eq!(server.uses(&stays.1).await, 200, "the settings are those of the backup");
    assert_eq!(server.uses(&narrowed.1).await, 200);
    assert_eq!(server.uses(&revoked.1).await, 401);
    assert_eq!(server.uses(&later.1).await, 401);
    assert!(server.make().await.0 > later.0, "no number is given twice");
}

#[tokio::test]
async fn a_backup_is_not_put_in_the_place_of_a_store_in_use_or_of_another_one() {
    let folder = folder();
    let server = Server::start(&folder);
    let (_, secret) = server.make().await;
    done(&folder, &["backup", "backup.db"]);
    let (code, _, told) = ask(&folder, &["restore", "backup.db"]);
    assert_eq!((code, told.contains("stop the server first")), (4, true), "{told}");
    assert_eq!(server.uses(&secret).await, 200);
    server.make().await;
    server.process.stop();
    let other = crate::serve::process::folder();
    Process::start(&other).stop();
    fs::copy(folder.path().join("backup.db"), other.path().join("backup.db")).unwrap();
    let before = fs::read(store(&other)).unwrap();
    let (code, _, told) = ask(&other, &["restore", "backup.db"]);
    assert_eq!((code, told.contains("move that store away first")), (4, true), "{told}");
    assert_eq!(fs::read(store(&other)).unwrap(), before);
    let left = fs::read_dir(other.path()).unwrap().count();
    assert_eq!(left, 3, "the directory file, the store and the backup");
}

/// The entries of the audit of a store, as `audit` prints them.
fn entries(folder: &TempDir) -> Vec<Value> {
    let (code, out, told) = run(folder, &["audit", "--format", "json", "--store", "sqlite:store.db"], "");
    assert_eq!(code, 0, "{told}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(entry: &Value) -> i64 {
    entry["id"].as_i64().unwrap()
}

/// The same without their numbers.
fn contents(entries: &[Value]) -> Vec<Value> {
    let without = |entry: &Value| {
        let mut entry = entry.clone();
        entry.as_object_mut().unwrap().remove("id");
        entry
    };
    entries.iter().map(without).collect()
}

#[tokio::test]
async fn two_histories_of_one_store_become_one_audit_with_every_entry_once_and_a_number_for_each() {
    let (here, there) = (folder(), folder());
    let server = Server::start(&here);
    server.make().await;
    server.process.stop();
    fs::copy(store(&here), store(&there)).unwrap();
    let common = entries(&here);
    // From here on both go their own way.
    let server = Server::start(&here);
    for _ in 0..2 {
        server.make().await;
    }
    server.process.stop();
    let server = Server::start(&there);
    let made = server.make().await;
    server.revoke(made.0).await;
    for _ in 0..3 {
        server.make().await;
    }
    server.process.stop();
    done(&there, &["backup", "backup.db"]);
    fs::copy(there.path().join("backup.db"), here.path().join("backup.db")).unwrap();
    let (ours, theirs) = (entries(&here), entries(&there));
    assert_ne!(ours[common.len()..], theirs[common.len()..ours.len()], "one number tells two things");

    let told = done(&here, &["restore", "backup.db"]);
    let (first, last) = (common.len() + 1, ours.len());
    assert!(told.contains(&format!("entries {first} to {last} of the audit of before are")), "{told}");
    let now = entries(&here);
    assert_eq!(now[..theirs.len()], theirs, "the entries of the backup keep their numbers");
    let (moved, restored) = (&now[theirs.len()..now.len() - 1], now.last().unwrap());
    assert_eq!(
        contents(moved),
        contents(&ours[common.len()..]),
        "those of the store that is replaced follow"
    );
    assert!(now.is_sorted_by(|a, b| id(a) < id(b)));
    assert_eq!(restored["action"], "store-restore");
    assert_eq!(
        restored["details"]["renumbered"],
        json!([{"were": [first, last], "are": [id(&moved[0]), id(moved.last().unwrap())]}])
    );
    assert!(done(&here, &["check"]).contains("no problems found"));
    let server = Server::start(&here);
    let path = "/rest/tokenwarden/1/audit?limit=1000";
    let page = answer(server.as_root(Method::GET, path), StatusCode::OK).await;
    let listed = page["values"].as_array().unwrap();
    assert_eq!(listed[..now.len()], now, "REST tells the same in the same order");
    server.process.stop();

    // Whoever takes it back has every entry once, too.
    let kept = fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.into_iter().find(|path| path.to_string_lossy().contains(".before-restore-")).unwrap();
    fs::rename(kept, here.path().join("kept.db")).unwrap();
    let before = entries(&here);
    done(&here, &["restore", "kept.db"]);
    let now = entries(&here);
    assert_eq!(now[..ours.len()], ours);
    assert_eq!(now.len(), before.len() + 1, "{now:?}");
    for entry in contents(&before) {
        assert_eq!(contents(&now).iter().filter(|other| **other == entry).count(), 1, "{entry}");
    }
    assert!(done(&here, &["check"]).contains("no problems found"));
}

#[tokio::test]
async fn what_retention_deleted_since_a_backup_does_not_come_back_with_it() {
    let folder = folder();
    let server = Server::start(&folder);
    server.make().await;
    server.process.stop();
    done(&folder, &["backup", "backup.db"]);
    let old = entries(&folder);
    let cut = Timestamp::now();
    let server = Server::start(&folder);
    server.make().await;
    server.process.stop();
    let open = async || Store::open(&StoreUrl { file: store(&folder) }).await.unwrap();
    let pruned = open().await;
    assert!(!pruned.prune_audit(cut).await.unwrap());
    pruned.close().await;
    let before = entries(&folder);
    assert!(before.iter().all(|entry| !old.contains(entry)) && before.len() > 1, "{before:?}");
    for _ in 0..2 {
        done(&folder, &["restore", "backup.db"]);
        let now = entries(&folder);
        assert_eq!(now[..before.len()], before, "with their numbers, and nothing of the backup");
        assert_eq!(done(&folder, &["check"]).matches("no problems found").count(), 1);
    }
    // Where the store is lost nobody knows, and no number of an entry is given twice.
    fs::remove_file(store(&folder)).unwrap();
    done(&folder, &["restore", "backup.db"]);
    let now = entries(&folder);
    assert_eq!(now[..old.len()], old);
    assert!(now.len() == old.len() + 1 && id(&now[old.len()]) > id(before.last().unwrap()) + 1);
    assert!(done(&folder, &["check"]).contains("no problems found"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_restored_store_is_the_same_file_so_that_nobody_writes_to_one_that_was_replaced() {
    use std::os::unix::fs::{MetadataExt, symlink};

    let folder = folder();
    let server = Server::start(&folder);
    server.make().await;
    server.process.stop();
    done(&folder, &["backup", "backup.db"]);
    let inode = || fs::metadata(store(&folder)).unwrap().ino();
    let before = inode();
    // Who opened it before and waited for it finds what was restored.
    let options = SqliteConnectOptions::new().filename(store(&folder)).pragma("foreign_keys", "off");
    let mut waiting = SqliteConnection::connect_with(&options).await.unwrap();
    done(&folder, &["restore", "backup.db"]);
    assert_eq!(inode(), before);
    let last: String = sqlx::query_scalar("SELECT action FROM audit ORDER BY id DESC LIMIT 1")
        .fetch_one(&mut waiting)
        .await
        .unwrap();
    assert_eq!(last, "store-restore");
    let (code, _, told) = ask(&folder, &["restore", "backup.db"]);
    assert!(code == 4 && told.contains("is in use; stop the server first"), "{told}");
    waiting.close().await.unwrap();

    // A link is followed, and one that leads nowhere is left.
    let real = folder.path().join("real.db");
    fs::rename(store(&folder), &real).unwrap();
    symlink("real.db", store(&folder)).unwrap();
    done(&folder, &["restore", "backup.db"]);
    assert!(store(&folder).is_symlink() && fs::metadata(&real).unwrap().ino() == before);
    fs::remove_file(&real).unwrap();
    let (code, _, told) = ask(&folder, &["restore", "backup.db"]);
    assert!(
        code == 4 && told.contains("broken link is in the way") && told.contains("remove it first"),
        "{told}"
    );
    assert!(store(&folder).is_symlink() && !real.exists());
    fs::write(&real, "").unwrap();
    let (code, _, told) = ask(&folder, &["restore", "backup.db"]);
    assert!(code == 4 && told.contains("an empty file"), "{told}");
    assert_eq!(fs::metadata(&real).unwrap().len(), 0);
}

#[tokio::test]
async fn where_the_store_is_lost_a_backup_says_what_nobody_can_know_and_gives_no_number_twice() {
    let folder = folder();
    let server = Server::start(&folder);
    let first = server.make().await;
    done(&folder, &["backup", "backup.db"]);
    let mut last = first.0;
    for _ in 0..3 {
        last = server.make().await.0;
    }
    server.process.stop();
    fs::remove_file(store(&folder)).unwrap();
    for ending in ["-wal", "-shm", "-journal"] {
        let left = folder.path().join(format!("store.db{ending}"));
        fs::write(&left, "of the store that was there").unwrap();
        let (code, _, told) = ask(&folder, &["restore", "backup.db"]);
        assert_eq!((code, told.contains("move it away too")), (4, true), "{told}");
        assert!(!store(&folder).exists(), "nothing was put beside it");
        fs::remove_file(left).unwrap();
    }
    let told = done(&folder, &["restore", "backup.db"]);
    assert!(
        told.contains(
            "without the old store, revocations, narrowed scopes and budgets used since then are unknown"
        ),
        "{told}"
    );
    assert!(told.contains("import the directory file and apply the policy"), "{told}");
    let server = Server::start(&folder);
    assert_eq!(server.uses(&first.1).await, 200);
    let next = server.make().await.0;
    assert!(next > last);
    server.process.stop();
    fs::remove_file(store(&folder)).unwrap();
    let later = Timestamp::now() + SignedDuration::from_mins(1);
    Store::restore(&folder.path().join("backup.db"), &StoreUrl { file: store(&folder) }, later)
        .await
        .unwrap();
    assert!(Server::start(&folder).make().await.0 > next, "also when it happens again");
}

#[tokio::test]
async fn damage_is_told_in_words_and_by_the_exit_code() {
    for (statement, said) in [
        ("DELETE FROM settings", "it has no settings, although it was in use"),
        ("UPDATE settings SET document = '{}'", "its settings cannot be read"),
        ("DELETE FROM sqlite_sequence WHERE name = 'tokens'", "would be given a second time"),
        ("UPDATE tokens SET secret_hash = x'00'", "token 1 has no hash of a secret"),
        ("UPDATE tokens SET last_used_from = 'nowhere'", "token 1 cannot be read"),
        ("INSERT INTO members VALUES (999, 999)", "rows of `members` refer to rows of `"),
        ("DELETE FROM identity", "it is known by 0 names"),
        ("DROP TABLE audit", "its table `audit` is missing"),
        ("DROP TABLE ancestors", "its table `ancestors` is missing"),
        ("DROP INDEX audit_by_token", "its index `audit_by_token` is missing"),
        ("DROP TRIGGER audit_is_never_replaced", "its trigger `audit_is_never_replaced` is missing"),
        (
            "DELETE FROM sqlite_sequence WHERE name = 'audit'",
            "of an entry of its audit would be given a second time",
        ),
        ("UPDATE marks SET at = 9999999999999 WHERE name = 'clock'", "its clock is ahead, at"),
        (
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'later', 1, x'00', 0)",
            "its schema has version 9999",
        ),
    ] {
        let folder = folder();
        let server = Server::start(&folder);
        server.make().await;
        server.process.stop();
        assert_eq!(ask(&folder, &["check"]).0, 0);
        execute(&store(&folder), statement).await;
        let before = fs::read(store(&folder)).unwrap();
        let (code, out, told) = ask(&folder, &["check"]);
        assert!(code == 1 && out.contains("problem: ") && out.contains(said), "{said}: {out}{told}");
        assert_eq!(fs::read(store(&folder)).unwrap(), before);
    }
    let folder = folder();
    fs::write(store(&folder), "users: []\n").unwrap();
    assert_eq!(ask(&folder, &["check"]).0, 1);
    fs::remove_file(store(&folder)).unwrap();
    let (code, _, told) = ask(&folder, &["check"]);
    assert!(code == 1 && told.contains("there is no store"), "{told}");
}

#[tokio::test]
async fn a_store_of_a_later_version_is_refused_with_what_to_install() {
    let folder = folder();
    Process::start(&folder).stop();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (9999, 'later', 1, x'00', 0)";
    execute(&store(&folder), later).await;
    let before = fs::read(store(&folder)).unwrap();
    for arguments in [&["serve", STORE[0], STORE[1]][..], &["settings", "export", STORE[0], STORE[1]]] {
        let (code, _, told) = run(&folder, arguments, "");
        assert!(code == 1 && told.contains("written by a newer version of tokenwarden"), "{told}");
        assert!(told.contains("9999") && told.contains("install the version that wrote it"), "{told}");
    }
    assert_eq!(fs::read(store(&folder)).unwrap(), before);
}

#[tokio::test]
async fn an_upgrade_keeps_a_copy_of_the_store_as_it_was_and_says_where() {
    let folder = folder();
    let options = SqliteConnectOptions::new().filename(store(&folder)).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let mut before = sqlx::migrate!("src/serve/store/migrations");
    before.migrations = before.iter().filter(|step| step.version < 4).cloned().collect();
    before.run(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    execute(&store(&folder), "INSERT INTO settings (id, document, revision) VALUES (1, '{}', 1)").await;
    let import = ["directory", "import", "directory.yaml", STORE[0], STORE[1]];
    let (code, _, told) = run(&folder, &import, "");
    assert!(code == 0 && told.contains("store.db.v3-"), "{told}");
    let copies = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.to_string_lossy().contains("store.db.v")).collect::<Vec<_>>()
    };
    let copy = &copies()[0];
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let store = format!("sqlite:{}", copy.display());
    let (_, out, _) = run(&folder, &["store", "check", "--store", &store], "");
    assert!(out.contains("schema version 3,"), "{out}");
    let (code, _, told) = run(&folder, &import, "");
    assert!(code == 0 && !told.contains(".v3-"), "{told}");
    assert_eq!(copies().len(), 1, "a store that needs nothing is not copied");
}

#[cfg(unix)]
#[test]
fn a_store_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    Process::start(&folder).stop();
    let export = ["settings", "export", STORE[0], STORE[1]];
    assert_eq!(run(&folder, &export, "").2, "");
    for (mode, warned) in [(0o640, true), (0o604, true), (0o622, true), (0o600, false), (0o400, false)] {
        fs::set_permissions(store(&folder), fs::Permissions::from_mode(mode)).unwrap();
        let (code, _, told) = run(&folder, &export, "");
        assert_eq!((code, told.contains("chmod 600")), (0, warned), "{mode:o}: {told}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_leaves_no_core_dump() {
    let folder = folder();
    let process = Process::start(&folder);
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    process.stop();
}
