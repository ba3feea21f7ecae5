//! The rows of users, groups, projects and repositories, and the questions for them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    access::Memberships,
    model::{GroupName, UserName},
};

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
    /// When the user last authenticated, with a token or a password, UTC; `None` for never.
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
    /// Only this one.
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
    /// What the directory knows the person by, whatever the name.
    pub person: Option<String>,
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
    /// Whether it is the project of one user: then its key is `~` and the slug of that user.
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
