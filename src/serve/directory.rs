//! The import of a directory file: users, groups and passwords of a store become equal to it. A file with
//! any mistake is refused as a whole, and no user or token is ever deleted.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::Deserialize;
use serde_json::json;

use crate::{
    model::{
        GroupName, UserName,
        variable::{is_variable_name, variable_words},
    },
    yaml::plain,
};

use super::{
    passwords::{COSTS, Hasher, PasswordError, is_argon2, is_password_hash},
    store::{DirectoryRows, NewUser, Store, StoreError, slug},
};

/// The keys of a directory file.
const KEYS: [&str; 10] = [
    "users",
    "groups",
    "projects",
    "name",
    "id",
    "display_name",
    "email",
    "active",
    "password_env",
    "password_hash",
];

/// The directory file, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `users`, `groups` and `projects`")]
struct DirectoryDocument {
    users: Vec<UserDocument>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    /// Keys of projects, each with the slugs of its repositories.
    #[serde(default)]
    projects: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a user: a mapping with `name`")]
struct UserDocument {
    name: String,
    /// Says which person it is, whatever the name: two names with one `id` at different times are one person.
    id: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    #[serde(default = "yes")]
    active: bool,
    /// Name of the environment variable that holds the password.
    password_env: Option<String>,
    /// The password's argon2id hash with the costs of this server, as a PHC string.
    password_hash: Option<String>,
}

fn yes() -> bool {
    true
}

/// A directory file that cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is not written as a directory file is.
    #[error("the directory file cannot be read: {0}")]
    Form(String),
    /// A name that cannot be one.
    #[error(
        "invalid name `{0}`: it is empty, has a colon, a slash, a control character or surrounding space, \
         or begins with `(`"
    )]
    Name(String),
    /// Two users, or two groups, with names that are the same but for case.
    #[error("duplicate name `{0}`; names are not case-sensitive")]
    Twice(String),
    /// Two users with one `id`.
    #[error("`{first}` and `{second}` have the same `id`, which says who somebody is")]
    SameId {
        /// One of them.
        first: String,
        /// The other one.
        second: String,
    },
    /// Two users whom paths could not tell apart.
    #[error(
        "`{first}` and `{second}` have the same slug `{slug}`, which is their name in paths; rename one of them"
    )]
    SameSlug {
        /// One of them.
        first: String,
        /// The other one.
        second: String,
        /// Their slug.
        slug: String,
    },
    /// A personal project of no user.
    #[error("`{0}` is a personal project, and no user has the slug that follows the `~`")]
    NobodysProject(String),
    /// A member who is not a user.
    #[error("group `{group}` has the member `{member}`, who is not among the users")]
    Member {
        /// The group.
        group: String,
        /// Who is not a user.
        member: String,
    },
    /// Two sources for one password.
    #[error("user `{0}` has both `password_env` and `password_hash`; write one of them")]
    TwoPasswords(String),
    /// The environment variable is not set.
    #[error(
        "the environment variable {} with the password of `{user}` is not set",
        variable_words("password_env", variable)
    )]
    Environment {
        /// The user.
        user: String,
        /// The variable.
        variable: String,
    },
    /// What is no name of a variable may be the password itself, and is not kept.
    #[error(
        "`password_env` of `{0}` is not the name of an environment variable; write the name of the one that holds the \
         password, such as `MARYS_PASSWORD`"
    )]
    VariableName(String),
    /// The hash is not valid.
    #[error("`password_hash` of `{0}` is not an argon2 hash, e.g. `$argon2id$v=19$m=19456,t=2,p=1$..`")]
    Hash(String),
    /// The hash has other costs than those of this server.
    #[error(
        "`password_hash` of `{0}` must begin with `{COSTS}`: how long another one takes would tell who has it; hash the \
         password with these costs, or write `password_env`"
    )]
    Costs(String),
    /// A password cannot be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed; everything is as before.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes users, groups and passwords in `store` equal to the directory file `text`, in one step. A user
/// who is not in the file becomes inactive; tokens stay with the person that they are of: a name that left and is
/// back is another person's, unless both had the same `id`. `environment` returns the value of a variable.
///
/// # Errors
///
/// When the file has a mistake, a variable is not set, or the store fails; then nothing was changed.
pub async fn import(
    store: &Store,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(), DirectoryError> {
    let rows = read(text, environment, &store.password_hashes().await?)?;
    let left = store.import_directory(&rows).await?;
    if !left.is_empty() {
        let tokens = left.len();
        let missing = written(left);
        tracing::warn!(
            tokens,
            missing,
            "tokens of projects and repositories that the directory file does not name are not accepted any more: to \
             keep such tokens, name these below `projects:` before the file is imported; now restore a backup, or make \
             new tokens"
        );
    }
    Ok(())
}

/// How many of them are written out.
const WRITTEN: usize = 20;

/// The projects and repositories of these names as a directory file writes them: `projects: {"PLAT":["app"]}`.
fn written(places: Vec<String>) -> String {
    let mut projects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let places: BTreeSet<String> = places.into_iter().collect();
    for place in places.iter().take(WRITTEN) {
        match place.split_once('/') {
            None => drop(projects.entry(place.clone()).or_default()),
            Some((key, slug)) => drop(projects.entry(key.to_owned()).or_default().insert(slug.to_owned())),
        }
    }
    let more = places.len().saturating_sub(WRITTEN);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    format!("projects: {}{more}", json!(projects))
}

/// The directory that the file `text` declares, with hashed passwords. One that `kept` has the hash of already keeps
/// it: only what changed is to differ.
///
/// # Errors
///
/// When the file has a mistake or a variable is not set.
pub fn read(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
    kept: &BTreeMap<UserName, String>,
) -> Result<DirectoryRows, DirectoryError> {
    let document: DirectoryDocument = plain::read(text, &KEYS).map_err(DirectoryError::Form)?;
    let mut known = BTreeSet::new();
    let mut users = Vec::with_capacity(document.users.len());
    let mut hasher = Hasher::default();
    for written in document.users {
        let user = user(written, &environment, kept, &mut hasher)?;
        if !known.insert(user.name.clone()) {
            return Err(DirectoryError::Twice(user.name.into()));
        }
        users.push(user);
    }
    check_told_apart(&users)?;
    let (groups, projects) = (groups(document.groups, &known)?, projects(document.projects)?);
    let slugs: BTreeSet<String> = users.iter().map(|user| slug(&user.name)).collect();
    let is_nobodys =
        |key: &str| key.strip_prefix('~').is_some_and(|slug| !slugs.contains(&slug.to_lowercase()));
    if let Some((key, _)) = projects.iter().find(|(key, _)| is_nobodys(key)) {
        return Err(DirectoryError::NobodysProject(key.clone()));
    }
    Ok(DirectoryRows { users, groups, projects })
}

/// Users have one slug and one `id` each.
fn check_told_apart(users: &[NewUser]) -> Result<(), DirectoryError> {
    let (mut slugs, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for user in users {
        let slug = slug(&user.name);
        let second = user.name.to_string();
        if let Some(first) = slugs.insert(slug.clone(), &user.name).map(ToString::to_string) {
            return Err(DirectoryError::SameSlug { first, second, slug });
        }
        let same_id = user.person.as_ref().and_then(|id| ids.insert(id, &user.name));
        if let Some(first) = same_id.map(ToString::to_string) {
            return Err(DirectoryError::SameId { first, second });
        }
    }
    Ok(())
}

fn user(
    written: UserDocument,
    environment: impl Fn(&str) -> Option<String>,
    kept: &BTreeMap<UserName, String>,
    hasher: &mut Hasher,
) -> Result<NewUser, DirectoryError> {
    let name = written.name;
    check_name(&name)?;
    let mut same = |password: &str| {
        let hash = kept.get(&UserName::new(name.as_str()));
        hash.filter(|hash| hasher.matches(password, hash)).cloned()
    };
    let password_hash = match (written.password_env, written.password_hash) {
        (None, None) => None,
        (Some(_), Some(_)) => return Err(DirectoryError::TwoPasswords(name)),
        (None, Some(hash)) if is_password_hash(&hash) => Some(hash),
        (None, Some(hash)) if is_argon2(&hash) => return Err(DirectoryError::Costs(name)),
        (None, Some(_)) => return Err(DirectoryError::Hash(name)),
        (Some(variable), None) if !is_variable_name(&variable) => {
            return Err(DirectoryError::VariableName(name));
        }
        (Some(variable), None) => match environment(&variable) {
            Some(password) => Some(match same(&password) {
                Some(hash) => hash,
                None => hasher.hash(&password)?,
            }),
            None => return Err(DirectoryError::Environment { user: name, variable }),
        },
    };
    Ok(NewUser {
        display_name: written.display_name.unwrap_or_else(|| name.clone()),
        name: UserName::new(name),
        email: written.email,
        active: written.active,
        password_hash,
        person: written.id,
    })
}

/// The projects by their keys, with the slugs of their repositories; each once.
fn projects(
    written: BTreeMap<String, Vec<String>>,
) -> Result<Vec<(String, BTreeSet<String>)>, DirectoryError> {
    let mut keys = BTreeSet::new();
    for (key, slugs) in &written {
        check_name(key)?;
        if !keys.insert(key.to_lowercase()) {
            return Err(DirectoryError::Twice(key.clone()));
        }
        let mut folded = BTreeSet::new();
        for slug in slugs {
            check_name(slug)?;
            if !folded.insert(slug.to_lowercase()) {
                return Err(DirectoryError::Twice(format!("{key}/{slug}")));
            }
        }
    }
    Ok(written.into_iter().map(|(key, slugs)| (key, slugs.into_iter().collect())).collect())
}

fn groups(
    written: BTreeMap<String, Vec<String>>,
    users: &BTreeSet<UserName>,
) -> Result<Vec<(GroupName, BTreeSet<UserName>)>, DirectoryError> {
    let mut groups = BTreeMap::new();
    for (name, members) in written {
        check_name(&name)?;
        let members: BTreeSet<UserName> = members.into_iter().map(UserName::new).collect();
        if let Some(member) = members.difference(users).next() {
            return Err(DirectoryError::Member { group: name, member: member.to_string() });
        }
        match groups.entry(GroupName::new(name)) {
            Entry::Vacant(place) => place.insert(members),
            Entry::Occupied(place) => return Err(DirectoryError::Twice(place.key().to_string())),
        };
    }
    Ok(groups.into_iter().collect())
}

/// What separates names elsewhere, or means no user, can be no part of one.
fn check_name(name: &str) -> Result<(), DirectoryError> {
    let bad = name.is_empty()
        || name.trim() != name
        || name.starts_with('(')
        || name.contains(|c: char| c.is_control() || c == ':' || c == '/');
    if bad { Err(DirectoryError::Name(name.to_owned())) } else { Ok(()) }
}
