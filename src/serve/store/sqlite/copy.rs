//! Copies of a store, made while it is in use.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
};

use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::opening;
use crate::serve::store::StoreError;

/// Writes the store that `reading` is connected to, as it is at this moment, to the new file `to`, which only its owner
/// can read: whole and checked, or not at all. The copy says that it was made at `now`.
///
/// # Errors
///
/// When there is something at `to` already, it cannot be written, or the store fails or is damaged.
pub(super) async fn write(
    reading: &mut SqliteConnection,
    to: &Path,
    now: Timestamp,
) -> Result<(), StoreError> {
    let failed = |cause| StoreError::Copy { to: to.to_owned(), cause };
    if fs::symlink_metadata(to).is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let name = to.file_name().ok_or(io::ErrorKind::InvalidFilename).map_err(|kind| failed(kind.into()))?;
    let draft = Draft(to.with_file_name(format!(".{}.{}.draft", name.to_string_lossy(), process::id())));
    opening::create_new(&draft.0).map_err(failed)?;
    let path = draft.0.to_str().ok_or(io::ErrorKind::InvalidFilename).map_err(|kind| failed(kind.into()))?;
    sqlx::query("VACUUM INTO ?1").bind(path).execute(reading).await?;
    let mut copy = opening::plain(&draft.0).connect().await?;
    sqlx::query(
        "INSERT INTO marks (name, at) VALUES ('backup', ?1) ON CONFLICT DO UPDATE SET at = excluded.at",
    )
    .bind(now.as_millisecond())
    .execute(&mut copy)
    .await?;
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut copy).await?;
    copy.close().await?;
    if whole != "ok" {
        return Err(StoreError::Damaged(whole));
    }
    File::open(&draft.0).and_then(|copy| copy.sync_all()).map_err(failed)?;
    // Unlike renaming, this never replaces what came there meanwhile.
    fs::hard_link(&draft.0, to).map_err(failed)?;
    sync_folder(to).map_err(failed)
}

/// A file that is taken away again.
pub(super) struct Draft(pub(super) PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // What stays is of no use to anybody, and harms nobody.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes sure that the names in the folder of `file` survive a crash of the machine.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
