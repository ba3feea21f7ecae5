//! In: the path of a file. Out: the right to be the only run on a target, as long as the value lives; the
//! system takes it back when the process ends, however it ends. It refuses to wait.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// The right to be the only run on a target.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// The lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("{holder}")]
    Held {
        /// What that run says of itself: who, and since when.
        holder: String,
    },
    /// The file failed.
    #[error("the lock `{}` cannot be used", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RunLock {
    /// Takes the lock at `path`, a file that is made when it is missing and stays; `words` say who holds
    /// it and since when.
    ///
    /// # Errors
    ///
    /// When another run holds it, or the file cannot be used.
    pub fn take(path: &Path, words: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).map_err(failed)?.trim().to_owned();
                return Err(LockError::Held { holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{words}"));
        written.map_err(failed)?;
        Ok(Self { _file: file })
    }
}
