//! The environment of the process, which nothing else reads.
#![expect(clippy::disallowed_methods, reason = "the environment is read here")]

use std::{env, ffi::OsString};

/// What the variable `name` holds, where it is set and is text.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Whether the variable `name` is set to something.
pub(crate) fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// The names of all variables.
pub(crate) fn names() -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name)
}
