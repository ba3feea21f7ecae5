//! Where a store lies.

use std::{fs, io, path::PathBuf, str::FromStr};

use super::StoreError;
use crate::model::address_credential::{is_server, may_hold_credential};

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
            Some(file) if !file.is_empty() && !is_server(file) => Ok(Self { file: file.into() }),
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
#[error("{}; write `sqlite:` and the path of a file, e.g. `sqlite:tokenwarden.db`", invalid(.0))]
pub struct BadStoreUrl(pub String);

fn invalid(text: &str) -> String {
    if may_hold_credential(text) {
        "invalid store, which may hold a credential and is not shown".to_owned()
    } else {
        format!("invalid store `{text}`")
    }
}

#[cfg(test)]
mod tests {
    use super::StoreUrl;

    #[test]
    fn an_address_with_a_credential_is_no_store_and_is_not_repeated() {
        for address in [
            "postgres://u:hunter2@host/db",
            "//u:hunter2@host/db",
            "u:hunter2@host/db",
            "https://h?p=hunter2",
        ] {
            for text in [format!("sqlite:{address}"), address.to_owned()] {
                let error = text.parse::<StoreUrl>().unwrap_err().to_string();
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
        for file in ["gateway.db", "/srv/me@host/gateway.db", "//var/lib/gateway.db"] {
            assert!(format!("sqlite:{file}").parse::<StoreUrl>().is_ok(), "{file}");
        }
    }
}
