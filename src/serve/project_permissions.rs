//! Bitbucket's project permissions of a token, such as `REPO_READ`, in the order in which they were given,
//! and the scope that follows from them. Names that a token cannot have are refused.
//!
//! Names and their order are those of Atlassian's documentation of HTTP access tokens: a token's
//! permission on repositories is at least as high as the one on projects.

use serde::{Deserialize, Serialize};

use crate::model::{OwnerKind, Scope};

/// The project permissions of a token: never none, and none twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectPermissions(Vec<ProjectPermission>);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ProjectPermission {
    ProjectRead,
    ProjectWrite,
    ProjectAdmin,
    RepoRead,
    RepoWrite,
    RepoAdmin,
}

/// How much a permission allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Read,
    Write,
    Admin,
}

/// What a permission is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PermissionLevel {
    Project,
    Repository,
}

/// What a token cannot be given. The words are those that the client is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPermissions {
    /// There is none.
    #[error("A token must have at least one permission.")]
    None,
    /// One that no token can have: the words are Bitbucket's.
    #[error("Tokens may not have the following permission: {0}")]
    Unknown(String),
    /// That on repositories is below that on projects.
    #[error("The permission on repositories cannot be lower than the one on projects.")]
    Order,
    /// One on projects, for a token that is of a repository.
    #[error("A token of a repository can only have permissions on repositories.")]
    OfRepository,
}

impl ProjectPermission {
    const ALL: [(&'static str, Self); 6] = [
        ("PROJECT_READ", Self::ProjectRead),
        ("PROJECT_WRITE", Self::ProjectWrite),
        ("PROJECT_ADMIN", Self::ProjectAdmin),
        ("REPO_READ", Self::RepoRead),
        ("REPO_WRITE", Self::RepoWrite),
        ("REPO_ADMIN", Self::RepoAdmin),
    ];

    fn parts(self) -> (PermissionLevel, Level) {
        match self {
            Self::ProjectRead => (PermissionLevel::Project, Level::Read),
            Self::ProjectWrite => (PermissionLevel::Project, Level::Write),
            Self::ProjectAdmin => (PermissionLevel::Project, Level::Admin),
            Self::RepoRead => (PermissionLevel::Repository, Level::Read),
            Self::RepoWrite => (PermissionLevel::Repository, Level::Write),
            Self::RepoAdmin => (PermissionLevel::Repository, Level::Admin),
        }
    }

    /// The permission on the same place that is for reading.
    fn for_reading(self) -> Self {
        match self.parts().0 {
            PermissionLevel::Project => Self::ProjectRead,
            PermissionLevel::Repository => Self::RepoRead,
        }
    }
}

impl ProjectPermissions {
    /// What `names` give.
    ///
    /// # Errors
    ///
    /// When there is none, a token cannot have one of them, or they contradict one another.
    pub(super) fn parse(names: &[String]) -> Result<Self, BadPermissions> {
        let mut given = Vec::with_capacity(ProjectPermission::ALL.len());
        for name in names {
            let known = ProjectPermission::ALL.into_iter().find(|(of, _)| of == name);
            let (_, permission) = known.ok_or_else(|| BadPermissions::Unknown(name.clone()))?;
            if !given.contains(&permission) {
                given.push(permission);
            }
        }
        if given.is_empty() {
            return Err(BadPermissions::None);
        }
        let permissions = Self(given);
        let on_repositories = permissions.highest(PermissionLevel::Repository);
        if on_repositories.is_some() && on_repositories < permissions.highest(PermissionLevel::Project) {
            return Err(BadPermissions::Order);
        }
        Ok(permissions)
    }

    /// What a token of `scope` can do at the most, when its owner is of the kind `owner`.
    pub(super) fn of(scope: Scope, owner: OwnerKind) -> Self {
        let (repositories, projects) = match scope {
            Scope::ReadOnly => (ProjectPermission::RepoRead, ProjectPermission::ProjectRead),
            Scope::ReadWrite => (ProjectPermission::RepoAdmin, ProjectPermission::ProjectAdmin),
        };
        Self(match owner {
            OwnerKind::User | OwnerKind::Project => vec![repositories, projects],
            OwnerKind::Repository => vec![repositories],
        })
    }

    /// The same, for a token whose owner is of the kind `owner`.
    ///
    /// # Errors
    ///
    /// When such a token cannot have one of them.
    pub(super) fn for_owner(self, owner: OwnerKind) -> Result<Self, BadPermissions> {
        match owner {
            OwnerKind::Repository if self.highest(PermissionLevel::Project).is_some() => {
                Err(BadPermissions::OfRepository)
            }
            _ => Ok(self),
        }
    }

    /// What is left of them under `scope`.
    pub(super) fn under(&self, scope: Scope) -> Self {
        if scope == Scope::ReadWrite {
            return self.clone();
        }
        let mut lowered = Vec::with_capacity(self.0.len());
        for permission in self.0.iter().copied().map(ProjectPermission::for_reading) {
            if !lowered.contains(&permission) {
                lowered.push(permission);
            }
        }
        Self(lowered)
    }

    /// The scope that results from them: read-write when one allows more than reading.
    pub(super) fn scope(&self) -> Scope {
        let reads = self.0.iter().all(|permission| permission.parts().1 == Level::Read);
        if reads { Scope::ReadOnly } else { Scope::ReadWrite }
    }

    /// Whether they allow nothing that `others` do not: a permission on projects is one on their
    /// repositories too.
    pub(super) fn within(&self, others: &Self) -> bool {
        [PermissionLevel::Project, PermissionLevel::Repository]
            .into_iter()
            .all(|place| self.reach(place) <= others.reach(place))
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let name = |permission: &ProjectPermission| {
            ProjectPermission::ALL.into_iter().find(|(_, of)| of == permission).map(|(name, _)| name)
        };
        self.0.iter().filter_map(name).collect()
    }

    fn reach(&self, place: PermissionLevel) -> Option<Level> {
        match place {
            PermissionLevel::Project => self.highest(PermissionLevel::Project),
            PermissionLevel::Repository => {
                self.highest(PermissionLevel::Project).max(self.highest(PermissionLevel::Repository))
            }
        }
    }

    fn highest(&self, place: PermissionLevel) -> Option<Level> {
        let levels = self.0.iter().map(|permission| permission.parts());
        levels.filter(|(of, _)| *of == place).map(|(_, level)| level).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(names: &[&str]) -> Result<ProjectPermissions, BadPermissions> {
        ProjectPermissions::parse(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_order_in_which_they_are_given_is_kept_and_what_cannot_be_is_refused() {
        assert_eq!(
            parse(&["REPO_ADMIN", "PROJECT_READ", "REPO_ADMIN"]).unwrap().names(),
            ["REPO_ADMIN", "PROJECT_READ"]
        );
        assert_eq!(parse(&[]), Err(BadPermissions::None));
        assert_eq!(parse(&["PROJECT_ADMIN", "REPO_WRITE"]), Err(BadPermissions::Order));
        assert_eq!(
            parse(&["REPO_READ", "ADMIN"]).unwrap_err().to_string(),
            "Tokens may not have the following permission: ADMIN"
        );
    }

    #[test]
    fn a_token_of_a_repository_has_permissions_on_repositories_alone() {
        let of = |names: &[&str], owner| parse(names).unwrap().for_owner(owner);
        assert_eq!(
            of(&["REPO_ADMIN", "PROJECT_READ"], OwnerKind::Repository),
            Err(BadPermissions::OfRepository)
        );
        assert!(of(&["REPO_ADMIN"], OwnerKind::Repository).is_ok());
        for owner in OwnerKind::ALL {
            for scope in [Scope::ReadOnly, Scope::ReadWrite] {
                let most = ProjectPermissions::of(scope, owner);
                assert_eq!(most.scope(), scope, "{owner:?}");
                assert_eq!(most.clone().for_owner(owner), Ok(most), "{owner:?}");
            }
        }
        assert!(of(&["REPO_ADMIN", "PROJECT_READ"], OwnerKind::Project).is_ok());
    }

    #[test]
    fn one_permission_that_does_more_than_read_makes_a_token_read_write() {
        for (names, scope) in [
            (&["PROJECT_READ", "REPO_READ"][..], Scope::ReadOnly),
            (&["PROJECT_READ", "REPO_WRITE"], Scope::ReadWrite),
            (&["REPO_ADMIN"], Scope::ReadWrite),
        ] {
            let permissions = parse(names).unwrap();
            assert_eq!(permissions.scope(), scope, "{names:?}");
            assert_eq!(permissions.under(scope), permissions, "{names:?}");
            assert_eq!(permissions.under(Scope::ReadOnly).scope(), Scope::ReadOnly, "{names:?}");
            assert!(permissions.under(Scope::ReadOnly).within(&permissions), "{names:?}");
        }
    }

    fn any_permissions() -> impl Strategy<Value = ProjectPermissions> {
        let names = ProjectPermission::ALL.map(|(name, _)| name.to_owned()).to_vec();
        proptest::sample::subsequence(names, 1..=6)
            .prop_filter_map("they contradict one another", |names| ProjectPermissions::parse(&names).ok())
    }

    proptest! {
        #[test]
        fn what_is_within_others_never_has_a_wider_scope(a in any_permissions(), b in any_permissions()) {
            prop_assert!(a.within(&a));
            prop_assert!(!a.within(&b) || a.scope() <= b.scope());
            prop_assert!(!a.within(&b) || a.under(Scope::ReadOnly).within(&b.under(Scope::ReadOnly)));
        }
    }

    #[test]
    fn a_permission_on_projects_covers_their_repositories_and_none_the_other_way_round() {
        let within = |narrow: &[&str], wide: &[&str]| parse(narrow).unwrap().within(&parse(wide).unwrap());
        assert!(within(&["REPO_WRITE"], &["PROJECT_WRITE"]));
        assert!(!within(&["PROJECT_READ"], &["REPO_ADMIN"]));
        assert!(!within(&["REPO_ADMIN"], &["REPO_WRITE"]));
        assert!(within(&["REPO_READ", "PROJECT_READ"], &["PROJECT_READ", "REPO_WRITE"]));
    }
}
