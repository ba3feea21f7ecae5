//! In: recorded runs on one target. Out: what the next run must know of them. It refuses to know where
//! they were recorded.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    model::{
        Period,
        run::{ChangeResult, Fate, RecordedRun},
    },
    plan::{History, OpenChange, Spent},
};

use super::Past;

/// What the runs of `past` mean for one at `now`, UTC, whose rails look back as far as `window`.
#[must_use]
pub fn history(past: Past, window: Period, now: Timestamp) -> History {
    let mut spent = Spent::nothing(window);
    let mut open = Vec::new();
    for run in past.runs {
        for (place, change) in (0u32..).zip(run.changes) {
            match (change.result, change.attempted) {
                (Some(result), _) if result.fate.counts() => spent.add(&change.note.counts, result.at, now),
                (None, Some(attempted)) => {
                    let run = run.head.run.clone();
                    open.push(OpenChange { run, change: place, note: change.note, attempted });
                }
                _ => {}
            }
        }
    }
    History { deadlines: past.deadlines, spent: Some(spent), open }
}

/// Runs that a server and a journal folder tell of, each once. What the server says that it did is so,
/// whatever the journal could record of it.
#[must_use]
pub fn merge(of_journal: Vec<RecordedRun>, of_server: Vec<RecordedRun>) -> Vec<RecordedRun> {
    let mut by_name: HashMap<_, _> = of_server.into_iter().map(|run| (run.head.run.clone(), run)).collect();
    let mut runs: Vec<RecordedRun> = of_journal
        .into_iter()
        .map(|mut run| {
            if let Some(told) = by_name.remove(&run.head.run) {
                learn(&mut run, told);
            }
            run
        })
        .collect();
    runs.extend(by_name.into_values());
    runs.sort_by(|a, b| b.head.run.cmp(&a.head.run));
    runs
}

/// Takes over what the server did of `run`.
fn learn(run: &mut RecordedRun, told: RecordedRun) {
    let done: HashMap<(String, String), ChangeResult> = told
        .changes
        .into_iter()
        .filter_map(|change| Some(((change.note.address, change.note.action), change.result?)))
        .collect();
    for change in &mut run.changes {
        let key = (change.note.address.clone(), change.note.action.clone());
        if let Some(result) = done.get(&key).filter(|result| result.fate == Fate::Done) {
            change.result = Some(result.clone());
        }
    }
    run.ended = run.ended.or(told.ended);
}
