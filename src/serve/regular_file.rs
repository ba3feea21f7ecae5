//! Files that a server reads while it serves: regular ones, of a bounded length. A pipe or a device could keep the
//! reader for ever.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::Path,
};

/// The most bytes of a file.
const BYTES_AT_MOST: u64 = 4 << 20;

/// The content of the file at `path`, which may be a link to one.
///
/// # Errors
///
/// When it is no regular file, is longer than 4 MiB, or cannot be read. The error names the file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
    let mut bytes = Vec::new();
    open(path).and_then(|file| file.take(BYTES_AT_MOST + 1).read_to_end(&mut bytes)).map_err(named)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= BYTES_AT_MOST) {
        return Ok(bytes);
    }
    Err(named(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 4 MiB")))
}

/// Opens a regular file, and waits for nobody at the other end of anything else.
///
/// # Errors
///
/// When it is no regular file, or cannot be opened.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;

        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_a_sensible_length_is_refused_at_once_and_by_name() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        let refused = |path: &Path| read(path).unwrap_err().to_string();
        std::fs::write(&path, "key").unwrap();
        assert_eq!(read(&path).unwrap(), b"key");
        File::create(&path).unwrap().set_len(BYTES_AT_MOST + 1).unwrap();
        assert!(refused(&path).ends_with("/file`: it is longer than 4 MiB"), "{}", refused(&path));
        assert!(refused(folder.path()).ends_with("it is not a regular file"));
        #[cfg(unix)]
        {
            use rustix::fs::{CWD, FileType, Mode, mknodat};

            let pipe = folder.path().join("pipe");
            mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&pipe, &link).unwrap();
            for no_file in [&*pipe, &link, Path::new("/dev/zero")] {
                assert!(refused(no_file).ends_with("it is not a regular file"), "{}", refused(no_file));
            }
        }
    }
}
