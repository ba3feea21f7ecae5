//! The settings document that is kept, as text, with its revision and who wrote it when.

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{Right, Store, moment, runs};
use crate::{
    model::{LastChange, audit::AuditAction},
    serve::store::{
        SettingsRow, StoreError, Under,
        audit::{Effect, differences},
    },
};

impl Store {
    /// The settings, without the document when revision and document are those `known`; `None` when there are none
    /// yet. The revision alone tells nothing once a backup was put back.
    ///
    /// # Errors
    ///
    /// When the store fails, or is not where it was opened.
    pub async fn settings(&self, known: Option<(i64, &str)>) -> Result<Option<SettingsRow>, StoreError> {
        self.place.check_to_read()?;
        Ok(self.answers().await?.settings(known))
    }

    /// Keeps `document` when there are no settings yet.
    ///
    /// # Errors
    ///
    /// When the store had settings before and lost them, or fails.
    pub async fn begin_settings(&self, document: &str) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        let (has_settings, was_served): (bool, bool) = sqlx::query_as(
            "SELECT EXISTS (SELECT 1 FROM settings), EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'tokens') \
             OR EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM marks WHERE name IN ('clock', 'seeded'))",
        )
        .fetch_one(&mut *writing)
        .await?;
        if has_settings {
            return writing.finish(None).await;
        }
        if was_served {
            return Err(StoreError::SettingsLost);
        }
        sqlx::query("INSERT INTO settings (id, document, revision) VALUES (1, ?1, 1)")
            .bind(document)
            .execute(&mut *writing)
            .await?;
        let effect = Effect::new(AuditAction::SettingsBegin, json!({"settings": of_text(document)}));
        writing.finish([effect]).await
    }

    /// Who changed the settings last, and when; `None` when they are those of a new server, or were
    /// changed by a version that did not remember it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn last_settings_change(&self) -> Result<Option<LastChange>, StoreError> {
        let row: Option<(String, i64)> = sqlx::query_as(
            "SELECT changed_by, changed FROM settings WHERE id = 1 AND changed_by IS NOT NULL AND changed IS NOT NULL",
        )
        .fetch_optional(&self.readers)
        .await?;
        row.map(|(by, at)| Ok(LastChange { by, at: moment(at)? })).transpose()
    }

    /// What Bitbucket's configuration of basic authentication holds beside the settings, as JSON.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn basic_authentication(&self) -> Result<Option<String>, StoreError> {
        let row: Option<Option<String>> =
            sqlx::query_scalar("SELECT basic_authentication FROM settings WHERE id = 1")
                .fetch_optional(&self.readers)
                .await?;
        Ok(row.flatten())
    }

    /// Keeps `document` and returns its revision; `None` when the present revision is not `expected`
    /// any more. `basic_authentication` is kept with it when it is given. When a run does it, that is kept
    /// with it.
    ///
    /// # Errors
    ///
    /// When `right` has ended, the run has lost its lease, or the store fails.
    pub async fn replace_settings(
        &self,
        right: &Right,
        expected: i64,
        document: &str,
        change: &LastChange,
        basic_authentication: Option<&str>,
        under: Option<&Under>,
    ) -> Result<Option<i64>, StoreError> {
        let mut writing = self.write(right).await?;
        let before = documents(&mut writing).await?;
        let revision: Option<i64> = sqlx::query_scalar(
            "UPDATE settings SET document = ?1, revision = revision + 1, changed_by = ?3, changed = ?4, \
             basic_authentication = coalesce(?5, basic_authentication) \
             WHERE id = 1 AND revision = ?2 RETURNING revision",
        )
        .bind(document)
        .bind(expected)
        .bind(&change.by)
        .bind(change.at.as_millisecond())
        .bind(basic_authentication)
        .fetch_optional(&mut *writing)
        .await?;
        let Some(revision) = revision else {
            return writing.finish(None).await.map(|()| None);
        };
        runs::keep(&mut writing, under).await?;
        let effect = replacement(&mut writing, AuditAction::SettingsReplace, &before).await?;
        writing.finish([effect]).await?;
        Ok(Some(revision))
    }

    /// Keeps `document` whatever was kept before.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn force_settings(&self, document: &str, change: &LastChange) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        let before = documents(&mut writing).await?;
        sqlx::query(
            "INSERT INTO settings (id, document, revision, changed_by, changed) VALUES (1, ?1, 1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET document = excluded.document, revision = revision + 1, \
             changed_by = excluded.changed_by, changed = excluded.changed",
        )
        .bind(document)
        .bind(&change.by)
        .bind(change.at.as_millisecond())
        .execute(&mut *writing)
        .await?;
        let effect = replacement(&mut writing, AuditAction::SettingsImport, &before).await?;
        writing.finish([effect]).await
    }
}

/// The effect of settings in place of those that were in `before`.
pub(super) async fn replacement(
    connection: &mut SqliteConnection,
    action: AuditAction,
    before: &Value,
) -> Result<Effect, StoreError> {
    Ok(Effect::new(action, differences(before, &documents(connection).await?)))
}

/// The settings and what is kept beside them, as far as there are any.
pub(super) async fn documents(connection: &mut SqliteConnection) -> Result<Value, StoreError> {
    let row: Option<(i64, String, Option<String>)> =
        sqlx::query_as("SELECT revision, document, basic_authentication FROM settings WHERE id = 1")
            .fetch_optional(connection)
            .await?;
    let Some((revision, document, beside)) = row else { return Ok(json!({})) };
    Ok(json!({
        "revision": revision,
        "settings": of_text(&document),
        "basic_authentication": beside.as_deref().map(of_text),
    }))
}

/// The JSON in `text`, or the text where it is none.
fn of_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
