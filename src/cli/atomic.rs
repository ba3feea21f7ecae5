//! In: a path and what is to be in the file. Out: the file with all of it, or as it was before. It refuses
//! to know what is in it.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
pub(super) struct CannotWrite {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Writes `content` into a new file beside `path`, and puts that into its place when it is on the disk:
/// whoever reads `path` finds the old content or the new one, whole. A link is followed.
///
/// # Errors
///
/// When the file cannot be written, or is there and no regular one.
pub(super) fn write(path: &Path, content: &str) -> Result<(), CannotWrite> {
    replace(path, content).map_err(|source| CannotWrite { path: path.to_path_buf(), source })
}

fn replace(path: &Path, content: &str) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(path) if !fs::metadata(&path)?.is_file() => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(error),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tokenwarden-");
    // As any new file: others may read it as far as the umask lets them. Collectors of metrics do.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}
