//! Names of users, groups and owners, which compare without regard to case, as in every directory behind
//! Bitbucket.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A name in both of its forms.
#[derive(Debug)]
struct Name {
    /// As it was written and, when that is another one, the form that is compared.
    texts: Box<str>,
    /// How many bytes of that are as it was written.
    written: usize,
    /// The same for names that are equal, and mostly another one for those that are not.
    mark: u64,
}

impl Name {
    fn new(written: Box<str>) -> Self {
        let (length, folded) = (written.len(), written.to_lowercase());
        let mark = mark(&folded);
        let texts = if folded == *written { written } else { (String::from(written) + &folded).into() };
        Self { texts, written: length, mark }
    }

    fn written(&self) -> &str {
        self.texts.get(..self.written).unwrap_or(&self.texts)
    }

    fn folded(&self) -> &str {
        self.texts.get(self.written..).filter(|folded| !folded.is_empty()).unwrap_or(&self.texts)
    }
}

/// That of a `text`: FNV-1a, mixed once more, since its last bytes do not reach every bit.
fn mark(text: &str) -> u64 {
    mark_of_bytes(text.bytes())
}

fn mark_of_bytes(bytes: impl Iterator<Item = u8>) -> u64 {
    let mixed = bytes.fold(0xcbf2_9ce4_8422_2325, |mark: u64, byte| {
        (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 16
}

macro_rules! folded_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Shown as it was written, compared without regard to case. Copies share one text.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(Arc<Name>);

        impl $name {
            /// The name `written`, as its directory spells it.
            #[must_use]
            pub fn new(written: impl Into<Box<str>>) -> Self {
                Self(Arc::new(Name::new(written.into())))
            }

            /// As it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.written()
            }

            /// The form that is compared: lower case.
            #[must_use]
            pub fn folded(&self) -> &str {
                self.0.folded()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.folded() == other.folded()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.folded().cmp(other.folded())
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.folded().hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<&str> for $name {
            fn from(written: &str) -> Self {
                Self::new(written)
            }
        }

        impl From<String> for $name {
            fn from(written: String) -> Self {
                Self::new(written)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }
    };
}

folded_name! {
    /// The name of a user.
    UserName
}
folded_name! {
    /// The name of a group.
    GroupName
}

impl GroupName {
    /// The same for names that are equal, and mostly another one for those that are not.
    pub(super) fn mark(&self) -> u64 {
        self.0.mark
    }
}

/// Whose a token is. A project's or a repository's token has no user behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A person or a service account.
    User(UserName),
    /// A project, by its key.
    Project(String),
    /// A repository, by its project's key and its own slug.
    Repository {
        /// Key of the project it lies in.
        project: String,
        /// Slug of the repository.
        slug: String,
    },
}

impl Owner {
    /// How an owner is written.
    pub const FORMS: &'static str = "write it as plans show it: `mary`, `project PLAT` or `repository PLAT/app`; `user NAME` is always the user";

    /// Which kind of owner it is.
    #[must_use]
    pub fn kind(&self) -> OwnerKind {
        match self {
            Self::User(_) => OwnerKind::User,
            Self::Project(_) => OwnerKind::Project,
            Self::Repository { .. } => OwnerKind::Repository,
        }
    }

    /// The key of the project, for the tokens of projects and repositories.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::User(_) => None,
            Self::Project(project) | Self::Repository { project, .. } => Some(project),
        }
    }

    /// The same owner in the form in which owners compare without regard to case.
    #[must_use]
    pub fn folded(&self) -> Self {
        match self {
            Self::User(user) => Self::User(user.clone()),
            Self::Project(project) => Self::Project(project.to_lowercase()),
            Self::Repository { project, slug } => {
                Self::Repository { project: project.to_lowercase(), slug: slug.to_lowercase() }
            }
        }
    }

    /// The owner in records that have the kind beside it: the name of a user as it is, others as they are shown.
    #[must_use]
    pub fn recorded(&self) -> Cow<'_, str> {
        self.user().map_or_else(|| self.to_string().into(), |user| user.as_str().into())
    }

    /// The owner of this `kind` that is `recorded` so; `None` when it is of another kind.
    #[must_use]
    pub fn of_record(kind: OwnerKind, recorded: &str) -> Option<Self> {
        match kind {
            // A user may be called as if it were a project.
            OwnerKind::User => Some(Self::User(recorded.into())),
            kind => recorded.parse().ok().filter(|owner: &Self| owner.kind() == kind),
        }
    }

    /// Its mark.
    #[must_use]
    pub fn mark(&self) -> OwnerMark {
        OwnerMark(match self {
            Self::User(user) => user.0.mark,
            Self::Project(project) => mark(project),
            Self::Repository { project, slug } => mark(project) ^ mark(slug).rotate_left(1),
        })
    }

    /// The user, for the tokens of users.
    #[must_use]
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Self::User(user) => Some(user),
            Self::Project(_) | Self::Repository { .. } => None,
        }
    }
}

/// The same for owners that are equal, and mostly another one for those that are not: who counts by it needs no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnerMark(u64);

impl OwnerMark {
    /// That of the user who is `written` so.
    #[must_use]
    pub fn of_user(written: &str) -> Self {
        Self(if written.is_ascii() {
            mark_of_bytes(written.bytes().map(|byte| byte.to_ascii_lowercase()))
        } else {
            mark(&written.to_lowercase())
        })
    }
}

/// The text names no owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an owner; {forms}", forms = Owner::FORMS)]
pub struct BadOwner(pub String);

impl FromStr for Owner {
    type Err = BadOwner;

    /// The owner whom plans show as `text`: `mary`, `project PLAT`, `repository PLAT/app`, or `user NAME`, which
    /// is always a user. There is none for a project without a key and a repository without a slug.
    fn from_str(text: &str) -> Result<Self, BadOwner> {
        let bad = || BadOwner(text.to_owned());
        let shown = text.trim();
        let owner = match shown.split_once(' ').map(|(kind, name)| (kind, name.trim())) {
            Some(("user", name)) => Self::User(name.into()),
            Some(("project", key)) => Self::Project(key.to_owned()),
            Some(("repository", path)) => {
                let (project, slug) = path.split_once('/').ok_or_else(bad)?;
                Self::Repository { project: project.to_owned(), slug: slug.to_owned() }
            }
            _ => Self::User(shown.into()),
        };
        let named = match &owner {
            Self::User(user) => !user.as_str().is_empty(),
            Self::Project(project) => !project.is_empty(),
            Self::Repository { project, slug } => !project.is_empty() && !slug.is_empty(),
        };
        if named { Ok(owner) } else { Err(bad()) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) if names_a_kind(user) => write!(f, "user {user}"),
            Self::User(user) => user.fmt(f),
            Self::Project(project) => write!(f, "project {project}"),
            Self::Repository { project, slug } => write!(f, "repository {project}/{slug}"),
        }
    }
}

/// Whether the name begins as an owner that is not a user is shown: such a user is shown with the kind.
fn names_a_kind(user: &UserName) -> bool {
    let first = user.folded().split_once(' ').map(|(first, _)| first);
    OwnerKind::ALL.into_iter().any(|kind| first == Some(kind.word()))
}

/// The kinds of owner that a limit can be for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerKind {
    /// Tokens of users.
    User,
    /// Tokens of projects.
    Project,
    /// Tokens of repositories.
    Repository,
}

impl OwnerKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::User, Self::Project, Self::Repository];

    /// The word for it in policies and plans.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Repository => "repository",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_back_from_what_plans_show() {
        let repository = Owner::Repository { project: "PLAT".to_owned(), slug: "app/x".to_owned() };
        let users = ["mary", "project", "project PLAT", "Repository a/b", "user mary", "user user x"];
        let users = users.into_iter().map(|name| Owner::User(name.into()));
        for owner in users.chain([Owner::Project("PLAT".to_owned()), repository]) {
            assert_eq!(owner.to_string().parse(), Ok(owner.clone()));
            assert_eq!(Owner::of_record(owner.kind(), &owner.recorded()), Some(owner));
        }
        assert_eq!(Owner::User("project PLAT".into()).to_string(), "user project PLAT");
        assert_eq!("user mary".parse(), Ok(Owner::User("mary".into())));
        for nobody in ["", " ", "repository PLAT", "repository /app", "repository PLAT/"] {
            assert!(nobody.parse::<Owner>().is_err(), "{nobody}");
        }
    }
}
