//! In: the path of a file. Out: the store in it, in SQLite with a write-ahead log. Several processes
//! may use one file at a time. It refuses to know what the tables mean: that is the submodules' part.

mod audit;
mod clock;
mod directory;
mod people;
mod projects;
mod right;
mod runs;
mod settings;
mod snapshot;
mod tokens;
mod writer;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::TryFutureExt;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Right, StoreError, StoreUrl};
use writer::{Upkeep, Writer, Writing};

static MIGRATIONS: Migrator = sqlx::migrate!("src/serve/store/migrations");

/// How long a connection waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// How long a request waits for a free connection before the store counts as away.
const ACQUIRE: Duration = Duration::from_secs(10);
const READERS: u32 = 4;
/// Connections beside those for what a request asks for, however long that takes: they find out who sends it.
const RECOGNISERS: u32 = 2;
/// How long one request may read.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How many steps SQLite takes before it looks whether that is over; some microseconds.
const STEPS: i32 = 10_000;

/// A store. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Writer,
    readers: SqlitePool,
    recognisers: SqlitePool,
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
        let mut writer = first(&options).await.map_err(opening)?;
        let migrating = |cause| StoreError::Migrate { file: file.clone(), cause: Box::new(cause) };
        migrate(&mut writer).await.map_err(migrating)?;
        let reading = options.clone().pragma("query_only", "on");
        let readers = pool(READERS)
            .after_connect(|connection, _| Box::pin(end_in_time(connection).map_ok(|_| ())))
            .before_acquire(|connection, _| Box::pin(end_in_time(connection)))
            .connect_with(reading.clone())
            .await
            .map_err(opening)?;
        let recognisers = pool(RECOGNISERS).connect_with(reading).await.map_err(opening)?;
        Ok(Self { writer: Writer::new(options, writer), readers, recognisers })
    }

    /// Writes about as much as a change does, to find out whether one would succeed.
    ///
    /// # Errors
    ///
    /// When it cannot be written to.
    pub async fn probe(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        sqlx::query("DELETE FROM marks WHERE name >= 'probe' AND name < 'probf'")
            .execute(&mut *writing)
            .await?;
        sqlx::query("INSERT INTO marks (name, at) VALUES ('probe' || hex(zeroblob(16384)), ?1)")
            .bind(now.as_millisecond())
            .execute(&mut *writing)
            .await?;
        writing.keep(Upkeep::Probe).await
    }

    /// Closes the store after everything under way, so that its file is complete by itself.
    pub async fn close(&self) {
        self.readers.close().await;
        self.recognisers.close().await;
        self.writer.close().await;
    }

    /// A transaction that writes, as long as `right` holds.
    async fn write(&self, right: &Right) -> Result<Writing, StoreError> {
        self.writer.begin(right).await
    }
}

/// The first connection, which is going to write. Going over to a write-ahead log takes the file alone, and SQLite does not
/// wait for that when others open the file at the same time: this does.
async fn first(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let began = Instant::now();
    loop {
        match options.connect().await {
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
        // A local file has no connection that dies unseen.
        .test_before_acquire(false)
}

/// Brings the store behind `writer` to the form that this version needs, in one transaction that keeps
/// other processes out meanwhile: two that open a new store at a time would both make its tables.
async fn migrate(writer: &mut SqliteConnection) -> Result<(), MigrateError> {
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
