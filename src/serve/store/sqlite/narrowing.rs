//! Narrowing a token, and what came of it along with it: no token reaches farther or lives longer than the one it came
//! of.

use jiff::Timestamp;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{
    Right, Store, Upkeep, Writing, runs,
    tokens::{by_id, columns, permissions_column, token},
};
use crate::{
    model::{Scope, audit::AuditAction, run::ChangeNote},
    serve::store::{
        Narrowing, StoreError, TokenRow, Under,
        audit::{Effect, differences, token_details},
    },
};

/// A token that was narrowed.
pub(super) struct Narrowed {
    pub(super) after: TokenRow,
    /// What came of it and changed with it, after that.
    pub(super) along: Vec<TokenRow>,
    /// What the audit tells of it all.
    pub(super) effects: Vec<Effect>,
    /// What the ledger keeps of what changed along.
    pub(super) notes: Vec<ChangeNote>,
}

impl Store {
    /// Changes the token with this number as `narrowing` says and answers it; `None` when there is
    /// none, or the change would make it reach farther or live longer, or its project permissions are not
    /// those that are to be replaced. What came of it is narrowed with it, so that none reaches farther or lives longer
    /// than it does. The same change may be made twice. When a run does it, that is kept with it.
    ///
    /// # Errors
    ///
    /// When `right` has ended, the run has lost its lease, or the store fails.
    pub async fn narrow_token(
        &self,
        right: &Right,
        id: i64,
        narrowing: &Narrowing,
        under: Option<&Under>,
    ) -> Result<Option<TokenRow>, StoreError> {
        let mut writing = self.write(right).await?;
        let narrowed = match by_id(&mut writing, id).await? {
            Some(before) => narrow(&mut writing, &before, narrowing, (under, true)).await?,
            None => None,
        };
        let Some(Narrowed { after, effects, notes, .. }) = narrowed else {
            return writing.finish(None).await.map(|()| None);
        };
        runs::keep(&mut writing, under).await?;
        runs::add(&mut writing, under, &notes).await?;
        if effects.is_empty() {
            writing.keep(Upkeep::Repetition).await?;
        } else {
            writing.finish(effects).await?;
        }
        Ok(Some(after))
    }
}

/// Changes the token `before` as `narrowing` says, as [`Store::narrow_token`] does. `None` when it is not there any more
/// or cannot be changed so. Where it has no offspring, nothing is looked for.
///
/// # Errors
///
/// When the credential of a run would change along, or the store fails.
pub(super) async fn narrow(
    writing: &mut Writing,
    before: &TokenRow,
    narrowing: &Narrowing,
    (under, has_offspring): (Option<&Under>, bool),
) -> Result<Option<Narrowed>, StoreError> {
    let id = before.id;
    let wider = if has_offspring { wider_offspring(writing, id, narrowing).await? } else { Vec::new() };
    runs::spare_credential(writing, under, wider.iter().map(|token| &token.id))?;
    let Some(after) = lower(writing, id, narrowing).await? else { return Ok(None) };
    let mut along = Vec::with_capacity(wider.len());
    for token in &wider {
        along.push(limit(writing, token.id, narrowing).await?);
    }
    let update = |before: &TokenRow, after: &TokenRow, root| {
        let changed = differences(&token_details(before), &token_details(after));
        let effect = || Effect::new(AuditAction::TokenUpdate, changed.clone()).on(after.id, &after.owner);
        (changed != json!({})).then(|| effect().along_with(root))
    };
    let own = update(before, &after, None);
    let of_offspring = wider.iter().zip(&along).filter_map(|(before, after)| update(before, after, Some(id)));
    let effects = own.into_iter().chain(of_offspring).collect();
    let notes = runs::along(under, wider.iter(), id);
    Ok(Some(Narrowed { after, along, effects, notes }))
}

/// Changes the token `id` alone; `None` when it is not there, or would reach farther or live longer.
async fn lower(
    writing: &mut SqliteConnection,
    id: i64,
    narrowing: &Narrowing,
) -> Result<Option<TokenRow>, StoreError> {
    let permissions = narrowing.permissions.as_ref();
    let row = sqlx::query(concat!(
        "UPDATE tokens SET description = coalesce(?2, description), scope = coalesce(?3, scope), \
         expires = coalesce(?4, expires), permissions = coalesce(?5, permissions) WHERE id = ?1 \
         AND (?3 IS NULL OR ?3 <= coalesce(scope, 2)) AND (?5 IS NULL OR permissions IS ?6) \
         AND (?4 IS NULL OR expires IS NULL OR ?4 <= expires) RETURNING ",
        columns!()
    ))
    .bind(id)
    .bind(narrowing.description.as_deref())
    .bind(narrowing.scope.map(Scope::number))
    .bind(narrowing.expires.map(Timestamp::as_millisecond))
    .bind(permissions.map(|new| permissions_column(&new.to)).transpose()?)
    .bind(permissions.and_then(|new| new.from.as_ref()).map(permissions_column).transpose()?)
    .fetch_optional(writing)
    .await?;
    row.as_ref().map(token).transpose()
}

/// What came of the token `id` and reaches farther or lives longer than `narrowing` lets that one.
async fn wider_offspring(
    writing: &mut SqliteConnection,
    id: i64,
    narrowing: &Narrowing,
) -> Result<Vec<TokenRow>, StoreError> {
    let Narrowing { scope, expires, .. } = narrowing;
    if (scope, expires) == (&None, &None) {
        return Ok(Vec::new());
    }
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
    .bind(scope.map(Scope::number))
    .bind(expires.map(Timestamp::as_millisecond))
    .fetch_all(writing)
    .await?;
    wider.iter().map(token).collect()
}

/// Limits the token `id` to the scope and the end that `narrowing` gives the one it came of.
async fn limit(
    writing: &mut SqliteConnection,
    id: i64,
    narrowing: &Narrowing,
) -> Result<TokenRow, StoreError> {
    let row = sqlx::query(concat!(
        "UPDATE tokens SET scope = CASE WHEN coalesce(scope, 2) > ?2 THEN ?2 ELSE scope END, \
         expires = CASE WHEN coalesce(expires > ?3, ?3 IS NOT NULL) THEN ?3 ELSE expires END \
         WHERE id = ?1 RETURNING ",
        columns!()
    ))
    .bind(id)
    .bind(narrowing.scope.map(Scope::number))
    .bind(narrowing.expires.map(Timestamp::as_millisecond))
    .fetch_one(writing)
    .await?;
    token(&row)
}
