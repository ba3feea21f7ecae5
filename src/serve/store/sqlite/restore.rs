//! Putting a backup in the place of a store.
//!
//! Nothing that was taken from anybody comes back: as far as the present store can tell, a token that was revoked
//! since the backup stays revoked, one that was narrowed stays narrow, the directory is the present one, and neither
//! numbers, nor the clock, nor what runs did go back.

use std::{fs, path::Path, process};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::{
    Right, Store,
    copy::{self, Draft},
    moment,
    opening::{self, Copies},
    place::with_ending,
};
use crate::{
    model::audit::AuditAction,
    serve::store::{Restored, StoreError, StoreUrl, audit::Effect},
};

/// How many numbers of tokens are left out when nobody knows which were given since the backup.
const SPARED: i64 = 1_000_000;

/// The tables that a backup brings back. The others stay as they are: they only ever grow, or say who people are and
/// what groups they are in, where a backup would give back what was taken; that is what directory files are for.
const BROUGHT_BACK: &str = "'settings', 'tokens'";

/// The tables of the backup, which is attached as `new`, with what the present store, `main`, knows better.
const CARRY_OVER: &str = "
DELETE FROM new.tokens WHERE id NOT IN (SELECT id FROM main.tokens);
INSERT OR REPLACE INTO new.tokens SELECT * FROM main.tokens WHERE id IN (SELECT id FROM new.tokens);
INSERT INTO new.audit SELECT * FROM main.audit WHERE id NOT IN (SELECT id FROM new.audit);
UPDATE new.settings SET revision = max(revision, coalesce((SELECT revision FROM main.settings), 0));
INSERT INTO new.sqlite_sequence SELECT name, 0 FROM main.sqlite_sequence
    WHERE name NOT IN (SELECT name FROM new.sqlite_sequence);
UPDATE new.sqlite_sequence SET seq =
    max(seq, coalesce((SELECT seq FROM main.sqlite_sequence m WHERE m.name = new.sqlite_sequence.name), 0));
";

impl Store {
    /// Writes the store at `url` as it is at `now` to the new file `to`, also while it is in use.
    ///
    /// # Errors
    ///
    /// When there is no store, there is something at `to` already, or one of them fails.
    pub async fn back_up(url: &StoreUrl, to: &Path, now: Timestamp) -> Result<(), StoreError> {
        url.is_there()?;
        opening::version(&url.file).await?;
        copy::write(&url.file, to, now).await
    }

    /// Puts the backup `from` in the place of the store at `url`, which nobody uses; that one is kept beside it.
    ///
    /// # Errors
    ///
    /// When the backup is damaged or of another store, somebody uses the store, or one of them fails; then the store
    /// is as it was.
    pub async fn restore(from: &Path, url: &StoreUrl, now: Timestamp) -> Result<Restored, StoreError> {
        let backup = StoreUrl { file: from.to_owned() };
        // What is at the end of a link is replaced, not the link.
        let url = &StoreUrl { file: fs::canonicalize(&url.file).unwrap_or_else(|_| url.file.clone()) };
        if let [problem, ..] = Self::check(&backup, now).await?.problems.as_slice() {
            return Err(StoreError::Damaged(problem.clone()));
        }
        let draft = Draft(with_ending(&url.file, &format!(".{}.restore", process::id())));
        let of = made(from).await?;
        copy::write(from, &draft.0, now).await?;
        opening::open(&draft.0, Copies::No).await?.close().await;
        let restored = match url.is_there() {
            Err(StoreError::Missing(_)) => {
                let beside = ["-wal", "-shm", "-journal"].map(|ending| with_ending(&url.file, ending));
                if let Some(left) = beside.into_iter().find(|path| path.symlink_metadata().is_ok()) {
                    return Err(StoreError::LeftBehind(left));
                }
                Restored { of, ..begin(&draft.0, now).await? }
            }
            there => {
                there?;
                let kept = with_ending(&url.file, &format!(".before-restore-{}", opening::stamp(now)));
                let restored = Restored { of, ..carry_over(&url.file, &draft.0, now).await? };
                let keeping = |cause| StoreError::Copy { to: kept.clone(), cause };
                fs::hard_link(&url.file, &kept).map_err(keeping)?;
                Restored { kept: Some(kept), ..restored }
            }
        };
        record(&draft.0, &restored).await?;
        let placing = |cause| StoreError::Create { file: url.file.clone(), cause };
        fs::rename(&draft.0, &url.file).map_err(placing)?;
        copy::sync_folder(&url.file).map_err(placing)?;
        Ok(restored)
    }
}

/// When the backup `from` was made, or the latest moment that it knows.
async fn made(from: &Path) -> Result<Option<Timestamp>, StoreError> {
    let mut reading = opening::plain(from).connect().await?;
    let at: Option<i64> = sqlx::query_scalar(
        "SELECT at FROM marks WHERE name IN ('backup', 'clock') ORDER BY name = 'clock' LIMIT 1",
    )
    .fetch_optional(&mut reading)
    .await?;
    reading.close().await?;
    at.map(moment).transpose()
}

/// Makes the backup at `draft` a store that goes on although nobody knows what came after it.
async fn begin(draft: &Path, now: Timestamp) -> Result<Restored, StoreError> {
    let mut writing = opening::plain(draft).connect().await?;
    sqlx::query(
        "INSERT INTO sqlite_sequence SELECT 'tokens', 0 \
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'tokens')",
    )
    .execute(&mut writing)
    .await?;
    // By the seconds since 1970 a second restoring of the same backup is told from the first.
    sqlx::query("UPDATE sqlite_sequence SET seq = max(seq + ?1, ?2) WHERE name = 'tokens'")
        .bind(SPARED)
        .bind(now.as_second())
        .execute(&mut writing)
        .await?;
    sqlx::query("DELETE FROM marks WHERE name = 'backup'").execute(&mut writing).await?;
    changed(&mut writing, "main", now).await?;
    let tokens = count(&mut writing, "SELECT count(*) FROM tokens").await?;
    writing.close().await?;
    Ok(Restored { tokens, ..Restored::default() })
}

/// Carries over into the backup at `draft` what the store at `file` knows better. Nobody else may use that one.
async fn carry_over(file: &Path, draft: &Path, now: Timestamp) -> Result<Restored, StoreError> {
    // Both have the tables of this version then.
    opening::open(file, Copies::Kept).await?.close().await;
    let mut alone =
        opening::plain(file).pragma("locking_mode", "exclusive").foreign_keys(false).connect().await?;
    sqlx::query("BEGIN EXCLUSIVE; UPDATE marks SET at = at; COMMIT").execute(&mut alone).await?;
    sqlx::query("ATTACH ?1 AS new")
        .bind(draft.to_str().ok_or_else(|| StoreError::Damaged("its path is not UTF-8".to_owned()))?)
        .execute(&mut alone)
        .await?;
    let is_same = "SELECT (SELECT store FROM main.identity) IS (SELECT store FROM new.identity)";
    if count(&mut alone, is_same).await? == 0 {
        alone.close().await?;
        return Err(StoreError::OtherStore(file.to_owned()));
    }
    let mut writing = alone.begin().await?;
    let revoked = "SELECT count(*) FROM new.tokens WHERE id NOT IN (SELECT id FROM main.tokens)";
    let revoked = count(&mut writing, revoked).await?;
    let since = "SELECT id FROM main.tokens WHERE id NOT IN (SELECT id FROM new.tokens) ORDER BY id";
    let created_since = sqlx::query_scalar(since).fetch_all(&mut *writing).await?;
    let stay: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND name NOT IN ('_sqlx_migrations', 'audit') AND name NOT IN ({BROUGHT_BACK})"
    )))
    .fetch_all(&mut *writing)
    .await?;
    for table in stay {
        let statement = format!(
            "DELETE FROM new.\"{table}\"; INSERT INTO new.\"{table}\" SELECT * FROM main.\"{table}\""
        );
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *writing).await?;
    }
    sqlx::raw_sql(CARRY_OVER).execute(&mut *writing).await?;
    changed(&mut writing, "new", now).await?;
    let tokens = count(&mut writing, "SELECT count(*) FROM new.tokens").await?;
    writing.commit().await?;
    sqlx::query("DETACH new").execute(&mut alone).await?;
    alone.close().await?;
    Ok(Restored { tokens, stays_revoked: Some(revoked), created_since, ..Restored::default() })
}

/// Adds to the audit of the store at `draft` what it was restored from.
async fn record(draft: &Path, restored: &Restored) -> Result<(), StoreError> {
    let store = opening::open(draft, Copies::No).await?;
    let details = json!({
        "backup_of": restored.of,
        "stay_revoked": restored.stays_revoked,
        "created_since": restored.created_since,
    });
    let effect = Effect::new(AuditAction::StoreRestore, details);
    let recorded = store.write(&Right::Host).await?.finish([effect]).await;
    store.close().await;
    recorded
}

/// Takes note in the settings of `schema` that they are those of a backup.
async fn changed(writing: &mut SqliteConnection, schema: &str, now: Timestamp) -> Result<(), StoreError> {
    let statement = format!(
        "UPDATE {schema}.settings SET revision = revision + 1, changed_by = '(store restore)', changed = ?1"
    );
    sqlx::query(AssertSqlSafe(statement)).bind(now.as_millisecond()).execute(writing).await?;
    Ok(())
}

async fn count(reading: &mut SqliteConnection, query: &'static str) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(query).fetch_one(reading).await?)
}
