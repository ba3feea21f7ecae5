//! In: a folder. Out: the runs that its files tell of, no more of them than can still matter, and a file
//! for a new run. It refuses to touch a file that another run wrote.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::model::{
    Period, TokenId,
    run::{ChangeNote, ChangeResult, RecordedRun, RunHead, RunId, Settled},
};

use super::{
    file::{BadJournal, JournalFile},
    record::{Begun, FORMAT_VERSION, Record},
};

/// How long a deadline is carried on after it passed: the token must be gone by then, or its owner took
/// it away and nobody asks.
const CARRIED_ON: Period = Period::days(366);

/// The folder of a journal.
#[derive(Clone, Debug)]
pub struct JournalFolder {
    path: PathBuf,
}

/// What a journal tells of earlier runs on a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The runs that can still matter, the latest first.
    pub runs: Vec<RecordedRun>,
    /// The first moment at which each token was made to end.
    pub deadlines: BTreeMap<TokenId, Timestamp>,
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
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What can still matter of the runs on `target` for one whose rails look back to `since`, UTC: the
    /// latest run, and those before it that did something since then.
    ///
    /// Runs on a target do not overlap: behind the first that was over before `since` nobody looks.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is damaged.
    pub fn past(&self, target: &str, since: Timestamp) -> Result<Past, JournalError> {
        let mut past = Past::default();
        let mut settled: Vec<Settled> = Vec::new();
        for run in self.names(Some(target))?.into_iter().rev() {
            let Some(mut file) = self.read(&run)? else { continue };
            if past.runs.is_empty() {
                past.deadlines = file.deadlines_afterwards();
            }
            settle(&mut file.run, &settled);
            settled = file.settled;
            let is_over = file.run.last_moment() < since;
            past.runs.push(file.run);
            if is_over {
                break;
            }
        }
        Ok(past)
    }

    /// The latest runs, of `target` or of all, `limit` at most, the latest first.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is damaged.
    pub fn latest(&self, target: Option<&str>, limit: usize) -> Result<Vec<RecordedRun>, JournalError> {
        let mut runs = Vec::new();
        let mut settled: BTreeMap<String, Vec<Settled>> = BTreeMap::new();
        for name in self.names(target)?.into_iter().rev() {
            if runs.len() == limit {
                break;
            }
            let Some(mut file) = self.read(&name)? else { continue };
            let of_target = settled.entry(file.run.head.target.clone()).or_default();
            settle(&mut file.run, of_target);
            *of_target = file.settled;
            runs.push(file.run);
        }
        Ok(runs)
    }

    /// Begins the file of a new run: with what must still be known of earlier ones, and the changes that
    /// it is going to try. Everything is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or written.
    pub fn begin(
        &self,
        head: RunHead,
        deadlines: &BTreeMap<TokenId, Timestamp>,
        settled: Vec<Settled>,
        planned: Vec<ChangeNote>,
    ) -> Result<RunFile, JournalError> {
        let begun_at = head.begun;
        let path = self.path.join(file_name(&head.run, &head.target));
        let carried = deadlines.iter().filter(|(_, at)| CARRIED_ON.after(**at) > begun_at);
        let begun = Begun {
            format_version: FORMAT_VERSION.to_owned(),
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
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed("make", &path))?;
        let mut run = RunFile { file, path };
        run.write(&lines)?;
        // The name of the file must survive a crash of the machine as well.
        let folder = File::open(&self.path).map_err(failed("open", &self.path))?;
        folder.sync_all().map_err(failed("write", &self.path))?;
        Ok(run)
    }

    /// The name of the latest run on `target`, whatever became of it.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn latest_name(&self, target: &str) -> Result<Option<RunId>, JournalError> {
        let names = self.names(Some(target))?;
        Ok(names.last().and_then(|name| name.split('.').next()?.parse().ok()))
    }

    /// The names of the files of `target`, or of all, in the order of time.
    fn names(&self, target: Option<&str>) -> Result<Vec<String>, JournalError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &self.path)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("read", &self.path))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if target_of(&name).is_some_and(|of| target.is_none_or(|target| target == of)) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Option<JournalFile>, JournalError> {
        let path = self.path.join(name);
        let content = fs::read(&path).map_err(failed("read", &path))?;
        Ok(JournalFile::read(&path.display().to_string(), &content)?)
    }
}

/// `<run>.<target>.jsonl`: in the order of time when they are sorted.
fn file_name(run: &RunId, target: &str) -> String {
    format!("{run}.{target}.jsonl")
}

/// The target of the file `name`; nothing when it is no file of a run.
fn target_of(name: &str) -> Option<&str> {
    let (run, target) = name.strip_suffix(".jsonl")?.split_once('.')?;
    run.parse::<RunId>().ok().map(|_| target)
}

/// Takes over what a later run found out of changes of `run`.
fn settle(run: &mut RecordedRun, settled: &[Settled]) {
    for of_run in settled.iter().filter(|settled| settled.run == run.head.run) {
        let change = usize::try_from(of_run.change).ok().and_then(|place| run.changes.get_mut(place));
        if let Some(change) = change.filter(|change| change.is_open())
            && let Some(at) = change.attempted
        {
            change.result = Some(ChangeResult { fate: of_run.fate, at, reason: None });
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
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(failed("write", &self.path))
    }
}
