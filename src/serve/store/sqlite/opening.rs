//! How a store is opened: what lies in the file, the first connection, and the way to the form that this version needs.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryFutureExt;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    migrate::{MigrateError, Migration, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    ACQUIRE, BUSY, Store, Writer, copy,
    place::{self, StoreFiles, with_ending},
};
use crate::{
    serve::store::{StoreError, StoreUrl, error::is_busy},
    world::system_time,
};

static MIGRATIONS: Migrator = sqlx::migrate!("src/serve/store/migrations");

/// How long the first connection waits for another process that has the file.
const FIRST: Duration = Duration::from_secs(10);
const READERS: u32 = 4;
/// Connections that find out who sends a request.
const RECOGNISERS: u32 = 2;
/// How long one request may read.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How many steps SQLite takes before it looks whether that is over; some microseconds.
const STEPS: i32 = 10_000;

/// What lies in a file.
enum FileContents {
    /// Nothing yet.
    Empty,
    /// A store, with the version and the checksum of each migration that was made.
    Store(BTreeMap<i64, Vec<u8>>),
    /// Tables of somebody else.
    Foreign,
}

impl Store {
    /// Opens the store at `url` and creates it, readable by its owner alone, when there is none. A store of an
    /// earlier version is brought to the form that this one needs; a copy of it is kept beside it.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or opened, is not a store, or is the store of a later version.
    pub async fn open_or_create(url: &StoreUrl) -> Result<Self, StoreError> {
        create(&url.file)?;
        open(&url.file, Copies::Kept).await
    }

    /// As [`Self::open_or_create`], but never creates one.
    ///
    /// # Errors
    ///
    /// When there is no file or an empty one, and as [`Self::open_or_create`].
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        url.is_there()?;
        open(&url.file, Copies::Kept).await
    }

    /// As [`Self::open`], only for reading: neither is the store of an earlier version brought to another
    /// form, nor can anything be written.
    ///
    /// # Errors
    ///
    /// When there is no file or an empty one, it is not a store of this version, or it cannot be opened.
    pub async fn open_to_read(url: &StoreUrl) -> Result<Self, StoreError> {
        url.is_there()?;
        let file = &url.file;
        let options = read_only(file);
        let version = version(file, &options).await?;
        match version.cmp(&schema_version()) {
            Ordering::Less => return Err(StoreError::Older { file: file.clone(), version }),
            Ordering::Greater => {
                let cause = Box::new(MigrateError::VersionMissing(version));
                return Err(StoreError::Migrate { file: file.clone(), cause });
            }
            Ordering::Equal => {}
        }
        connected(file, options, None).await
    }
}

/// Whether a store of an earlier version is copied before it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copies {
    Kept,
    No,
}

pub(super) async fn open(file: &Path, copies: Copies) -> Result<Store, StoreError> {
    let opening = |cause| StoreError::of_opening(file, cause);
    // An acknowledged change must survive a crash of the machine.
    let options = plain(file).synchronous(SqliteSynchronous::Full).foreign_keys(true);
    let mut writer = options.connect().await.map_err(opening)?;
    let contents = FileContents::of(&mut writer).await.map_err(opening)?;
    // Before anything is changed: what is not a store stays as it is.
    if matches!(contents, FileContents::Foreign) {
        writer.close().await.map_err(opening)?;
        return Err(StoreError::NotAStore(file.to_owned()));
    }
    write_ahead(&mut writer).await.map_err(opening)?;
    if !contents.is_current() {
        migrate(&mut writer, file, copies).await?;
    }
    connected(file, options.journal_mode(SqliteJournalMode::Wal), Some(writer)).await
}

/// The store at `file`, to which all connections are made with `options`, the one that writes when it is needed.
async fn connected(
    file: &Path,
    options: SqliteConnectOptions,
    writer: Option<SqliteConnection>,
) -> Result<Store, StoreError> {
    let opening = |cause| StoreError::of_opening(file, cause);
    let reading = options.clone().pragma("query_only", "on");
    let readers = pool(READERS)
        .after_connect(|connection, _| Box::pin(end_in_time(connection).map_ok(|_| ())))
        .before_acquire(|connection, _| Box::pin(end_in_time(connection)))
        .connect_with(reading.clone())
        .await
        .map_err(opening)?;
    let recognisers = pool(RECOGNISERS).connect_with(reading).await.map_err(opening)?;
    let place = StoreFiles::of(file).map_err(|cause| opening(cause.into()))?;
    place::warn_of_readers(file);
    let writer = Writer::new(options, writer, place.clone());
    Ok(Store { writer, readers, recognisers, memory: Arc::default(), place })
}

/// The version of the schema in `file`, which is opened with `options` and not changed; 0 while there is none.
///
/// # Errors
///
/// When it cannot be read, or is a database of something else.
pub(super) async fn version(file: &Path, options: &SqliteConnectOptions) -> Result<i64, StoreError> {
    let opening = |cause| StoreError::of_opening(file, cause);
    let mut looking = options.connect().await.map_err(opening)?;
    let form = FileContents::of(&mut looking).await.map_err(opening)?;
    looking.close().await.map_err(opening)?;
    match form {
        FileContents::Foreign => Err(StoreError::NotAStore(file.to_owned())),
        form => Ok(form.version()),
    }
}

/// `now` as part of the name of a file.
pub(super) fn stamp(now: Timestamp) -> impl std::fmt::Display {
    now.strftime("%Y%m%dT%H%M%SZ")
}

/// Opens `file` as it is.
pub(super) fn plain(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).busy_timeout(BUSY).disable_statement_logging()
}

/// Opens `file` so that no statement can change what is in it. To open it only for reading would leave a
/// write-ahead log beside it that nobody takes away.
pub(super) fn read_only(file: &Path) -> SqliteConnectOptions {
    plain(file).pragma("query_only", "on")
}

/// Has the file behind the first connection written by a write-ahead log. Going over to one takes the file alone, and SQLite
/// does not wait for that when others open the file at the same time: this does.
async fn write_ahead(first: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *first).await {
            Err(error) if is_busy(&error) && began.elapsed() < FIRST => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            gone_over => return gone_over.map(|_| ()),
        }
    }
}

/// Has `connection` give up what it reads from now on when that takes too long.
async fn end_in_time(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let began = Instant::now();
    connection.lock_handle().await?.set_progress_handler(STEPS, move || began.elapsed() < READ_WITHIN);
    Ok(true)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        // A local file has no connection that dies unseen, and one that ends takes the write-ahead log with it when
        // it is the last.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Brings the store behind `writer` to the form that this version needs, in one transaction that keeps
/// other processes out meanwhile: two that open a new store at a time would both make its tables.
async fn migrate(writer: &mut SqliteConnection, file: &Path, copies: Copies) -> Result<(), StoreError> {
    let migrating = |cause| StoreError::Migrate { file: file.to_owned(), cause: Box::new(cause) };
    let mut writing = writer.begin_with("BEGIN IMMEDIATE").await?;
    let before = FileContents::of(&mut writing).await?;
    let version = before.version();
    if copies == Copies::Kept && (1..schema_version()).contains(&version) {
        let now = system_time();
        let to = with_ending(file, &format!(".v{version}-{}", stamp(now)));
        // This connection cannot copy in the middle of a transaction.
        let mut reading = plain(file).connect().await?;
        copy::write(&mut reading, &to, now).await?;
        reading.close().await?;
        tracing::warn!(
            copy = %to.display(),
            from = version,
            "the store is brought to the form of this version; the copy is as it was before"
        );
    }
    MIGRATIONS.run(&mut *writing).await.map_err(migrating)?;
    // By this one sees from outside whose file it is.
    let identity: String = sqlx::query_scalar("SELECT store FROM identity").fetch_one(&mut *writing).await?;
    let application =
        identity.get(..7).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0) | 1;
    let statement = format!("PRAGMA application_id = {application}");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *writing).await?;
    writing.commit().await?;
    sqlx::query("PRAGMA wal_checkpoint").execute(writer).await?;
    Ok(())
}

impl FileContents {
    async fn of(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut *connection)
            .await?;
        if tables.is_empty() {
            return Ok(Self::Empty);
        }
        if !tables.iter().any(|table| table == "_sqlx_migrations") {
            return Ok(Self::Foreign);
        }
        let made: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
                .fetch_all(connection)
                .await?;
        Ok(Self::Store(made.into_iter().collect()))
    }

    /// Whether it is the form that this version needs, no less and no more.
    fn is_current(&self) -> bool {
        let Self::Store(made) = self else { return false };
        made.len() == MIGRATIONS.iter().count()
            && MIGRATIONS
                .iter()
                .all(|step| made.get(&step.version).is_some_and(|sum| **sum == *step.checksum))
    }

    /// The version of the schema; 0 while there is none.
    fn version(&self) -> i64 {
        let Self::Store(made) = self else { return 0 };
        made.keys().next_back().copied().unwrap_or_default()
    }
}

/// The version of the form that this version of the program needs.
pub(in crate::serve::store) fn schema_version() -> i64 {
    MIGRATIONS.iter().map(|step| step.version).max().unwrap_or_default()
}

/// What makes the schema of this version in an empty database, step by step.
pub(super) fn steps() -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS.iter()
}

/// Makes an empty file when there is none: SQLite would let others read it.
fn create(file: &Path) -> Result<(), StoreError> {
    match create_new(file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map_err(|cause| StoreError::Create { file: file.to_owned(), cause }),
    }
}

/// A new, empty file that its owner alone can read.
///
/// # Errors
///
/// When there is something at this path already, and when it cannot be created.
pub(super) fn create_new(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(|_| ())
}
