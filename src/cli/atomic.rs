//! Atomic writing of a file: it is complete or as it was before, whenever the program ends.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
};

use crate::run::redact::redact;

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
pub(super) struct CannotWrite {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Makes the file at `path` hold `content`, without secrets: anyone who reads it finds the old content or the
/// new one, whole.
///
/// # Errors
///
/// As for [`AtomicFile`].
pub(super) fn write(path: &Path, content: &str) -> Result<(), CannotWrite> {
    stream(path, |file| without_secrets(file, content))
}

/// Makes the file at `path` hold what `write` writes, which has no secrets; as [`write()`].
///
/// # Errors
///
/// As for [`AtomicFile`], and when `write` fails.
pub(super) fn stream(
    path: &Path,
    write: impl FnOnce(AtomicFile) -> io::Result<AtomicFile>,
) -> Result<(), CannotWrite> {
    AtomicFile::create(path).and_then(write).and_then(AtomicFile::finish).map_err(cannot(path))
}

/// As [`write()`], for one of many: it does not wait until the disk has it. A machine that stops right then may leave it
/// empty.
///
/// # Errors
///
/// As for [`AtomicFile`].
pub(super) fn write_one_of_many(path: &Path, content: &str) -> Result<(), CannotWrite> {
    let file = AtomicFile::create(path).and_then(|file| without_secrets(file, content));
    file.and_then(AtomicFile::put).map_err(cannot(path))
}

fn without_secrets(mut file: AtomicFile, content: &str) -> io::Result<AtomicFile> {
    file.write_all(redact(content).as_bytes())?;
    Ok(file)
}

/// That the file at `path` could not be written, from why.
pub(super) fn cannot(path: &Path) -> impl FnOnce(io::Error) -> CannotWrite {
    let path = path.to_path_buf();
    move |source| CannotWrite { path, source }
}

/// A file that takes its place only once it is whole.
pub(super) struct AtomicFile {
    place: PathBuf,
    /// Beside the place, so that it can be moved there in one step.
    draft: PathBuf,
    file: BufWriter<File>,
}

impl AtomicFile {
    /// Begins a file for `place`. Whatever is there stays until [`Self::finish`].
    ///
    /// # Errors
    ///
    /// When its folder does not take a file, or something else than a regular file is at `place`.
    pub(super) fn create(place: &Path) -> io::Result<Self> {
        // What is at the end of a link is replaced, not the link.
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        if fs::metadata(&place).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it is not a regular file"));
        }
        let name = place.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        let draft = place.with_file_name(format!(".{name}.{}.draft", process::id()));
        let file = create_new(&draft)?;
        // Anyone who could not read the old file cannot read the new one.
        if let Ok(there) = fs::metadata(&place) {
            fs::set_permissions(&draft, there.permissions())?;
        }
        Ok(Self { place, draft, file: BufWriter::new(file) })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// When it cannot be written to the end; its place is as it was then.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        self.put()
    }

    /// Puts the file in its place, whether the disk has it or not.
    fn put(mut self) -> io::Result<()> {
        self.file.flush()?;
        fs::rename(&self.draft, &self.place)
    }
}

/// A new file at `draft`, in the place of one that a process with the same number left behind. A link that
/// is there is not followed.
fn create_new(draft: &Path) -> io::Result<File> {
    match File::create_new(draft) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(draft)?;
            File::create_new(draft)
        }
        created => created,
    }
}

/// Removes the file at `path`, whose content is no longer true: where that is not possible, it is emptied.
///
/// # Errors
///
/// When the content stays.
pub(super) fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if fs::metadata(path).is_ok_and(|there| there.is_file()) => {
            OpenOptions::new().write(true).truncate(true).open(path).map(|_| ())
        }
        // What is not a regular file was not written by us.
        _ => Ok(()),
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // It is not there any more once it is in its place.
        let _ = fs::remove_file(&self.draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_it_was_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("file");
        fs::write(&place, "old").unwrap();
        let mut broken_off = AtomicFile::create(&place).unwrap();
        broken_off.write_all(b"half").unwrap();
        drop(broken_off);
        assert_eq!(fs::read_to_string(&place).unwrap(), "old");
        let mut file = AtomicFile::create(&place).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "old");
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
