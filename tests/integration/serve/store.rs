//! Opening stores: new ones, several at a time, and what is no store.

use std::error::Error;

use tempfile::TempDir;
use tokenwarden::{
    model::{LastChange, Owner},
    serve::store::{BadStoreUrl, Store, StoreError, StoreUrl, TokenFilter, TokenPage},
};

use crate::support::program::{Run, program};

fn store_in(folder: &TempDir) -> StoreUrl {
    StoreUrl { file: folder.path().join("store.db") }
}

#[test]
fn a_store_is_named_by_its_kind_and_path() {
    for text in ["sqlite:a/b.db", "sqlite://a/b.db"] {
        assert_eq!(text.parse(), Ok(StoreUrl { file: "a/b.db".into() }));
    }
    for text in ["", "a.db", "sqlite:", "sqlite://", "postgres://host/db"] {
        assert_eq!(text.parse::<StoreUrl>(), Err(BadStoreUrl(text.to_owned())));
    }
}

#[tokio::test]
async fn many_that_open_a_new_store_at_a_time_all_get_it() {
    let folder = TempDir::new().unwrap();
    let url = store_in(&folder);
    let opened = futures_util::future::join_all((0..8).map(|_| Store::open_or_create(&url))).await;
    for store in opened {
        let store = store.unwrap();
        assert_eq!(store.last_token().await.unwrap(), 0);
        store.close().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_store_can_be_read_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let store = Store::open_or_create(&store_in(&folder)).await.unwrap();
    let change = LastChange { by: "root".to_owned(), at: "2026-06-01T12:00:00Z".parse().unwrap() };
    store.force_settings("{}", &change).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_no_store_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let url = store_in(&folder);
    assert!(matches!(Store::open(&url).await, Err(StoreError::Missing(_))));
    assert!(!url.file.exists());
    std::fs::write(&url.file, "users: []\n").unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }) && error.source().is_some(), "{error:?}");
    assert_eq!(std::fs::read_to_string(&url.file).unwrap(), "users: []\n");
}

#[tokio::test]
async fn tokens_of_a_store_from_before_there_were_other_owners_are_those_of_users() {
    let folder = TempDir::new().unwrap();
    let url = store_in(&folder);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&url.file).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let mut before = sqlx::migrate!("src/serve/store/migrations");
    before.migrations = before.iter().filter(|step| step.version < 4).cloned().collect();
    before.run(&pool).await.unwrap();
    let token = "INSERT INTO tokens (owner, owner_folded, description, created, secret_hash) \
        VALUES ('Mary', 'mary', 'old', 0, x'00')";
    sqlx::query(token).execute(&pool).await.unwrap();
    pool.close().await;
    let store = Store::open(&url).await.unwrap();
    let owners = vec![Owner::User("mary".into())];
    let filter = TokenFilter { owners, ..TokenFilter::default() };
    let everything = TokenPage::After { after: 0, until: i64::MAX, limit: 10 };
    let tokens = store.tokens(&filter, everything).await.unwrap();
    assert_eq!(tokens.iter().map(|token| token.description.as_str()).collect::<Vec<_>>(), ["old"]);
    store.close().await;
}

#[tokio::test]
async fn a_store_of_a_later_version_is_refused() {
    let folder = TempDir::new().unwrap();
    let url = store_in(&folder);
    Store::open_or_create(&url).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&url.file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (9999, 'later', 1, x'00', 0)";
    sqlx::query(later).execute(&pool).await.unwrap();
    pool.close().await;
    assert!(matches!(Store::open(&url).await, Err(StoreError::Migrate { .. })));
}

#[tokio::test]
async fn what_only_reads_a_store_leaves_one_of_an_earlier_version_as_it_is_and_says_how_to_upgrade_it() {
    let folder = TempDir::new().unwrap();
    let url = store_in(&folder);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&url.file).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options.clone()).await.unwrap();
    let mut before = sqlx::migrate!("src/serve/store/migrations");
    before.migrations = before.iter().filter(|step| step.version < 8).cloned().collect();
    before.run(&pool).await.unwrap();
    pool.close().await;
    let place = format!("sqlite:{}", url.file.display());
    let reading = [&["audit", "--store", &place][..], &["settings", "export", "--store", &place]];
    let bytes = std::fs::read(&url.file).unwrap();
    for arguments in reading {
        let run = Run::of(program().args(arguments));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(run.stderr.contains("its schema has version 7"), "{}", run.stderr);
        assert!(run.stderr.contains("by starting `tokenwarden serve` on it"), "{}", run.stderr);
    }
    assert!(std::fs::read(&url.file).unwrap() == bytes, "it is as it was");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing is beside it");
    assert!(matches!(Store::open_to_read(&url).await, Err(StoreError::Older { version: 7, .. })));

    // One of this version is read, and not written to.
    let store = Store::open(&url).await.unwrap();
    store.begin_settings("{}").await.unwrap();
    store.close().await;
    let (bytes, files) =
        (std::fs::read(&url.file).unwrap(), std::fs::read_dir(folder.path()).unwrap().count());
    let run = Run::of(program().args(reading[0]));
    assert!(run.code == Some(0) && run.stdout.contains("settings-begin"), "{}{}", run.stdout, run.stderr);
    let store = Store::open_to_read(&url).await.unwrap();
    assert!(store.keep_latest_moment(jiff::Timestamp::UNIX_EPOCH).await.is_err());
    store.close().await;
    assert!(std::fs::read(&url.file).unwrap() == bytes);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), files);
}
