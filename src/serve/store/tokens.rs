//! The rows of tokens, the questions for them, and what changes on them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Account;
use crate::{
    model::{LastUse, Owner, OwnerKind, Scope, TokenScope, UserName, secret::SecretHash},
    serve::project_permissions::ProjectPermissions,
};

/// A token as the store keeps one, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its number, never given twice.
    pub id: i64,
    /// Whose it is.
    pub owner: Owner,
    /// What tells it from others.
    pub description: String,
    /// How far it reaches.
    pub scope: TokenScope,
    /// When it was made, UTC.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: Option<UserName>,
    /// Its last use.
    pub last_used: Option<LastUse>,
    /// The moment from which on it is refused, UTC; `None` when it never expires.
    pub expires: Option<Timestamp>,
    /// The project permissions that it was given, of which its scope may have left less; `None` when
    /// none were named.
    pub permissions: Option<ProjectPermissions>,
    /// The number of the token that it was made with, which may be gone.
    pub parent: Option<i64>,
}

/// What becomes of tokens that were made with one that is revoked, or with one that was made with it, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// They are revoked, too.
    Revoke,
    /// They stay.
    Keep,
}

/// The owner of a token, as far as the directory knows them.
#[derive(Clone, PartialEq, Eq)]
pub enum KnownOwner {
    /// A user.
    User(Account),
    /// A project or repository that there is.
    Place,
}

/// A token and its owner.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedToken {
    /// The token.
    pub token: TokenRow,
    /// Its owner, as far as the directory knows them.
    pub owner: Option<KnownOwner>,
}

/// A token to be kept.
pub struct NewToken {
    /// Whose it is.
    pub owner: Owner,
    /// What tells it from others.
    pub description: String,
    /// How far it reaches.
    pub scope: TokenScope,
    /// When it was made, UTC.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: Option<UserName>,
    /// The number of the token that it was made with, which takes it along when it is revoked.
    pub parent: Option<i64>,
    /// Its last use.
    pub last_used: Option<LastUse>,
    /// The moment from which on it is refused, UTC; `None` when it never expires.
    pub expires: Option<Timestamp>,
    /// What is kept of its secret.
    pub secret_hash: SecretHash,
    /// The project permissions that it is given, when any are named.
    pub permissions: Option<ProjectPermissions>,
}

impl NewToken {
    /// The token as it is kept under the number `id`.
    #[must_use]
    pub fn into_row(self, id: i64) -> TokenRow {
        TokenRow {
            id,
            owner: self.owner,
            description: self.description,
            scope: self.scope,
            created: self.created,
            created_by: self.created_by,
            last_used: self.last_used,
            expires: self.expires,
            permissions: self.permissions,
            parent: self.parent,
        }
    }
}

/// What is to change on a token: a field that is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// The new description.
    pub description: Option<String>,
    /// The new scope, no wider than the present one.
    pub scope: Option<Scope>,
    /// The new expiry, UTC, no later than the present one.
    pub expires: Option<Timestamp>,
    /// The new project permissions.
    pub permissions: Option<NewPermissions>,
}

/// Project permissions in place of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPermissions {
    /// What must be there now.
    pub from: Option<ProjectPermissions>,
    /// What is to be there.
    pub to: ProjectPermissions,
}

/// Which tokens are asked for; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Of one of these owners; empty means of anybody.
    pub owners: Vec<Owner>,
    /// Of an owner of one of these kinds; empty means of any.
    pub owner_kinds: BTreeSet<OwnerKind>,
    /// With this in the description, without regard to the case of ASCII letters.
    pub description: Option<String>,
    /// Not valid any more after this moment.
    pub not_valid_after: Option<Timestamp>,
    /// With exactly this scope.
    pub scope: Option<TokenScope>,
    /// Created from here to there, both included.
    pub created: Between,
    /// Used last from here to there, both included; one that was never used is not.
    pub last_used: Between,
    /// Expiring from here to there, both included; one that never expires is not.
    pub expires: Between,
}

/// A stretch of time, both ends included; an end that is left out is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Between {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Until this moment.
    pub until: Option<Timestamp>,
}

/// Which part of a listing of tokens, in the order of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPage {
    /// By counting.
    Offset {
        /// How many are left out.
        skip: i64,
        /// How many are answered at most.
        limit: i64,
    },
    /// By number: takes the same time wherever the page lies.
    After {
        /// Numbers greater than this.
        after: i64,
        /// And no greater than this.
        until: i64,
        /// How many are answered at most.
        limit: i64,
    },
}

/// One use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The number of the token.
    pub token: i64,
    /// When and from where.
    pub last_use: LastUse,
}
