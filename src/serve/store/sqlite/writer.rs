//! The one connection that writes. SQLite has one writer at a time, and waiting here is fair and needs no
//! polling.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

use super::{ACQUIRE, audit, place::StoreFiles};
use crate::{
    model::run::RunId,
    serve::store::{
        Right, StoreError,
        audit::{Author, Effect},
    },
};

/// Gives out transactions that write, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    place: StoreFiles,
    /// `None` while it is used, and after a transaction that did not end well: the next one opens another.
    idle: Arc<Mutex<Option<SqliteConnection>>>,
}

/// A transaction that writes. Unless it is ended, its connection is closed, which takes back what was written.
///
/// INVARIANT: a connection is used again after a transaction whose end succeeded, and not otherwise. SQLite itself
/// ends a transaction when the disk is full, and then nobody can say what state the connection is in.
///
/// INVARIANT: an effect is committed with the entries of the audit that tell of it, and not otherwise. There is no
/// way to commit but through [`Effect`]s, and [`Upkeep`] for what is none.
pub(super) struct Writing {
    connection: SqliteConnection,
    place: StoreFiles,
    home: OwnedMutexGuard<Option<SqliteConnection>>,
    author: Author,
}

/// What a server writes without an effect on who may do what, so that the audit does not tell of it.
#[derive(Clone, Copy)]
pub(super) enum Upkeep {
    /// The latest moment that there was.
    Clock,
    /// Last uses of tokens.
    LastUses,
    /// A lease goes on for the run that has it already.
    LeaseGoesOn,
    /// What a run did already is done once more, and is in its ledger.
    Repetition,
    /// Which tokens of the server behind are gone, and what is kept of their uses.
    Gone,
    /// Bytes that only show whether there is room for more.
    Probe,
}

impl Writer {
    pub(super) fn new(
        options: SqliteConnectOptions,
        connection: Option<SqliteConnection>,
        place: StoreFiles,
    ) -> Self {
        Self { options, place, idle: Arc::new(Mutex::new(connection)) }
    }

    /// A transaction that can write from the start, so that it never fails half way for being late, while
    /// `right` holds. What answers rows needs one too: without it the failure of the last step, the commit, goes
    /// unseen.
    pub(super) async fn begin(&self, right: &Right) -> Result<Writing, StoreError> {
        let idle = timeout(ACQUIRE, Arc::clone(&self.idle).lock_owned()).await;
        let mut home = idle.map_err(|_| StoreError::Locked)?;
        self.place.check()?;
        let connection = match home.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let mut writing = Writing { connection, place: self.place.clone(), home, author: Author::of(right) };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *writing).await?;
        if right.holds(&mut writing).await? { Ok(writing) } else { Err(StoreError::RightEnded) }
    }

    pub(super) async fn close(&self) {
        if let Some(connection) = self.idle.lock().await.take() {
            // The file is whole either way: anyone who opens it next reads the write-ahead log.
            let _ = connection.close().await;
        }
    }
}

impl Writing {
    /// The same, done by `run`.
    pub(super) fn by_run(&mut self, run: &RunId) {
        self.author.run = Some(run.clone());
    }

    /// Whether the token with this number is the credential that it is done with.
    pub(super) fn is_by(&self, token: i64) -> bool {
        self.author.credential_token == Some(token)
    }

    /// Commits what was done, with `effects` in the audit. Without effects nothing was done: what was written is
    /// taken back.
    pub(super) async fn finish(
        mut self,
        effects: impl IntoIterator<Item = Effect, IntoIter: Send>,
    ) -> Result<(), StoreError> {
        let effects: Vec<Effect> = effects.into_iter().collect();
        audit::add(&mut self.connection, &self.author, &effects).await?;
        self.end(if effects.is_empty() { "ROLLBACK" } else { "COMMIT" }).await
    }

    /// Commits what has no effect.
    pub(super) async fn keep(self, _: Upkeep) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    async fn end(self, how: &'static str) -> Result<(), StoreError> {
        let Self { mut connection, place, mut home, author: _ } = self;
        sqlx::query(how).execute(&mut connection).await?;
        // What went into a file that is not there any more is lost.
        place.check()?;
        *home = Some(connection);
        Ok(())
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
