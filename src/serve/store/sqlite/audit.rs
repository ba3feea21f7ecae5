//! The audit: entries are added with the effects that they tell of, read page by page, and deleted only by
//! retention.

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder, SqliteConnection};

use super::{Right, Store, moment, tokens};
use crate::{
    model::{
        Owner,
        audit::{AuditAction, AuditCredential, AuditEntry, AuditFilter},
        run::RunId,
    },
    serve::store::{
        PageRequest, StoreError,
        audit::{Author, Effect},
    },
    world::system_time,
};

/// The most entries that are deleted at a time, so that no change waits long for it.
const PRUNED_AT_ONCE: i64 = 10_000;

/// The most entries that are added in one statement.
const ADDED_AT_ONCE: usize = 500;

/// Entries of the audit, as [`Row`]s.
macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT id, at, action, who, credential, credential_token, token, owner_kind, owner, with_token, client, \
             request, run, details, who_person, owner_person FROM audit ",
            $rest
        )
    };
}
pub(super) use entries;

impl Store {
    /// The entries that `filter` selects, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut query = QueryBuilder::new(entries!("WHERE id >= "));
        query.push_bind(page.start);
        if let Some(who) = &filter.who {
            query.push(" AND who_folded = ").push_bind(who.to_lowercase());
        }
        if let Some(owner) = &filter.owner {
            query.push(" AND owner_folded = ").push_bind(tokens::folded(owner));
            query.push(" AND owner_kind = ").push_bind(owner.kind().word());
        }
        if let Some(token) = filter.token {
            query.push(" AND (token = ").push_bind(token);
            query.push(" OR credential_token = ").push_bind(token);
            query.push(" OR with_token = ").push_bind(token).push(")");
        }
        if let Some(action) = filter.action {
            query.push(" AND action = ").push_bind(action.word());
        }
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(since.as_millisecond());
        }
        if let Some(until) = filter.until {
            query.push(" AND at < ").push_bind(until.as_millisecond());
        }
        if let Some(run) = &filter.run {
            query.push(" AND run = ").push_bind(run.as_str());
        }
        query.push(" ORDER BY id LIMIT ").push_bind(page.limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.readers).await?;
        rows.into_iter().map(AuditEntry::try_from).collect()
    }

    /// Deletes the entries from before `before`, UTC, some at a time, and adds one that says how many. Returns
    /// whether some may be left.
    ///
    /// # Errors
    ///
    /// When the store fails; then none is deleted.
    pub async fn prune_audit(&self, before: Timestamp) -> Result<bool, StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        let (through, count): (Option<i64>, i64) = sqlx::query_as(
            "SELECT max(id), count(*) FROM (SELECT id FROM audit WHERE at < ?1 ORDER BY id LIMIT ?2)",
        )
        .bind(before.as_millisecond())
        .bind(PRUNED_AT_ONCE)
        .fetch_one(&mut *writing)
        .await?;
        let Some(through) = through else {
            return writing.finish(None).await.map(|()| false);
        };
        let details = json!({"deleted": count, "before": before});
        // The entry takes the others along: see the triggers of the table.
        let pruning = Effect::new(AuditAction::AuditPrune, details).prunes(through, before);
        writing.finish([pruning]).await?;
        Ok(count == PRUNED_AT_ONCE)
    }
}

/// Adds what `author` did: an entry for each of `effects`, in their order.
pub(super) async fn add(
    connection: &mut SqliteConnection,
    author: &Author,
    effects: &[Effect],
) -> Result<(), StoreError> {
    let whence = author.whence.as_ref();
    for some in effects.chunks(ADDED_AT_ONCE) {
        // Anyone who has the file has only the clock of the system, which may be behind that of the store.
        sqlx::query(
            "INSERT INTO audit (at, who, who_folded, credential, credential_token, client, request, run, who_person, \
             action, token, owner_kind, owner, owner_folded, through, details, with_token, pruned_before, owner_person) \
             SELECT coalesce(?1, max(?2, coalesce((SELECT at FROM marks WHERE name = 'clock'), 0))), \
             ?3, ?4, ?5, ?6, ?7, ?8, ?9, (SELECT person FROM users WHERE folded = ?4), \
             value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
             value ->> 8, (SELECT person FROM users WHERE folded = value ->> 4 AND value ->> 2 = 'user') \
             FROM json_each(?10) ORDER BY key",
        )
        .bind(author.at.map(Timestamp::as_millisecond))
        .bind(system_time().as_millisecond())
        .bind(&author.who)
        .bind(author.who.to_lowercase())
        .bind(author.credential.word())
        .bind(author.credential_token)
        .bind(whence.and_then(|whence| whence.client).map(|client| client.to_string()))
        .bind(whence.map(|whence| whence.request.as_str()))
        .bind(author.run.as_ref().map(RunId::as_str))
        .bind(some.iter().map(columns).collect::<Value>().to_string())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What an entry has of `effect`, beside what it has of the author.
fn columns(effect: &Effect) -> Value {
    let owner = effect.token.as_ref().map(|(_, owner)| owner);
    json!([
        effect.action.word(),
        effect.token.as_ref().map(|(id, _)| *id),
        owner.map(|owner| owner.kind().word()),
        owner.map(tokens::owner_column),
        owner.map(tokens::folded),
        effect.through,
        effect.details(),
        effect.with_token,
        effect.pruned_before.map(Timestamp::as_millisecond),
    ])
}

/// A row, before it is believed.
#[derive(Clone, FromRow)]
pub(super) struct Row {
    pub(super) id: i64,
    at: i64,
    action: String,
    who: String,
    credential: String,
    credential_token: Option<i64>,
    token: Option<i64>,
    owner_kind: Option<String>,
    owner: Option<String>,
    with_token: Option<i64>,
    client: Option<String>,
    request: Option<String>,
    run: Option<String>,
    details: String,
    who_person: Option<String>,
    owner_person: Option<String>,
}

impl TryFrom<Row> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let damaged =
            |what: &str| StoreError::Damaged(format!("entry {} of the audit has no {what}", row.id));
        let owner: Option<Owner> = match (row.owner_kind.as_deref(), row.owner) {
            (Some(kind), Some(owner)) => Some(tokens::owner(kind, owner)?),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            at: moment(row.at)?,
            action: row.action.parse().map_err(|_| damaged("known action"))?,
            who: row.who,
            who_id: row.who_person,
            credential: AuditCredential::from_word(&row.credential)
                .ok_or_else(|| damaged("known credential"))?,
            credential_token: row.credential_token,
            token: row.token,
            owner: owner.map(|owner| owner.to_string()),
            owner_id: row.owner_person,
            with_token: row.with_token,
            client_address: row
                .client
                .map(|text| text.parse().map_err(|_| damaged("readable address")))
                .transpose()?,
            request: row.request,
            run: row.run.map(RunId::try_from).transpose().map_err(|_| damaged("readable run"))?,
            details: serde_json::from_str(&row.details).map_err(|_| damaged("readable details"))?,
        })
    }
}
