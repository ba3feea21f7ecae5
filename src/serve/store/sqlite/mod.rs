//! The store in SQLite, with a write-ahead log. Several processes may use one file at a time.

mod audit;
mod audit_check;
mod changes;
mod check;
mod clock;
mod copy;
mod directory;
mod directory_import;
mod gone;
mod histories;
mod memory;
mod narrowing;
mod opening;
mod people;
mod place;
mod projects;
mod restore;
mod restrictions;
mod revocation;
mod right;
mod runs;
mod schema;
mod settings;
mod snapshot;
mod tokens;
mod upstream_uses;
mod writer;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sqlx::SqlitePool;

use super::{Right, StoreError};
use memory::Memory;
pub(super) use opening::schema_version;
use place::StoreFiles;
use writer::{Upkeep, Writer, Writing};

/// How long a connection waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// How long a request waits for a free connection before the store counts as away.
const ACQUIRE: Duration = Duration::from_secs(5);

/// A store. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Writer,
    readers: SqlitePool,
    /// Beside the readers, for what a request asks for, however long that takes: they find out who sends it.
    recognisers: SqlitePool,
    memory: Arc<Memory>,
    place: StoreFiles,
}

impl Store {
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

/// The moment that is kept as `milliseconds`.
fn moment(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds)
        .map_err(|_| StoreError::Damaged(format!("{milliseconds} is not a valid time")))
}
