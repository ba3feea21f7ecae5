//! Which person a name means: tokens belong to people, and a name that left the directory may come back as
//! somebody else's.

use sqlx::SqliteConnection;

use crate::{
    model::UserName,
    serve::store::{StoreError, slug},
};

/// The users in the rows of a directory file, `?1`, with the columns that tell who they are.
macro_rules! in_file {
    ($rest:literal) => {
        concat!(
            "FROM (SELECT value ->> 'name' AS name, value ->> 'folded' AS folded, value ->> 'slug' AS slug, \
             value ->> 'person' AS person FROM json_each(?1)) f JOIN users u ",
            $rest
        )
    };
}

/// Makes every name that is in the `rows` of a directory file the name of the person that the file means, before
/// the rows are taken over.
///
/// A user who is there still is the same person. One who had left is the same one only if the file says so: with
/// the identifier that the person had. Whose name is somebody else's now keeps the tokens and is known as
/// `(left 12) mary` from then on, which no user in a file can be called. Who has an identifier keeps the tokens under
/// another name, too.
pub(super) async fn settle(writing: &mut SqliteConnection, rows: &str) -> Result<(), StoreError> {
    let replaced: Vec<(i64, String)> = sqlx::query_as(concat!(
        "SELECT u.id, u.name ",
        in_file!(
            "ON u.folded = f.folded WHERE NOT iif(u.person IS NULL OR f.person IS NULL, NOT u.departed, \
             u.person = f.person) OR EXISTS (SELECT 1 FROM users o WHERE o.person = f.person AND o.id <> u.id)"
        )
    ))
    .bind(rows)
    .fetch_all(&mut *writing)
    .await?;
    let mut left_behind = 0;
    for (id, name) in &replaced {
        left_behind += rename(writing, *id, name, &name_of_departed(*id, name)).await?;
    }
    if left_behind > 0 {
        tracing::warn!(
            users = replaced.len(),
            tokens = left_behind,
            "users came back to the directory who had left it: the tokens of before stay with those who left, and are \
             refused; give users an `id` in the directory file to say who is the same person"
        );
    }
    let renamed: Vec<(i64, String, String)> = sqlx::query_as(concat!(
        "SELECT u.id, u.name, f.name ",
        in_file!("ON u.person = f.person WHERE u.folded <> f.folded")
    ))
    .bind(rows)
    .fetch_all(&mut *writing)
    .await?;
    for (id, from, to) in renamed {
        rename(writing, id, &from, &UserName::new(to)).await?;
    }
    let same_slug: Vec<(i64, String)> = sqlx::query_as(concat!(
        "SELECT u.id, u.name ",
        in_file!("ON u.slug = f.slug WHERE u.folded <> f.folded")
    ))
    .bind(rows)
    .fetch_all(&mut *writing)
    .await?;
    for (id, name) in same_slug {
        sqlx::query("UPDATE users SET slug = ?2 WHERE id = ?1")
            .bind(id)
            .bind(slug(&name_of_departed(id, &name)))
            .execute(&mut *writing)
            .await?;
    }
    Ok(())
}

/// Notes who is not in the `rows` of a directory file.
pub(super) async fn note_departed(writing: &mut SqliteConnection, rows: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE users SET departed = 1 WHERE NOT departed \
         AND folded NOT IN (SELECT value ->> 'folded' FROM json_each(?1))",
    )
    .bind(rows)
    .execute(writing)
    .await?;
    Ok(())
}

fn name_of_departed(id: i64, name: &str) -> UserName {
    UserName::new(format!("(left {id}) {name}"))
}

/// Renames the user with the number `id` and with them the owner of all their tokens; returns how many tokens there are.
async fn rename(
    writing: &mut SqliteConnection,
    id: i64,
    from: &str,
    to: &UserName,
) -> Result<u64, StoreError> {
    sqlx::query("UPDATE users SET name = ?2, folded = ?3, slug = ?4 WHERE id = ?1")
        .bind(id)
        .bind(to.as_str())
        .bind(to.folded())
        .bind(slug(to))
        .execute(&mut *writing)
        .await?;
    let tokens = sqlx::query(
        "UPDATE tokens SET owner = ?2, owner_folded = ?3 WHERE owner_folded = ?1 AND owner_kind = 'user'",
    )
    .bind(UserName::new(from).folded())
    .bind(to.as_str())
    .bind(to.folded())
    .execute(writing)
    .await?;
    Ok(tokens.rows_affected())
}
