//! The last use of each token of the server behind a gateway, as far as that server confirmed it.

use super::{Right, Store, Upkeep, moment};
use crate::{
    model::LastUse,
    serve::store::{PageRequest, StoreError, Use},
};

impl Store {
    /// Keeps `uses`, in one transaction.
    ///
    /// # Errors
    ///
    /// When the store fails; then none is kept.
    pub async fn record_upstream_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        for used in uses {
            sqlx::query(
                "INSERT INTO upstream_uses (token, last_used, last_used_from) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE \
                 SET last_used = excluded.last_used, last_used_from = excluded.last_used_from \
                 WHERE last_used <= excluded.last_used",
            )
            .bind(used.token)
            .bind(used.last_use.at.as_millisecond())
            .bind(used.last_use.from.map(|address| address.to_string()))
            .execute(&mut *writing)
            .await?;
        }
        writing.keep(Upkeep::LastUses).await
    }

    /// The last uses of tokens, in the order of the numbers of the tokens.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn upstream_uses(&self, page: PageRequest) -> Result<Vec<Use>, StoreError> {
        let rows: Vec<(i64, i64, Option<String>)> = sqlx::query_as(
            "SELECT token, last_used, last_used_from FROM upstream_uses WHERE token >= ?1 ORDER BY token LIMIT ?2",
        )
        .bind(page.start)
        .bind(page.limit)
        .fetch_all(&self.readers)
        .await?;
        let used = |(token, at, from): (i64, i64, Option<String>)| {
            let bad =
                |_| StoreError::Damaged(format!("the last use of token {token} has no readable address"));
            let from = from.map(|text| text.parse().map_err(bad)).transpose()?;
            Ok(Use { token, last_use: LastUse { at: moment(at)?, from } })
        };
        rows.into_iter().map(used).collect()
    }
}
