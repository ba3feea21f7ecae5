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
        self.add(&Record::Ended { at: (self.clock)() })
    }

    fn add(&self, record: &Record) -> Result<(), JournalError> {
        let Some(file) = &self.file else { return Ok(()) };
        // A line is written whole or not at all: there is nothing half done behind a poisoned lock.
        file.lock().unwrap_or_else(PoisonError::into_inner).add(record)
    }
}

impl<W: TargetWriter> TargetWriter for Recording<'_, W> {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        let unknown = || WriteError::Failed("it is not in the plan that is recorded".into());
        let &(place, planned) = self.planned.get(&key(change)).ok_or_else(unknown)?;
        if planned.is_too_late((self.clock)()) {
            return Err(WriteError::TooLate);
        }
        if !self.locks.iter().all(RunLock::stands) {
            return Err(WriteError::LeaseLost);
        }
        // INVARIANT: behind this line it is on disk that the change may take effect.
        self.add(&Record::Attempted { change: place, at: (self.clock)() })
            .map_err(|error| WriteError::Failed(error.into()))?;
        let made = self.writer.make(change).await;
        let (fate, reason) = match &made {
            Ok(Effect::Made) => (Fate::Done, None),
            Ok(Effect::AlreadySo) => (Fate::AlreadySo, None),
            Err(error @ WriteError::Unknown(_)) => (Fate::Unknown, Some(Why::of(error))),
            Err(error) => (Fate::Failed, Some(Why::of(error))),
        };
        let reason = reason.map(|why| why.kept().to_owned());
        let result = RecordedResult { fate, at: (self.clock)(), reason };
        if let Err(error) = self.add(&Record::Result { change: place, result }) {
            // The next run reads back what became of it, as after a crash.
            tracing::warn!(error = %one_line(&error), "the journal could not record a result");
        }
        made
    }
}

/// Tells the changes of a plan apart: a setting may be set twice, wider first and narrower in the end.
type Key = (String, Verb, Phase);

fn key(change: &Change) -> Key {
    (change.object().address(), change.verb(), change.phase())
}
