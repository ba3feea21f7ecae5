//! Whether the audit in a store can be right: no number is without an entry unless retention took it, and every entry
//! can be read.

use std::cmp::Ordering;

use sqlx::{Connection, SqliteConnection};

use super::{
    Store,
    audit::{Row, entries},
    schema,
};
use crate::{model::audit::AuditEntry, serve::store::StoreError};

/// How many entries are looked at in one step.
const STEP: i64 = 500;

/// The entries of one step, of which the first was to have the number `start`.
struct AuditStep {
    start: i64,
    rows: Vec<Row>,
    /// The highest number that was given.
    last: i64,
    /// Numbers up to this one may be without an entry.
    through: i64,
}

impl Store {
    /// Looks at some entries of the audit, from the number `start` on, and at what guards them. Returns where to go on:
    /// at 1 after the last one.
    ///
    /// # Errors
    ///
    /// With what is wrong, or when the store fails.
    pub async fn look_through_audit(&self, start: i64) -> Result<i64, StoreError> {
        // What belongs together is read at one moment.
        let mut reading = self.readers.begin().await?;
        let damaged = |problems: Vec<String>| {
            problems.into_iter().next().map_or(Ok(()), |problem| Err(StoreError::Damaged(problem)))
        };
        damaged(schema::missing(&mut reading, &["table", "trigger"]).await?)?;
        let step = AuditStep::read(&mut reading, start).await?;
        damaged(step.problems())?;
        Ok(step.next().unwrap_or(1))
    }
}

/// What is wrong with the audit, one sentence each, `most` at most.
pub(super) async fn problems(
    connection: &mut SqliteConnection,
    most: usize,
) -> Result<Vec<String>, StoreError> {
    let mut reading = connection.begin().await?;
    let (mut problems, mut next) = (Vec::new(), Some(1));
    while let Some(start) = next.filter(|_| problems.len() < most) {
        let step = AuditStep::read(&mut reading, start).await?;
        problems.extend(step.problems());
        next = step.next();
    }
    problems.truncate(most);
    Ok(problems)
}

impl AuditStep {
    async fn read(reading: &mut SqliteConnection, start: i64) -> Result<Self, StoreError> {
        let (last, through) = sqlx::query_as(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0), \
             coalesce((SELECT max(through) FROM audit WHERE through IS NOT NULL), 0)",
        )
        .fetch_one(&mut *reading)
        .await?;
        let rows = sqlx::query_as(entries!("WHERE id >= ?1 ORDER BY id LIMIT ?2"))
            .bind(start)
            .bind(STEP)
            .fetch_all(reading)
            .await?;
        Ok(Self { start, rows, last, through })
    }

    /// Where the next one begins; `None` after the last one.
    fn next(&self) -> Option<i64> {
        let is_last = i64::try_from(self.rows.len()).is_ok_and(|count| count < STEP);
        self.rows.last().filter(|_| !is_last).map(|row| row.id + 1)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expected = self.start;
        for row in &self.rows {
            problems.extend(self.gap(expected, row.id - 1));
            expected = row.id + 1;
            if AuditEntry::try_from(row.clone()).is_err() {
                problems.push(format!("entry {} of its audit cannot be read", row.id));
            }
        }
        if self.next().is_none() {
            problems.extend(self.gap(expected, self.last));
        }
        problems
    }

    /// What there is to say of the numbers from `first` to `last`, which are without an entry.
    fn gap(&self, first: i64, last: i64) -> Option<String> {
        let first = first.max(self.through + 1);
        match first.cmp(&last) {
            Ordering::Less => Some(format!(
                "entries {first} to {last} of its audit are missing, and no retention deleted them"
            )),
            Ordering::Equal => {
                Some(format!("entry {first} of its audit is missing, and no retention deleted it"))
            }
            Ordering::Greater => None,
        }
    }
}
