//! Whether passwords still work, and for which users and paths.

use std::{collections::BTreeSet, fmt};

use super::{Reach, UserName};

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
}

impl PasswordAuthentication {
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

/// Whether `text` matches `pattern`, in which every `*` matches any text. Time grows with the
/// product of both lengths at the most.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn a_star_stands_for_any_text_and_everything_else_for_itself() {
        for (pattern, text, matches) in [
            ("admin", "admin", true),
            ("admin", "admins", false),
            ("/rest/x/*", "/rest/x/1", true),
            ("/rest/x/*", "/rest/y/1", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ab", "ab", false),
            ("*x", "xx", true),
        ] {
            assert_eq!(wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }
}
