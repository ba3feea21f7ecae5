//! The rows of tokens, by hash, by number or page by page. Only hashes of secrets get here.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{Right, Store, Upkeep, moment, settings};
use crate::{
    model::{LastUse, Owner, Scope, TokenScope, UserName, audit::AuditAction, secret::SecretHash},
    serve::project_permissions::ProjectPermissions,
    serve::store::{
        Between, KnownOwner, NewToken, OwnedToken, StoreError, TokenFilter, TokenPage, TokenRow, Use,
        audit::{Effect, token_details},
    },
};

/// The columns from which [`token`] makes a token.
macro_rules! columns {
    () => {
        "id, owner_kind, owner, description, scope, created, created_by, last_used, last_used_from, expires, permissions, parent"
    };
}

pub(super) use columns;

impl Store {
    /// The token with the secret that hashes to `hash`, and its owner as far as the directory knows them.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn token_by_hash(&self, hash: &SecretHash) -> Result<Option<Arc<OwnedToken>>, StoreError> {
        let answers = self.answers().await?;
        if let Some(known) = answers.tokens.get(hash.as_bytes()) {
            return Ok(Some(known));
        }
        let row = sqlx::query(
            "SELECT t.id, owner_kind, owner, description, scope, created, created_by, last_used, last_used_from, \
             expires, permissions, parent, u.name AS account, u.active, u.password_hash, \
             (SELECT json_group_array(g.name) FROM members m JOIN groups g ON g.id = m.group_id \
              WHERE m.user_id = u.id) AS member_of, \
             CASE owner_kind \
              WHEN 'project' THEN EXISTS (SELECT 1 FROM projects p WHERE p.folded = owner_folded) \
              WHEN 'repository' THEN EXISTS (SELECT 1 FROM repositories r JOIN projects p ON p.id = r.project_id \
               WHERE p.folded = substr(owner_folded, 1, instr(owner_folded, '/') - 1) \
               AND r.folded = substr(owner_folded, instr(owner_folded, '/') + 1)) \
              ELSE 0 END AS place \
             FROM tokens t LEFT JOIN users u ON u.folded = t.owner_folded AND t.owner_kind = 'user' \
             WHERE t.secret_hash = ?1",
        )
        .bind(hash.as_bytes().as_slice())
        .fetch_optional(&self.recognisers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let place: bool = row.try_get("place")?;
        let user = super::directory::account_in(&row)?.map(KnownOwner::User);
        let owner = user.or_else(|| place.then_some(KnownOwner::Place));
        let known = Arc::new(OwnedToken { token: token(&row)?, owner });
        answers.keep_token(*hash.as_bytes(), &known);
        Ok(Some(known))
    }

    /// The token with this number.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn token(&self, id: i64) -> Result<Option<TokenRow>, StoreError> {
        by_id(&mut *self.readers.acquire().await?, id).await
    }

    /// Keeps `new` and answers its number; `None` when its owner already has `max_per_owner`
    /// tokens that have not expired when it is made.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn create_token(
        &self,
        right: &Right,
        new: &NewToken,
        max_per_owner: Option<u32>,
    ) -> Result<Option<i64>, StoreError> {
        let mut writing = self.write(right).await?;
        if let Some(max) = max_per_owner {
            let live: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM tokens WHERE owner_folded = ?1 AND owner_kind = ?2 \
                 AND (expires IS NULL OR expires > ?3)",
            )
            .bind(folded(&new.owner))
            .bind(new.owner.kind().word())
            .bind(new.created.as_millisecond())
            .fetch_one(&mut *writing)
            .await?;
            if live >= i64::from(max) {
                return writing.finish(None).await.map(|()| None);
            }
        }
        let (id, effect) = insert(&mut writing, new).await?;
        writing.finish([effect]).await?;
        Ok(Some(id))
    }

    /// The tokens of a page, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn tokens(&self, filter: &TokenFilter, page: TokenPage) -> Result<Vec<TokenRow>, StoreError> {
        let mut query = QueryBuilder::new(concat!("SELECT ", columns!(), " FROM tokens WHERE 1"));
        restrict(&mut query, filter);
        if let TokenPage::After { after, until, .. } = page {
            query.push(" AND id > ").push_bind(after).push(" AND id <= ").push_bind(until);
        }
        query.push(" ORDER BY id LIMIT ");
        match page {
            TokenPage::After { limit, .. } => query.push_bind(limit),
            TokenPage::Offset { skip, limit } => query.push_bind(limit).push(" OFFSET ").push_bind(skip),
        };
        query.build().fetch_all(&self.readers).await?.iter().map(token).collect()
    }

    /// How many tokens `filter` selects.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn count_tokens(&self, filter: &TokenFilter) -> Result<i64, StoreError> {
        let mut query = QueryBuilder::new("SELECT count(*) FROM tokens WHERE 1");
        restrict(&mut query, filter);
        Ok(query.build_query_scalar().fetch_one(&self.readers).await?)
    }

    /// The highest number of a token; 0 when there is none.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn last_token(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM tokens").fetch_one(&self.readers).await?)
    }

    /// Keeps the last use of tokens, in one transaction. An earlier use than the one that is kept
    /// already changes nothing.
    ///
    /// # Errors
    ///
    /// When the store fails; then none is kept.
    pub async fn record_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        for used in uses {
            sqlx::query(
                "UPDATE tokens SET last_used = ?2, last_used_from = ?3 \
                 WHERE id = ?1 AND (last_used IS NULL OR last_used <= ?2)",
            )
            .bind(used.token)
            .bind(used.last_use.at.as_millisecond())
            .bind(used.last_use.from.map(|address| address.to_string()))
            .execute(&mut *writing)
            .await?;
            sqlx::query(
                "UPDATE users SET last_authenticated = max(coalesce(last_authenticated, ?2), ?2) WHERE folded = \
                 (SELECT owner_folded FROM tokens WHERE id = ?1 AND owner_kind = 'user')",
            )
            .bind(used.token)
            .bind(used.last_use.at.as_millisecond())
            .execute(&mut *writing)
            .await?;
        }
        writing.keep(Upkeep::LastUses).await
    }

    /// Keeps when users signed in with their passwords, in one transaction.
    ///
    /// # Errors
    ///
    /// When the store fails; then none is kept.
    pub async fn record_sign_ins(&self, users: &BTreeMap<UserName, Timestamp>) -> Result<(), StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        for (user, at) in users {
            sqlx::query(
                "UPDATE users SET last_authenticated = max(coalesce(last_authenticated, ?2), ?2) WHERE folded = ?1",
            )
            .bind(user.folded())
            .bind(at.as_millisecond())
            .execute(&mut *writing)
            .await?;
        }
        writing.keep(Upkeep::LastUses).await
    }

    /// Puts `tokens` and, where given, the settings in `document` into a store that has no token and was never seeded,
    /// in one transaction with the mark that says so. Answers whether it did.
    ///
    /// # Errors
    ///
    /// When the store fails; then nothing was put there.
    pub async fn seed(
        &self,
        tokens: &[NewToken],
        document: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut writing = self.write(&Right::Host).await?;
        let begun: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM tokens) OR EXISTS (SELECT 1 FROM marks WHERE name = 'seeded')",
        )
        .fetch_one(&mut *writing)
        .await?;
        if begun {
            return writing.finish(None).await.map(|()| false);
        }
        let mut effects = vec![Effect::new(AuditAction::Seed, json!({"tokens": tokens.len()}))];
        for new in tokens {
            effects.push(insert(&mut writing, new).await?.1);
        }
        if let Some(document) = document {
            let before = settings::documents(&mut writing).await?;
            sqlx::query("UPDATE settings SET document = ?1, revision = revision + 1 WHERE id = 1")
                .bind(document)
                .execute(&mut *writing)
                .await?;
            effects.push(settings::replacement(&mut writing, AuditAction::SettingsImport, &before).await?);
        }
        sqlx::query("INSERT INTO marks (name, at) VALUES ('seeded', ?1)")
            .bind(now.as_millisecond())
            .execute(&mut *writing)
            .await?;
        writing.finish(effects).await?;
        Ok(true)
    }
}

/// The token with the number `id`.
pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<Option<TokenRow>, StoreError> {
    sqlx::query(concat!("SELECT ", columns!(), " FROM tokens WHERE id = ?1"))
        .bind(id)
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(token)
        .transpose()
}

/// Those of the tokens with the numbers `ids` that are there, by number.
pub(super) async fn by_ids(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, TokenRow>, StoreError> {
    let ids: Value = ids.map(Value::from).collect();
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM tokens WHERE id IN (SELECT value FROM json_each(?1))"
    ))
    .bind(ids.to_string())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| token(row).map(|token| (token.id, token))).collect()
}

/// Keeps `new`, and returns its number and what the audit tells of it.
async fn insert(writing: &mut SqliteConnection, new: &NewToken) -> Result<(i64, Effect), StoreError> {
    let row = sqlx::query(concat!(
        "INSERT INTO tokens (owner, owner_folded, description, scope, created, created_by, parent, last_used, \
         last_used_from, expires, secret_hash, permissions, owner_kind) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
         RETURNING ",
        columns!()
    ))
    .bind(owner_column(&new.owner))
    .bind(folded(&new.owner))
    .bind(&new.description)
    .bind(scope_column(new.scope))
    .bind(new.created.as_millisecond())
    .bind(new.created_by.as_ref().map(UserName::as_str))
    .bind(new.parent)
    .bind(new.last_used.map(|used| used.at.as_millisecond()))
    .bind(new.last_used.and_then(|used| used.from).map(|address| address.to_string()))
    .bind(new.expires.map(Timestamp::as_millisecond))
    .bind(new.secret_hash.as_bytes().as_slice())
    .bind(new.permissions.as_ref().map(permissions_column).transpose()?)
    .bind(new.owner.kind().word())
    .fetch_one(writing)
    .await?;
    let made = token(&row)?;
    let effect = Effect::new(AuditAction::TokenCreate, token_details(&made)).on(made.id, &made.owner);
    Ok((made.id, effect))
}

fn restrict(query: &mut QueryBuilder<Sqlite>, filter: &TokenFilter) {
    if !filter.owners.is_empty() {
        let owners: Value = filter.owners.iter().map(|owner| json!([folded(owner), owner.kind()])).collect();
        query.push(" AND (owner_folded, owner_kind) IN (SELECT value ->> 0, value ->> 1 FROM json_each(");
        query.push_bind(owners.to_string()).push("))");
    }
    if !filter.owner_kinds.is_empty() {
        query.push(" AND owner_kind IN (");
        let mut kinds = query.separated(", ");
        for kind in &filter.owner_kinds {
            kinds.push_bind(kind.word());
        }
        query.push(")");
    }
    if let Some(text) = &filter.description {
        query.push(" AND instr(lower(description), lower(").push_bind(text.clone()).push(")) > 0");
    }
    if let Some(at) = filter.not_valid_after {
        query.push(" AND expires <= ").push_bind(at.as_millisecond());
    }
    if let Some(scope) = filter.scope {
        query.push(" AND scope IS ").push_bind(scope_column(scope));
    }
    for (column, Between { from, until }) in
        [("created", filter.created), ("last_used", filter.last_used), ("expires", filter.expires)]
    {
        for (comparison, end) in [(" >= ", from), (" <= ", until)] {
            if let Some(end) = end {
                query.push(" AND ").push(column).push(comparison).push_bind(end.as_millisecond());
            }
        }
    }
}

/// NULL means unset, also when nobody knows it.
fn scope_column(scope: TokenScope) -> Option<u8> {
    match scope {
        TokenScope::Unset | TokenScope::Unknown => None,
        TokenScope::Set(scope) => Some(scope.number()),
    }
}

/// What tells `owner` from others of its kind.
pub(super) fn owner_column(owner: &Owner) -> String {
    match owner {
        Owner::User(user) => user.to_string(),
        Owner::Project(key) => key.clone(),
        Owner::Repository { project, slug } => format!("{project}/{slug}"),
    }
}

/// The same in the form in which owners are compared.
pub(super) fn folded(owner: &Owner) -> String {
    owner_column(owner).to_lowercase()
}

/// The owner of this kind whose column is `text`.
pub(super) fn owner(kind: &str, text: String) -> Result<Owner, StoreError> {
    match (kind, text.split_once('/')) {
        ("user", _) => Ok(Owner::User(text.into())),
        ("project", _) => Ok(Owner::Project(text)),
        ("repository", Some((project, slug))) => {
            Ok(Owner::Repository { project: project.to_owned(), slug: slug.to_owned() })
        }
        _ => Err(StoreError::Damaged(format!("`{text}` is not an owner of the kind `{kind}`"))),
    }
}

pub(super) fn permissions_column(permissions: &ProjectPermissions) -> Result<String, StoreError> {
    serde_json::to_string(permissions)
        .map_err(|error| StoreError::Damaged(format!("permissions cannot be written: {error}")))
}

fn permissions(text: &str) -> Result<ProjectPermissions, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged(format!("`{text}` are not permissions")))
}

/// A row with the columns of `columns!`, before they are believed.
#[derive(FromRow)]
struct Raw {
    id: i64,
    owner_kind: String,
    owner: String,
    description: String,
    scope: Option<i64>,
    created: i64,
    created_by: Option<String>,
    last_used: Option<i64>,
    last_used_from: Option<String>,
    expires: Option<i64>,
    permissions: Option<String>,
    parent: Option<i64>,
}

fn scope(number: i64) -> Result<TokenScope, StoreError> {
    let scope = Scope::from_number(number).map(TokenScope::Set);
    scope.ok_or_else(|| StoreError::Damaged(format!("{number} is not a scope")))
}

/// The token in a row with the columns of `columns!`.
pub(super) fn token(row: &SqliteRow) -> Result<TokenRow, StoreError> {
    let raw = Raw::from_row(row)?;
    let address = |text: &String| {
        text.parse::<IpAddr>().map_err(|_| StoreError::Damaged(format!("`{text}` is not an address")))
    };
    let from = raw.last_used_from.as_ref().map(address).transpose()?;
    Ok(TokenRow {
        id: raw.id,
        owner: owner(&raw.owner_kind, raw.owner)?,
        description: raw.description,
        scope: raw.scope.map_or(Ok(TokenScope::Unset), scope)?,
        created: moment(raw.created)?,
        created_by: raw.created_by.map(UserName::new),
        last_used: raw
            .last_used
            .map(|at| Ok::<_, StoreError>(LastUse { at: moment(at)?, from }))
            .transpose()?,
        expires: raw.expires.map(moment).transpose()?,
        permissions: raw.permissions.as_deref().map(permissions).transpose()?,
        parent: raw.parent,
    })
}
