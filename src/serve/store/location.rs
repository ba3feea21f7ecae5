//! Where a store lies.

use std::{fs, io, path::PathBuf, str::FromStr};

use super::StoreError;

/// Where a store lies: `sqlite:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    /// Path of the SQLite file.
    pub file: PathBuf,
}

impl FromStr for StoreUrl {
    type Err = BadStoreUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest)) {
            Some(file) if !file.is_empty() => Ok(Self { file: file.into() }),
            _ => Err(BadStoreUrl(text.to_owned())),
        }
    }
}

impl StoreUrl {
    /// Makes sure that there is a store.
    ///
    /// # Errors
    ///
    /// When there is no file, or an empty one.
    pub fn is_there(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.file) {
            Ok(there) if there.len() > 0 => Ok(()),
            Ok(_) => Err(StoreError::Missing(self.file.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Missing(self.file.clone()))
            }
            Err(cause) => Err(StoreError::of_opening(&self.file, cause.into())),
        }
    }
}

/// The text names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid store `{0}`; write `sqlite:` and the path of a file, e.g. `sqlite:tokenwarden.db`")]
pub struct BadStoreUrl(pub String);
