//! What is kept of tokens that the server behind a gateway has no longer: it goes when they were gone for long enough.
//!
//! A user whom a directory loses for a while comes back with the tokens of before, and these are to be restricted as
//! they were.

use jiff::Timestamp;
use serde_json::json;

use super::{Right, Store, Upkeep, restrictions};
use crate::{
    model::audit::AuditAction,
    serve::store::{StoreError, audit::Effect},
};

impl Store {
    /// The numbers of all tokens of the server behind of which a restriction or a use is kept.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn kept_of_upstream(&self) -> Result<Vec<i64>, StoreError> {
        let kept = "SELECT token FROM restrictions UNION SELECT token FROM upstream_uses";
        Ok(sqlx::query_scalar(kept).fetch_all(&self.readers).await?)
    }

    /// Keeps that of all tokens the server behind has no longer those with the numbers in `gone`, as a reading told that
    /// began at `read_at`, UTC. What is kept of those that were gone `before` already is deleted; what has changed
    /// since the reading began stays. Returns how many restrictions went.
    ///
    /// # Errors
    ///
    /// When the store fails; then nothing changes.
    pub async fn upstream_gone(
        &self,
        gone: &[i64],
        read_at: Timestamp,
        before: Timestamp,
    ) -> Result<usize, StoreError> {
        let gone = serde_json::to_string(gone).unwrap_or_default();
        let mut writing = self.write(&Right::Host).await?;
        sqlx::query("DELETE FROM gone_tokens WHERE token NOT IN (SELECT value FROM json_each(?1))")
            .bind(&gone)
            .execute(&mut *writing)
            .await?;
        sqlx::query("INSERT OR IGNORE INTO gone_tokens (token, since) SELECT value, ?2 FROM json_each(?1)")
            .bind(&gone)
            .bind(read_at.as_millisecond())
            .execute(&mut *writing)
            .await?;
        let (read_at, before) = (read_at.as_millisecond(), before.as_millisecond());
        let expired: Vec<i64> = sqlx::query_scalar(
            "SELECT g.token FROM gone_tokens g JOIN restrictions r USING (token) \
             WHERE g.since < ?1 AND r.changed < ?2 ORDER BY g.token",
        )
        .bind(before)
        .bind(read_at)
        .fetch_all(&mut *writing)
        .await?;
        let mut effects = Vec::with_capacity(expired.len());
        for token in expired {
            let restriction = restrictions::take_off(&mut writing, token).await?;
            let details =
                json!({"upstream_token": format!("{token:012}"), "gone": true, "restriction": restriction});
            effects.push(Effect::new(AuditAction::RestrictionRemove, details));
        }
        sqlx::query(
            "DELETE FROM upstream_uses WHERE last_used < ?2 \
             AND token IN (SELECT token FROM gone_tokens WHERE since < ?1)",
        )
        .bind(before)
        .bind(read_at)
        .execute(&mut *writing)
        .await?;
        let count = effects.len();
        if effects.is_empty() {
            writing.keep(Upkeep::Gone).await?;
        } else {
            writing.finish(effects).await?;
        }
        Ok(count)
    }
}
