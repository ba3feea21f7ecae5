//! The import of a directory: users, groups, passwords and projects become what it says, in one transaction.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{Right, Store, people, projects, snapshot::DirectorySnapshot};
use crate::{
    model::{GroupName, UserName, audit::AuditAction},
    serve::store::{DirectoryRows, NewUser, StoreError, audit::Effect, slug},
};

impl Store {
    /// Makes users, groups, passwords and projects equal to `directory`, in one transaction. A user who is not
    /// in it becomes inactive, has no password and is in no group; tokens stay with the person that they are of. Returns
    /// the projects and repositories that left, each once for every token that it had.
    ///
    /// # Errors
    ///
    /// When the store fails; then everything is as before.
    pub async fn import_directory(&self, directory: &DirectoryRows) -> Result<Vec<String>, StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        let before = DirectorySnapshot::of(&mut writing).await?;
        sqlx::query("UPDATE users SET active = 0, password_hash = NULL").execute(&mut *writing).await?;
        let rows = user_rows(&directory.users);
        people::settle(&mut writing, &rows).await?;
        import_users(&mut writing, &rows).await?;
        people::note_departed(&mut writing, &rows).await?;
        sqlx::query("DELETE FROM members").execute(&mut *writing).await?;
        let names: Vec<&str> = directory.groups.iter().map(|(name, _)| name.folded()).collect();
        sqlx::query("DELETE FROM groups WHERE folded NOT IN (SELECT value FROM json_each(?1))")
            .bind(Value::from(names).to_string())
            .execute(&mut *writing)
            .await?;
        for (name, members) in &directory.groups {
            import_group(&mut writing, name, members).await?;
        }
        let left = projects::import(&mut writing, &directory.projects).await?;
        let changed = before.changed_to(&DirectorySnapshot::of(&mut writing).await?);
        writing.finish(changed.map(|changed| Effect::new(AuditAction::DirectoryImport, changed))).await?;
        Ok(left)
    }
}

/// `users` as one JSON text: a directory may have a hundred thousand of them, which one statement reads.
fn user_rows(users: &[NewUser]) -> String {
    let rows: Value = users
        .iter()
        .map(|user| {
            json!({
                "name": user.name.as_str(),
                "folded": user.name.folded(),
                "slug": slug(&user.name),
                "display_name": user.display_name,
                "email": user.email,
                "active": user.active,
                "password_hash": user.password_hash,
                "person": user.person,
            })
        })
        .collect();
    rows.to_string()
}

async fn import_users(writing: &mut SqliteConnection, rows: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO users (name, folded, slug, display_name, email, active, password_hash, person) \
         SELECT value ->> 'name', value ->> 'folded', value ->> 'slug', value ->> 'display_name', \
         value ->> 'email', value ->> 'active', value ->> 'password_hash', value ->> 'person' \
         FROM json_each(?1) WHERE true ON CONFLICT (folded) DO UPDATE SET name = excluded.name, \
         slug = excluded.slug, display_name = excluded.display_name, email = excluded.email, \
         active = excluded.active, password_hash = excluded.password_hash, person = excluded.person, departed = 0",
    )
    .bind(rows)
    .execute(writing)
    .await?;
    Ok(())
}

async fn import_group(
    writing: &mut SqliteConnection,
    name: &GroupName,
    members: &BTreeSet<UserName>,
) -> Result<(), StoreError> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO groups (name, folded) VALUES (?1, ?2) \
         ON CONFLICT (folded) DO UPDATE SET name = excluded.name RETURNING id",
    )
    .bind(name.as_str())
    .bind(name.folded())
    .fetch_one(&mut *writing)
    .await?;
    let members: Vec<&str> = members.iter().map(UserName::folded).collect();
    sqlx::query(
        "INSERT INTO members (group_id, user_id) \
         SELECT ?1, u.id FROM json_each(?2) j JOIN users u ON u.folded = j.value",
    )
    .bind(id)
    .bind(Value::from(members).to_string())
    .execute(writing)
    .await?;
    Ok(())
}
