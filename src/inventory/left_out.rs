//! What the config file says not to look at, and what is looked at then, in words.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Owner, OwnerKind, wildcard};

/// Tokens that are not looked at because the config file says so. That is not a failure of a run, but
/// nothing is concluded from not having seen them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// Those of owners of this kind.
    TokensOf(OwnerKind),
    /// Those of projects, and of their repositories, whose keys fit none of these patterns; `*` is any text.
    ProjectsOtherThan(Vec<String>),
}

impl LeftOut {
    /// Whether the tokens of `owner` are among them.
    #[must_use]
    pub fn has(&self, owner: &Owner) -> bool {
        match self {
            Self::TokensOf(kind) => owner.kind() == *kind,
            Self::ProjectsOtherThan(patterns) => owner.project().is_some_and(|key| !fits(key, patterns)),
        }
    }
}

/// Whether the key of a project fits one of `patterns`, without regard to case; `*` is any text.
#[must_use]
pub fn fits(key: &str, patterns: &[String]) -> bool {
    let key = key.to_lowercase();
    patterns.iter().any(|pattern| wildcard(&pattern.to_lowercase(), &key))
}

/// The tokens that are looked at when those of `left_out` are not, such as `tokens of projects and
/// repositories (only of PLAT)`.
#[must_use]
pub fn looked_at(left_out: &[LeftOut]) -> String {
    let kinds: Vec<_> =
        OwnerKind::ALL.into_iter().filter(|kind| !left_out.contains(&LeftOut::TokensOf(*kind))).collect();
    let names: Vec<_> = kinds.iter().map(|kind| plural(*kind)).collect();
    let names = match names.as_slice() {
        [] => "nobody".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    let keys = left_out.iter().find_map(|left_out| match left_out {
        LeftOut::ProjectsOtherThan(patterns) => Some(patterns.join(", ")),
        LeftOut::TokensOf(_) => None,
    });
    match keys.filter(|_| kinds.iter().any(|kind| *kind != OwnerKind::User)) {
        Some(keys) => format!("tokens of {names} (projects: only {keys})"),
        None => format!("tokens of {names}"),
    }
}

pub(super) fn plural(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::User => "users",
        OwnerKind::Project => "projects",
        OwnerKind::Repository => "repositories",
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokensOf(kind) => write!(f, "tokens of {}", plural(*kind)),
            Self::ProjectsOtherThan(keys) => write!(f, "tokens of projects other than {}", keys.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_and_what_is_looked_at_are_said_in_words() {
        let only =
            |keys: &[&str]| LeftOut::ProjectsOtherThan(keys.iter().map(|key| (*key).to_owned()).collect());
        let users = LeftOut::TokensOf(OwnerKind::User);
        let repositories = LeftOut::TokensOf(OwnerKind::Repository);
        for (left_out, expected) in [
            (vec![users.clone()], "tokens of projects and repositories"),
            (vec![users, repositories.clone()], "tokens of projects"),
            (
                vec![only(&["PLAT", "x*"])],
                "tokens of users, projects and repositories (projects: only PLAT, x*)",
            ),
            (vec![LeftOut::TokensOf(OwnerKind::Project), repositories, only(&["PLAT"])], "tokens of users"),
        ] {
            assert_eq!(looked_at(&left_out), expected);
        }
    }

    #[test]
    fn a_project_takes_its_repositories_along() {
        let only = LeftOut::ProjectsOtherThan(vec!["pl*".to_owned()]);
        let repository = |key: &str| Owner::Repository { project: key.to_owned(), slug: "app".to_owned() };
        assert!(!only.has(&Owner::Project("PLAT".to_owned())) && !only.has(&repository("PLAT")));
        assert!(only.has(&Owner::Project("DOCS".to_owned())) && only.has(&repository("DOCS")));
        assert!(!only.has(&Owner::User("mary".into())), "a user is in no project");
    }
}
