//! Where the server keeps users, groups, settings and tokens.
//!
//! One look-up a question. Who asks and whether that is permitted is not known here. All SQL is in the
//! submodule of the database.

mod audit;
mod changes;
mod directory;
mod error;
mod location;
mod maintenance;
mod restriction;
mod right;
mod runs;
mod sqlite;
mod tokens;

pub use audit::Whence;
pub use changes::{Deed, DeedStep, Done};
pub use directory::{
    Account, DirectoryRows, GroupFilter, GroupRow, NewUser, ProjectRow, RepositoryFilter, RepositoryRow,
    UserFilter, UserRow, slug,
};
pub use error::StoreError;
pub use location::{BadStoreUrl, StoreUrl};
pub use maintenance::{Checked, Renumbered, Restored};
pub use restriction::{Restricted, RestrictionRow};
pub use right::{Grounds, Right, Sender};
pub use runs::{Lease, LeaseAnswer, Under};
pub use sqlite::Store;
pub use tokens::{
    Between, Children, KnownOwner, Narrowing, NewPermissions, NewToken, OwnedToken, TokenFilter, TokenPage,
    TokenRow, Use,
};

/// Which part of a listing of users or groups: from number `start` on, `limit` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The first number.
    pub start: i64,
    /// How many are answered at most.
    pub limit: i64,
}

/// The settings as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsRow {
    /// Counts the changes.
    pub revision: i64,
    /// The document as JSON; `None` when the revision is the one that was known already.
    pub document: Option<String>,
}
