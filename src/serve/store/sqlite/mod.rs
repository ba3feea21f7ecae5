//! In: the path of a file. Out: the store in it, in SQLite with a write-ahead log. Several processes
//! may use one file at a time. It refuses to know what the tables mean: that is the submodules' part.

mod directory;
mod projects;
mod runs;
mod settings;
mod tokens;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Sqlite, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{StoreError, StoreUrl};

static MIGRATIONS: Migrator = sqlx::migrate!("src/serve/store/migrations");

/// How long a connection waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// How long a request waits for a free connection before the store counts as away.
const ACQUIRE: Duration = Duration::from_secs(10);
const READERS: u32 = 4;

/// A store. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct Store {
    /// One connection: SQLite has one writer at a time, and waiting here is fair and needs no polling.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens the store at `url`, brings it to the form that this version needs, and creates it,
    /// readable by its owner alone, when there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or opened, or has a form that this version does not know.
    pub async fn open_or_create(url: &StoreUrl) -> Result<Self, StoreError> {
        create(&url.file)?;
        Self::open(url).await
    }

    /// Opens the store at `url` and brings it to the form that this version needs.
    ///
    /// # Errors
    ///
    /// When there is no file, it cannot be opened, or has a form that this version does not know.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        let file = url.file.clone();
        if !file.exists() {
            return Err(StoreError::Missing(file));
        }
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged change must survive a crash of the machine.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let opening = |cause| StoreError::Open { file: file.clone(), cause };
        let writer = first(&options).await.map_err(opening)?;
        let migrating = |cause| StoreError::Migrate { file: file.clone(), cause: Box::new(cause) };
        migrate(&writer).await.map_err(migrating)?;
        let readers =
            pool(READERS).connect_with(options.pragma("query_only", "on")).await.map_err(opening)?;
        Ok(Self { writer, readers })
    }

    /// Closes the store after everything under way, so that its file is complete by itself.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A transaction that can write from the start, so that it never fails half way for being late. What
    /// answers rows needs one too: without it the failure of the last step, the commit, goes unseen.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// The connection that writes. Going over to a write-ahead log takes the file alone, and SQLite does not
/// wait for that when others open the file at the same time: this does.
async fn first(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let began = Instant::now();
    loop {
        match pool(1).connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && began.elapsed() < BUSY => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            connected => return connected,
        }
    }
}

/// Whether another process has the file.
fn is_busy(error: &sqlx::Error) -> bool {
    // The lower byte is the primary code, SQLITE_BUSY (<https://sqlite.org/rescode.html#busy>).
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        // A local file has no connection that dies unseen.
        .test_before_acquire(false)
}

/// Brings the store behind `writer` to the form that this version needs, in one transaction that keeps
/// other processes out meanwhile: two that open a new store at a time would both make its tables.
async fn migrate(writer: &SqlitePool) -> Result<(), MigrateError> {
    let mut writing = writer.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS.run(&mut *writing).await?;
    Ok(writing.commit().await?)
}

/// Makes an empty file when there is none: SQLite would let others read it.
fn create(file: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(StoreError::Create { file: file.to_owned(), cause }),
    }
}

/// The moment that is kept as `milliseconds`.
fn moment(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds)
        .map_err(|_| StoreError::Damaged(format!("{milliseconds} is no moment")))
}
