//! The names of users in a snapshot: tokens of one user share one name.

use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
};

use crate::model::UserName;

/// Every name that was met, as it was written.
#[derive(Default)]
pub(super) struct Names(HashSet<Written>);

impl Names {
    /// The user who is `written` so.
    pub(super) fn user(&mut self, written: &str) -> UserName {
        if let Some(Written(known)) = self.0.get(written) {
            return known.clone();
        }
        let name = UserName::new(written);
        self.0.insert(Written(name.clone()));
        name
    }
}

impl<'a> FromIterator<&'a UserName> for Names {
    fn from_iter<T: IntoIterator<Item = &'a UserName>>(names: T) -> Self {
        Self(names.into_iter().cloned().map(Written).collect())
    }
}

/// A name that is found by how it was written, and equals no other that was written in another way.
struct Written(UserName);

impl Borrow<str> for Written {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Written {}

impl Hash for Written {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}
