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

use super::ACQUIRE;
use crate::serve::store::{Right, StoreError};

/// Gives out transactions that write, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// Nothing while it is used, and after a transaction that did not end well: the next one opens another.
    idle: Arc<Mutex<Option<SqliteConnection>>>,
}

/// A transaction that writes. Unless it is committed, its connection is closed, which takes back what was
/// written.
///
/// INVARIANT: a connection is used again after a commit that succeeded, and not otherwise. SQLite itself ends a
/// transaction when the disk is full, and then nobody can say what state the connection is in.
pub(super) struct Writing {
    connection: SqliteConnection,
    home: OwnedMutexGuard<Option<SqliteConnection>>,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self { options, idle: Arc::new(Mutex::new(Some(connection))) }
    }

    /// A transaction that can write from the start, so that it never fails half way for being late, while
    /// `right` holds. What answers rows needs one too: without it the failure of the last step, the commit, goes
    /// unseen.
    pub(super) async fn begin(&self, right: &Right) -> Result<Writing, StoreError> {
        let idle = timeout(ACQUIRE, Arc::clone(&self.idle).lock_owned()).await;
        let mut home = idle.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let connection = match home.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let mut writing = Writing { connection, home };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *writing).await?;
        if right.holds(&mut writing).await? { Ok(writing) } else { Err(StoreError::RightEnded) }
    }

    pub(super) async fn close(&self) {
        if let Some(connection) = self.idle.lock().await.take() {
            // The file is whole either way: whoever opens it next reads the write-ahead log.
            let _ = connection.close().await;
        }
    }
}

impl Writing {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let Self { mut connection, mut home } = self;
        sqlx::query("COMMIT").execute(&mut connection).await?;
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
