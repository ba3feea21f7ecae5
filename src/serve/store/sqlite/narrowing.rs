//! Narrowing what came of a token along with it: no token reaches farther or lives longer than the one it came of.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::tokens::{columns, token};
use crate::{
    model::Scope,
    serve::store::{Narrowing, StoreError, TokenRow},
};

/// Limits what came of the token `id` to the scope and the end that `narrowing` gives it. Returns those that
/// changed, before and after.
///
/// # Errors
///
/// When the store fails.
pub(super) async fn limit_offspring(
    writing: &mut SqliteConnection,
    id: i64,
    narrowing: &Narrowing,
) -> Result<Vec<(TokenRow, TokenRow)>, StoreError> {
    let Narrowing { scope, expires, .. } = narrowing;
    if (scope, expires) == (&None, &None) {
        return Ok(Vec::new());
    }
    let (scope, expires) = (scope.map(Scope::number), expires.map(Timestamp::as_millisecond));
    // Across `ancestors`, too: a token that is gone passes nothing on that it did not have.
    let wider = sqlx::query(concat!(
        "WITH RECURSIVE family (id) AS ( \
          SELECT id FROM tokens WHERE parent = ?1 UNION SELECT token FROM ancestors WHERE parent = ?1 \
          UNION SELECT t.id FROM family f JOIN tokens t ON t.parent = f.id \
          UNION SELECT a.token FROM family f JOIN ancestors a ON a.parent = f.id \
         ) SELECT ",
        columns!(),
        " FROM tokens WHERE id IN (SELECT id FROM family) \
         AND (coalesce(scope, 2) > ?2 OR coalesce(expires > ?3, ?3 IS NOT NULL)) ORDER BY id"
    ))
    .bind(id)
    .bind(scope)
    .bind(expires)
    .fetch_all(&mut *writing)
    .await?;
    let wider: Vec<TokenRow> = wider.iter().map(token).collect::<Result<_, _>>()?;
    let mut narrowed = Vec::with_capacity(wider.len());
    for before in wider {
        let row = sqlx::query(concat!(
            "UPDATE tokens SET scope = CASE WHEN coalesce(scope, 2) > ?2 THEN ?2 ELSE scope END, \
             expires = CASE WHEN coalesce(expires > ?3, ?3 IS NOT NULL) THEN ?3 ELSE expires END \
             WHERE id = ?1 RETURNING ",
            columns!()
        ))
        .bind(before.id)
        .bind(scope)
        .bind(expires)
        .fetch_one(&mut *writing)
        .await?;
        narrowed.push((before, token(&row)?));
    }
    Ok(narrowed)
}
