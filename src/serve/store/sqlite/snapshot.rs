//! The whole directory at one moment, so that the audit can tell what an import changed. Hashes of passwords are
//! compared here and told to nobody.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sqlx::{FromRow, SqliteConnection};

use crate::serve::store::{StoreError, audit::differences};

/// Users, groups with their members, and projects with their repositories.
pub(super) struct DirectorySnapshot {
    /// What the audit may tell.
    shown: Value,
    /// The hash of each password by the name of its user.
    passwords: BTreeMap<String, String>,
    /// The name of each user by the number of the row, which stays when the name changes.
    names: BTreeMap<i64, String>,
}

#[derive(FromRow)]
struct SnapshotUser {
    id: i64,
    name: String,
    display_name: String,
    email: Option<String>,
    active: bool,
    departed: bool,
    person: Option<String>,
    password_hash: Option<String>,
}

impl DirectorySnapshot {
    /// The directory as `connection` sees it.
    pub(super) async fn of(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let rows: Vec<SnapshotUser> = sqlx::query_as(
            "SELECT id, name, display_name, email, active, departed, person, password_hash FROM users",
        )
        .fetch_all(&mut *connection)
        .await?;
        let (mut users, mut passwords, mut names) = (Map::new(), BTreeMap::new(), BTreeMap::new());
        for row in rows {
            let user = json!({
                "display_name": row.display_name,
                "email": row.email,
                "active": row.active,
                "departed": row.departed,
                "id": row.person,
            });
            passwords.extend(row.password_hash.map(|hash| (row.name.clone(), hash)));
            names.insert(row.id, row.name.clone());
            users.insert(row.name, user);
        }
        let groups = "SELECT g.name, u.name FROM groups g LEFT JOIN members m ON m.group_id = g.id \
                      LEFT JOIN users u ON u.id = m.user_id";
        let projects = "SELECT p.key, r.slug FROM projects p LEFT JOIN repositories r ON r.project_id = p.id";
        let groups = parts(&mut *connection, groups).await?;
        let projects = parts(connection, projects).await?;
        Ok(Self { shown: json!({"users": users, "groups": groups, "projects": projects}), passwords, names })
    }

    /// How `after` differs; `None` when it does not.
    pub(super) fn changed_to(&self, after: &Self) -> Option<Value> {
        let mut changed = differences(&self.shown, &after.shown);
        let names = self.passwords.keys().chain(after.passwords.keys());
        let mut passwords: Vec<&String> =
            names.filter(|name| self.passwords.get(*name) != after.passwords.get(*name)).collect();
        passwords.sort_unstable();
        passwords.dedup();
        let renamed = self.renamed_in(after);
        if let Some(changed) = changed.as_object_mut() {
            let told = [("passwords", json!(passwords)), ("renamed", json!(renamed))];
            changed.extend(
                told.into_iter()
                    .filter(|(_, list)| *list != json!([]))
                    .map(|(key, list)| (key.to_owned(), list)),
            );
        }
        (changed != json!({})).then_some(changed)
    }
}

impl DirectorySnapshot {
    /// Who has another name in `after`, with the identifier of that person where it is known.
    fn renamed_in(&self, after: &Self) -> Vec<Value> {
        let person = |snapshot: &Self, name: &str| {
            let user = snapshot.shown.get("users").and_then(|users| users.get(name));
            user.and_then(|user| user.get("id")).filter(|id| !id.is_null()).cloned()
        };
        let renamed = self.names.iter().filter_map(|(id, before)| {
            let now = after.names.get(id).filter(|now| *now != before)?;
            let person = person(after, now).or_else(|| person(self, before));
            Some(json!({"id": person, "before": before, "after": now}))
        });
        renamed.collect()
    }
}

/// Wholes with their parts, of which a whole may have none: each part is a key, so that one more is one difference.
async fn parts(connection: &mut SqliteConnection, query: &'static str) -> Result<Value, StoreError> {
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(query).fetch_all(connection).await?;
    let mut wholes: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for (whole, part) in rows {
        wholes.entry(whole).or_default().extend(part.map(|part| (part, true)));
    }
    Ok(json!(wholes))
}
