//! The setting `password_authentication`: whether passwords still work, and for which users and paths.

use std::{collections::BTreeSet, fmt};

use crate::model::{Reach, UserName, wildcard};

/// Whether a password is accepted in place of a token. There is no default: a server that forgot
/// to say so is not the same as one that says yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordAuthentication {
    /// Passwords work for everybody.
    Allowed,
    /// Passwords work only for the exceptions.
    Disabled(PasswordExceptions),
}

/// Who may still use a password while passwords are disabled. `*` matches any text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordExceptions {
    /// Users, by name or by pattern.
    pub users: BTreeSet<UserName>,
    /// Paths, by pattern.
    pub paths: BTreeSet<String>,
}

impl PasswordAuthentication {
    /// Disabled without an exception.
    #[must_use]
    pub fn disabled() -> Self {
        Self::Disabled(PasswordExceptions::default())
    }

    /// Whether a password of `user` is looked at for a request to `path`.
    #[must_use]
    pub fn accepts(&self, user: &UserName, path: &str) -> bool {
        match self {
            Self::Allowed => true,
            Self::Disabled(except) => {
                except.users.iter().any(|pattern| wildcard(pattern.folded(), user.folded()))
                    || except.paths.iter().any(|pattern| wildcard(pattern, path))
            }
        }
    }

    /// Whether the password of anybody is accepted anywhere.
    #[must_use]
    pub fn accepts_any(&self) -> bool {
        match self {
            Self::Allowed => true,
            Self::Disabled(except) => *except != PasswordExceptions::default(),
        }
    }
}

impl Reach for PasswordAuthentication {
    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Allowed, _) | (_, Self::Allowed) => Self::Allowed,
            (Self::Disabled(a), Self::Disabled(b)) => Self::Disabled(PasswordExceptions {
                users: a.users.union(&b.users).cloned().collect(),
                paths: a.paths.union(&b.paths).cloned().collect(),
            }),
        }
    }
}

impl fmt::Display for PasswordAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Disabled(except) = self else {
            return f.write_str("allowed");
        };
        f.write_str("disabled")?;
        let exceptions = except
            .users
            .iter()
            .map(|user| format!("user {user}"))
            .chain(except.paths.iter().map(|path| format!("path {path}")));
        for (index, exception) in exceptions.enumerate() {
            f.write_str(if index == 0 { " except " } else { ", " })?;
            f.write_str(&exception)?;
        }
        Ok(())
    }
}
