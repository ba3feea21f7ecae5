//! Files that somebody else may have put where they are: regular ones, of a bounded length, opened without waiting for
//! anybody at the other end. A pipe or a device could keep the reader indefinitely.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::Path,
};

/// What is done with a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SymbolicLinks {
    /// What it leads to is opened.
    Follow,
    /// It is not a regular file.
    Refuse,
}

/// Opens the regular file at `path` for reading, which may be a link to one.
///
/// # Errors
///
/// As for [`open_as`].
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_as(OpenOptions::new().read(true), path, SymbolicLinks::Follow)
}

/// Opens the regular file at `path` as `options` say, readable by its owner alone when it is made.
///
/// # Errors
///
/// When it is a pipe, a device, a folder, or a link that is refused, with [`io::ErrorKind::InvalidInput`]; or when the
/// system does not open it.
pub(crate) fn open_as(options: &mut OpenOptions, path: &Path, links: SymbolicLinks) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;

        let of_links = if links == SymbolicLinks::Refuse { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = of_links | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let found = || match links {
        SymbolicLinks::Follow => fs::metadata(path),
        SymbolicLinks::Refuse => fs::symlink_metadata(path),
    };
    let file = match options.open(path) {
        Err(_) if found().is_ok_and(|found| !found.is_file()) => return Err(no_file()),
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

/// All that is left of `file`; `None` when that is more than `at_most` bytes.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn read(file: impl Read, at_most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    file.take(at_most.saturating_add(1)).read_to_end(&mut content)?;
    Ok(Some(content).filter(|content| u64::try_from(content.len()).is_ok_and(|length| length <= at_most)))
}
