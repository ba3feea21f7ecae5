//! Putting a backup in place of a store.
//!
//! Nothing that was taken from anybody comes back: as far as the present store can tell, a token that was revoked
//! since the backup stays revoked, one that was narrowed stays narrow, the directory is the present one, and neither
//! numbers, nor the clock, nor what runs did go back. The present store becomes the restored one in one transaction,
//! during which nobody else has it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{
    Right, Store, audit,
    copy::{self, Draft},
    histories, moment,
    opening::{self, Copies},
    place::with_ending,
};
use crate::{
    model::audit::AuditAction,
    serve::store::{
        Restored, StoreError, StoreUrl,
        audit::{Author, Effect},
    },
};

/// How many numbers are left out when nobody knows which were given since the backup.
const SPARED: i64 = 1_000_000;

/// What comes back with a backup, which is attached as `backup`. The rest stays as it is: it only ever grows, or says who
/// people are and what groups they are in, where a backup would give back what was taken; that is what directory files
/// are for. No number of a token or of the settings is given twice.
const BRING_BACK: &str = "
DELETE FROM tokens WHERE id NOT IN (SELECT id FROM backup.tokens);
CREATE TEMP TABLE present AS SELECT revision FROM settings;
DELETE FROM settings;
INSERT INTO settings SELECT * FROM backup.settings;
UPDATE settings SET revision = max(revision, coalesce((SELECT revision FROM present), 0));
DROP TABLE present;
UPDATE sqlite_sequence SET seq =
    max(seq, coalesce((SELECT seq FROM backup.sqlite_sequence b WHERE b.name = main.sqlite_sequence.name), 0));
";

impl Store {
    /// Writes the store at `url` as it is at `now` to the new file `to`, also while it is in use.
    ///
    /// # Errors
    ///
    /// When there is no store, there is something at `to` already, or one of them fails.
    pub async fn back_up(url: &StoreUrl, to: &Path, now: Timestamp) -> Result<(), StoreError> {
        url.is_there()?;
        // A copy is not made by a connection that may not write.
        let options = opening::plain(&url.file);
        opening::version(&url.file, &options).await?;
        let mut reading = options.connect().await?;
        let copied = copy::write(&mut reading, to, now).await;
        reading.close().await?;
        copied
    }

    /// Puts the backup `from` in place of the store at `url`, which nobody uses; a copy of that store is kept beside
    /// it.
    ///
    /// # Errors
    ///
    /// When the backup is damaged or of another store, somebody uses the store, or one of them fails; then the store
    /// is as it was.
    pub async fn restore(from: &Path, url: &StoreUrl, now: Timestamp) -> Result<Restored, StoreError> {
        let backup = StoreUrl { file: from.to_owned() };
        if let [problem, ..] = Self::check(&backup, now).await?.problems.as_slice() {
            return Err(StoreError::Damaged(problem.clone()));
        }
        // What is kept lies beside the file, not beside a link to it.
        let file = fs::canonicalize(&url.file).unwrap_or_else(|_| url.file.clone());
        let draft = Draft(with_ending(&file, &format!(".{}.restore", process::id())));
        let of = made(from).await?;
        Self::back_up(&backup, &draft.0, now).await?;
        opening::open(&draft.0, Copies::No).await?.close().await;
        let restored = match url.is_there() {
            Err(StoreError::Missing(_)) => begin(&draft.0, &file, of, now).await?,
            there => {
                there?;
                replace(&draft.0, &file, of, now).await?
            }
        };
        Ok(Restored { of, ..restored })
    }
}

/// When the backup `from` was made, or the latest moment that it knows.
async fn made(from: &Path) -> Result<Option<Timestamp>, StoreError> {
    let mut reading = opening::read_only(from).connect().await?;
    let at: Option<i64> = sqlx::query_scalar(
        "SELECT at FROM marks WHERE name IN ('backup', 'clock') ORDER BY name = 'clock' LIMIT 1",
    )
    .fetch_optional(&mut reading)
    .await?;
    reading.close().await?;
    at.map(moment).transpose()
}

/// Makes the backup at `draft`, of the moment `of`, the store at `file`, where there is none. It goes on although nobody
/// knows what came after it.
async fn begin(
    draft: &Path,
    file: &Path,
    of: Option<Timestamp>,
    now: Timestamp,
) -> Result<Restored, StoreError> {
    if file.symlink_metadata().is_ok() {
        return Err(StoreError::InTheWay(file.to_owned()));
    }
    let beside = ["-wal", "-shm", "-journal"].map(|ending| with_ending(file, ending));
    if let Some(left) = beside.into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(StoreError::LeftBehind(left));
    }
    let mut connection = opening::plain(draft).connect().await?;
    let mut writing = connection.begin().await?;
    sqlx::raw_sql(
        "INSERT INTO sqlite_sequence SELECT name, 0 FROM (SELECT 'tokens' AS name UNION ALL SELECT 'audit') \
         WHERE name NOT IN (SELECT name FROM sqlite_sequence); DELETE FROM marks WHERE name = 'backup'",
    )
    .execute(&mut *writing)
    .await?;
    // By the seconds since 1970 a second restoring of the same backup is told from the first.
    sqlx::query("UPDATE sqlite_sequence SET seq = max(seq + ?1, ?2) WHERE name IN ('tokens', 'audit')")
        .bind(SPARED)
        .bind(now.as_second())
        .execute(&mut *writing)
        .await?;
    let tokens = count(&mut writing, "SELECT count(*) FROM tokens").await?;
    let restored = Restored { of, tokens, ..Restored::default() };
    let through = count(&mut writing, "SELECT seq FROM sqlite_sequence WHERE name = 'audit'").await?;
    record(&mut writing, &restored, Some(through), now).await?;
    writing.commit().await?;
    connection.close().await?;
    // Unlike renaming, this never replaces what came there meanwhile.
    let placed = fs::hard_link(draft, file).and_then(|()| copy::sync_folder(file));
    placed.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => StoreError::InTheWay(file.to_owned()),
        _ => StoreError::Create { file: file.to_owned(), cause },
    })?;
    Ok(restored)
}

/// Makes the store at `file` what it was in the backup at `draft`, of the moment `of`, but for what it knows better.
/// Nobody else may use it.
async fn replace(
    draft: &Path,
    file: &Path,
    of: Option<Timestamp>,
    now: Timestamp,
) -> Result<Restored, StoreError> {
    // Both have the tables of this version then.
    opening::open(file, Copies::Kept).await?.close().await;
    let mut alone =
        opening::plain(file).pragma("locking_mode", "exclusive").foreign_keys(false).connect().await?;
    // From here on nobody else has the file until `alone` is closed.
    sqlx::raw_sql("BEGIN EXCLUSIVE; UPDATE marks SET at = at; COMMIT").execute(&mut alone).await?;
    let replaced = replace_alone(&mut alone, draft, file, of, now).await;
    alone.close().await?;
    replaced
}

async fn replace_alone(
    alone: &mut SqliteConnection,
    draft: &Path,
    file: &Path,
    of: Option<Timestamp>,
    now: Timestamp,
) -> Result<Restored, StoreError> {
    sqlx::query("ATTACH ?1 AS backup")
        .bind(draft.to_str().ok_or_else(|| StoreError::Damaged("its path is not UTF-8".to_owned()))?)
        .execute(&mut *alone)
        .await?;
    let is_same = "SELECT (SELECT store FROM main.identity) IS (SELECT store FROM backup.identity)";
    if count(alone, is_same).await? == 0 {
        return Err(StoreError::OtherStore(file.to_owned()));
    }
    let kept = unused(with_ending(file, &format!(".before-restore-{}", opening::stamp(now))));
    copy::write(alone, &kept, now).await?;
    let mut writing = alone.begin().await?;
    let revoked = "SELECT count(*) FROM backup.tokens WHERE id NOT IN (SELECT id FROM main.tokens)";
    let revoked = count(&mut writing, revoked).await?;
    let since = "SELECT id FROM main.tokens WHERE id NOT IN (SELECT id FROM backup.tokens) ORDER BY id";
    let created_since = sqlx::query_scalar(since).fetch_all(&mut *writing).await?;
    let renumbered = histories::unite(&mut writing).await?;
    sqlx::raw_sql(BRING_BACK).execute(&mut *writing).await?;
    let tokens = count(&mut writing, "SELECT count(*) FROM main.tokens").await?;
    let through = renumbered.first().map(|first| first.are.0 - 1);
    let restored =
        Restored { of, tokens, stays_revoked: Some(revoked), created_since, renumbered, kept: Some(kept) };
    record(&mut writing, &restored, through, now).await?;
    writing.commit().await?;
    Ok(restored)
}

/// `path`, or with a number behind it where there is something already.
fn unused(path: PathBuf) -> PathBuf {
    let mut numbered = (2..).map(|number| with_ending(&path, &format!("-{number}")));
    let is_unused = |path: &PathBuf| path.symlink_metadata().is_err();
    if is_unused(&path) { path } else { numbered.find(is_unused).unwrap_or(path) }
}

/// Takes note in the settings and in the audit of what was restored; numbers up to `through` may be without an entry.
async fn record(
    writing: &mut SqliteConnection,
    restored: &Restored,
    through: Option<i64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE settings SET revision = revision + 1, changed_by = '(store restore)', changed = ?1")
        .bind(now.as_millisecond())
        .execute(&mut *writing)
        .await?;
    let details = json!({
        "backup_of": restored.of,
        "stay_revoked": restored.stays_revoked,
        "created_since": restored.created_since,
        "renumbered": restored.renumbered,
    });
    let effect = Effect::new(AuditAction::StoreRestore, details).leaves_out(through);
    audit::add(writing, &Author::of(&Right::Host), &[effect]).await
}

async fn count(reading: &mut SqliteConnection, query: &'static str) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(query).fetch_one(reading).await?)
}
