//! Users, groups and their members, one by one or page by page. A page begins at a number, so that every
//! page takes the same time wherever it lies.

use std::collections::BTreeMap;

use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{Store, moment};
use crate::{
    model::{GroupName, UserName},
    serve::store::{Account, GroupFilter, GroupRow, PageRequest, StoreError, UserFilter, UserRow},
};

macro_rules! users {
    ($rest:literal) => {
        concat!("SELECT u.id, u.name, u.slug, u.display_name, u.email, u.active, u.last_authenticated FROM users u ", $rest)
    };
}

impl Store {
    /// The user `name` with groups and the hash of the password.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn account(&self, name: &UserName) -> Result<Option<Account>, StoreError> {
        account(&mut *self.recognisers.acquire().await?, name).await
    }

    /// The hash of each password, as argon2 writes it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn password_hashes(&self) -> Result<BTreeMap<UserName, String>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT name, password_hash FROM users WHERE password_hash IS NOT NULL")
                .fetch_all(&self.readers)
                .await?;
        Ok(rows.into_iter().map(|(name, hash)| (UserName::new(name), hash)).collect())
    }

    /// The users that `filter` selects.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn users(
        &self,
        filter: &UserFilter<'_>,
        page: PageRequest,
    ) -> Result<Vec<UserRow>, StoreError> {
        users_query(filter, page).build().fetch_all(&self.readers).await?.iter().map(user).collect()
    }

    /// The user whose slug this is; an active one before one who left.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn user_by_slug(&self, slug: &str) -> Result<Option<UserRow>, StoreError> {
        sqlx::query(users!("WHERE u.slug = ?1 ORDER BY u.active DESC, u.id LIMIT 1"))
            .bind(slug)
            .fetch_optional(&self.readers)
            .await?
            .as_ref()
            .map(user)
            .transpose()
    }

    /// The user of this name.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn user(&self, name: &UserName) -> Result<Option<UserRow>, StoreError> {
        sqlx::query(users!("WHERE u.folded = ?1"))
            .bind(name.folded())
            .fetch_optional(&self.readers)
            .await?
            .as_ref()
            .map(user)
            .transpose()
    }

    /// The groups that `filter` selects.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn groups(
        &self,
        filter: &GroupFilter<'_>,
        page: PageRequest,
    ) -> Result<Vec<GroupRow>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, name FROM groups WHERE id >= ?1 AND (?2 IS NULL OR instr(folded, ?2) > 0) \
             AND (?3 IS NULL OR folded = ?3) AND (?4 IS NULL OR folded <> ?4) \
             AND (?6 IS NULL OR id IN (SELECT group_id FROM members WHERE user_id = ?6)) \
             AND (?7 IS NULL OR id NOT IN (SELECT group_id FROM members WHERE user_id = ?7)) \
             ORDER BY id LIMIT ?5",
        )
        .bind(page.start)
        .bind(filter.text.map(str::to_lowercase))
        .bind(filter.only.map(GroupName::folded))
        .bind(filter.without.map(GroupName::folded))
        .bind(page.limit)
        .bind(filter.of_user)
        .bind(filter.not_of_user)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(group).collect())
    }

    /// The group of this name.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn group(&self, name: &GroupName) -> Result<Option<GroupRow>, StoreError> {
        let row: Option<(i64, String)> = sqlx::query_as("SELECT id, name FROM groups WHERE folded = ?1")
            .bind(name.folded())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(group))
    }

    /// Whether an active user is in `group`.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn has_active_member(&self, group: &GroupName) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM groups g JOIN members m ON m.group_id = g.id \
             JOIN users u ON u.id = m.user_id WHERE g.folded = ?1 AND u.active)",
        )
        .bind(group.folded())
        .fetch_one(&self.readers)
        .await?)
    }

    /// How many users have a password whose hash does not begin with `costs`.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn passwords_of_other_costs(&self, costs: &str) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT count(*) FROM users WHERE password_hash IS NOT NULL \
             AND substr(password_hash, 1, length(?1)) <> ?1",
        )
        .bind(costs)
        .fetch_one(&self.readers)
        .await?)
    }
}

fn users_query(filter: &UserFilter<'_>, page: PageRequest) -> QueryBuilder<Sqlite> {
    let text = filter.text.map(str::to_lowercase);
    // The index has its users in the order of their numbers, so that a page ends as soon as it is full. The plus keeps
    // SQLite from asking it for each user.
    let (mut query, number) = match text.as_deref().and_then(phrase) {
        None => (QueryBuilder::new(users!("WHERE u.id >= ")), "u.id"),
        Some(phrase) => {
            let indexed = users!("JOIN users_text ON u.id = +users_text.rowid WHERE users_text MATCH ");
            let mut query = QueryBuilder::new(indexed);
            query.push_bind(phrase).push(" AND users_text.rowid >= ");
            (query, "users_text.rowid")
        }
    };
    query.push_bind(page.start);
    for group in &filter.in_groups {
        query.push(" AND u.id IN (SELECT user_id FROM members WHERE group_id = ").push_bind(*group).push(")");
    }
    if let Some(group) = filter.not_in_group {
        query.push(" AND NOT EXISTS (SELECT 1 FROM members m WHERE m.user_id = u.id AND m.group_id = ");
        query.push_bind(group).push(")");
    }
    if let Some(active) = filter.active {
        query.push(" AND u.active = ").push_bind(active);
    }
    if let Some(text) = text {
        query.push(" AND (instr(u.folded, ").push_bind(text.clone());
        query.push(") > 0 OR instr(lower(u.display_name), ").push_bind(text.clone());
        query.push(") > 0 OR instr(lower(u.email), ").push_bind(text).push(") > 0)");
    }
    query.push(" ORDER BY ").push(number).push(" LIMIT ").push_bind(page.limit);
    query
}

/// `text` as the index of every three characters is asked for it: it finds the users who have it, and perhaps some others.
/// `None` for what is too short for it, and for what would end a question early.
fn phrase(text: &str) -> Option<String> {
    let is_indexed = text.chars().count() >= 3 && !text.contains('\0');
    is_indexed.then(|| format!("\"{}\"", text.replace('"', "\"\"")))
}

fn user(row: &SqliteRow) -> Result<UserRow, StoreError> {
    let (id, name, slug, display_name, email, active, last): (i64, String, _, _, _, _, Option<i64>) =
        FromRow::from_row(row)?;
    let last_authenticated = last.map(moment).transpose()?;
    Ok(UserRow { id, name: UserName::new(name), slug, display_name, email, active, last_authenticated })
}

fn group((id, name): (i64, String)) -> GroupRow {
    GroupRow { id, name: GroupName::new(name) }
}

/// The account of the user `name`.
pub(super) async fn account(
    connection: &mut SqliteConnection,
    name: &UserName,
) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query(
        "SELECT u.name AS account, u.active, u.password_hash, \
         (SELECT json_group_array(g.name) FROM members m JOIN groups g ON g.id = m.group_id \
          WHERE m.user_id = u.id) AS member_of FROM users u WHERE u.folded = ?1",
    )
    .bind(name.folded())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map_or(Ok(None), account_in)
}

/// The account in a row with the columns `account`, `active`, `password_hash` and `member_of`.
pub(super) fn account_in(row: &SqliteRow) -> Result<Option<Account>, StoreError> {
    let Some(name) = row.try_get::<Option<String>, _>("account")? else {
        return Ok(None);
    };
    let member_of: String = row.try_get("member_of")?;
    let groups: Vec<String> = serde_json::from_str(&member_of)
        .map_err(|_| StoreError::Damaged("a list of groups cannot be read".to_owned()))?;
    Ok(Some(Account {
        name: UserName::new(name),
        active: row.try_get("active")?,
        groups: groups.into_iter().map(GroupName::new).collect(),
        password_hash: row.try_get("password_hash")?,
    }))
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};

    use super::*;
    use crate::serve::store::sqlite::opening;

    #[tokio::test]
    async fn users_with_a_text_are_found_by_its_index_and_not_by_looking_at_all() {
        let mut store = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        for step in opening::steps() {
            sqlx::raw_sql(step.sql.clone()).execute(&mut store).await.unwrap();
        }
        for filter in [
            UserFilter { text: Some("mary"), ..UserFilter::default() },
            UserFilter {
                text: Some("mary"),
                active: Some(true),
                in_groups: vec![1],
                ..UserFilter::default()
            },
        ] {
            let query = users_query(&filter, PageRequest { start: 0, limit: 25 });
            let explain = format!("EXPLAIN QUERY PLAN {}", query.sql().as_str());
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(AssertSqlSafe(explain)).fetch_all(&mut store).await.unwrap();
            let steps: Vec<&str> = steps.iter().map(|(.., step)| &**step).collect();
            assert!(
                steps.iter().any(|step| step.starts_with("SEARCH u USING INTEGER PRIMARY KEY")),
                "{steps:?}"
            );
            assert!(
                steps.iter().any(|step| step.starts_with("SCAN users_text VIRTUAL TABLE INDEX")),
                "{steps:?}"
            );
            assert!(steps.iter().all(|step| !step.starts_with("SCAN u ") && *step != "SCAN u"), "{steps:?}");
        }
        store.close().await.unwrap();
    }
}
