//! Projects and their repositories, one by one or page by page. Keys and slugs are not case-sensitive.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::Store;
use crate::serve::store::{PageRequest, ProjectRow, RepositoryFilter, RepositoryRow, StoreError};

impl Store {
    /// The project with this key.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn project(&self, key: &str) -> Result<Option<ProjectRow>, StoreError> {
        let row: Option<(i64, String)> = sqlx::query_as("SELECT id, key FROM projects WHERE folded = ?1")
            .bind(key.to_lowercase())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|(id, key)| ProjectRow { id, key }))
    }

    /// The projects other than personal ones, with `name` in their name, which is the key.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn projects(
        &self,
        name: Option<&str>,
        page: PageRequest,
    ) -> Result<Vec<ProjectRow>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, key FROM projects WHERE id >= ?1 AND substr(key, 1, 1) <> '~' \
             AND (?3 IS NULL OR instr(folded, ?3) > 0) ORDER BY id LIMIT ?2",
        )
        .bind(page.start)
        .bind(page.limit)
        .bind(name.map(str::to_lowercase))
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(|(id, key)| ProjectRow { id, key }).collect())
    }

    /// The repository with this slug in the project with this key.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn repository(&self, key: &str, slug: &str) -> Result<Option<RepositoryRow>, StoreError> {
        let row: Option<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT r.id, r.slug, p.id, p.key FROM repositories r JOIN projects p ON p.id = r.project_id \
             WHERE p.folded = ?1 AND r.folded = ?2",
        )
        .bind(key.to_lowercase())
        .bind(slug.to_lowercase())
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(repository))
    }

    /// The repositories that `filter` selects, those of personal projects among them.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn repositories(
        &self,
        filter: &RepositoryFilter<'_>,
        page: PageRequest,
    ) -> Result<Vec<RepositoryRow>, StoreError> {
        let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT r.id, r.slug, p.id, p.key FROM repositories r JOIN projects p ON p.id = r.project_id \
             WHERE r.id >= ?1 AND (?2 IS NULL OR p.folded = ?2) AND (?4 IS NULL OR instr(r.folded, ?4) > 0) \
             AND (?5 IS NULL OR instr(lower(coalesce((SELECT u.display_name FROM users u \
              WHERE p.folded = '~' || u.slug), p.key)), ?5) > 0) ORDER BY r.id LIMIT ?3",
        )
        .bind(page.start)
        .bind(filter.project.map(str::to_lowercase))
        .bind(page.limit)
        .bind(filter.name.map(str::to_lowercase))
        .bind(filter.project_name.map(str::to_lowercase))
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(repository).collect())
    }
}

/// Makes the projects and repositories equal to `projects`; those that stay keep their numbers. Returns the projects and
/// repositories that left and had tokens, each once for every token, which is nobody's from then on.
pub(super) async fn import(
    writing: &mut SqliteConnection,
    projects: &[(String, BTreeSet<String>)],
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<Value> = projects
        .iter()
        .map(|(key, slugs)| {
            let slugs: Vec<Value> =
                slugs.iter().map(|slug| json!({"slug": slug, "folded": slug.to_lowercase()})).collect();
            json!({"key": key, "folded": key.to_lowercase(), "repositories": slugs})
        })
        .collect();
    let rows = Value::from(rows).to_string();
    // Tokens are of the project or repository that there was: one that gets its name later begins with none.
    let left = sqlx::query_scalar(
        "UPDATE tokens SET owner = '(left) ' || owner, owner_folded = '(left) ' || owner_folded \
         WHERE owner_kind <> 'user' AND owner_folded IN ( \
          SELECT p.folded FROM projects p UNION ALL \
          SELECT p.folded || '/' || r.folded FROM repositories r JOIN projects p ON p.id = r.project_id EXCEPT \
          SELECT j.value ->> 'folded' FROM json_each(?1) j EXCEPT \
          SELECT (j.value ->> 'folded') || '/' || (r.value ->> 'folded') \
          FROM json_each(?1) j, json_each(j.value, '$.repositories') r) \
         RETURNING substr(owner, length('(left) ') + 1)",
    )
    .bind(&rows)
    .fetch_all(&mut *writing)
    .await?;
    for statement in [
        "DELETE FROM projects WHERE folded NOT IN (SELECT value ->> 'folded' FROM json_each(?1))",
        "INSERT INTO projects (key, folded) SELECT value ->> 'key', value ->> 'folded' FROM json_each(?1) \
         WHERE true ON CONFLICT (folded) DO UPDATE SET key = excluded.key",
        "DELETE FROM repositories WHERE (project_id, folded) NOT IN (SELECT p.id, r.value ->> 'folded' \
         FROM json_each(?1) j JOIN projects p ON p.folded = j.value ->> 'folded', \
         json_each(j.value, '$.repositories') r)",
        "INSERT INTO repositories (project_id, slug, folded) \
         SELECT p.id, r.value ->> 'slug', r.value ->> 'folded' \
         FROM json_each(?1) j JOIN projects p ON p.folded = j.value ->> 'folded', \
         json_each(j.value, '$.repositories') r \
         WHERE true ON CONFLICT (project_id, folded) DO UPDATE SET slug = excluded.slug",
    ] {
        sqlx::query(statement).bind(&rows).execute(&mut *writing).await?;
    }
    Ok(left)
}

fn repository((id, slug, project, key): (i64, String, i64, String)) -> RepositoryRow {
    RepositoryRow { id, slug, project: ProjectRow { id: project, key } }
}
