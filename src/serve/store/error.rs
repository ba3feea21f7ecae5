//! Why a store cannot do its work, in the words of the operator.

use std::{
    io,
    path::{Path, PathBuf},
};

use sqlx::migrate::MigrateError;

use super::sqlite;
use crate::model::run::RunId;

/// The store could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file where one was expected, or an empty one.
    #[error("there is no store at `{}`", .0.display())]
    Missing(PathBuf),
    /// The file is a database of something else.
    #[error("`{}` is not a store of tokenwarden but another SQLite database; name another file", .0.display())]
    NotAStore(PathBuf),
    /// What is left of another store would be read as a part of the backup that is put beside it.
    #[error("`{}` is a leftover of the earlier store; move it away too", .0.display())]
    LeftBehind(PathBuf),
    /// What is there is not a store, and is not replaced by one.
    #[error("an empty file or a broken link is in the way at `{}`; remove it first", .0.display())]
    InTheWay(PathBuf),
    /// A backup is not one of this store.
    #[error(
        "the backup is not one of the store `{}`; to begin with the backup all the same, move that store away first",
        .0.display()
    )]
    OtherStore(PathBuf),
    /// The file is not the one any more that was opened.
    #[error(
        "the store `{}` was {how} while it was in use: put it back, or restart the server on what is there now",
        file.display()
    )]
    Lost {
        /// Its path.
        file: PathBuf,
        /// What happened to it.
        how: &'static str,
    },
    /// Another process keeps it from being written to.
    #[error("the store is locked: another process is writing to it")]
    Locked,
    /// A copy cannot be written.
    #[error("the copy `{}` of the store cannot be written", to.display())]
    Copy {
        /// Its path.
        to: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file cannot be opened.
    #[error("the store `{}` cannot be opened", file.display())]
    Open {
        /// Its path.
        file: PathBuf,
        /// Why.
        #[source]
        cause: sqlx::Error,
    },
    /// The file cannot be created.
    #[error("the store `{}` cannot be created", file.display())]
    Create {
        /// Its path.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file cannot be brought to the form that this version needs.
    #[error("the store `{}` {}", file.display(), not_migrated(cause))]
    Migrate {
        /// Its path.
        file: PathBuf,
        /// Why.
        #[source]
        cause: Box<MigrateError>,
    },
    /// It was written by an earlier version, and anyone who reads it does not change it.
    #[error(
        "the store `{}` was written by an older version of tokenwarden: its schema has version {version}, and tokenwarden \
         {} reads {}; upgrade it first by starting `tokenwarden serve` on it, which keeps a copy of it",
        file.display(), env!("CARGO_PKG_VERSION"), sqlite::schema_version()
    )]
    Older {
        /// Its path.
        file: PathBuf,
        /// The version of its schema.
        version: i64,
    },
    /// It was in use, and has no settings any more.
    #[error(
        "the store was in use before and has lost its settings; put them back with `tokenwarden settings import`, or \
         restore a backup"
    )]
    SettingsLost,
    /// A question or a change failed.
    #[error("the store failed")]
    Query(#[source] sqlx::Error),
    /// What a change was permitted on does not hold any more; nothing was changed.
    #[error("what the change was permitted on does not hold any more")]
    RightEnded,
    /// A run writes under a lease that it does not hold any more.
    #[error("the run does not hold the lease any more")]
    LeaseLost,
    /// A run would take the credential along that it comes with.
    #[error("the credential of the run would go along")]
    OwnCredential,
    /// A run writes that never began.
    #[error("there is no run `{0}`")]
    NoSuchRun(RunId),
    /// Something in it has a form that it cannot have.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_busy(&error) { Self::Locked } else { Self::Query(error) }
    }
}

impl StoreError {
    /// Whether the store gave a question up because it took too long.
    pub(in crate::serve) fn is_overlong(&self) -> bool {
        // SQLITE_INTERRUPT (<https://sqlite.org/rescode.html#interrupt>).
        let code =
            |error: &sqlx::Error| error.as_database_error().and_then(|error| Some(error.code()? == "9"));
        matches!(self, Self::Query(error) if code(error) == Some(true))
    }

    pub(super) fn of_opening(file: &Path, cause: sqlx::Error) -> Self {
        if is_busy(&cause) { Self::Locked } else { Self::Open { file: file.to_owned(), cause } }
    }
}

/// Whether another process has the file.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    // The lower byte is the primary code, SQLITE_BUSY (<https://sqlite.org/rescode.html#busy>).
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// Why a store cannot be brought to the form of this version, and what to do.
fn not_migrated(cause: &MigrateError) -> String {
    match cause {
        MigrateError::VersionMissing(version) => newer(*version),
        _ => "cannot be brought to the schema of this version".to_owned(),
    }
}

pub(super) fn newer(version: i64) -> String {
    format!(
        "was written by a newer version of tokenwarden: its schema has version {version}, and tokenwarden {} knows \
         none above {}; install the version that wrote it, or restore a backup from before the upgrade",
        env!("CARGO_PKG_VERSION"),
        sqlite::schema_version()
    )
}
