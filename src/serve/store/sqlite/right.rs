//! Whether a right still holds, by the rows that it rests on.

use sqlx::SqliteConnection;

use super::{Store, directory, tokens};
use crate::{
    model::Owner,
    serve::store::{Grounds, KnownOwner, OwnedToken, Right, Sender, StoreError, TokenRow},
};

impl Store {
    /// Whether `right` still holds.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn holds(&self, right: &Right) -> Result<bool, StoreError> {
        if let Right::Request(grounds) = right
            && self.answers().await?.are_grounds(grounds)
        {
            return Ok(true);
        }
        right.holds(&mut *self.recognisers.begin().await?).await
    }

    /// What the directory knows of `owner`; `None` for an unknown one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn known_owner(&self, owner: &Owner) -> Result<Option<KnownOwner>, StoreError> {
        known_owner(&mut *self.readers.acquire().await?, owner).await
    }
}

impl Right {
    /// Whether it holds for a transaction on `connection`.
    pub(super) async fn holds(&self, connection: &mut SqliteConnection) -> Result<bool, StoreError> {
        let Self::Request(grounds) = self else { return Ok(true) };
        let Grounds { settings, sender, owner, clock, whence: _ } = &**grounds;
        let present: Option<i64> = sqlx::query_scalar("SELECT revision FROM settings WHERE id = 1")
            .fetch_optional(&mut *connection)
            .await?;
        if present != Some(*settings) {
            return Ok(false);
        }
        let sender_stays = match sender {
            Sender::Nobody => false,
            Sender::Operator => true,
            Sender::Password(account) => {
                directory::account(&mut *connection, &account.name).await?.as_ref() == Some(account)
            }
            Sender::Token(known) => {
                let OwnedToken { token, owner } = &**known;
                let present = tokens::by_id(&mut *connection, token.id).await?;
                present.is_some_and(|present| reaches_as_far(&present, token))
                    && token.expires.is_none_or(|expires| clock.now() < expires)
                    && owner.is_some()
                    && known_owner(&mut *connection, &token.owner).await? == *owner
            }
        };
        let Some((owner, known)) = owner else { return Ok(sender_stays) };
        Ok(sender_stays && known_owner(connection, owner).await? == *known)
    }
}

fn reaches_as_far(one: &TokenRow, other: &TokenRow) -> bool {
    (&one.owner, one.scope, one.expires) == (&other.owner, other.scope, other.expires)
}

pub(super) async fn known_owner(
    connection: &mut SqliteConnection,
    owner: &Owner,
) -> Result<Option<KnownOwner>, StoreError> {
    let there: bool = match owner {
        Owner::User(name) => return Ok(directory::account(connection, name).await?.map(KnownOwner::User)),
        Owner::Project(key) => {
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM projects WHERE folded = ?1)")
                .bind(key.to_lowercase())
                .fetch_one(connection)
                .await?
        }
        Owner::Repository { project, slug } => {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM repositories r JOIN projects p ON p.id = r.project_id \
                 WHERE p.folded = ?1 AND r.folded = ?2)",
            )
            .bind(project.to_lowercase())
            .bind(slug.to_lowercase())
            .fetch_one(connection)
            .await?
        }
    };
    Ok(there.then_some(KnownOwner::Place))
}
