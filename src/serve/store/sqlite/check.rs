//! Whether what lies in a store can be right.

use std::cmp::Ordering;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::{Store, audit_check, moment, opening, schema, tokens};
use crate::{
    model::{Settings, settings::SettingsDocument},
    serve::store::{Checked, StoreError, StoreUrl, error::newer},
};

/// The most problems of one kind that are reported.
const MOST: usize = 20;

/// What no row may be in any version, by a query that answers what is told of it.
const NEVER: &[&str] = &[
    "SELECT 'it has no settings, although it was in use' WHERE NOT EXISTS (SELECT 1 FROM settings) AND (EXISTS \
     (SELECT 1 FROM sqlite_sequence WHERE name = 'tokens') OR EXISTS (SELECT 1 FROM marks WHERE name = 'clock'))",
    "SELECT 'the number ' || id || ' of a token would be given a second time' FROM tokens WHERE id > \
     (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tokens')",
    "SELECT 'token ' || id || ' has no hash of a secret' FROM tokens WHERE length(secret_hash) <> 32",
];

/// The same for the present version.
const NEVER_NOW: &[&str] = &[
    "SELECT 'it is known by ' || count(*) || ' names' FROM identity HAVING count(*) <> 1",
    "SELECT 'the number ' || max(id) || ' of an entry of its audit would be given a second time' FROM audit HAVING \
     max(id) > (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit')",
];

impl Store {
    /// Looks through the store at `url`, which is not changed, also while it is in use.
    ///
    /// # Errors
    ///
    /// When there is no store, or it is too damaged to be read.
    pub async fn check(url: &StoreUrl, now: Timestamp) -> Result<Checked, StoreError> {
        url.is_there()?;
        let opening = |cause| StoreError::of_opening(&url.file, cause);
        let options = opening::read_only(&url.file);
        let version = opening::version(&url.file, &options).await?;
        let mut reading = options.connect().await.map_err(opening)?;
        let mut problems = structure(&mut reading).await?;
        match version.cmp(&opening::schema_version()) {
            Ordering::Greater => problems.push(format!("it {}", newer(version))),
            // What an older schema lacks cannot be asked for.
            Ordering::Less => problems.extend(never(&mut reading, NEVER).await?),
            Ordering::Equal => {
                let missing = schema::missing(&mut reading, &["table"]).await?;
                if !missing.is_empty() {
                    problems.extend(missing);
                    return Ok(Checked { version, tokens: 0, ahead: None, problems });
                }
                problems.extend(schema::missing(&mut reading, &["trigger", "index"]).await?);
                problems.extend(audit_check::problems(&mut reading, MOST).await?);
                problems.extend(never(&mut reading, NEVER).await?);
                problems.extend(never(&mut reading, NEVER_NOW).await?);
                problems.extend(unreadable(&mut reading).await?);
            }
        }
        problems.extend(settings(&mut reading).await?);
        let kept: Option<i64> = sqlx::query_scalar("SELECT at FROM marks WHERE name = 'clock'")
            .fetch_optional(&mut reading)
            .await?;
        let ahead = kept.map(moment).transpose()?.filter(|kept| *kept > now);
        let tokens = sqlx::query_scalar("SELECT count(*) FROM tokens").fetch_one(&mut reading).await?;
        reading.close().await?;
        Ok(Checked { version, tokens, ahead, problems })
    }
}

/// What SQLite finds.
async fn structure(reading: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("PRAGMA integrity_check({MOST})")))
        .fetch_all(&mut *reading)
        .await?;
    let mut problems: Vec<String> = found.into_iter().filter(|line| line != "ok").collect();
    let orphans: Vec<(String, String)> =
        sqlx::query_as("SELECT DISTINCT \"table\", parent FROM pragma_foreign_key_check")
            .fetch_all(reading)
            .await?;
    let orphan = |(table, parent)| format!("rows of `{table}` refer to rows of `{parent}` that do not exist");
    problems.extend(orphans.into_iter().map(orphan));
    Ok(problems)
}

async fn never(reading: &mut SqliteConnection, queries: &[&str]) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    for query in queries {
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("{query} LIMIT {MOST}")))
            .fetch_all(&mut *reading)
            .await?;
        problems.extend(found);
    }
    Ok(problems)
}

/// Why tokens cannot be read.
async fn unreadable(reading: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM tokens ORDER BY id").fetch_all(&mut *reading).await?;
    for id in ids {
        if let Err(error) = tokens::by_id(reading, id).await {
            problems.push(format!("token {id} cannot be read: {error}"));
        }
    }
    Ok(problems)
}

/// Why the settings cannot be enforced.
async fn settings(reading: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT document FROM settings").fetch_optional(reading).await?;
    let wrong = |text: String| match serde_json::from_str::<SettingsDocument>(&text) {
        Err(error) => Some(format!("its settings cannot be read: {error}")),
        Ok(document) => Settings::try_from(&document)
            .err()
            .map(|error| format!("its settings cannot be enforced: {error}")),
    };
    Ok(text.and_then(wrong))
}
