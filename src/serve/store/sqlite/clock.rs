//! The latest moment that there was for the servers on a store.

use jiff::Timestamp;

use serde_json::json;

use super::{Store, Upkeep, moment};
use crate::{
    model::audit::AuditAction,
    serve::store::{Right, StoreError, audit::Effect},
};

/// Everything that says when something was, with its table.
const PAST: [(&str, &str); 8] = [
    ("tokens", "created"),
    ("tokens", "last_used"),
    ("settings", "changed"),
    ("lease", "since"),
    ("runs", "begun"),
    ("runs", "last"),
    ("runs", "ended"),
    ("run_changes", "done"),
];

impl Store {
    /// The latest moment that was kept, UTC; nothing when none was.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn latest_moment(&self) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar("SELECT at FROM marks WHERE name = 'clock'")
            .fetch_optional(&self.readers)
            .await?;
        at.map(moment).transpose()
    }

    /// Keeps `now`, UTC, when it is later than what was kept.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn keep_latest_moment(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        sqlx::query(
            "INSERT INTO marks (name, at) VALUES ('clock', ?1) \
             ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
        )
        .bind(now.as_millisecond())
        .execute(&mut *writing)
        .await?;
        // The number itself means nothing. To change it changes the first page of the file and what counts its
        // changes, by which a copy from before is known when it is written over the file.
        let kept: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *writing).await?;
        let statement = format!("PRAGMA user_version = {}", (kept + 1) & 0x7fff_ffff);
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *writing).await?;
        writing.keep(Upkeep::Clock).await
    }

    /// Goes back to `now`, UTC, after the clock of a server was ahead: what is said to have been later was
    /// now, and nobody holds the lease any more. What was to expire then does. Entries of the audit keep their
    /// moments, and the one that tells of this stands behind them.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn go_back_to(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = self.latest_moment().await?;
        let effect = Effect::new(AuditAction::ClockReset, json!({"before": before, "after": now}));
        let now = now.as_millisecond();
        let mut writing = self.write(&Right::Host).await?;
        for (table, column) in PAST {
            let statement = format!("UPDATE {table} SET {column} = ?1 WHERE {column} > ?1");
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(now).execute(&mut *writing).await?;
        }
        sqlx::query("UPDATE lease SET expires = 0").execute(&mut *writing).await?;
        sqlx::query("UPDATE marks SET at = ?1 WHERE at > ?1").bind(now).execute(&mut *writing).await?;
        writing.finish([effect]).await
    }
}
