//! The names of users in a snapshot: tokens of one user share one name.

use std::collections::HashMap;

use crate::model::UserName;

/// Every name that was met, as it was written.
#[derive(Default)]
pub(super) struct Names(HashMap<Box<str>, UserName>);

impl Names {
    /// The user who is `written` so.
    pub(super) fn user(&mut self, written: &str) -> UserName {
        if let Some(known) = self.0.get(written) {
            return known.clone();
        }
        let name = UserName::new(written);
        self.0.insert(written.into(), name.clone());
        name
    }
}

impl<'a> FromIterator<&'a UserName> for Names {
    fn from_iter<T: IntoIterator<Item = &'a UserName>>(names: T) -> Self {
        Self(names.into_iter().map(|name| (name.as_str().into(), name.clone())).collect())
    }
}
