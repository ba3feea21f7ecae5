//! Recorded runs as a table, one run in full, or JSON. The text of a journal is untrusted: it may come from
//! a server, or from anyone who could write the file.

use std::{
    array,
    fmt::{self, Write},
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::model::{
    run::{Fate, RecordedChange, RecordedRun},
    schema::schema_of_output,
};

use super::{
    Paint,
    escape::{counted, escape, escape_whole},
    layout::{columns, pad},
};

/// Version of the form. It grows by 0.1 when something is added, by 1 when something is taken away.
pub const FORMAT_VERSION: &str = "1.0";

/// Recorded runs, as JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tokenwarden runs")]
pub struct RunsDocument {
    /// Version of this format.
    pub format_version: &'static str,
    /// The runs, the latest first.
    pub runs: Vec<RecordedRun>,
}

impl RunsDocument {
    /// The document of `runs`.
    #[must_use]
    pub fn new(runs: Vec<RecordedRun>) -> Self {
        Self { format_version: FORMAT_VERSION, runs }
    }
}

/// The JSON schema of [`RunsDocument`].
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<RunsDocument>()
}

/// How many changes of a run went which way.
#[derive(Default)]
struct Tally {
    done: usize,
    failed: usize,
    unknown: usize,
    not_tried: usize,
}

impl Tally {
    fn of(run: &RecordedRun) -> Self {
        let mut tally = Self::default();
        for change in &run.changes {
            match (change.result.as_ref().map(|result| result.fate), change.attempted) {
                (Some(Fate::Done | Fate::AlreadySo), _) => tally.done += 1,
                (Some(Fate::Failed), _) => tally.failed += 1,
                (Some(Fate::Unknown), _) | (None, Some(_)) => tally.unknown += 1,
                (None, None) => tally.not_tried += 1,
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.done, "done"),
            (self.failed, "failed"),
            (self.unknown, "unknown"),
            (self.not_tried, "not tried"),
        ];
        let said: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        f.write_str(if said.is_empty() { "nothing to do" } else { "" })?;
        f.write_str(&said.join(", "))
    }
}

/// Writes a table of `runs`, one a line.
///
/// # Errors
///
/// When `out` fails.
pub fn table(runs: &[RecordedRun], paint: Paint, out: &mut impl Write) -> fmt::Result {
    if runs.is_empty() {
        return writeln!(out, "No runs are recorded.");
    }
    let row = |RecordedRun { head, .. }: &RecordedRun| {
        [head.run.as_str().to_owned(), moment(head.begun), escape(&head.target), escape(&head.by)]
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    let head = ["run", "began", "target", "by"].map(str::to_owned);
    let widths: [usize; 4] = array::from_fn(|at| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(at));
        cells.map(|cell| columns(cell)).max().unwrap_or_default()
    });
    let padded = |row: &[String; 4]| -> String {
        row.iter().zip(widths).map(|(cell, width)| pad(cell, width + 2)).collect()
    };
    writeln!(out, "{}", paint.strong(&format!("{}changes", padded(&head))))?;
    for (run, row) in runs.iter().zip(&rows) {
        let end = if run.ended.is_none() { paint.changed("; not ended") } else { String::new() };
        writeln!(out, "{}{}{end}", padded(row), Tally::of(run))?;
    }
    Ok(())
}

/// Writes one run in full.
///
/// # Errors
///
/// When `out` fails.
pub fn run(run: &RecordedRun, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let head = &run.head;
    writeln!(out, "{} on {}", paint.strong(&format!("Run {}", head.run)), escape(&head.target))?;
    writeln!(out, "  began   {} by {}", moment(head.begun), escape(&head.by))?;
    match run.ended {
        Some(ended) => writeln!(out, "  ended   {}", moment(ended))?,
        None => writeln!(out, "  {}", paint.changed("has not ended: it was interrupted or is under way"))?,
    }
    writeln!(out, "  policy  {}\n", escape(&head.policy_sha256))?;
    for change in &run.changes {
        line(change, paint, out)?;
    }
    if !run.changes.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}: {}.", counted(run.changes.len(), "change"), Tally::of(run))
}

fn line(change: &RecordedChange, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let result = change.result.as_ref();
    let (word, at) = match (result, change.attempted) {
        (Some(result), _) => (result.fate.word(), moment(result.at)),
        (None, Some(attempted)) => ("unknown", moment(attempted)),
        (None, None) => ("not tried", String::new()),
    };
    let padded = format!("{word:<10}");
    let word = match result.map(|result| result.fate) {
        Some(Fate::Done | Fate::AlreadySo) => paint.added(&padded),
        Some(Fate::Failed) => paint.removed(&padded),
        Some(Fate::Unknown) | None => paint.changed(&padded),
    };
    let note = &change.note;
    let until = note.deadline.map_or(String::new(), |at| format!(" by {}", moment(at)));
    let until = note.scope.map_or(until, |scope| format!(" to {scope}"));
    writeln!(out, "  {word} {at:<20} {} {}{until}", escape(&note.action), escape(&note.address))?;
    match result.and_then(|result| result.reason.as_deref()) {
        Some(reason) => writeln!(out, "      {}", escape_whole(reason)),
        None => Ok(()),
    }
}

/// A moment in whole seconds.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
