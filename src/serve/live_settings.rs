//! The settings in the store, parsed once per change and not once per request.
//!
//! Another process may change them, or put a backup back: every request asks whether they are still the same. With
//! settings that cannot be read everything is refused.

use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use super::store::{Store, StoreError};
use crate::model::{
    Settings,
    settings::{BadSettings, SettingsDocument},
};

/// One revision of the settings.
#[derive(Debug)]
pub(super) struct Revision {
    /// Counts the changes.
    pub(super) number: i64,
    /// What is enforced.
    pub(super) settings: Settings,
    /// The document that says so.
    pub(super) document: SettingsDocument,
    /// The same as the store has it.
    text: String,
    /// The strong entity tag, with its quotes: another one for every revision, also after a backup
    /// was put back.
    pub(super) etag: String,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("the settings cannot be read from the store")]
    Store(#[from] StoreError),
    #[error("the store has no settings")]
    Absent,
    #[error("the settings in the store are not a settings document")]
    Document(#[from] serde_json::Error),
    #[error("the settings in the store cannot be enforced")]
    Meaning(#[from] BadSettings),
}

/// The settings as they are now.
#[derive(Debug, Default)]
pub(super) struct LiveSettings {
    last: RwLock<Option<Arc<Revision>>>,
}

impl LiveSettings {
    /// The revision that was read last, if any was.
    pub(super) fn last(&self) -> Option<Arc<Revision>> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The present revision.
    ///
    /// # Errors
    ///
    /// When the store fails, or what it holds cannot be enforced.
    pub(super) async fn current(&self, store: &Store) -> Result<Arc<Revision>, SettingsError> {
        let last = self.last();
        let known = last.as_ref().map(|revision| (revision.number, revision.text.as_str()));
        let row = store.settings(known).await?.ok_or(SettingsError::Absent)?;
        match (last, row.document) {
            (Some(last), None) => Ok(last),
            (None, None) => Err(SettingsError::Absent),
            (_, Some(text)) => {
                let revision = Arc::new(Revision::read(row.revision, text)?);
                *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&revision));
                Ok(revision)
            }
        }
    }
}

impl Revision {
    fn read(number: i64, text: String) -> Result<Self, SettingsError> {
        let document: SettingsDocument = serde_json::from_str(&text)?;
        let settings = Settings::try_from(&document)?;
        Ok(Self { number, settings, document, etag: etag(number, &text), text })
    }
}

/// The entity tag of revision `number` with this text.
pub(super) fn etag(number: i64, text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let start = hash.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("\"{number}-{start:016x}\"")
}

/// The one text of `settings` in the store: equal settings have equal texts.
///
/// # Errors
///
/// When it cannot be written as JSON.
pub(super) fn settings_text(settings: &Settings) -> Result<String, serde_json::Error> {
    serde_json::to_string(&SettingsDocument::from(settings))
}
