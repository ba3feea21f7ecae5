//! Whether the schema in a store is the one that this version makes.

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::OnceCell;

use super::opening;
use crate::serve::store::StoreError;

/// What a schema consists of: type, name and text of each part.
type Parts = Vec<(String, String, String)>;

/// What of the schema of this version is missing or was changed, one sentence each, of these types: `table`, `trigger`,
/// `index`.
pub(super) async fn missing(
    reading: &mut SqliteConnection,
    types: &[&str],
) -> Result<Vec<String>, StoreError> {
    let there = parts(reading).await?;
    let wrong = |(kind, name, text): &(String, String, String)| {
        let is_there = there.iter().find(|part| (&part.0, &part.1) == (kind, name));
        match is_there {
            None => Some(format!("its {kind} `{name}` is missing")),
            // The text of a table may tell of how it was upgraded.
            Some(part) if kind == "trigger" && part.2 != *text => {
                Some(format!("its {kind} `{name}` was changed"))
            }
            Some(_) => None,
        }
    };
    let asked = expected().await?.iter().filter(|part| types.contains(&&*part.0));
    Ok(asked.filter_map(wrong).collect())
}

/// The schema that this version makes.
async fn expected() -> Result<&'static Parts, StoreError> {
    static EXPECTED: OnceCell<Parts> = OnceCell::const_new();
    EXPECTED.get_or_try_init(make).await
}

async fn make() -> Result<Parts, StoreError> {
    let mut new = SqliteConnectOptions::new().in_memory(true).disable_statement_logging().connect().await?;
    for step in opening::steps() {
        sqlx::raw_sql(step.sql.clone()).execute(&mut new).await?;
    }
    let parts = parts(&mut new).await;
    new.close().await?;
    parts
}

async fn parts(connection: &mut SqliteConnection) -> Result<Parts, StoreError> {
    // Without a text it is what SQLite makes for itself.
    let query = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    Ok(sqlx::query_as(query).fetch_all(connection).await?)
}
