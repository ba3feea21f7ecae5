//! Where the server keeps users, groups, settings and tokens.
//!
//! One look-up a question. Who asks and whether that is permitted is not known here. All SQL is in the
//! submodule of the database.

mod audit;
mod error;
mod restriction;
mod right;
mod sqlite;

use std::{collections::BTreeSet, fs, io, path::PathBuf, str::FromStr};

use jiff::Timestamp;
use serde::Serialize;

use super::project_permissions::ProjectPermissions;
use crate::{
    access::Memberships,
    model::{
        GroupName, LastUse, Owner, OwnerKind, Scope, TokenScope, UserName,
        run::{ChangeNote, RunId},
        secret::SecretHash,
    },
};

pub use audit::Whence;
pub use error::StoreError;
pub use restriction::{Restricted, RestrictionRow};
pub use right::{Grounds, Right, Sender};
pub use sqlite::Store;

/// Where a store lies: `sqlite:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    /// Path of the SQLite file.
    pub file: PathBuf,
}

impl FromStr for StoreUrl {
    type Err = BadStoreUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest)) {
            Some(file) if !file.is_empty() => Ok(Self { file: file.into() }),
            _ => Err(BadStoreUrl(text.to_owned())),
        }
    }
}

impl StoreUrl {
    /// Makes sure that there is a store.
    ///
    /// # Errors
    ///
    /// When there is no file, or an empty one.
    pub fn is_there(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.file) {
            Ok(there) if there.len() > 0 => Ok(()),
            Ok(_) => Err(StoreError::Missing(self.file.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Missing(self.file.clone()))
            }
            Err(cause) => Err(StoreError::of_opening(&self.file, cause.into())),
        }
    }
}

/// The text names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid store `{0}`; write `sqlite:` and the path of a file, e.g. `sqlite:tokenwarden.db`")]
pub struct BadStoreUrl(pub String);

/// What was found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The version of its schema.
    pub version: i64,
    /// How many tokens there are.
    pub tokens: i64,
    /// What its clock says while that is still to come, UTC.
    pub ahead: Option<Timestamp>,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// What became of a store that a backup was put in the place of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made, UTC; `None` when it does not say.
    pub of: Option<Timestamp>,
    /// How many tokens there are now.
    pub tokens: i64,
    /// How many tokens of the backup were revoked since, and stay revoked; `None` when there was no store to tell.
    pub stays_revoked: Option<i64>,
    /// The tokens that were created since, which are gone.
    pub created_since: Vec<i64>,
    /// The entries of the audit of that store which have new numbers, because the backup has other entries under theirs.
    pub renumbered: Vec<Renumbered>,
    /// Where the store lies that was there before.
    pub kept: Option<PathBuf>,
}

/// Entries of an audit that have new numbers: the first and the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Renumbered {
    /// What they were.
    pub were: (i64, i64),
    /// What they are.
    pub are: (i64, i64),
}

/// A user as the store keeps one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Its number; the place in a listing.
    pub id: i64,
    /// The name.
    pub name: UserName,
    /// The name in the form that is used in paths.
    pub slug: String,
    /// The name that people read.
    pub display_name: String,
    /// The address for mail.
    pub email: Option<String>,
    /// Whether the directory says that the user is active.
    pub active: bool,
    /// When the user last proved who that is, with a token or a password, UTC; nothing for never.
    pub last_authenticated: Option<Timestamp>,
}

/// Which users are asked for; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter<'a> {
    /// With this in the name, the display name or the mail address, without regard to case.
    pub text: Option<&'a str>,
    /// In all of the groups with these numbers.
    pub in_groups: Vec<i64>,
    /// Not in the group with this number.
    pub not_in_group: Option<i64>,
    /// Active, or not.
    pub active: Option<bool>,
}

/// Which groups are asked for; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter<'a> {
    /// With this in the name, without regard to case.
    pub text: Option<&'a str>,
    /// This one alone.
    pub only: Option<&'a GroupName>,
    /// All but this one.
    pub without: Option<&'a GroupName>,
    /// Those that the user with this number is in.
    pub of_user: Option<i64>,
    /// Those that the user with this number is not in.
    pub not_of_user: Option<i64>,
}

/// Which repositories are asked for; every part that is given must hold. All without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryFilter<'a> {
    /// With this in the name.
    pub name: Option<&'a str>,
    /// In the project with this key.
    pub project: Option<&'a str>,
    /// In a project with this in the name.
    pub project_name: Option<&'a str>,
}

/// A group as the store keeps one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Its number; the place in a listing.
    pub id: i64,
    /// The name.
    pub name: GroupName,
}

/// A user together with everything that authentication needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: UserName,
    /// Whether the directory says that the user is active.
    pub active: bool,
    /// The groups the user is in.
    pub groups: Memberships,
    /// The hash of the password, as argon2 writes it; `None` when the user has none.
    pub password_hash: Option<String>,
}

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

/// The owner of a token, as far as the directory knows that one.
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
    /// Whose it is, as far as the directory knows that one.
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

/// Project permissions in the place of others.
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
    /// By counting: so many are left out.
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

/// Which part of a listing of users or groups: from number `start` on, `limit` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The first number.
    pub start: i64,
    /// How many are answered at most.
    pub limit: i64,
}

/// One use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The number of the token.
    pub token: i64,
    /// When and from where.
    pub last_use: LastUse,
}

/// Users, groups and passwords as they are to be; the passwords are hashed already.
#[derive(Clone, Default)]
pub struct DirectoryRows {
    /// Each user once.
    pub users: Vec<NewUser>,
    /// Each group once, with its members, who are all among the users.
    pub groups: Vec<(GroupName, BTreeSet<UserName>)>,
    /// Each project once, by its key, with the slugs of its repositories.
    pub projects: Vec<(String, BTreeSet<String>)>,
}

/// The form of a name that is used in paths: lower case, every other character than letters, digits,
/// `.`, `_` and `-` as `_`, as Bitbucket has it.
#[must_use]
pub fn slug(name: &UserName) -> String {
    let in_paths = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.folded().chars().map(in_paths).collect()
}

/// A user to be kept.
#[derive(Clone)]
pub struct NewUser {
    /// The name.
    pub name: UserName,
    /// The name that people read.
    pub display_name: String,
    /// The address for mail.
    pub email: Option<String>,
    /// Whether the user is active.
    pub active: bool,
    /// The hash of the password, as argon2 writes it.
    pub password_hash: Option<String>,
    /// By what the directory says who that is, whatever the name.
    pub person: Option<String>,
}

/// The settings as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsRow {
    /// Counts the changes.
    pub revision: i64,
    /// The document as JSON; `None` when the revision is the one that was known already.
    pub document: Option<String>,
}

/// The right to be the only run that applies a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Grows each time that another run gets it: who writes with an old number is refused.
    pub number: i64,
    /// The run that holds it.
    pub run: RunId,
    /// Who runs it and where.
    pub holder: String,
    /// Since when, UTC.
    pub since: Timestamp,
    /// From when on others may have it, UTC, unless it is prolonged.
    pub expires: Timestamp,
}

/// What asking for the lease came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is given.
    Given(Lease),
    /// Another run holds it.
    Held(Lease),
    /// The run gave it back before: it is over.
    Over,
}

/// Under what a run writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Under {
    /// The run.
    pub run: RunId,
    /// The number of its lease; `None` when something else keeps other runs away.
    pub lease: Option<i64>,
    /// What it does with this write.
    pub note: ChangeNote,
    /// When, UTC.
    pub at: Timestamp,
}

/// A project as the store keeps one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its number; the place in a listing.
    pub id: i64,
    /// Its key, such as `PLAT`.
    pub key: String,
}

impl ProjectRow {
    /// Whether it is the project of one user: then its key is `~` and the slug of that one.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.key.starts_with('~')
    }

    /// The slug of the user whose personal project it is.
    #[must_use]
    pub fn owner_slug(&self) -> Option<String> {
        self.key.strip_prefix('~').map(str::to_lowercase)
    }
}

/// A repository as the store keeps one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// Its number; the place in a listing.
    pub id: i64,
    /// Its name as paths have it.
    pub slug: String,
    /// The project that it is in.
    pub project: ProjectRow,
}
