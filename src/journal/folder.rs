//! The folder of a journal: the runs that its files tell of, and a file for a new run. What another run
//! wrote is never touched.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::model::{
    Period, ServerIdentity, TokenId,
    run::{ChangeNote, Fate, RecordedRun, RunHead, RunId, Settled},
};

use super::{
    error::{JournalError, failed},
    file::JournalFile,
    glance::{Glance, Known, RunTarget, UnusableJournal},
    record::{Before, Begun, FORMAT_VERSION, Record},
    regular,
    run_file::{RunFile, file_name, run_of, target_of},
};

/// How long a deadline is carried on after it passed: the token must be gone by then, or its owner took
/// it away and nobody asks.
const CARRIED_ON: Period = Period::days(366);

/// The folder of a journal. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct JournalFolder {
    path: PathBuf,
    /// The files, as far as they were read.
    known: Arc<Mutex<Known>>,
}

/// Whose runs are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// The name of a target.
    pub target: String,
    /// What the server behind it is known by.
    pub server: ServerIdentity,
    /// The other targets of the config file, by name.
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
        self.concerns(&run.target, &run.server)
    }

    /// Whether a run on `target`, whose server was known by `server`, may have been one of them.
    fn concerns(&self, target: &str, server: &ServerIdentity) -> bool {
        let nobody_knows = || server.is_empty() && !self.others.contains_key(target);
        target == self.target || server.meets(&self.server) || nobody_knows()
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
    /// The file of the latest run.
    pub before: Option<Before>,
    /// Runs whose files are gone, or shorter than they were, each with the moment at which the run behind it
    /// began, UTC: what they did can still matter.
    pub lost: BTreeMap<RunId, Timestamp>,
}

impl JournalFolder {
    /// The folder at `path`; it is made when the first run is recorded.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, known: Arc::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What can still matter of the runs that are `sought` for one whose rails look back to `since`, UTC: the
    /// latest run, and all that did something since then.
    ///
    /// Every file is looked into, and those are read whole whose last line does not say that their run was over
    /// before then. Neither its name nor the place of a run between others tells when something was done: clocks
    /// may have been wrong.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is damaged.
    pub fn past(&self, sought: &Sought, since: Timestamp) -> Result<Past, JournalError> {
        let (mut glances, mut lengths) = (Vec::new(), HashMap::new());
        for name in self.names()? {
            let Some((glance, is_sought)) = self.glance(&name, sought, false)? else { continue };
            lengths.insert(glance.begun.run.head.run.clone(), glance.bytes());
            if is_sought {
                glances.push((name, glance));
            }
        }
        // Runs before there were numbers are in the order of their names.
        glances.sort_by_key(|(_, glance)| glance.begun.number);
        let last_with_ours =
            glances.iter().rposition(|(_, glance)| sought.names_ours(&glance.begun.run.head));
        let last = glances.len().saturating_sub(1);
        let is_lost = |before: &Before| lengths.get(&before.run).is_none_or(|bytes| *bytes < before.bytes);
        let mut past = Past::default();
        let (mut files, mut deadlines, mut settled) = (Vec::new(), None, Vec::new());
        for (place, (name, glance)) in glances.into_iter().enumerate() {
            let begun = &glance.begun;
            settled.extend(begun.settled.iter().cloned());
            if let Some(before) = begun.before.as_ref().filter(|before| is_lost(before))
                && begun.run.head.begun >= since
            {
                past.lost.insert(before.run.clone(), begun.run.head.begun);
            }
            // Whose run was over before that, it did nothing that matters, but for what the latest ones hand on.
            let is_over = glance.ended.is_some_and(|ended| ended < since);
            if is_over && place != last && Some(place) != last_with_ours {
                continue;
            }
            let Some(file) = self.read(&name, sought)? else { continue };
            if Some(place) == last_with_ours {
                deadlines = Some(file.deadlines_afterwards());
            }
            if place == last {
                past.number = file.number;
                past.before = Some(Before { run: file.run.head.run.clone(), bytes: glance.bytes() });
            }
            files.push(file);
        }
        past.deadlines = deadlines.unwrap_or_default();
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
        let head_name = file_name(&head.run, &head.target);
        let path = self.path.join(&head_name);
        let carried = past.deadlines.iter().filter(|(_, at)| CARRIED_ON.after(**at) > begun_at);
        let begun = Begun {
            format_version: FORMAT_VERSION.to_owned(),
            number: past.number.saturating_add(1),
            head,
            deadlines: carried.map(|(id, at)| (id.to_string(), *at)).collect(),
            settled,
            before: past.before.clone(),
        };
        let mut lines = Record::Begun(Box::new(begun)).line()?;
        for (change, note) in (0..).zip(planned) {
            lines.push_str(&Record::Planned { change, note }.line()?);
        }
        fs::create_dir_all(&self.path).map_err(failed("make", &self.path))?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        // It has its name once its first lines are whole: whatever kills the run, no file without them is its own.
        let draft = self.path.join(format!(".{}.{}.draft", head_name, std::process::id()));
        let file = regular::open(&mut options, &draft).map_err(failed("make", &draft))?;
        let mut run = RunFile { file, path: draft };
        run.write(&lines)?;
        if fs::symlink_metadata(&path).is_ok() {
            return Err(failed("make", &path)(io::ErrorKind::AlreadyExists.into()));
        }
        fs::rename(&run.path, &path).map_err(failed("make", &path))?;
        run.path = path;
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

    /// What a look at the file `name`, at all of it when it is to be read `whole`, shows, and whether its run is
    /// one that is `sought`; `None` when it cannot be used and is not a matter of those who are.
    fn glance(
        &self,
        name: &str,
        sought: &Sought,
        whole: bool,
    ) -> Result<Option<(Glance, bool)>, JournalError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known().get(name).cloned();
        match Glance::at(&self.path.join(name), before.as_ref(), whole) {
            Ok(glance) => {
                known().insert(name.to_owned(), glance.clone());
                let is_sought = sought.has(&glance.begun.run.head);
                Ok(Some((glance, is_sought)))
            }
            Err(UnusableJournal { error, whose }) => {
                let named = || RunTarget { target: target_of(name).to_owned(), ..RunTarget::default() };
                let RunTarget { target, server } = whose.unwrap_or_else(named);
                if sought.concerns(&target, &server) { Err(error) } else { Ok(None) }
            }
        }
    }

    /// All that the file `name` tells, when its run is one that is `sought`.
    fn read(&self, name: &str, sought: &Sought) -> Result<Option<JournalFile>, JournalError> {
        match self.glance(name, sought, false)? {
            Some((_, true)) => {
                let whole = self.glance(name, sought, true)?.and_then(|(glance, _)| glance.whole);
                Ok(whole.map(|file| (*file).clone()))
            }
            _ => Ok(None),
        }
    }
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
