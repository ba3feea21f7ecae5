//! Files that `init` writes: what each says, and what is already where it would be.

use std::{
    borrow::Cow,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use crate::{cli::atomic::CannotWrite, run::reading::read_regular};

/// A file by its path in the repository.
pub(super) struct Template {
    pub(super) path: &'static str,
    pub(super) text: Cow<'static, str>,
}

/// The file `$path`, which lies below `$folder` beside this one as it will lie in the repository.
macro_rules! template {
    ($folder:literal, $path:literal) => {
        $crate::cli::init::template::Template {
            path: $path,
            text: std::borrow::Cow::Borrowed(include_str!(concat!($folder, "/", $path))),
        }
    };
}
pub(super) use template;

/// Lists what is not to be committed.
pub(super) const IGNORED: &str = ".gitignore";

/// What is there where a file would be written.
pub(super) enum Found {
    /// No file.
    Nothing,
    /// The file that would be written, or one that does as well.
    TheSame,
    /// A file that says something else, which is its text.
    Other(String),
    /// Something that is not a file, or whose text cannot be read.
    Unreadable,
}

impl Template {
    /// What is at its place in `folder`.
    pub(super) fn found(&self, folder: &Path) -> Found {
        let path = folder.join(self.path);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            // What cannot be looked at cannot be written either.
            Err(_) => return Found::Unreadable,
            Ok(_) => {}
        }
        let Some(there) = read_regular(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Found::Unreadable;
        };
        // A repository has one already more often than not, and it may ignore more.
        let holds_all = || self.text.lines().all(|line| there.lines().any(|other| other == line));
        if there == self.text || (self.path == IGNORED && holds_all()) {
            Found::TheSame
        } else {
            Found::Other(there)
        }
    }

    /// Writes it where nothing is.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CannotWrite> {
        let path = folder.join(self.path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            // INVARIANT: a file that appeared since it was looked for is not overwritten.
            OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(self.text.as_bytes())
        });
        written.map_err(|source| CannotWrite { path, source })
    }
}
