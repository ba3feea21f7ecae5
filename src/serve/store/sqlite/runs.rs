//! The run that holds the lease, and the ledger of what was done, kept in the transaction that did it.

use std::{
    collections::{HashMap, HashSet},
    slice,
};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{FromRow, SqliteConnection};

use super::{Right, Store, Upkeep, Writing, moment};
use crate::{
    model::{
        ServerIdentity,
        audit::AuditAction,
        run::{ChangeNote, Fate, RecordedChange, RecordedResult, RecordedRun, RunHead, RunId},
    },
    serve::store::{Lease, LeaseAnswer, StoreError, TokenRow, Under, audit::Effect},
};

#[derive(FromRow)]
struct LeaseRow {
    number: i64,
    run: String,
    holder: String,
    since: i64,
    expires: i64,
}

impl TryFrom<LeaseRow> for Lease {
    type Error = StoreError;

    fn try_from(row: LeaseRow) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.number,
            run: run_id(row.run)?,
            holder: row.holder,
            since: moment(row.since)?,
            expires: moment(row.expires)?,
        })
    }
}

#[derive(FromRow)]
struct RunRow {
    run: String,
    target: String,
    begun: i64,
    run_by: String,
    policy_sha256: String,
    ended: Option<i64>,
}

impl Store {
    /// By what the store is known, whatever leads to it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn identity(&self) -> Result<String, StoreError> {
        Ok(sqlx::query_scalar("SELECT store FROM identity").fetch_one(&self.readers).await?)
    }

    /// Gives the lease to `run` until `expires`, or prolongs it; nobody else may hold it at `now`.
    ///
    /// # Errors
    ///
    /// When `right` has ended, or the store fails.
    pub async fn take_lease(
        &self,
        right: &Right,
        run: &RunId,
        holder: &str,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<LeaseAnswer, StoreError> {
        let mut writing = self.write(right).await?;
        let held = lease(&mut writing).await?;
        // A lease that was given back belongs to nobody.
        let lost_by =
            held.as_ref().filter(|held| held.expires != Timestamp::UNIX_EPOCH).map(|held| held.run.clone());
        let (number, since) = match held {
            // What prolonged it may have been under way when it was given back.
            Some(held) if held.run == *run && held.expires == Timestamp::UNIX_EPOCH => {
                return Ok(LeaseAnswer::Over);
            }
            Some(held) if held.run == *run => (held.number, held.since),
            Some(held) if held.expires > now => return Ok(LeaseAnswer::Held(held)),
            Some(held) => (held.number + 1, now),
            None => (1, now),
        };
        sqlx::query(
            "INSERT INTO lease (id, number, run, holder, since, expires) VALUES (1, ?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO UPDATE SET number = ?1, run = ?2, holder = ?3, since = ?4, expires = ?5",
        )
        .bind(number)
        .bind(run.as_str())
        .bind(holder)
        .bind(since.as_millisecond())
        .bind(expires.as_millisecond())
        .execute(&mut *writing)
        .await?;
        if lost_by.as_ref() == Some(run) {
            writing.keep(Upkeep::LeaseGoesOn).await?;
        } else {
            writing.by_run(run);
            let details = json!({"number": number, "holder": holder, "lost_by": lost_by});
            writing.finish([Effect::new(AuditAction::LeaseTake, details)]).await?;
        }
        Ok(LeaseAnswer::Given(Lease { number, run: run.clone(), holder: holder.to_owned(), since, expires }))
    }

    /// Takes the lease back from `run`, and returns whether that run held it.
    ///
    /// # Errors
    ///
    /// When `right` has ended, or the store fails.
    pub async fn give_back_lease(&self, right: &Right, run: &RunId) -> Result<bool, StoreError> {
        let mut writing = self.write(right).await?;
        let done = sqlx::query("UPDATE lease SET expires = 0 WHERE run = ?1 AND expires > 0")
            .bind(run.as_str())
            .execute(&mut *writing)
            .await?;
        let is_done = done.rows_affected() > 0;
        writing.by_run(run);
        let effect = Effect::new(AuditAction::LeaseGiveBack, json!({}));
        writing.finish(is_done.then_some(effect)).await?;
        Ok(is_done)
    }

    /// Keeps a run that begins. The same one may be told twice.
    ///
    /// # Errors
    ///
    /// When `right` has ended, or the store fails.
    pub async fn begin_run(&self, right: &Right, head: &RunHead) -> Result<(), StoreError> {
        let mut writing = self.write(right).await?;
        let done = sqlx::query(
            "INSERT INTO runs (run, target, begun, run_by, policy_sha256, last) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?3) ON CONFLICT DO NOTHING",
        )
        .bind(head.run.as_str())
        .bind(&head.target)
        .bind(head.begun.as_millisecond())
        .bind(&head.by)
        .bind(&head.policy_sha256)
        .execute(&mut *writing)
        .await?;
        writing.by_run(&head.run);
        let details = json!({"target": head.target, "by": head.by, "policy_sha256": head.policy_sha256});
        let effect = Effect::new(AuditAction::RunBegin, details);
        writing.finish((done.rows_affected() > 0).then_some(effect)).await
    }

    /// Keeps that `run` ended at `at`. Returns what it took along with what it did, or `None` if there is no such run.
    ///
    /// # Errors
    ///
    /// When `right` has ended, or the store fails.
    pub async fn end_run(
        &self,
        right: &Right,
        run: &RunId,
        at: Timestamp,
    ) -> Result<Option<Vec<ChangeNote>>, StoreError> {
        let mut writing = self.write(right).await?;
        let ended: Option<Option<i64>> = sqlx::query_scalar("SELECT ended FROM runs WHERE run = ?1")
            .bind(run.as_str())
            .fetch_optional(&mut *writing)
            .await?;
        // A run ends once.
        let ends = ended == Some(None);
        if ends {
            sqlx::query("UPDATE runs SET ended = ?2, last = max(last, ?2) WHERE run = ?1")
                .bind(run.as_str())
                .bind(at.as_millisecond())
                .execute(&mut *writing)
                .await?;
        }
        let along: Vec<String> = sqlx::query_scalar(
            "SELECT note FROM run_changes WHERE run = ?1 AND note ->> 'with_token' IS NOT NULL \
             ORDER BY done, address, action",
        )
        .bind(run.as_str())
        .fetch_all(&mut *writing)
        .await?;
        writing.by_run(run);
        let effect = Effect::new(AuditAction::RunEnd, json!({}));
        writing.finish(ends.then_some(effect)).await?;
        let along = along.iter().map(|text| note(text)).collect::<Result<_, _>>()?;
        Ok(ended.map(|_| along))
    }

    /// The runs that did something at `since` or later, the latest first, `limit` at most, with what they
    /// did.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn runs(&self, since: Timestamp, limit: i64) -> Result<Vec<RecordedRun>, StoreError> {
        // One transaction: a change of a run that is not among the runs would be lost.
        let mut reading = self.readers.begin().await?;
        let rows: Vec<RunRow> = sqlx::query_as(
            "SELECT run, target, begun, run_by, policy_sha256, ended FROM runs WHERE last >= ?1 \
             ORDER BY begun DESC, run DESC LIMIT ?2",
        )
        .bind(since.as_millisecond())
        .bind(limit)
        .fetch_all(&mut *reading)
        .await?;
        let changes: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT run, note, done FROM run_changes WHERE run IN (SELECT run FROM runs WHERE last >= ?1 \
             ORDER BY begun DESC, run DESC LIMIT ?2) ORDER BY done, address, action",
        )
        .bind(since.as_millisecond())
        .bind(limit)
        .fetch_all(&mut *reading)
        .await?;
        let mut by_run: HashMap<String, Vec<RecordedChange>> = HashMap::new();
        for (run, note, done) in changes {
            by_run.entry(run).or_default().push(change(&note, moment(done)?)?);
        }
        let recorded = |row: RunRow| {
            let changes = by_run.remove(&row.run).unwrap_or_default();
            let (run, begun) = (run_id(row.run)?, moment(row.begun)?);
            let ended = row.ended.map(moment).transpose()?;
            let (target, by, policy_sha256) = (row.target, row.run_by, row.policy_sha256);
            // Whatever the ledger has was done here.
            let server = ServerIdentity::default();
            Ok(RecordedRun {
                head: RunHead { run, target, server, begun, by, policy_sha256 },
                changes,
                ended,
            })
        };
        rows.into_iter().map(recorded).collect()
    }
}

/// Makes sure within `writing` that `under` may still write, and keeps what it does.
///
/// # Errors
///
/// When the lease was lost, the run never began, or the store fails.
pub(super) async fn keep(writing: &mut Writing, under: Option<&Under>) -> Result<(), StoreError> {
    let Some(under) = under else { return Ok(()) };
    admit(writing, under).await?;
    add(writing, Some(under), slice::from_ref(&under.note)).await
}

/// Makes sure within `writing` that the run of `under` may still write.
///
/// # Errors
///
/// When the lease was lost, the run never began, or the store fails.
pub(super) async fn admit(writing: &mut Writing, under: &Under) -> Result<(), StoreError> {
    if let Some(number) = under.lease {
        // INVARIANT: a lease that ran out is good until somebody else takes it; then its number is an old
        // one for good.
        let held = lease(writing).await?;
        let holds = held.is_some_and(|held| held.number == number && held.expires != Timestamp::UNIX_EPOCH);
        if !holds {
            return Err(StoreError::LeaseLost);
        }
    }
    writing.by_run(&under.run);
    let known = sqlx::query("UPDATE runs SET last = max(last, ?2) WHERE run = ?1")
        .bind(under.run.as_str())
        .bind(under.at.as_millisecond())
        .execute(&mut **writing)
        .await?;
    if known.rows_affected() == 0 {
        return Err(StoreError::NoSuchRun(under.run.clone()));
    }
    Ok(())
}

/// Makes sure that the credential of a run is not among `tokens`, which it would take along.
///
/// # Errors
///
/// When it is.
pub(super) fn spare_credential<'a>(
    writing: &Writing,
    under: Option<&Under>,
    mut tokens: impl Iterator<Item = &'a i64>,
) -> Result<(), StoreError> {
    let goes_along = under.is_some() && tokens.any(|id| writing.is_by(*id));
    if goes_along { Err(StoreError::OwnCredential) } else { Ok(()) }
}

/// What the ledger keeps of `tokens`, as they were before, which the change `under` of the token `root` took along.
pub(super) fn along<'a>(
    under: Option<&Under>,
    tokens: impl Iterator<Item = &'a TokenRow>,
    root: i64,
) -> Vec<ChangeNote> {
    let Some(under) = under else { return Vec::new() };
    let live = |token: &TokenRow| token.expires.is_none_or(|expires| under.at < expires);
    tokens.map(|token| under.note.along(token.id, root, live(token))).collect()
}

/// Which of the changes that are made under `all`, which is one run, it has made before, by address and action. What
/// went along with another one is none of them.
///
/// # Errors
///
/// When the store fails.
pub(super) async fn made_before(
    writing: &mut Writing,
    all: &[&Under],
) -> Result<HashSet<(String, String)>, StoreError> {
    let Some(first) = all.first() else { return Ok(HashSet::new()) };
    let addresses: Vec<&str> = all.iter().map(|under| under.note.address.as_str()).collect();
    let made: Vec<(String, String)> = sqlx::query_as(
        "SELECT address, action FROM run_changes WHERE run = ?1 \
         AND address IN (SELECT value FROM json_each(?2)) AND note ->> 'with_token' IS NULL",
    )
    .bind(first.run.as_str())
    .bind(json!(addresses).to_string())
    .fetch_all(&mut **writing)
    .await?;
    Ok(made.into_iter().collect())
}

/// Whether the run did already what it does `under`, also when it did so along with something else.
///
/// # Errors
///
/// When the store fails.
pub(super) async fn has_done(writing: &mut Writing, under: &Under) -> Result<bool, StoreError> {
    let known = "SELECT EXISTS (SELECT 1 FROM run_changes WHERE run = ?1 AND address = ?2 AND action = ?3)";
    let known = sqlx::query_scalar(known)
        .bind(under.run.as_str())
        .bind(&under.note.address)
        .bind(&under.note.action)
        .fetch_one(&mut **writing);
    Ok(known.await?)
}

/// Keeps `notes` of what the run of `under`, if it is one, does, but for those that it has already.
///
/// # Errors
///
/// When the store fails.
pub(super) async fn add(
    writing: &mut Writing,
    under: Option<&Under>,
    notes: &[ChangeNote],
) -> Result<(), StoreError> {
    let Some(under) = under.filter(|_| !notes.is_empty()) else { return Ok(()) };
    let text = serde_json::to_string(notes)
        .map_err(|error| StoreError::Damaged(format!("notes cannot be written: {error}")))?;
    sqlx::query(
        "INSERT INTO run_changes (run, address, action, note, done) \
         SELECT ?1, value ->> 'address', value ->> 'action', value, ?3 FROM json_each(?2) WHERE true \
         ON CONFLICT DO NOTHING",
    )
    .bind(under.run.as_str())
    .bind(text)
    .bind(under.at.as_millisecond())
    .execute(&mut **writing)
    .await?;
    Ok(())
}

async fn lease(connection: &mut SqliteConnection) -> Result<Option<Lease>, StoreError> {
    let row: Option<LeaseRow> =
        sqlx::query_as("SELECT number, run, holder, since, expires FROM lease WHERE id = 1")
            .fetch_optional(connection)
            .await?;
    row.map(Lease::try_from).transpose()
}

fn run_id(text: String) -> Result<RunId, StoreError> {
    RunId::try_from(text).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn note(text: &str) -> Result<ChangeNote, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Damaged(format!("the note of a change cannot be read: {error}")))
}

fn change(text: &str, done: Timestamp) -> Result<RecordedChange, StoreError> {
    let result = RecordedResult { fate: Fate::Done, at: done, reason: None };
    Ok(RecordedChange { note: note(text)?, attempted: Some(done), result: Some(result) })
}
