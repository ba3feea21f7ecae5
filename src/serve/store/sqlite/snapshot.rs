//! The whole directory at one moment, so that the audit can tell what an import changed. Hashes of passwords are
//! compared here and told to nobody.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sqlx::{FromRow, SqliteConnection};

use crate::serve::store::{StoreError, audit::differences};

/// Users, groups with their members, and projects with their repositories.
pub(super) struct Snapshot {
    /// What the audit may tell.
    shown: Value,
    /// The hash of each password by the name of its user.
    passwords: BTreeMap<String, String>,
}

#[derive(FromRow)]
struct UserRow {
    name: String,
    display_name: String,
    email: Option<String>,
    active: bool,
    departed: bool,
    person: Option<String>,
    password_hash: Option<String>,
}

impl Snapshot {
    /// The directory as `connection` sees it.
    pub(super) async fn of(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let rows: Vec<UserRow> = sqlx::query_as(
            "SELECT name, display_name, email, active, departed, person, password_hash FROM users",
        )
        .fetch_all(&mut *connection)
        .await?;
        let (mut users, mut passwords) = (Map::new(), BTreeMap::new());
        for row in rows {
            let user = json!({
                "display_name": row.display_name,
                "email": row.email,
                "active": row.active,
                "departed": row.departed,
                "id": row.person,
            });
            passwords.extend(row.password_hash.map(|hash| (row.name.clone(), hash)));
            users.insert(row.name, user);
        }
        let groups = "SELECT g.name, u.name FROM groups g LEFT JOIN members m ON m.group_id = g.id \
                      LEFT JOIN users u ON u.id = m.user_id";
        let projects = "SELECT p.key, r.slug FROM projects p LEFT JOIN repositories r ON r.project_id = p.id";
        let groups = parts(&mut *connection, groups).await?;
        let projects = parts(connection, projects).await?;
        Ok(Self { shown: json!({"users": users, "groups": groups, "projects": projects}), passwords })
    }

    /// How `after` differs; `None` when it does not.
    pub(super) fn changed_to(&self, after: &Self) -> Option<Value> {
        let mut changed = differences(&self.shown, &after.shown);
        let names = self.passwords.keys().chain(after.passwords.keys());
        let mut passwords: Vec<&String> =
            names.filter(|name| self.passwords.get(*name) != after.passwords.get(*name)).collect();
        passwords.sort_unstable();
        passwords.dedup();
        if let Some(changed) = changed.as_object_mut().filter(|_| !passwords.is_empty()) {
            changed.insert("passwords".to_owned(), json!(passwords));
        }
        (changed != json!({})).then_some(changed)
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
