//! What keeps other runs away from a server while one writes to it: its lease, and locks on this machine.
//!
//! Targets on one server hold it together, so that a run does not wait for itself.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    journal::{LockError, RunLock},
    model::run::RunId,
    serve::random_bytes,
    targets::gateway::{Gateway, HeldLease, LeaseError},
};

use super::{
    Ending, Failure, records,
    session::TargetSession,
    stop::{self, Interrupted},
};

/// How often it is looked whether the run that keeps us waiting has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A run that writes to a target, and what keeps others away meanwhile.
pub(crate) struct HeldRun {
    /// Its name.
    pub(crate) id: RunId,
    /// When it began, UTC.
    pub(crate) begun: Timestamp,
    /// Who runs it and where.
    pub(crate) by: String,
    /// The lease of the server, where it has one.
    pub(crate) lease: Option<HeldLease>,
    /// The lease that a finished target left, for other targets of the run on the server that still write.
    pub(crate) left: Arc<Mutex<Option<HeldLease>>>,
    /// Locks on this machine.
    pub(crate) locks: Arc<[RunLock]>,
}

impl HeldRun {
    /// Whether nothing keeps other runs away.
    pub(crate) fn is_alone(&self) -> bool {
        self.lease.is_none() && self.locks.is_empty()
    }

    /// Lets other runs begin, once the last target of this one on the server is through: they may have one
    /// lease, or only one of them has it.
    pub(crate) async fn release(self) {
        let Self { lease, left, locks: _locks, .. } = self;
        if lease.is_some() {
            *left.lock().unwrap_or_else(PoisonError::into_inner) = lease;
        }
        let last =
            Arc::into_inner(left).map(|left| left.into_inner().unwrap_or_else(PoisonError::into_inner));
        if let Some(lease) = last.flatten() {
            lease.give_back().await;
        }
    }
}

/// Another run is applying.
#[derive(Debug, thiserror::Error)]
#[error("another run is applying to it: {holder}; {way_out}")]
struct Busy {
    holder: String,
    way_out: String,
}

/// Begins runs that write on `sessions`, which are on one server: waits until no other run does, `patience`
/// at most.
///
/// # Errors
///
/// When another run still does, or nobody can tell.
pub(crate) async fn hold(sessions: &mut [&mut TargetSession], patience: Duration) -> Result<(), Failure> {
    let by = records::whoever();
    let give_up = Instant::now() + patience;
    loop {
        // A lease that was asked for is waited for, so that it can be given back.
        if stop::is_requested() {
            return Err(Interrupted.into());
        }
        // Named again each time, one behind the other: the names are in the order in which runs begin.
        let Some(first) = sessions.first() else { return Ok(()) };
        let (begun, mut latest) = (first.now(), first.records.latest_name()?);
        let mut names = Vec::with_capacity(sessions.len());
        for _ in sessions.iter() {
            let id = RunId::new(begun, random_bytes()?, latest.as_ref());
            latest = Some(id.clone());
            names.push(id);
        }
        let Some(first) = names.first() else { return Ok(()) };
        match try_hold(sessions, first, &by, begun).await? {
            Ok((locks, leases)) => {
                let left = Arc::new(Mutex::new(None));
                for ((session, id), lease) in sessions.iter_mut().zip(names).zip(leases) {
                    let (by, left, locks) = (by.clone(), Arc::clone(&left), Arc::clone(&locks));
                    session.records.began(HeldRun { id, begun, by, lease, left, locks });
                }
                return Ok(());
            }
            Err(holder) if Instant::now() >= give_up => {
                let way_out = if patience.is_zero() {
                    "wait for it with --lock-timeout 5m".to_owned()
                } else {
                    format!("it did not end within {} seconds", patience.as_secs())
                };
                return Err(Failure::new(Ending::Refused, Busy { holder, way_out }));
            }
            Err(_) => stop::unless_requested(sleep(LOOK_EVERY.min(patience))).await?,
        }
    }
}

/// The locks, and the lease of each session where there is one; or who has one of them just now.
type Held = Result<(Arc<[RunLock]>, Vec<Option<HeldLease>>), String>;

/// Takes everything that keeps other runs away from the server of `sessions`, or nothing.
async fn try_hold(
    sessions: &[&mut TargetSession],
    id: &RunId,
    by: &str,
    begun: Timestamp,
) -> Result<Held, Failure> {
    let stores: BTreeSet<PathBuf> =
        sessions.iter().filter_map(|session| session.records.store_lock()).collect();
    let others = sessions.iter().flat_map(|session| session.records.folder_locks(&session.target));
    // Always in one order, so that of two runs one has them all.
    let paths: BTreeSet<PathBuf> = others.chain(stores.iter().cloned()).collect();
    let words = format!("{by} since {begun:.0}, with the run {id}");
    let (mut locks, mut over) = (Vec::with_capacity(paths.len()), Vec::new());
    for path in &paths {
        let lock = match RunLock::take(path, &words) {
            Ok(lock) => lock,
            Err(LockError::Held { holder }) => return Ok(Err(holder)),
            Err(error) => return Err(error.into()),
        };
        over.extend(run_before(&lock).filter(|_| stores.contains(path)));
        locks.push(lock);
    }
    let mut leases = Vec::with_capacity(sessions.len());
    for session in sessions {
        // All under one name: a store that several lead to gives one lease.
        let lease = match session.target.gateway() {
            None => Ok(None),
            Some(gateway) => take_lease(gateway, &over, id, by).await.map(Some),
        };
        let refused: Result<Held, Failure> = match lease {
            Ok(lease) => {
                leases.push(lease);
                continue;
            }
            Err(LeaseError::Held { holder }) => Ok(Err(holder)),
            Err(error) => Err(error.into()),
        };
        for lease in leases.into_iter().flatten() {
            lease.give_back().await;
        }
        return refused;
    }
    Ok(Ok((locks.into(), leases)))
}

/// Takes the lease, also when one of the runs that are `over` did not give it back: anyone who had the lock
/// beside the store ran the server as well, and the system knows that this process is gone.
async fn take_lease(
    gateway: &Gateway,
    over: &[RunId],
    id: &RunId,
    by: &str,
) -> Result<HeldLease, LeaseError> {
    for run in over {
        gateway.end_lease(run).await.map_err(LeaseError::Failed)?;
    }
    gateway.take_lease(id, by).await
}

/// The run that had a lock before, as its words say.
fn run_before(lock: &RunLock) -> Option<RunId> {
    lock.before().rsplit(' ').next()?.parse().ok()
}

/// Places of the identities that have something in common, directly or through others, in their order.
pub(crate) fn together(sessions: &[Option<&TargetSession>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, session) in sessions.iter().enumerate() {
        let Some(session) = session else { continue };
        let meets = |other: &usize| {
            let other = sessions.get(*other).copied().flatten();
            other.is_some_and(|other| other.records.server().meets(session.records.server()))
        };
        let (ours, mut rest): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(meets));
        let mut group: Vec<usize> = ours.into_iter().flatten().chain([place]).collect();
        group.sort_unstable();
        rest.push(group);
        groups = rest;
    }
    groups
}
