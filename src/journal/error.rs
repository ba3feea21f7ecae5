//! Why a journal cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::file::BadJournal;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or folder failed.
    #[error("the journal cannot {deed} `{}`", path.display())]
    Io {
        /// What was to be done.
        deed: &'static str,
        /// Path of the file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is damaged.
    #[error(transparent)]
    Damaged(#[from] BadJournal),
    /// A record cannot be written as JSON.
    #[error("a record of the journal cannot be written")]
    Record(#[from] serde_json::Error),
}

pub(super) fn failed(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { deed, path, source }
}
