//! Revoking: tokens go for good, and with them the tokens that were made with them, unless those are to stay.

use std::collections::{BTreeMap, BTreeSet, HashSet, btree_map::Entry};

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{
    Right, Store, Writing, runs,
    tokens::{columns, token},
};
use crate::{
    model::{UserName, audit::AuditAction, run::ChangeNote},
    serve::store::{
        Children, StoreError, TokenRow, Under,
        audit::{Effect, token_details},
    },
};

impl Store {
    /// Deletes the token with this number and returns whether there was one. When a run does it, that is kept
    /// with it, and so is what went along; to the run, what went along before is still there to be deleted.
    ///
    /// # Errors
    ///
    /// When `right` has ended, the run has lost its lease, or the store fails.
    pub async fn revoke_token(
        &self,
        right: &Right,
        id: i64,
        children: Children,
        under: Option<&Under>,
    ) -> Result<bool, StoreError> {
        let mut writing = self.write(right).await?;
        let Revoked { gone, effects, notes } = revoke(&mut writing, id, children, (under, true)).await?;
        if gone.is_empty() {
            let went_before = match under {
                Some(under) => runs::has_done(&mut writing, under).await?,
                None => false,
            };
            return writing.finish(None).await.map(|()| went_before);
        }
        runs::keep(&mut writing, under).await?;
        runs::add(&mut writing, under, &notes).await?;
        writing.finish(effects).await?;
        Ok(true)
    }

    /// The tokens that are gone while something that resulted from them may be there, each with the one it
    /// was made with.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn ancestors(&self) -> Result<Vec<(i64, i64)>, StoreError> {
        let rows = sqlx::query_as("SELECT token, parent FROM ancestors ORDER BY token");
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Deletes all tokens of the user `owner` and returns how many went, of others too when they were made with one
    /// of these.
    ///
    /// # Errors
    ///
    /// When `right` has ended, or the store fails.
    pub async fn revoke_all_for(
        &self,
        right: &Right,
        owner: &UserName,
        children: Children,
    ) -> Result<u64, StoreError> {
        let mut writing = self.write(right).await?;
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM tokens WHERE owner_folded = ?1 AND owner_kind = 'user'")
                .bind(owner.folded())
                .fetch_all(&mut *writing)
                .await?;
        let roots = ids.into_iter().collect();
        let family = family(&mut writing, &roots, children).await?;
        part(&mut writing, &family, children).await?;
        let gone = delete(&mut writing, &roots, &family).await?;
        let count = gone.len().try_into().unwrap_or(u64::MAX);
        writing.finish(effects(&gone)).await?;
        Ok(count)
    }
}

/// A token that was deleted.
struct Gone {
    token: TokenRow,
    /// The token that it went along with; `None` if it was to go itself.
    along_with: Option<i64>,
}

fn effects(gone: &[Gone]) -> Vec<Effect> {
    let effect = |Gone { token, along_with }: &Gone| {
        let details = token_details(token);
        Effect::new(AuditAction::TokenRevoke, details).on(token.id, &token.owner).along_with(*along_with)
    };
    gone.iter().map(effect).collect()
}

/// A token that was revoked.
pub(super) struct Revoked {
    /// The tokens that went: none when it was not there.
    pub(super) gone: Vec<i64>,
    /// What the audit tells of it all.
    pub(super) effects: Vec<Effect>,
    /// What the ledger keeps of what went along.
    pub(super) notes: Vec<ChangeNote>,
}

/// Deletes the token `id`, if it is there, and with it its children where these do not stay. Where it has no offspring,
/// nothing is looked for.
///
/// # Errors
///
/// When the credential of a run would go along, or the store fails.
pub(super) async fn revoke(
    writing: &mut Writing,
    id: i64,
    children: Children,
    (under, has_offspring): (Option<&Under>, bool),
) -> Result<Revoked, StoreError> {
    let roots = BTreeSet::from([id]);
    let family = if has_offspring { family(writing, &roots, children).await? } else { vec![(id, None)] };
    runs::spare_credential(
        writing,
        under,
        family.iter().map(|(member, _)| member).filter(|member| **member != id),
    )?;
    if has_offspring {
        part(writing, &family, children).await?;
    }
    let gone = delete(writing, &roots, &family).await?;
    let along = gone.iter().filter(|gone| gone.along_with.is_some()).map(|gone| &gone.token);
    let notes = runs::along(under, along, id);
    Ok(Revoked { gone: gone.iter().map(|gone| gone.token.id).collect(), effects: effects(&gone), notes })
}

/// The tokens `roots`, and what was made with them where that does not stay, each with the one it was made with.
async fn family(
    writing: &mut SqliteConnection,
    roots: &BTreeSet<i64>,
    children: Children,
) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
    if children == Children::Keep {
        return Ok(roots.iter().map(|root| (*root, None)).collect());
    }
    // What was made with a token that is gone is reached across `ancestors`.
    let family = sqlx::query_as(
        "WITH RECURSIVE family (id) AS ( \
          SELECT id FROM tokens WHERE id IN (SELECT value FROM json_each(?1)) \
          UNION SELECT t.id FROM family f JOIN tokens t ON t.parent = f.id \
          UNION SELECT a.token FROM family f JOIN ancestors a ON a.parent = f.id \
         ) SELECT f.id, coalesce(t.parent, a.parent) FROM family f \
          LEFT JOIN tokens t ON t.id = f.id LEFT JOIN ancestors a ON a.token = f.id",
    );
    Ok(family.bind(list(roots.iter().copied())).fetch_all(writing).await?)
}

/// Takes note of what the tokens of `family`, which are to go, were made with, where their children stay; forgets it
/// where these go, too.
async fn part(
    writing: &mut SqliteConnection,
    family: &[(i64, Option<i64>)],
    children: Children,
) -> Result<(), StoreError> {
    match children {
        Children::Keep => sqlx::query(
            "INSERT INTO ancestors (token, parent) SELECT id, parent FROM tokens t \
                 WHERE id IN (SELECT value FROM json_each(?1)) AND parent IS NOT NULL \
                 AND (EXISTS (SELECT 1 FROM tokens c WHERE c.parent = t.id) \
                  OR EXISTS (SELECT 1 FROM ancestors a WHERE a.parent = t.id)) ON CONFLICT DO NOTHING",
        ),
        Children::Revoke => {
            sqlx::query("DELETE FROM ancestors WHERE token IN (SELECT value FROM json_each(?1))")
        }
    }
    .bind(list(family.iter().map(|(id, _)| *id)))
    .execute(writing)
    .await?;
    Ok(())
}

/// Which of the tokens `ids` have offspring.
///
/// # Errors
///
/// When the store fails.
pub(super) async fn parents_among(
    writing: &mut SqliteConnection,
    ids: impl Iterator<Item = i64>,
) -> Result<HashSet<i64>, StoreError> {
    let parents: Vec<i64> = sqlx::query_scalar(
        "SELECT parent FROM tokens WHERE parent IN (SELECT value FROM json_each(?1)) \
         UNION SELECT parent FROM ancestors WHERE parent IN (SELECT value FROM json_each(?1))",
    )
    .bind(list(ids))
    .fetch_all(writing)
    .await?;
    Ok(parents.into_iter().collect())
}

/// Deletes the tokens of `family`, which is that of `roots`. Returns those that went.
async fn delete(
    writing: &mut SqliteConnection,
    roots: &BTreeSet<i64>,
    family: &[(i64, Option<i64>)],
) -> Result<Vec<Gone>, StoreError> {
    let all = list(family.iter().map(|(id, _)| *id));
    let rows = sqlx::query(concat!(
        "DELETE FROM tokens WHERE id IN (SELECT value FROM json_each(?1)) RETURNING ",
        columns!()
    ))
    .bind(&all)
    .fetch_all(&mut *writing)
    .await?;
    let mut gone: Vec<TokenRow> = rows.iter().map(token).collect::<Result<_, _>>()?;
    gone.sort_unstable_by_key(|token| token.id);
    forget_ancestors(writing, gone.iter().filter_map(|token| token.parent).collect()).await?;
    let along_with = roots_of(roots, family);
    let gone = gone.into_iter().map(|token| {
        let along_with = along_with.get(&token.id).copied().filter(|_| !roots.contains(&token.id));
        Gone { token, along_with }
    });
    Ok(gone.collect())
}

/// The root that each of `family` resulted from, by the shortest way; every member comes with its parent.
fn roots_of(roots: &BTreeSet<i64>, family: &[(i64, Option<i64>)]) -> BTreeMap<i64, i64> {
    let mut children: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (id, parent) in family {
        children.entry(parent.unwrap_or(*id)).or_default().push(*id);
    }
    let mut root_of: BTreeMap<i64, i64> = roots.iter().map(|root| (*root, *root)).collect();
    let mut to_follow: Vec<(i64, i64)> = roots.iter().map(|root| (*root, *root)).collect();
    while let Some((id, root)) = to_follow.pop() {
        for child in children.get(&id).into_iter().flatten() {
            if let Entry::Vacant(new) = root_of.entry(*child) {
                new.insert(root);
                to_follow.push((*child, root));
            }
        }
    }
    root_of
}

/// Forgets those of `ancestors`, and then of their own parents, of which nothing is left.
async fn forget_ancestors(
    writing: &mut SqliteConnection,
    mut ancestors: BTreeSet<i64>,
) -> Result<(), StoreError> {
    while !ancestors.is_empty() {
        let parents: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM ancestors WHERE token IN (SELECT value FROM json_each(?1)) \
             AND NOT EXISTS (SELECT 1 FROM tokens c WHERE c.parent = ancestors.token) \
             AND NOT EXISTS (SELECT 1 FROM ancestors c WHERE c.parent = ancestors.token) RETURNING parent",
        )
        .bind(list(ancestors.iter().copied()))
        .fetch_all(&mut *writing)
        .await?;
        ancestors = parents.into_iter().collect();
    }
    Ok(())
}

fn list(ids: impl Iterator<Item = i64>) -> String {
    json!(ids.map(Value::from).collect::<Vec<_>>()).to_string()
}
