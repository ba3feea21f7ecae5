//! The export and import of settings without a running server: the way back in for administrators whom the
//! settings keep out. A document that cannot be enforced is refused.

use jiff::Timestamp;

use super::{
    live_settings::settings_text,
    store::{Store, StoreError},
};
use crate::model::{
    LastChange, Settings,
    settings::{BadSettings, SettingsDocument},
};

/// The settings cannot be exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is new: no server has run on it, and nothing was imported.
    #[error(
        "the store has no settings yet; it gets them when the server first runs, or by `settings import`"
    )]
    Absent,
    /// The text is not a settings document.
    #[error("the text is not a settings document")]
    Document(#[from] serde_json::Error),
    /// The document says what cannot be enforced.
    #[error(transparent)]
    Meaning(#[from] BadSettings),
}

/// The document of the settings in `store`, as JSON that people can read.
///
/// # Errors
///
/// When the store fails or has no settings.
pub async fn export(store: &Store) -> Result<String, TransferError> {
    let text = store.settings(None).await?.and_then(|row| row.document).ok_or(TransferError::Absent)?;
    let document: SettingsDocument = serde_json::from_str(&text)?;
    Ok(serde_json::to_string_pretty(&document)?)
}

/// Who is said to have changed the settings that were imported. No user can have this name.
pub const IMPORT: &str = "(settings import)";

/// Puts the settings of the JSON `text` into `store`, whatever it had before, as changed at `now`. A server
/// that runs on it obeys them from the next request on.
///
/// # Errors
///
/// When the text is not a settings document, says what cannot be enforced, or the store fails.
pub async fn import(store: &Store, text: &str, now: Timestamp) -> Result<(), TransferError> {
    let document: SettingsDocument = serde_json::from_str(text)?;
    let settings = Settings::try_from(&document)?;
    let change = LastChange { by: IMPORT.to_owned(), at: now };
    Ok(store.force_settings(&settings_text(&settings)?, &change).await?)
}
