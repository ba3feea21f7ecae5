//! In: the content of one journal file. Out: the run that it tells of, or the line that no run could have
//! written. A last line without its end is what a crash leaves behind: it counts as not written. It
//! refuses to know other files.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{
    TokenId,
    run::{Fate, RecordedChange, RecordedRun, Settled},
};

use super::record::{Begun, FORMAT_VERSION, Record};

/// What a journal file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFile {
    /// The run.
    pub run: RecordedRun,
    /// What the run knew of deadlines that earlier runs had set.
    pub deadlines: BTreeMap<TokenId, Timestamp>,
    /// What the run found out of an earlier one that was interrupted.
    pub settled: Vec<Settled>,
}

/// A line of a journal file that no run could have written.
#[derive(Debug, thiserror::Error)]
#[error("the journal file `{file}` is damaged at line {line}: {problem}")]
pub struct BadJournal {
    file: String,
    line: usize,
    problem: &'static str,
    #[source]
    cause: Option<serde_json::Error>,
}

impl JournalFile {
    /// Reads `content`, that of the file `name`; nothing when the run had not even begun.
    ///
    /// # Errors
    ///
    /// When a whole line is no record, or one that cannot stand there.
    pub fn read(name: &str, content: &[u8]) -> Result<Option<Self>, BadJournal> {
        let mut file: Option<Self> = None;
        for (index, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if !line.ends_with(b"\n") {
                break;
            }
            let bad = |problem, cause| BadJournal { file: name.to_owned(), line: index + 1, problem, cause };
            let record =
                serde_json::from_slice(line).map_err(|cause| bad("it is no record", Some(cause)))?;
            match (&mut file, record) {
                (None, Record::Begun(begun)) => {
                    file = Some(Self::begin(*begun).map_err(|problem| bad(problem, None))?);
                }
                (Some(file), record) => file.add(record).map_err(|problem| bad(problem, None))?,
                (None, _) => return Err(bad("the run has not begun there", None)),
            }
        }
        Ok(file)
    }

    fn begin(begun: Begun) -> Result<Self, &'static str> {
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if major(&begun.format_version) != major(FORMAT_VERSION) {
            return Err("another version of tokenwarden wrote it; use that one");
        }
        Ok(Self {
            run: RecordedRun { head: begun.head, changes: Vec::new(), ended: None },
            deadlines: begun.deadlines.into_iter().map(|(id, at)| (TokenId::new(id), at)).collect(),
            settled: begun.settled,
        })
    }

    fn add(&mut self, record: Record) -> Result<(), &'static str> {
        if self.run.ended.is_some() {
            return Err("the run has ended before");
        }
        match record {
            Record::Begun(_) => return Err("the run has begun before"),
            Record::Planned { change, note } => {
                if usize::try_from(change) != Ok(self.run.changes.len()) {
                    return Err("the planned changes are not in their order");
                }
                self.run.changes.push(RecordedChange { note, attempted: None, result: None });
            }
            Record::Attempted { change, at } => self.change(change)?.attempted = Some(at),
            Record::Result { change, result } => {
                let change = self.change(change)?;
                if change.attempted.is_none() {
                    return Err("the change was not attempted before");
                }
                change.result = Some(result);
            }
            Record::Ended { at } => self.run.ended = Some(at),
        }
        Ok(())
    }

    fn change(&mut self, place: u32) -> Result<&mut RecordedChange, &'static str> {
        let change = usize::try_from(place).ok().and_then(|place| self.run.changes.get_mut(place));
        change.ok_or("there is no such planned change")
    }

    /// The deadlines that stand after the run: the first one of each token that it may have set. A token
    /// that was revoked or complies again has none.
    #[must_use]
    pub fn deadlines_afterwards(&self) -> BTreeMap<TokenId, Timestamp> {
        let mut deadlines = self.deadlines.clone();
        for change in &self.run.changes {
            let may_be_done = change.is_open()
                || change.result.as_ref().is_some_and(|result| result.fate != Fate::Failed);
            let Some(id) = change.note.address.strip_prefix("token/").filter(|_| may_be_done) else {
                continue;
            };
            match (change.note.action.as_str(), change.note.deadline) {
                ("revoke" | "unmark", _) => {
                    deadlines.remove(&TokenId::new(id));
                }
                (_, Some(deadline)) => {
                    let first = deadlines.entry(TokenId::new(id)).or_insert(deadline);
                    *first = deadline.min(*first);
                }
                (_, None) => {}
            }
        }
        deadlines
    }
}
