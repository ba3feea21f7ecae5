//! The right to be the only run on a server, as a locked file: the system takes it back when the process
//! ends, however it ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use super::regular;

/// How often a file that was replaced meanwhile is opened again.
const TRIES: u32 = 16;
/// How much of what a lock says is read, in bytes.
const WORDS_AT_MOST: u64 = 1 << 12;

/// The right to be the only run on a server.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
    before: String,
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
    /// Takes the lock at `path`, a regular file that is made when it is missing and stays; `words` say who
    /// holds it and since when.
    ///
    /// # Errors
    ///
    /// When another run holds it, or the file cannot be used.
    pub fn take(path: &Path, words: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        for _ in 0..TRIES {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = regular::open(&mut options, path).map_err(failed)?;
            // What is written into it must not change a file of another name.
            if regular::has_other_names(&file).map_err(failed)? {
                return Err(failed(io::Error::other("it is a hard link to another file")));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { holder: said(&mut file).map_err(failed)? });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // INVARIANT: anyone who comes next locks the file that is there, so it must be this one.
            if !regular::stands_at(&file, path).map_err(failed)? {
                continue;
            }
            let before = said(&mut file).map_err(failed)?;
            let written =
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{words}"));
            written.map_err(failed)?;
            return Ok(Self { file, path: path.to_owned(), before });
        }
        Err(failed(io::Error::other("it is replaced all the time")))
    }

    /// Whether it still keeps others away: not once its file was deleted or replaced.
    #[must_use]
    pub fn stands(&self) -> bool {
        regular::stands_at(&self.file, &self.path).unwrap_or(false)
    }

    /// What the one before said of itself, who is over; `None` when there was none.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.before
    }
}

/// What is in the file of a lock.
fn said(file: &mut File) -> io::Result<String> {
    let content = regular::read(&mut BufReader::new(&*file), WORDS_AT_MOST)?;
    let text = String::from_utf8_lossy(&content);
    Ok(text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_file_was_deleted_or_replaced_stands_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("here/prod.lock");
        let lock = RunLock::take(&path, "mary@ci").unwrap();
        assert!(lock.stands() && lock.before().is_empty());
        assert!(
            matches!(RunLock::take(&path, "sam@ci"), Err(LockError::Held { holder }) if holder == "mary@ci")
        );
        fs::remove_file(&path).unwrap();
        assert!(!lock.stands());
        let second = RunLock::take(&path, "sam@ci").unwrap();
        assert!(second.stands() && !lock.stands());
        drop(second);
        assert_eq!(RunLock::take(&path, "olga@ci").unwrap().before(), "sam@ci");
    }

    #[test]
    fn a_lock_that_is_a_link_a_folder_or_a_pipe_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "words").unwrap();
        std::os::unix::fs::symlink(at("precious"), at("link.lock")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dangling.lock")).unwrap();
        fs::create_dir(at("folder.lock")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe.lock"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for name in ["link.lock", "dangling.lock", "folder.lock", "pipe.lock"] {
            let refused = RunLock::take(&at(name), "mary@ci").unwrap_err();
            let LockError::Io { source, .. } = refused else { panic!("{name}: {refused}") };
            assert_eq!(source.to_string(), "it is not a regular file", "{name}");
        }
        fs::hard_link(at("precious"), at("twin.lock")).unwrap();
        let refused = RunLock::take(&at("twin.lock"), "mary@ci").unwrap_err();
        assert!(matches!(refused, LockError::Io { source, .. } if source.to_string().contains("hard link")));
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "words");
        assert!(!at("nowhere").exists());
    }
}
