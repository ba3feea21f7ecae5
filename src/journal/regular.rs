//! Regular files, opened without following a link and without waiting for anybody at the other end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    path::Path,
};

use crate::world::regular_file::{self, SymbolicLinks};

/// Opens the file at `path` as `options` say, readable by its owner alone when it is made.
///
/// # Errors
///
/// When it is a link, a pipe, a device or a folder, or the system refuses it.
pub(super) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    regular_file::open_as(options, path, SymbolicLinks::Refuse)
}

/// What is left of `file`, `at_most` bytes.
///
/// # Errors
///
/// When there are more, or it cannot be read.
pub(super) fn read(file: &mut impl io::BufRead, at_most: u64) -> io::Result<Vec<u8>> {
    regular_file::read(file, at_most)?.ok_or_else(|| too_long(at_most))
}

/// The next line of `file` with its end, `at_most` bytes; the last one may have none.
///
/// # Errors
///
/// As for [`read`].
pub(super) fn read_line(file: &mut impl io::BufRead, at_most: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    io::BufRead::read_until(&mut file.take(at_most.saturating_add(1)), b'\n', &mut line)?;
    if u64::try_from(line.len()).is_ok_and(|length| length <= at_most) {
        Ok(line)
    } else {
        Err(too_long(at_most))
    }
}

fn too_long(at_most: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {at_most} bytes"))
}

/// Whether the system knows `file` by more than one name.
pub(super) fn has_other_names(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Ok(file.metadata()?.nlink() > 1)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(false)
    }
}

/// Whether `file` is still what is at `path`, and not one that was deleted or moved away.
pub(super) fn stands_at(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (ours, there) = (file.metadata()?, fs::symlink_metadata(path));
        match there {
            Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
    // A file that is open cannot be taken away there.
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        Ok(true)
    }
}
