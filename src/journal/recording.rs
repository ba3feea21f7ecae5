//! A writer that leaves a trace: what is about to be sent is on disk before it is sent. What cannot be
//! recorded is not sent, and nothing is once another run could have begun.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{
    apply::{Effect, TargetWriter, WriteError, one_line},
    model::{
        Verb, Why,
        run::{Fate, RecordedResult},
    },
    plan::{ApprovedPlan, Change, Phase, PlannedChange},
};

use super::{error::JournalError, lock::RunLock, record::Record, run_file::RunFile};

/// A writer that leaves a trace.
pub struct Recording<'a, W> {
    writer: W,
    /// `None` when no journal is kept.
    file: Option<Mutex<RunFile>>,
    /// The changes of the plan, each with its place.
    planned: HashMap<Key, (u32, &'a PlannedChange)>,
    /// What must stand for as long as something is written.
    locks: Arc<[RunLock]>,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
}

impl<'a, W: TargetWriter> Recording<'a, W> {
    /// A writer that does what `writer` does and records it in `file`, which was begun with the changes of
    /// `approved`, as long as all `locks` stand. `clock` tells what time it is on the target at the latest, UTC:
    /// no token is made to end earlier than its grace from then on.
    #[must_use]
    pub fn new(
        writer: W,
        file: Option<RunFile>,
        approved: &'a ApprovedPlan,
        locks: Arc<[RunLock]>,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
    ) -> Self {
        let planned = approved.plan().changes.iter().zip(0..);
        let planned = planned.map(|(planned, place)| (key(&planned.change), (place, planned))).collect();
        Self { writer, file: file.map(Mutex::new), planned, locks, clock }
    }

    /// Records that the run ended in order.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn end(&self) -> Result<(), JournalError> {
        self.add(&[Record::Ended { at: (self.clock)() }])
    }

    fn add(&self, records: &[Record]) -> Result<(), JournalError> {
        let Some(file) = &self.file else { return Ok(()) };
        // Lines are written whole or not at all: there is nothing half done behind a poisoned lock.
        file.lock().unwrap_or_else(PoisonError::into_inner).add_all(records)
    }

    /// The place of `change` in the plan, when it may still be sent.
    fn place(&self, change: &Change) -> Result<u32, WriteError> {
        let unknown = || WriteError::Failed("it is not in the plan that is recorded".into());
        let &(place, planned) = self.planned.get(&key(change)).ok_or_else(unknown)?;
        if planned.is_too_late((self.clock)()) {
            return Err(WriteError::TooLate);
        }
        if !self.locks.iter().all(RunLock::stands) {
            return Err(WriteError::LeaseLost);
        }
        Ok(place)
    }

    fn attempted(&self, change: u32) -> Record {
        Record::Attempted { change, at: (self.clock)() }
    }

    fn result(&self, change: u32, made: &Result<Effect, WriteError>) -> Record {
        let (fate, reason) = match made {
            Ok(Effect::Made) => (Fate::Done, None),
            Ok(Effect::AlreadySo) => (Fate::AlreadySo, None),
            Err(error @ WriteError::Unknown(_)) => (Fate::Unknown, Some(Why::of(error))),
            Err(error) => (Fate::Failed, Some(Why::of(error))),
        };
        let reason = reason.map(|why| why.kept().to_owned());
        Record::Result { change, result: RecordedResult { fate, at: (self.clock)(), reason } }
    }

    fn add_results(&self, results: &[Record]) {
        if let Err(error) = self.add(results) {
            // The next run reads back what became of them, as after a crash.
            tracing::warn!(error = %one_line(&error), "the journal could not record a result");
        }
    }
}

impl<W: TargetWriter> TargetWriter for Recording<'_, W> {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        let place = self.place(change)?;
        // INVARIANT: behind this line it is on disk that the change may take effect.
        self.add(&[self.attempted(place)]).map_err(|error| WriteError::Failed(error.into()))?;
        let made = self.writer.make(change).await;
        self.add_results(&[self.result(place, &made)]);
        made
    }

    fn at_most(&self) -> usize {
        self.writer.at_most()
    }

    async fn make_all(&self, changes: &[&Change]) -> Vec<Result<Effect, WriteError>> {
        let places: Vec<Result<u32, WriteError>> = changes.iter().map(|change| self.place(change)).collect();
        let free: Vec<(&Change, u32)> = changes
            .iter()
            .zip(&places)
            .filter_map(|(change, place)| Some((*change, *place.as_ref().ok()?)))
            .collect();
        let attempted: Vec<Record> = free.iter().map(|(_, place)| self.attempted(*place)).collect();
        // INVARIANT: behind this line it is on disk that the changes may take effect.
        let mut made = match self.add(&attempted) {
            Ok(()) => {
                let sent: Vec<&Change> = free.iter().map(|(change, _)| *change).collect();
                let made = self.writer.make_all(&sent).await;
                let results: Vec<Record> =
                    free.iter().zip(&made).map(|((_, place), made)| self.result(*place, made)).collect();
                self.add_results(&results);
                made
            }
            Err(error) => {
                let error = Arc::new(error);
                free.iter().map(|_| Err(WriteError::Failed(Arc::clone(&error).into()))).collect()
            }
        }
        .into_iter();
        let unanswered = || Err(WriteError::Unknown("nothing was said of it".into()));
        places.into_iter().map(|place| place.and_then(|_| made.next().unwrap_or_else(unanswered))).collect()
    }
}

/// Tells the changes of a plan apart: a setting may be set twice, wider first and narrower in the end.
type Key = (String, Verb, Phase);

fn key(change: &Change) -> Key {
    (change.object().address(), change.verb(), change.phase())
}
