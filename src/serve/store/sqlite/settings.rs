//! In: settings documents, as text. Out: the one that is kept, and its revision. It refuses to know
//! what they say.

use super::{Store, runs};
use crate::serve::store::{SettingsRow, StoreError, Under};

impl Store {
    /// The settings, without the document when their revision is `known`; nothing when there are none yet.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn settings(&self, known: Option<i64>) -> Result<Option<SettingsRow>, StoreError> {
        let row: Option<(i64, Option<String>)> = sqlx::query_as(
            "SELECT revision, CASE WHEN revision IS NOT ?1 THEN document END FROM settings WHERE id = 1",
        )
        .bind(known)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(|(revision, document)| SettingsRow { revision, document }))
    }

    /// Keeps `document` when there are no settings yet.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn begin_settings(&self, document: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO settings (id, document, revision) VALUES (1, ?1, 1) ON CONFLICT DO NOTHING")
            .bind(document)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Keeps `document` and answers its revision; nothing, when the present revision is not `expected`
    /// any more. When a run does it, that is kept with it.
    ///
    /// # Errors
    ///
    /// When the run has lost its lease, or the store fails.
    pub async fn replace_settings(
        &self,
        expected: i64,
        document: &str,
        under: Option<&Under>,
    ) -> Result<Option<i64>, StoreError> {
        let mut writing = self.write().await?;
        let revision: Option<i64> = sqlx::query_scalar(
            "UPDATE settings SET document = ?1, revision = revision + 1 \
             WHERE id = 1 AND revision = ?2 RETURNING revision",
        )
        .bind(document)
        .bind(expected)
        .fetch_optional(&mut *writing)
        .await?;
        if revision.is_some() {
            runs::keep(&mut writing, under).await?;
        }
        writing.commit().await?;
        Ok(revision)
    }

    /// Keeps `document` whatever was kept before.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn force_settings(&self, document: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO settings (id, document, revision) VALUES (1, ?1, 1) \
             ON CONFLICT DO UPDATE SET document = excluded.document, revision = revision + 1",
        )
        .bind(document)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}
