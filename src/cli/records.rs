//! In: what the settings file says of the journal, and a target. Out: what earlier runs did there; and for
//! a run that writes, the right to be the only one, and the record of what it does. It refuses to know
//! what a run is going to do.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    apply::{
        journal::{JournalFolder, LockError, Past, Recording, RunLock, history, merge},
        one_line,
    },
    model::{
        Period,
        run::{Fate, RecordedRun, RunHead, RunId},
    },
    plan::{ApprovedPlan, History, Plan},
    policy::settings_file::{Connection, Journal, TargetDeclaration},
    serve::random_bytes,
    target::{
        Target, Writer,
        gateway::{HeldLease, LeaseError, Tenure},
    },
};

use super::{
    Exit, Failure,
    files::Workspace,
    output,
    stop::{self, Interrupted},
};

/// How often it is looked whether the run that keeps us waiting has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The records of runs on one target.
pub(super) struct Records {
    target: String,
    window: Period,
    folder: Option<JournalFolder>,
    /// The store of an embedded target.
    store: Option<PathBuf>,
    run: Option<HeldRun>,
}

/// A run that writes, and what keeps others away meanwhile.
struct HeldRun {
    id: RunId,
    begun: Timestamp,
    by: String,
    hold: Hold,
}

/// What keeps other runs away.
enum Hold {
    /// The lease of the server.
    Lease(HeldLease),
    /// A lock on this machine, which lasts as long as the value.
    Lock { _lock: RunLock },
    /// Nothing.
    Nothing,
}

/// Another run is applying.
#[derive(Debug, thiserror::Error)]
#[error("another run is applying to it: {holder}; {way_out}")]
struct Busy {
    holder: String,
    way_out: String,
}

/// The folder of the journal, when the settings file names one.
pub(super) fn folder(workspace: &Workspace) -> Option<JournalFolder> {
    let directory = workspace.settings.journal.as_ref()?.directory.as_ref()?;
    Some(JournalFolder::new(workspace.folder.join(directory)))
}

impl Records {
    /// The records of runs on the target of `declaration`.
    pub(super) fn new(workspace: &Workspace, declaration: &TargetDeclaration) -> Self {
        let journal = workspace.settings.journal.as_ref();
        let store = match &declaration.connection {
            Connection::Embedded { store, .. } => Some(workspace.folder.join(store)),
            _ => None,
        };
        Self {
            target: declaration.name.clone(),
            window: journal.map_or(Journal::DEFAULT_WINDOW, |journal| journal.window),
            folder: folder(workspace),
            store,
            run: None,
        }
    }

    /// Begins a run that writes: waits until no other one does, `patience` at most. `clock` tells the
    /// time, UTC.
    ///
    /// # Errors
    ///
    /// When another run still does, or nobody can tell.
    pub(super) async fn hold(
        &mut self,
        target: &Target,
        clock: impl Fn() -> Timestamp,
        patience: Duration,
    ) -> Result<(), Failure> {
        let by = whoever();
        let give_up = Instant::now() + patience;
        loop {
            // A lease that was asked for is waited for, so that it can be given back.
            if stop::is_requested() {
                return Err(Interrupted.into());
            }
            // Named anew each time: runs that waited are named in the order in which they began.
            let (begun, latest) = (clock(), self.latest_name()?);
            let id = RunId::new(begun, random_bytes()?, latest.as_ref());
            match self.try_hold(target, &id, &by, begun).await? {
                Ok(hold) => {
                    self.run = Some(HeldRun { id, begun, by, hold });
                    return Ok(());
                }
                Err(holder) if Instant::now() >= give_up => {
                    let way_out = if patience.is_zero() {
                        "wait for it with --lock-timeout 5m".to_owned()
                    } else {
                        format!("it did not end within {} seconds", patience.as_secs())
                    };
                    return Err(Failure::new(Exit::Refused, Busy { holder, way_out }));
                }
                Err(_) => stop::unless_requested(sleep(LOOK_EVERY.min(patience))).await?,
            }
        }
    }

    fn latest_name(&self) -> Result<Option<RunId>, Failure> {
        let latest = self.folder.as_ref().map(|folder| folder.latest_name(&self.target)).transpose()?;
        Ok(latest.flatten())
    }

    /// What keeps other runs away; or who else does just now.
    async fn try_hold(
        &self,
        target: &Target,
        id: &RunId,
        by: &str,
        begun: Timestamp,
    ) -> Result<Result<Hold, String>, Failure> {
        let path = match (&self.store, target.gateway(), &self.folder) {
            // Its server is this process: the system knows best when that one is gone.
            (Some(store), ..) => with_ending(store, ".lock"),
            (None, Some(gateway), _) => {
                return match gateway.take_lease(id, by).await {
                    Ok(lease) => Ok(Ok(Hold::Lease(lease))),
                    Err(LeaseError::Held { holder }) => Ok(Err(holder)),
                    Err(error @ LeaseError::Failed(_)) => Err(error.into()),
                };
            }
            (None, None, Some(folder)) => folder.path().join(format!("{}.lock", self.target)),
            (None, None, None) => return Ok(Ok(Hold::Nothing)),
        };
        let words = format!("{by} since {begun}, with the run {id}");
        match RunLock::take(&path, &words) {
            Ok(lock) => Ok(Ok(Hold::Lock { _lock: lock })),
            Err(LockError::Held { holder }) => Ok(Err(holder)),
            Err(error) => Err(error.into()),
        }
    }

    /// What earlier runs mean for one at `now`. A run that writes says which one was interrupted.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub(super) async fn history(&self, target: &Target, now: Timestamp) -> Result<History, Failure> {
        let since = self.window.before(now);
        let mut past = match &self.folder {
            Some(folder) => folder.past(&self.target, since)?,
            None if target.gateway().is_none() => return Ok(History::default()),
            None => Past::default(),
        };
        if let Some(gateway) = target.gateway() {
            past.runs = merge(past.runs, gateway.runs(since, None).await?);
        }
        if let Some(interrupted) = past.runs.first().filter(|run| self.run.is_some() && run.ended.is_none()) {
            self.say_interrupted(interrupted);
        }
        Ok(history(past, self.window, now))
    }

    /// When the latest run of which all was done began, UTC, among the latest ones; nothing when none was.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub(super) async fn last_success(&self, target: &Target) -> Result<Option<Timestamp>, Failure> {
        const LATEST: usize = 20;
        let mut runs = match &self.folder {
            Some(folder) => folder.latest(Some(&self.target), LATEST)?,
            None => Vec::new(),
        };
        if let Some(gateway) = target.gateway() {
            runs = merge(runs, gateway.runs(Timestamp::UNIX_EPOCH, Some(LATEST)).await?);
        }
        Ok(runs.iter().filter(|run| run.is_success()).map(|run| run.head.begun).max())
    }

    fn say_interrupted(&self, run: &RecordedRun) {
        let done = run.changes.iter().filter(|change| change.result.is_some()).count();
        let open = run.changes.iter().filter(|change| change.is_open()).count();
        let head = &run.head;
        let open = if open == 0 { String::new() } else { format!(", with {open} more under way") };
        output::note(&format!(
            "{}: the run {} of {} was interrupted after {done} changes{open}: this run finishes",
            self.target, head.run, head.by
        ));
    }

    /// Says that nothing keeps other runs away, when that is so. It matters to a run that changes something.
    pub(super) fn say_alone(&self) {
        if self.run.as_ref().is_some_and(|run| matches!(run.hold, Hold::Nothing)) {
            output::note(&format!(
                "warning: {}: nothing keeps another run from writing at the same time: name a folder with \
                 `journal: {{ directory: .. }}` in the settings file",
                self.target
            ));
        }
    }

    /// Says what became of the changes that an interrupted run had under way, as `plan` found out.
    pub(super) fn say_settled(&self, plan: &Plan) {
        let of = |fate: Fate| plan.settled.iter().filter(|settled| settled.fate == fate).count();
        let parts =
            [(Fate::Done, "took effect"), (Fate::Failed, "did not"), (Fate::Unknown, "cannot be seen")];
        let parts = parts.map(|(fate, words)| (of(fate), words)).into_iter().filter(|(count, _)| *count > 0);
        let said: Vec<String> = parts.map(|(count, words)| format!("{count} {words}")).collect();
        if !said.is_empty() {
            output::note(&format!(
                "{}: of the changes that were under way, {}",
                self.target,
                said.join(", ")
            ));
        }
    }

    /// A writer for `approved` that leaves a trace in every record that is kept; what is in the record when
    /// this returns comes before the first write. `clock` tells the time, UTC.
    ///
    /// # Errors
    ///
    /// When a record cannot be written: then nothing must be.
    pub(super) async fn begin<'a>(
        &self,
        target: &Target,
        approved: &'a ApprovedPlan,
        history: &History,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
    ) -> Result<Recording<'a, Writer>, Failure> {
        let Some(run) = &self.run else {
            return Err(Failure::new(Exit::Error, "the run was not begun as one that writes"));
        };
        let plan = approved.plan();
        let head = RunHead {
            run: run.id.clone(),
            target: self.target.clone(),
            begun: run.begun,
            by: run.by.clone(),
            policy_sha256: plan.policy_fingerprint.clone(),
        };
        let mut tenure = None;
        if let Some(gateway) = target.gateway() {
            gateway.begin_run(&head).await?;
            let lease = if let Hold::Lease(lease) = &run.hold { Some(lease) } else { None };
            tenure = Some(Tenure::new(run.id.clone(), lease));
        }
        let begin_file = |folder: &JournalFolder| {
            folder.begin(head.clone(), &plan.deadlines_left(history), plan.settled.clone(), plan.notes())
        };
        let file = self.folder.as_ref().map(begin_file).transpose()?;
        Ok(Recording::new(target.writer(approved, tenure), file, approved, clock))
    }

    /// Records that the run ended in order. What could not be recorded is said, and changes nothing.
    pub(super) async fn end(&self, target: &Target, recording: &Recording<'_, Writer>) {
        if let Err(error) = recording.end() {
            output::note(&format!("warning: {}: {}", self.target, one_line(&error)));
        }
        if let (Some(gateway), Some(run)) = (target.gateway(), &self.run)
            && let Err(error) = gateway.end_run(&run.id).await
        {
            output::note(&format!("warning: {}: {}", self.target, one_line(&error)));
        }
    }

    /// Lets other runs begin.
    pub(super) async fn release(self) {
        if let Some(HeldRun { hold: Hold::Lease(lease), .. }) = self.run {
            lease.give_back().await;
        }
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Who runs this and where, as `user@host`, as far as the environment tells.
fn whoever() -> String {
    let variable = |names: &[&str]| {
        let found = names.iter().find_map(|name| env::var(name).ok());
        found.filter(|value| !value.is_empty())
    };
    let host = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let user = variable(&["USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "somebody".to_owned());
    let host =
        variable(&["HOSTNAME", "COMPUTERNAME"]).or_else(host).unwrap_or_else(|| "somewhere".to_owned());
    let name = format!("{}@{}", user.trim(), host.trim());
    name.chars().filter(|c| !c.is_control()).take(128).collect()
}
