//! The latest moment that there was for the servers on a store, and the time that they saw go by.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::SqliteConnection;

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

/// How much faster than time itself a clock is followed that went ahead: a day in an hour.
const CATCH_UP: u32 = 24;

/// How far the time of a store is proven, once the clock of the system says `system` and `elapsed` went by since that was
/// asked last. `before` is how far it was proven then, `latest` the latest moment that was kept. All UTC.
///
/// A clock that jumps ahead is not believed at once: it may be wrong, and what is deleted for its age does not come back.
fn proven(
    before: Option<Timestamp>,
    latest: Option<Timestamp>,
    system: Timestamp,
    elapsed: Duration,
) -> Timestamp {
    let Some(before) = before else { return latest.map_or(system, |latest| latest.min(system)) };
    let caught_up = SignedDuration::try_from(elapsed.saturating_mul(CATCH_UP))
        .map_or(Timestamp::MAX, |elapsed| before.checked_add(elapsed).unwrap_or(Timestamp::MAX));
    before.max(caught_up.min(system))
}

impl Store {
    /// The latest moment that was kept, UTC; `None` when none was.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn latest_moment(&self) -> Result<Option<Timestamp>, StoreError> {
        mark(&mut *self.readers.acquire().await?, "clock").await
    }

    /// How far the time of the servers on this store is proven, UTC: a server saw it go by, and did not take it from one
    /// reading of a clock. `None` when none kept the time yet.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn proven_moment(&self) -> Result<Option<Timestamp>, StoreError> {
        mark(&mut *self.readers.acquire().await?, "proven").await
    }

    /// Keeps `now`, UTC, when it is later than what was kept.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn keep_latest_moment(&self, now: Timestamp) -> Result<(), StoreError> {
        self.keep_time(now, now, Duration::ZERO).await
    }

    /// Keeps `now`, UTC, when it is later than what was kept, and how far that is proven: the clock of the system says
    /// `system`, and `elapsed` went by since the time was kept last.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn keep_time(
        &self,
        now: Timestamp,
        system: Timestamp,
        elapsed: Duration,
    ) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        let (before, latest) = (mark(&mut writing, "proven").await?, mark(&mut writing, "clock").await?);
        for (name, at) in [("proven", proven(before, latest, system, elapsed)), ("clock", now)] {
            sqlx::query(
                "INSERT INTO marks (name, at) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
            )
            .bind(name)
            .bind(at.as_millisecond())
            .execute(&mut *writing)
            .await?;
        }
        // The number itself means nothing. To change it changes the first page of the file and what counts its
        // changes, by which a copy from before is known when it is written over the file.
        let kept: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *writing).await?;
        let statement = format!("PRAGMA user_version = {}", (kept + 1) & 0x7fff_ffff);
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *writing).await?;
        writing.keep(Upkeep::Clock).await
    }

    /// Goes back to `now`, UTC, after the clock of a server was ahead: what is said to have been later was
    /// now, and nobody holds the lease any more. What was to expire then does. Entries of the audit keep their
    /// moments, and the one that tells of this is behind them.
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

/// The moment that is kept under `name`, UTC.
async fn mark(connection: &mut SqliteConnection, name: &str) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = sqlx::query_scalar("SELECT at FROM marks WHERE name = ?1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    at.map(moment).transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000 + hours)
    }

    #[test]
    fn a_clock_that_is_ahead_at_the_start_proves_nothing_and_is_followed_a_day_in_an_hour() {
        let hour = Duration::from_hours(1);
        let (seen, wrong) = (at(0), at(24 * 3650));
        let started = proven(Some(seen), Some(seen), wrong, Duration::ZERO);
        assert_eq!(started, seen);
        assert_eq!(proven(Some(seen), Some(wrong), wrong, hour), at(24));
        assert_eq!(proven(Some(at(24)), Some(wrong), at(1), hour), at(24), "nor does it go back");
        assert_eq!(proven(None, Some(seen), wrong, hour), seen, "a store that no such server ran on");
        assert_eq!(proven(None, Some(wrong), seen, hour), seen, "the clock was ahead before");
        assert_eq!(proven(None, None, seen, hour), seen, "a new store");
    }

    proptest! {
        #[test]
        fn whatever_clocks_say_no_more_is_proven_than_a_day_for_an_hour_that_went_by(
            readings in prop::collection::vec((0..48i64, -100_000..100_000i64), 1..20)
        ) {
            let mut seen = at(0);
            let mut passed = 0;
            for (elapsed, reading) in readings {
                passed += elapsed;
                let after = proven(Some(seen), Some(at(90_000)), at(reading), Duration::from_secs(3600 * elapsed.unsigned_abs()));
                prop_assert!(after >= seen && after <= at(24 * passed));
                prop_assert!(after == seen || after <= at(reading));
                seen = after;
            }
        }

        #[test]
        fn a_clock_that_is_right_is_believed(steps in prop::collection::vec(0..1_000_000i64, 1..20)) {
            let (mut seen, mut now) = (at(0), at(0));
            for step in steps {
                now += SignedDuration::from_secs(step);
                seen = proven(Some(seen), Some(seen), now, Duration::from_secs(step.unsigned_abs()));
                prop_assert_eq!(seen, now);
            }
        }
    }
}
