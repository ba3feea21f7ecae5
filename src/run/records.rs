//! The record of runs on the server of a target: what earlier ones did there, and what this one does.

use std::{
    collections::BTreeSet,
    fs, mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    apply::one_line,
    config::{Connection, Journal, TargetDeclaration, may_share_tokens},
    journal::{ItsTokens, JournalFolder, Past, Recording, Sought, history, merge},
    model::{
        Period, ServerIdentity,
        digest::sha256,
        run::{ChangeNote, Fate, RecordedRun, RunHead, RunId},
    },
    plan::{ApprovedPlan, History, Plan},
    run::{Listener, workspace::Workspace},
    targets::{
        Target, Writer,
        gateway::{Gateway, Tenure},
    },
    world::environment,
};

use super::{Ending, Failure, hold::HeldRun};

/// The records of runs on the server of one target.
pub(crate) struct Records {
    sought: Sought,
    listener: Arc<dyn Listener>,
    window: Period,
    folder: Option<JournalFolder>,
    /// The store of an embedded target.
    store: Option<PathBuf>,
    run: Option<HeldRun>,
}

/// The runs on the server of `declaration`, as far as the config file knows that server.
pub(crate) fn sought(workspace: &Workspace, declaration: &TargetDeclaration) -> Sought {
    let others = workspace.config.targets.iter().filter(|target| target.name != declaration.name);
    let its_tokens = |other: &TargetDeclaration| {
        let (its, ours) = (&other.connection, &declaration.connection);
        match may_share_tokens(its, ours) {
            true => ItsTokens::Shared,
            false if mem::discriminant(its) == mem::discriminant(ours) => ItsTokens::Apart,
            false => ItsTokens::OtherKind,
        }
    };
    let mut server = ServerIdentity::default();
    declaration.connection.servers().for_each(|of| server.add(&ServerIdentity::at(&of.url)));
    Sought {
        target: declaration.name.clone(),
        server,
        others: others.map(|other| (other.name.clone(), its_tokens(other))).collect(),
    }
}

impl Records {
    /// The records of runs on the server of `declaration`.
    pub(crate) fn new(workspace: &Workspace, declaration: &TargetDeclaration) -> Self {
        let journal = workspace.config.journal.as_ref();
        let store = match &declaration.connection {
            Connection::Embedded { store, .. } => Some(workspace.folder.join(store)),
            _ => None,
        };
        Self {
            sought: sought(workspace, declaration),
            listener: Arc::clone(&workspace.listener),
            window: journal.map_or(Journal::DEFAULT_WINDOW, |journal| journal.window),
            folder: workspace.journal.clone(),
            store,
            run: None,
        }
    }

    /// What the server is known by, as far as that was found out.
    pub(crate) fn server(&self) -> &ServerIdentity {
        &self.sought.server
    }

    /// The server told who it is.
    pub(crate) fn identify(&mut self, target: &Target) {
        if let Some(store) = target.gateway().and_then(Gateway::store) {
            self.sought.server.add_store(store);
        }
    }

    /// The run begins.
    pub(crate) fn began(&mut self, run: HeldRun) {
        self.run = Some(run);
    }

    /// The name of the latest run in the journal.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub(crate) fn latest_name(&self) -> Result<Option<RunId>, Failure> {
        let latest = self.folder.as_ref().map(JournalFolder::latest_name).transpose()?;
        Ok(latest.flatten())
    }

    /// The lock beside the store of an embedded target.
    pub(crate) fn store_lock(&self) -> Option<PathBuf> {
        self.store.as_ref().map(|store| with_ending(store, ".lock"))
    }

    /// The locks in the folder of the journal: one for each thing that the server is known by, and where
    /// nothing else keeps others away that by which older versions knew the target.
    pub(crate) fn folder_locks(&self, target: &Target) -> BTreeSet<PathBuf> {
        let Some(folder) = &self.folder else { return BTreeSet::new() };
        let of_name = target.gateway().is_none().then(|| self.sought.target.clone());
        let of_server = self.sought.server.parts().map(|part| {
            let hash = sha256(part.as_bytes());
            format!("server-{}", hash.get(..16).unwrap_or(&hash))
        });
        of_server.chain(of_name).map(|name| folder.path().join(format!("{name}.lock"))).collect()
    }

    /// What earlier runs mean for one at `now`. A run that writes says which one was interrupted.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub(crate) async fn history(&self, target: &Target, now: Timestamp) -> Result<History, Failure> {
        let since = self.window.before(now);
        let mut past = match &self.folder {
            Some(folder) => folder.past(&self.sought, since)?,
            None if target.gateway().is_none() => return Ok(History::default()),
            None => Past::default(),
        };
        if let Some(gateway) = target.gateway() {
            let of_server = gateway.runs(since, None).await?;
            // What the server tells is about its own tokens.
            for run in &of_server {
                past.elsewhere.remove(&run.head.run);
            }
            past.runs = merge(past.runs, of_server);
            // Its own record is whole.
            past.lost.clear();
        }
        for run in past.lost.keys() {
            self.listener.note(&format!(
                "warning: {}: the journal file of run {run} is missing or incomplete: put it back; until then what the run did counts as more than any rail allows",
                self.sought.target
            ));
        }
        if let Some(interrupted) = past.runs.first().filter(|run| self.run.is_some() && run.ended.is_none()) {
            self.say_interrupted(interrupted);
        }
        Ok(history(past, self.window, now))
    }

    /// When the latest run of which all was done began, UTC, among the latest ones; `None` when none was.
    ///
    /// # Errors
    ///
    /// When a record cannot be read.
    pub(crate) async fn last_success(&self, target: &Target) -> Result<Option<Timestamp>, Failure> {
        const LATEST: usize = 20;
        let mut runs = match &self.folder {
            Some(folder) => folder.latest(&self.sought, LATEST)?,
            None => Vec::new(),
        };
        if let Some(gateway) = target.gateway() {
            runs = merge(runs, gateway.runs(Timestamp::UNIX_EPOCH, Some(LATEST)).await?);
        }
        // Of other targets on the server only those count that are not called so any more.
        runs.retain(|run| !self.sought.others.contains_key(&run.head.target));
        Ok(runs.iter().filter(|run| run.is_success()).map(|run| run.head.begun).max())
    }

    fn say_interrupted(&self, run: &RecordedRun) {
        let done = run.changes.iter().filter(|change| change.result.is_some()).count();
        let open = run.changes.iter().filter(|change| change.is_open()).count();
        let head = &run.head;
        let open = if open == 0 { String::new() } else { format!(", with {open} more under way") };
        self.listener.note(&format!(
            "{}: the run {} of {} was interrupted after {done} changes{open}: this run finishes",
            self.sought.target, head.run, head.by
        ));
    }

    /// Says that nothing keeps other runs away, when that is so. It matters to a run that changes something.
    pub(crate) fn say_alone(&self) {
        if self.run.as_ref().is_some_and(HeldRun::is_alone) {
            self.listener.note(&format!(
                "warning: {}: another run could write at the same time: set `journal: {{ directory: .. }}` in the config file",
                self.sought.target
            ));
        }
    }

    /// Says what became of the changes of `history` that an interrupted run had under way, as `plan` found
    /// out, and of those that were refused when they may have taken effect all the same.
    pub(crate) fn say_settled(&self, history: &History, plan: &Plan) {
        let refused: BTreeSet<_> =
            history.open.iter().filter(|open| open.refused).map(|open| (&open.run, open.change)).collect();
        let (refused, interrupted): (Vec<_>, Vec<_>) =
            plan.settled.iter().partition(|settled| refused.contains(&(&settled.run, settled.change)));
        let of = |fate: Fate| interrupted.iter().filter(|settled| settled.fate == fate).count();
        let parts =
            [(Fate::Done, "took effect"), (Fate::Failed, "did not"), (Fate::Unknown, "cannot be seen")];
        let parts = parts.map(|(fate, words)| (of(fate), words)).into_iter().filter(|(count, _)| *count > 0);
        let said: Vec<String> = parts.map(|(count, words)| format!("{count} {words}")).collect();
        if !said.is_empty() {
            self.listener.note(&format!(
                "{}: of the changes that were under way, {}",
                self.sought.target,
                said.join(", ")
            ));
        }
        let done = refused.iter().filter(|settled| settled.fate.counts()).count();
        if done > 0 {
            self.listener.note(&format!(
                "{}: {done} changes that were refused to an earlier run took effect anyway, or may have: they count",
                self.sought.target
            ));
        }
    }

    /// A writer for `approved` that leaves a trace in every record that is kept; what is in the record when
    /// this returns comes before the first write. `clock` tells the time, UTC.
    ///
    /// # Errors
    ///
    /// When a record cannot be written: then nothing must be.
    pub(crate) async fn begin<'a>(
        &self,
        target: &Target,
        approved: &'a ApprovedPlan,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
    ) -> Result<Recording<'a, Writer>, Failure> {
        let Some(run) = &self.run else {
            return Err(Failure::new(Ending::Error, "the run was not begun as one that writes"));
        };
        let plan = approved.plan();
        let head = RunHead {
            run: run.id.clone(),
            target: self.sought.target.clone(),
            server: self.sought.server.clone(),
            begun: run.begun,
            by: run.by.clone(),
            policy_sha256: plan.policy_fingerprint.clone(),
        };
        if let Some(gateway) = target.gateway() {
            gateway.begin_run(&head).await?;
        }
        let tenure = Some(Tenure::new(run.id.clone(), run.lease.as_ref()));
        let begin_file = |folder: &JournalFolder| {
            // Read again: another target of this run on the server may have added to it since.
            let mut past = folder.past(&self.sought, Timestamp::MAX)?;
            let known = History { deadlines: past.deadlines, ..History::default() };
            past.deadlines = plan.deadlines_left(&known);
            // What nobody can tell yet stays open.
            let known = plan.settled.iter().filter(|settled| settled.fate != Fate::Unknown).cloned();
            folder.begin(head.clone(), &past, known.collect(), plan.notes().collect())
        };
        let file = self.folder.as_ref().map(begin_file).transpose()?;
        Ok(Recording::new(target.writer(approved, tenure), file, approved, Arc::clone(&run.locks), clock))
    }

    /// Records that the run ended in order. What could not be recorded is said, and changes nothing. Returns what the
    /// server did to tokens only because they came of others.
    pub(crate) async fn end(&self, target: &Target, recording: &Recording<'_, Writer>) -> Vec<ChangeNote> {
        if let Err(error) = recording.end() {
            self.listener.note(&format!("warning: {}: {}", self.sought.target, one_line(&error)));
        }
        let (Some(gateway), Some(run)) = (target.gateway(), &self.run) else { return Vec::new() };
        gateway.end_run(&run.id).await.unwrap_or_else(|error| {
            self.listener.note(&format!("warning: {}: {}", self.sought.target, one_line(&error)));
            Vec::new()
        })
    }

    /// Lets other runs begin.
    pub(crate) async fn release(self) {
        if let Some(run) = self.run {
            run.release().await;
        }
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Who runs this and where, as `user@host`, as far as the environment tells.
pub(crate) fn whoever() -> String {
    let variable = |names: &[&str]| {
        let found = names.iter().find_map(|name| environment::variable(name));
        found.filter(|value| !value.is_empty())
    };
    let host = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let user = variable(&["USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "somebody".to_owned());
    let host =
        variable(&["HOSTNAME", "COMPUTERNAME"]).or_else(host).unwrap_or_else(|| "somewhere".to_owned());
    let name = format!("{}@{}", user.trim(), host.trim());
    name.chars().filter(|c| !c.is_control()).take(128).collect()
}
