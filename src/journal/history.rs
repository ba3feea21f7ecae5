//! What the next run must know of the runs recorded on a target.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    model::{
        Period,
        run::{ChangeNote, Fate, RecordedResult, RecordedRun},
    },
    plan::{History, OpenChange, Spent},
};

use super::Past;

/// What the runs of `past` mean for one at `now`, UTC, whose rails look back as far as `window`.
#[must_use]
pub fn history(past: Past, window: Period, now: Timestamp) -> History {
    let mut spent = Spent::nothing(window);
    let mut open = Vec::new();
    for behind in past.lost.values() {
        spent.lose(*behind, now);
    }
    for run in past.runs {
        let elsewhere = past.elsewhere.contains(&run.head.run);
        for (place, change) in (0u32..).zip(run.changes) {
            let refused = change.has(Fate::Failed);
            match (change.result, change.attempted) {
                (Some(result), _) if result.fate.counts() => spent.add(&change.note.counts, result.at, now),
                (Some(_), _) if past.settled.contains(&(run.head.run.clone(), place)) => {}
                // What was refused may have been done all the same: an answer tells of the one who gave it.
                (result, Some(attempted)) if result.is_none() || refused => {
                    let run = run.head.run.clone();
                    let note = change.note;
                    open.push(OpenChange { run, change: place, note, attempted, refused, elsewhere });
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

/// Takes over what the server did of `run`, and along with it.
fn learn(run: &mut RecordedRun, told: RecordedRun) {
    let (along, own): (Vec<_>, Vec<_>) =
        told.changes.into_iter().partition(|change| change.note.with_token.is_some());
    let is_known = |note: &ChangeNote| {
        let mut known = run.changes.iter().map(|change| &change.note);
        known.any(|known| (&known.address, &known.action) == (&note.address, &note.action))
    };
    let (known, new): (Vec<_>, Vec<_>) = along.into_iter().partition(|change| is_known(&change.note));
    let done: HashMap<(String, String), RecordedResult> = own
        .into_iter()
        .chain(known)
        .filter_map(|change| Some(((change.note.address, change.note.action), change.result?)))
        .collect();
    for change in run.changes.iter_mut().filter(|change| change.attempted.is_some()) {
        let key = (change.note.address.clone(), change.note.action.clone());
        if let Some(result) = done.get(&key).filter(|result| result.fate == Fate::Done) {
            change.result = Some(result.clone());
        }
    }
    run.changes.extend(new);
    run.ended = run.ended.or(told.ended);
}

#[cfg(test)]
mod tests {
    use crate::model::{
        ServerIdentity,
        rails::RailClass,
        run::{ChangeNote, RecordedChange, RunHead},
    };

    use super::*;

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn change(id: u32, attempted: bool, fate: Option<Fate>) -> RecordedChange {
        let at: Timestamp = NOW.parse().unwrap();
        let note = ChangeNote {
            address: format!("token/{id}"),
            action: "revoke".to_owned(),
            counts: [(RailClass::Revocations, 1)].into(),
            deadline: None,
            scope: None,
            with_token: None,
        };
        let result = fate.map(|fate| RecordedResult { fate, at, reason: None });
        RecordedChange { note, attempted: attempted.then_some(at), result }
    }

    fn run(name: &str, changes: Vec<RecordedChange>) -> RecordedRun {
        let head = RunHead {
            server: ServerIdentity::default(),
            run: name.parse().unwrap(),
            target: "prod".to_owned(),
            begun: NOW.parse().unwrap(),
            by: "warden@ci".to_owned(),
            policy_sha256: String::new(),
        };
        RecordedRun { head, changes, ended: None }
    }

    #[test]
    fn a_run_that_two_records_tell_of_counts_once_and_what_the_server_did_is_done() {
        let of_journal = run(
            "a",
            vec![
                change(1, true, Some(Fate::Done)),
                change(2, true, None),
                change(3, true, None),
                change(4, true, Some(Fate::Failed)),
                change(5, false, None),
            ],
        );
        let of_server = run("a", vec![change(1, true, Some(Fate::Done)), change(2, true, Some(Fate::Done))]);
        let elsewhere = run("b", vec![change(9, true, Some(Fate::Done))]);
        let runs = merge(vec![of_journal], vec![of_server, elsewhere]);
        let names: Vec<_> = runs.iter().map(|run| run.head.run.as_str()).collect();
        assert_eq!(names, ["b", "a"], "the latest first");
        let past = Past { runs, ..Past::default() };
        let history = history(past, Period::days(1), NOW.parse().unwrap());
        assert_eq!(history.spent.unwrap().of(RailClass::Revocations), 3);
        let open: Vec<_> =
            history.open.iter().map(|open| (open.note.address.as_str(), open.refused)).collect();
        assert_eq!(open, [("token/3", false), ("token/4", true)]);
    }
}
