//! The folder of a journal: the runs that its files tell of, and a file for a new run. What another run
//! wrote is never touched.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::model::{
    Period, ServerIdentity, TokenId,
    run::{ChangeNote, Fate, RecordedRun, RunHead, RunId, Settled},
};

use super::{
    file::{BadJournal, JournalFile},
    record::{Begun, FORMAT_VERSION, Record},
    regular,
};

/// How long a deadline is carried on after it passed: the token must be gone by then, or its owner took
/// it away and nobody asks.
const CARRIED_ON: Period = Period::days(366);

/// The folder of a journal. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct JournalFolder {
    path: PathBuf,
    /// How the runs of files began, as far as they were read: that never changes.
    heads: Arc<Mutex<HashMap<String, RunHead>>>,
}

/// The longest file that is read, in bytes.
const BYTES_AT_MOST: u64 = 1 << 30;

/// Whose runs are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// The name of a target.
    pub target: String,
    /// What the server behind it is known by.
    pub server: ServerIdentity,
    /// The other targets of the settings file, by name.
    pub others: BTreeMap<String, ItsTokens>,
}

/// How the tokens of another target stand to ours, should both be on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItsTokens {
    /// Some may be ours.
    Shared,
    /// None is ours; their identifiers are still unlike ours.
    Apart,
    /// None is ours, and they are counted by themselves: an identifier may be that of one of ours.
    OtherKind,
}

impl Sought {
    /// Whether `run` may have been on the server: under another name too, as long as nothing tells that
    /// other servers are called so.
    #[must_use]
    pub fn has(&self, run: &RunHead) -> bool {
        let nobody_knows = || run.server.is_empty() && !self.others.contains_key(&run.target);
        run.target == self.target || run.server.meets(&self.server) || nobody_knows()
    }

    /// Whether what `run` tells of a token is about ours of that identifier. Nothing is guessed: what is
    /// taken from another server hits a token that nobody meant.
    fn names_ours(&self, run: &RunHead) -> bool {
        let is_unknown = run.server.is_empty() || self.server.is_empty();
        let is_here = if is_unknown { run.target == self.target } else { run.server.meets(&self.server) };
        is_here && self.others.get(&run.target) != Some(&ItsTokens::OtherKind)
    }

    /// Whether a look at our tokens shows what became of the changes of `run`.
    fn shows(&self, run: &RunHead) -> bool {
        let is_apart = || self.others.get(&run.target) == Some(&ItsTokens::Apart);
        run.target == self.target || self.names_ours(run) && !is_apart()
    }
}

/// What a journal tells of earlier runs on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The runs that can still matter, the latest first.
    pub runs: Vec<RecordedRun>,
    /// Those of `runs` whose changes a look at the tokens of the target does not show.
    pub elsewhere: BTreeSet<RunId>,
    /// The first moment at which each token of the target was made to end.
    pub deadlines: BTreeMap<TokenId, Timestamp>,
    /// Changes, by their place in a run, of which a later run found out what became of them.
    pub settled: BTreeSet<(RunId, u32)>,
    /// The number of the latest run.
    pub number: u64,
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or folder failed.
    #[error("the journal cannot {deed} `{}`", path.display())]
    Io {
        /// What was to be done.
        deed: &'static str,
        /// Path of the file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is damaged.
    #[error(transparent)]
    Damaged(#[from] BadJournal),
    /// A record cannot be written as JSON.
    #[error("a record of the journal cannot be written")]
    Record(#[from] serde_json::Error),
}

fn failed(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { deed, path, source }
}

impl JournalFolder {
    /// The folder at `path`; it is made when the first run is recorded.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, heads: Arc::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What can still matter of the runs that are `sought` for one whose rails look back to `since`, UTC: the
    /// latest run, and all that did something since then.
    ///
    /// Every file is looked into. Neither its name nor the place of a run between others tells when
    /// something was done: clocks may have been wrong.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is damaged.
    pub fn past(&self, sought: &Sought, since: Timestamp) -> Result<Past, JournalError> {
        let mut files = Vec::new();
        for name in self.names()? {
            files.extend(self.read(&name, sought)?);
        }
        // Runs before there were numbers are in the order of their names.
        files.sort_by_key(|file| file.number);
        let settled: Vec<Settled> = files.iter().flat_map(|file| file.settled.iter().cloned()).collect();
        let with_ours = files.iter().rfind(|file| sought.names_ours(&file.run.head));
        let mut past = Past {
            deadlines: with_ours.map(JournalFile::deadlines_afterwards).unwrap_or_default(),
            number: files.last().map_or(0, |file| file.number),
            ..Past::default()
        };
        for mut file in files.into_iter().rev() {
            if !sought.shows(&file.run.head) {
                past.elsewhere.insert(file.run.head.run.clone());
            }
            settle(&mut file.run, &settled);
            if past.runs.is_empty() || file.run.last_moment() >= since {
                past.runs.push(file.run);
            }
        }
        past.settled = settled.into_iter().map(|settled| (settled.run, settled.change)).collect();
        Ok(past)
    }

    /// The latest runs on the target that is `sought`, `limit` at most, the latest first by their names; also
    /// under a name that no other target has.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is damaged.
    pub fn latest(&self, sought: &Sought, limit: usize) -> Result<Vec<RecordedRun>, JournalError> {
        let (mut runs, mut settled) = (Vec::new(), Vec::new());
        for name in self.names()?.into_iter().rev() {
            if runs.len() == limit {
                break;
            }
            let Some(mut file) = self.read(&name, sought)? else { continue };
            settle(&mut file.run, &settled);
            settled.extend(file.settled);
            if !sought.others.contains_key(&file.run.head.target) {
                runs.push(file.run);
            }
        }
        Ok(runs)
    }

    /// Begins the file of a new run: with what must still be known of earlier ones, which are `past`, and the
    /// changes that it is going to try. Everything is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or written.
    pub fn begin(
        &self,
        head: RunHead,
        past: &Past,
        settled: Vec<Settled>,
        planned: Vec<ChangeNote>,
    ) -> Result<RunFile, JournalError> {
        let begun_at = head.begun;
        let path = self.path.join(file_name(&head.run, &head.target));
        let carried = past.deadlines.iter().filter(|(_, at)| CARRIED_ON.after(**at) > begun_at);
        let begun = Begun {
            format_version: FORMAT_VERSION.to_owned(),
            number: past.number.saturating_add(1),
            head,
            deadlines: carried.map(|(id, at)| (id.to_string(), *at)).collect(),
            settled,
        };
        let mut lines = Record::Begun(Box::new(begun)).line()?;
        for (change, note) in (0..).zip(planned) {
            lines.push_str(&Record::Planned { change, note }.line()?);
        }
        fs::create_dir_all(&self.path).map_err(failed("make", &self.path))?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let file = regular::open(&mut options, &path).map_err(failed("make", &path))?;
        let mut run = RunFile { file, path };
        run.write(&lines)?;
        // The name of the file must survive a crash of the machine as well.
        let folder = File::open(&self.path).map_err(failed("open", &self.path))?;
        folder.sync_all().map_err(failed("write", &self.path))?;
        Ok(run)
    }

    /// The name of the latest run of all, whatever became of it.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn latest_name(&self) -> Result<Option<RunId>, JournalError> {
        Ok(self.names()?.last().and_then(|name| run_of(name)))
    }

    /// The names of the files of runs, in the order of the names of the runs.
    fn names(&self) -> Result<Vec<String>, JournalError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &self.path)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("read", &self.path))?;
            names.extend(entry.file_name().into_string().ok().filter(|name| run_of(name).is_some()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What the file `name` tells, when it is that of a run that is `sought`; nothing otherwise, and when the
    /// run had not even begun. Of others the first line is read, once.
    fn read(&self, name: &str, sought: &Sought) -> Result<Option<JournalFile>, JournalError> {
        let heads = || self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads().get(name).is_some_and(|head| !sought.has(head)) {
            return Ok(None);
        }
        let path = self.path.join(name);
        let unread = || failed("read", &path);
        let file = regular::open(OpenOptions::new().read(true), &path).map_err(unread())?;
        let mut file = BufReader::new(file);
        let mut content = regular::read_line(&mut file, BYTES_AT_MOST).map_err(unread())?;
        let shown = path.display().to_string();
        let Some(begun) = JournalFile::read(&shown, &content)? else { return Ok(None) };
        let head = begun.run.head;
        let is_sought = sought.has(&head);
        heads().insert(name.to_owned(), head);
        if !is_sought {
            return Ok(None);
        }
        content.extend(regular::read(&mut file, BYTES_AT_MOST).map_err(unread())?);
        Ok(JournalFile::read(&shown, &content)?)
    }
}

/// `<run>.<target>.jsonl`: in the order of the names of the runs when they are sorted.
fn file_name(run: &RunId, target: &str) -> String {
    format!("{run}.{target}.jsonl")
}

/// Whether a file `name` in the folder of a journal is a record or a lock.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    run_of(name).is_some() || name.strip_suffix(".lock").is_some()
}

/// The run of the file `name`; nothing when it is no file of a run.
fn run_of(name: &str) -> Option<RunId> {
    let (run, _) = name.strip_suffix(".jsonl")?.split_once('.')?;
    run.parse().ok()
}

/// Takes over what later runs found out of changes of `run`.
fn settle(run: &mut RecordedRun, settled: &[Settled]) {
    for of_run in settled.iter().filter(|settled| settled.run == run.head.run) {
        let change = usize::try_from(of_run.change).ok().and_then(|place| run.changes.get_mut(place));
        if let Some(change) = change.filter(|change| change.is_open() || change.has(Fate::Failed)) {
            change.settle(of_run.fate);
        }
    }
}

/// The file of a run that is under way.
#[derive(Debug)]
pub struct RunFile {
    file: File,
    path: PathBuf,
}

impl RunFile {
    /// Adds a record. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, record: &Record) -> Result<(), JournalError> {
        self.write(&record.line()?)
    }

    fn write(&mut self, lines: &str) -> Result<(), JournalError> {
        let mut write = || {
            // What is written into a file that was taken away, nobody reads.
            if !regular::stands_at(&self.file, &self.path)? {
                return Err(io::Error::new(io::ErrorKind::NotFound, "it was taken away while the run lasts"));
            }
            self.file.write_all(lines.as_bytes())?;
            self.file.sync_data()
        };
        let written = write();
        written.map_err(failed("write", &self.path))
    }
}
