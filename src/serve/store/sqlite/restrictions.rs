//! How tokens of the server behind a gateway are restricted.

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{FromRow, SqliteConnection};

use super::{Right, Store, moment, runs};
use crate::{
    model::{LastChange, Restriction, Scope, audit::AuditAction},
    serve::store::{
        PageRequest, Restricted, RestrictionRow, StoreError, Under,
        audit::{Effect, differences},
    },
};

#[derive(FromRow)]
struct Row {
    number: i64,
    token: i64,
    not_after: Option<i64>,
    max_scope: Option<i64>,
    changed: i64,
    changed_by: String,
}

impl TryFrom<Row> for RestrictionRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let no_scope = |number| StoreError::Damaged(format!("{number} is not a scope of a restriction"));
        let max_scope = row
            .max_scope
            .map(|number| Scope::from_number(number).ok_or_else(|| no_scope(number)))
            .transpose()?;
        Ok(Self {
            token: row.token,
            restriction: Restriction { not_after: row.not_after.map(moment).transpose()?, max_scope },
            number: row.number,
            change: LastChange { by: row.changed_by, at: moment(row.changed)? },
        })
    }
}

impl Store {
    /// How the token `token` is restricted; `None` when it is not.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn restriction(&self, token: i64) -> Result<Option<RestrictionRow>, StoreError> {
        let answers = self.answers().await?;
        if let Some(answer) = answers.restrictions.get(&token) {
            return Ok(answer);
        }
        let answer = read(&mut *self.recognisers.acquire().await?, token).await?;
        answers.restrictions.keep(token, answer.clone());
        Ok(answer)
    }

    /// The restrictions of tokens, in the order of the numbers of the tokens.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn restrictions(&self, page: PageRequest) -> Result<Vec<RestrictionRow>, StoreError> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT * FROM restrictions WHERE token >= ?1 ORDER BY token LIMIT ?2")
                .bind(page.start)
                .bind(page.limit)
                .fetch_all(&self.readers)
                .await?;
        rows.into_iter().map(RestrictionRow::try_from).collect()
    }

    /// Restricts the token `token` so, or not at all when nothing is taken from it, in place of the restriction
    /// with the number `expected`, or of none. When a run does it, that is kept with it.
    ///
    /// # Errors
    ///
    /// When `right` has ended, the run has lost its lease, or the store fails.
    pub async fn restrict(
        &self,
        right: &Right,
        (token, expected): (i64, Option<i64>),
        wanted: Restriction,
        change: &LastChange,
        under: Option<&Under>,
    ) -> Result<Restricted, StoreError> {
        let mut writing = self.write(right).await?;
        let before = read(&mut writing, token).await?;
        if before.as_ref().map(|row| row.number) != expected {
            return writing.finish(None).await.map(|()| Restricted::Moved);
        }
        if before.as_ref().map(|row| row.restriction).unwrap_or_default() == wanted {
            return writing.finish(None).await.map(|()| Restricted::Now(before));
        }
        sqlx::query("DELETE FROM restrictions WHERE token = ?1").bind(token).execute(&mut *writing).await?;
        if wanted != Restriction::default() {
            sqlx::query(
                "INSERT INTO restrictions (token, not_after, max_scope, changed, changed_by) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(token)
            .bind(wanted.not_after.map(Timestamp::as_millisecond))
            .bind(wanted.max_scope.map(Scope::number))
            .bind(change.at.as_millisecond())
            .bind(&change.by)
            .execute(&mut *writing)
            .await?;
        }
        runs::keep(&mut writing, under).await?;
        let after = read(&mut writing, token).await?;
        let action = match after {
            Some(_) => AuditAction::RestrictionSet,
            None => AuditAction::RestrictionRemove,
        };
        let (before, now) = (before.as_ref().map(shown), after.as_ref().map(shown));
        let difference = differences(&before.unwrap_or_default(), &now.unwrap_or_default());
        // Tokens of its own have other numbers, which can be the same.
        let details = json!({"upstream_token": format!("{token:012}"), "restriction": difference});
        writing.finish([Effect::new(action, details)]).await?;
        Ok(Restricted::Now(after))
    }
}

impl Store {
    /// Keeps that the token `token` of the server behind was revoked there, and what a run did with it.
    ///
    /// # Errors
    ///
    /// When `right` has ended, the run has lost its lease, or the store fails.
    pub async fn upstream_revoked(
        &self,
        right: &Right,
        token: i64,
        under: Option<&Under>,
    ) -> Result<(), StoreError> {
        let mut writing = self.write(right).await?;
        runs::keep(&mut writing, under).await?;
        let details = json!({"upstream_token": format!("{token:012}")});
        writing.finish([Effect::new(AuditAction::UpstreamRevoke, details)]).await
    }
}

/// Takes off the restriction of the token `token`. Returns how that differs from before, as the audit tells it.
pub(super) async fn take_off(connection: &mut SqliteConnection, token: i64) -> Result<Value, StoreError> {
    let before = read(connection, token).await?;
    sqlx::query("DELETE FROM restrictions WHERE token = ?1").bind(token).execute(connection).await?;
    Ok(differences(&before.as_ref().map(shown).unwrap_or_default(), &Value::default()))
}

async fn read(connection: &mut SqliteConnection, token: i64) -> Result<Option<RestrictionRow>, StoreError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM restrictions WHERE token = ?1")
        .bind(token)
        .fetch_optional(connection)
        .await?;
    row.map(RestrictionRow::try_from).transpose()
}

fn shown(row: &RestrictionRow) -> Value {
    json!({"not_after": row.restriction.not_after, "max_scope": row.restriction.max_scope})
}
