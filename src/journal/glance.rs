//! A look at the file of a run that does not read all of it: its beginning, and whether and when its run ended.

use std::{
    collections::HashMap,
    fs::{Metadata, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::ServerIdentity;

use super::{
    error::{JournalError, failed},
    file::{BadJournal, JournalFile},
    record::Record,
    regular,
};

/// The longest file that is read, in bytes.
const BYTES_AT_MOST: u64 = 1 << 30;
/// How much of the end of a file is looked at: far more than its last line.
const END: u64 = 1 << 10;

/// Files by their names, as they were found last. A file that has not changed since is not read again.
pub(super) type Known = HashMap<String, Glance>;

/// What a look at a file shows.
#[derive(Clone, Debug)]
pub(super) struct Glance {
    stamp: Stamp,
    /// What its first line tells.
    pub(super) begun: Arc<JournalFile>,
    /// When its run ended in order, UTC; `None` when it did not, or nobody looked.
    pub(super) ended: Option<Timestamp>,
    /// Everything that it tells, once that was read.
    pub(super) whole: Option<Arc<JournalFile>>,
}

/// What shows that a file is as it was: its length and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, Option<SystemTime>);

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self(found.len(), found.modified().ok())
    }
}

/// Whose run a file tells of, as far as that can be read of a first line that cannot be used.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RunTarget {
    pub(super) target: String,
    #[serde(default)]
    pub(super) server: ServerIdentity,
}

/// A file cannot be used.
pub(super) struct UnusableJournal {
    pub(super) error: JournalError,
    /// Whose run it tells of; `None` when only its name may say so.
    pub(super) whose: Option<RunTarget>,
}

impl From<JournalError> for UnusableJournal {
    fn from(error: JournalError) -> Self {
        Self { error, whose: None }
    }
}

impl Glance {
    /// How long the file is, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.stamp.0
    }

    /// Looks at the file at `path`, all of it when it is to be read `whole`; `before` is the last look at it.
    pub(super) fn at(path: &Path, before: Option<&Self>, whole: bool) -> Result<Self, UnusableJournal> {
        let unread = || failed("read", path);
        let file = regular::open(OpenOptions::new().read(true), path).map_err(unread())?;
        let stamp = Stamp::of(&file.metadata().map_err(unread())?);
        if let Some(same) =
            before.filter(|before| before.stamp == stamp && (before.whole.is_some() || !whole))
        {
            return Ok(same.clone());
        }
        let shown = path.display().to_string();
        let mut file = BufReader::new(file);
        let mut content = regular::read_line(&mut file, BYTES_AT_MOST).map_err(unread())?;
        let read = |content: &[u8]| {
            let read = JournalFile::read(&shown, content);
            let found = read.and_then(|found| found.ok_or_else(|| BadJournal::without_run(&shown)));
            found.map(Arc::new).map_err(|error| UnusableJournal { error: error.into(), whose: None })
        };
        let begun = read(&content).map_err(|unusable| UnusableJournal {
            whose: serde_json::from_slice(&content).ok(),
            ..unusable
        })?;
        let (mut ended, mut all) = (None, None);
        if whole {
            content.extend(regular::read(&mut file, BYTES_AT_MOST).map_err(unread())?);
            all = Some(read(&content)?);
        } else {
            ended = end(&mut file, stamp.0).map_err(unread())?;
        }
        Ok(Self { stamp, begun, ended, whole: all })
    }
}

/// When the run of `file`, which is `length` bytes long, ended; `None` when its last line does not say that
/// it did.
fn end(file: &mut BufReader<impl io::Read + io::Seek>, length: u64) -> io::Result<Option<Timestamp>> {
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut tail = Vec::new();
    io::Read::take(file, END).read_to_end(&mut tail)?;
    let Some(lines) = tail.strip_suffix(b"\n") else { return Ok(None) };
    let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice(last) {
        Ok(Record::Ended { at }) => Ok(Some(at)),
        _ => Ok(None),
    }
}
