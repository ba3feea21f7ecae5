//! The file of an open store, and whether it is still the one that was opened.
//!
//! SQLite goes on with a file that was deleted, moved or replaced: what it writes then is lost, although it was
//! acknowledged. Hence a look at the file before and after each write, and before the settings are read, which begins every
//! request, unless the last look is hardly over.
//!
//! INVARIANT: a process never closes a file that SQLite has open in it: that would give up the locks of SQLite
//! (<https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>). All
//! places of one file share one handle, which is closed after the last of them.

#[cfg(unix)]
use std::{collections::BTreeMap, sync::Weak};
use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::serve::store::StoreError;

/// The file of a store and those that SQLite keeps beside it. A clone is another handle on the same ones.
#[derive(Clone, Debug)]
pub(super) struct StoreFiles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    handle: Arc<File>,
    id: FileId,
    /// The write-ahead log and its index, which live as long as a connection does.
    beside: Vec<(PathBuf, FileId)>,
    /// The index of the write-ahead log.
    index: Option<Arc<File>>,
    /// The application id; 0 while it is not in the file yet.
    application: u32,
    /// The greatest length that was seen, in bytes.
    length: AtomicU64,
    /// The highest change counter that was seen.
    counter: AtomicU32,
    /// When all was well last.
    checked: Mutex<Option<Instant>>,
}

/// A look that is over no longer than this counts for a read: a thread may be held up as long after any look.
const HARDLY_OVER: Duration = Duration::from_millis(1);

/// How far the write-ahead log has grown, as the header of its index tells; another one after each commit, of whatever
/// process (<https://sqlite.org/walformat.html#the_wal_index_header>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogPosition([u8; MARK]);

/// The bytes of one copy of that header.
const MARK: usize = 48;

impl LogPosition {
    /// The mark in the two copies at the start of an index; `None` while one of them is being written.
    fn of(copies: &[u8; 2 * MARK]) -> Option<Self> {
        let (first, second) = copies.split_at(MARK);
        // INVARIANT: SQLite writes the second copy first, and all of it before a commit has succeeded.
        let is_written = first == second && first.iter().any(|byte| *byte != 0);
        is_written.then(|| first.try_into().ok()).flatten().map(Self)
    }
}

/// What tells a file from another one at the same path.
type FileId = (u64, u64);

/// The handles of this process.
#[cfg(unix)]
static HANDLES: Mutex<BTreeMap<FileId, Weak<File>>> = Mutex::new(BTreeMap::new());

#[cfg(not(unix))]
fn handle(file: &Path) -> io::Result<Arc<File>> {
    File::open(file).map(Arc::new)
}

#[cfg(unix)]
fn handle(file: &Path) -> io::Result<Arc<File>> {
    let id = id_of(&fs::metadata(file)?);
    let mut handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    handles.retain(|_, handle| handle.strong_count() > 0);
    if let Some(handle) = handles.get(&id).and_then(Weak::upgrade) {
        return Ok(handle);
    }
    let handle = Arc::new(File::open(file)?);
    handles.insert(id_of(&handle.metadata()?), Arc::downgrade(&handle));
    Ok(handle)
}

impl StoreFiles {
    /// That of the store at `file`, which is open.
    pub(super) fn of(file: &Path) -> io::Result<Self> {
        // SQLite puts its own files beside the file that a link leads to.
        let real = fs::canonicalize(file)?;
        let index = handle(&with_ending(&real, "-shm")).ok();
        let handle = handle(file)?;
        let there = handle.metadata()?;
        let header = Header::read(&handle)?;
        let beside = ["-wal", "-shm"].into_iter().filter_map(|ending| {
            let path = with_ending(&real, ending);
            let id = id_of(&fs::metadata(&path).ok()?);
            Some((path, id))
        });
        Ok(Self(Arc::new(Inner {
            file: file.to_owned(),
            handle,
            id: id_of(&there),
            beside: beside.collect(),
            index,
            application: header.application,
            length: AtomicU64::new(there.len()),
            counter: AtomicU32::new(header.counter),
            checked: Mutex::default(),
        })))
    }

    /// Makes sure that the store is still where it was opened.
    ///
    /// # Errors
    ///
    /// When the file was deleted, moved, replaced, cut or overwritten.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        // Somebody may be writing the header at this moment.
        let how = self.0.look().and_then(|_| self.0.look());
        how.map_or(Ok(()), |how| Err(StoreError::Lost { file: self.0.file.clone(), how }))
    }

    /// The same before a read, which changes nothing: a look of a moment ago counts.
    ///
    /// # Errors
    ///
    /// As those of [`Self::check`].
    pub(super) fn check_to_read(&self) -> Result<(), StoreError> {
        let checked = || self.0.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if checked().is_some_and(|checked| now.duration_since(checked) <= HARDLY_OVER) {
            return Ok(());
        }
        self.check()?;
        *checked() = Some(now);
        Ok(())
    }

    /// Up to where everything was committed before this moment; `None` when that cannot be told.
    pub(super) fn mark(&self) -> Option<LogPosition> {
        let mut copies = [0; 2 * MARK];
        read_start(self.0.index.as_deref()?, &mut copies).ok()?;
        LogPosition::of(&copies)
    }
}

impl Inner {
    /// What happened to the file, if anything did.
    fn look(&self) -> Option<&'static str> {
        let Ok(there) = fs::metadata(&self.file) else { return Some("deleted or moved") };
        if id_of(&there) != self.id {
            return Some("replaced");
        }
        let is_there =
            |(path, id): &(PathBuf, FileId)| fs::metadata(path).is_ok_and(|now| id_of(&now) == *id);
        if !self.beside.iter().all(is_there) {
            return Some("robbed of its write-ahead log");
        }
        let Ok(header) = Header::read(&self.handle) else { return Some("truncated or overwritten") };
        let is_ours = self.application == 0 || header.application == self.application;
        if !is_ours || header.counter < self.counter.fetch_max(header.counter, Ordering::Relaxed) {
            return Some("overwritten");
        }
        // A file that grows at this moment may be shorter than it says.
        let longest = self.length.fetch_max(there.len(), Ordering::Relaxed);
        (there.len() < longest && there.len() < header.length).then_some("truncated")
    }
}

/// What the first bytes of a file say (<https://sqlite.org/fileformat2.html#the_database_header>).
struct Header {
    /// Of the whole file, in bytes.
    length: u64,
    /// Grows whenever the first page is changed.
    counter: u32,
    application: u32,
}

impl Header {
    fn read(handle: &File) -> io::Result<Self> {
        let mut bytes = [0; 100];
        read_start(handle, &mut bytes)?;
        Self::of(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn of(bytes: &[u8; 100]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let page = u16::from_be_bytes(bytes.get(16..18)?.try_into().ok()?);
        let page = if page == 1 { 65_536 } else { u64::from(page) };
        bytes.starts_with(b"SQLite format 3\0").then_some(())?;
        Some(Self { length: page * u64::from(number(28)?), counter: number(24)?, application: number(68)? })
    }
}

/// Warns of files of the store at `file` that others than its owner can read: they hold the hashes of passwords and
/// secrets, and whose tokens there are.
#[cfg(unix)]
pub(super) fn warn_of_readers(file: &Path) {
    use std::os::unix::fs::PermissionsExt;

    for ending in ["", "-wal", "-shm"] {
        let path = with_ending(file, ending);
        let mode = fs::metadata(&path).map_or(0, |there| there.permissions().mode() & 0o777);
        if mode & 0o077 != 0 {
            tracing::warn!(
                file = %path.display(),
                mode = format!("{mode:04o}"),
                "others than its owner have access to the store; run `chmod 600` on this file"
            );
        }
    }
}

#[cfg(not(unix))]
pub(super) fn warn_of_readers(_: &Path) {}

pub(super) fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

#[cfg(unix)]
fn read_start(handle: &File, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(handle, bytes, 0)
}

#[cfg(not(unix))]
fn read_start(mut handle: &File, bytes: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek};

    handle.rewind()?;
    handle.read_exact(bytes)
}

#[cfg(unix)]
fn id_of(there: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;

    (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn id_of(_: &Metadata) -> FileId {
    (0, 0)
}
