//! Files of others, read with care: regular ones alone, of bounded length, below the folder that they must lie in.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    world::regular_file,
    yaml::{Code, Diagnostic, FILE_BYTES_AT_MOST, Span},
};

/// Where the config file and its layers are read from.
pub(crate) trait FileSource {
    /// The content of the config file at `path`.
    ///
    /// # Errors
    ///
    /// When it is not a regular file or cannot be read.
    fn config(&self, path: &Path) -> Result<Vec<u8>, UnusableFile>;

    /// The content of `layer`, which must lie below `folder`.
    ///
    /// # Errors
    ///
    /// When it does not, is not a regular file, or cannot be read.
    fn layer(&self, folder: &Path, layer: &str) -> Result<Vec<u8>, UnusableFile>;

    /// How people are told of the file at `path`, as the command line names it.
    fn shown(&self, path: &Path) -> String {
        path.display().to_string()
    }
}

/// The files as they are on disk.
pub(crate) struct Disk;

impl FileSource for Disk {
    fn config(&self, path: &Path) -> Result<Vec<u8>, UnusableFile> {
        read_regular(path)
    }

    fn layer(&self, folder: &Path, layer: &str) -> Result<Vec<u8>, UnusableFile> {
        read_below(folder, layer)
    }
}

/// The folder that the file at `path` lies in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The content of a layer, when it really lies below `folder`.
fn read_below(folder: &Path, layer: &str) -> Result<Vec<u8>, UnusableFile> {
    let root = fs::canonicalize(folder).map_err(UnusableFile::Unreadable)?;
    let path = fs::canonicalize(folder.join(layer)).map_err(UnusableFile::Unreadable)?;
    if !path.starts_with(&root) {
        return Err(UnusableFile::Outside);
    }
    // INVARIANT: what is opened is the path that was checked, which has no link in it.
    read_regular(&path)
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) enum UnusableFile {
    /// It leads out of the folder of the config file.
    Outside,
    /// It is a folder, a pipe, a device.
    NoRegularFile,
    /// It lies where it cannot be read from here, for this reason.
    Elsewhere(String),
    /// The system refuses it.
    Unreadable(io::Error),
}

impl UnusableFile {
    /// The problem as a diagnostic at the place that names the file.
    pub(crate) fn at(&self, span: &Span, key: &str, path: &str) -> Diagnostic {
        match self {
            Self::Outside => Diagnostic::error(Code::PathOutside, span, key, self.message(path))
                .help("put the file itself into the folder of the config file"),
            Self::NoRegularFile | Self::Elsewhere(_) => {
                Diagnostic::error(Code::NoRegularFile, span, key, self.message(path))
            }
            Self::Unreadable(_) => Diagnostic::error(Code::UnreadableFile, span, key, self.message(path)),
        }
    }

    /// What is wrong with the file at `path`.
    pub(crate) fn message(&self, path: &str) -> String {
        match self {
            Self::Outside => format!("`{path}` is a link to a place outside the folder of the config file"),
            Self::NoRegularFile => format!("`{path}` is not a regular file"),
            Self::Elsewhere(why) => format!("`{path}` is not a regular file: {why}"),
            Self::Unreadable(error) => format!("`{path}` cannot be read: {}", reason(error)),
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The content of a regular file of up to 1 GiB.
///
/// # Errors
///
/// When it is not a regular file, is longer, or cannot be read.
pub(crate) fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    const AT_MOST: u64 = 1 << 30;
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 GiB");
    regular_file::read(regular_file::open(path)?, AT_MOST)?.ok_or_else(too_long)
}

/// As [`read_whole`], for text in UTF-8.
///
/// # Errors
///
/// As for [`read_whole`], and when it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_whole(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The content of a regular file; one byte more than is allowed, at most, so that a file that is too
/// long is known for one and an endless one ends.
///
/// # Errors
///
/// When it is not a regular file or cannot be read.
pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>, UnusableFile> {
    let metadata = fs::metadata(path).map_err(UnusableFile::Unreadable)?;
    if !metadata.is_file() {
        return Err(UnusableFile::NoRegularFile);
    }
    let limit = u64::try_from(FILE_BYTES_AT_MOST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let file = regular_file::open(path).map_err(UnusableFile::Unreadable)?;
    file.take(limit).read_to_end(&mut bytes).map_err(UnusableFile::Unreadable)?;
    Ok(bytes)
}
