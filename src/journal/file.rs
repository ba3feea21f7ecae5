//! The run that one journal file records, or the line that no run could have written. A last line without
//! its end is what a crash leaves behind: it counts as not written.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{
    TokenId, Verb,
    run::{Fate, RecordedChange, RecordedRun, Settled},
};

use super::record::{Before, Begun, FORMAT_VERSION, Record};

/// What a journal file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFile {
    /// The run.
    pub run: RecordedRun,
    /// Grows with each run on a server; 0 when nobody counted.
    pub number: u64,
    /// What the run knew of deadlines that earlier runs had set.
    pub deadlines: BTreeMap<TokenId, Timestamp>,
    /// What the run found out of an earlier one that was interrupted.
    pub settled: Vec<Settled>,
    /// The file of the run before it on the server; `None` when there was none, or nobody noted it.
    pub before: Option<Before>,
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

impl BadJournal {
    /// The file `name` does not even say which run it is of. No run that began leaves that behind.
    pub(super) fn without_run(name: &str) -> Self {
        let problem = "it is truncated before the record of its run; restore it from a backup, or remove it";
        Self { file: name.to_owned(), line: 1, problem, cause: None }
    }
}

impl JournalFile {
    /// Reads `content`, that of the file `name`; `None` when the run had not even begun.
    ///
    /// # Errors
    ///
    /// When a whole line is not a record, or one that cannot be there.
    pub fn read(name: &str, content: &[u8]) -> Result<Option<Self>, BadJournal> {
        let mut file: Option<Self> = None;
        for (index, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if !line.ends_with(b"\n") {
                break;
            }
            let bad = |problem, cause| BadJournal { file: name.to_owned(), line: index + 1, problem, cause };
            let record =
                serde_json::from_slice(line).map_err(|cause| bad("it is not a record", Some(cause)))?;
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
            number: begun.number,
            run: RecordedRun { head: begun.head, changes: Vec::new(), ended: None },
            deadlines: begun.deadlines.into_iter().map(|(id, at)| (TokenId::new(id), at)).collect(),
            settled: begun.settled,
            before: begun.before,
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
        change.ok_or("the planned change does not exist")
    }

    /// The deadlines that stand after the run: of a mark the one that it may have set, which is later than an
    /// earlier one only when a waiver came between; of an expiry the first one. A token that was revoked or
    /// complies again has none.
    #[must_use]
    pub fn deadlines_afterwards(&self) -> BTreeMap<TokenId, Timestamp> {
        let mut deadlines = self.deadlines.clone();
        for change in &self.run.changes {
            let may_be_done =
                change.is_open() || change.result.as_ref().is_some_and(|result| result.fate != Fate::Failed);
            let Some(id) = change.note.address.strip_prefix("token/").filter(|_| may_be_done) else {
                continue;
            };
            match (change.note.verb(), change.note.deadline) {
                (Some(Verb::Revoke | Verb::Unmark), _) => {
                    deadlines.remove(&TokenId::new(id));
                }
                (Some(Verb::Mark), Some(deadline)) => {
                    deadlines.insert(TokenId::new(id), deadline);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUN: &str = concat!(
        r#"{"record":"begun","format_version":"1.7","run":"20261123T120000Z-00000001","target":"prod","#,
        r#""begun":"2026-11-23T12:00:00Z","by":"warden@ci","policy_sha256":"ab","deadlines":{"7":"2026-12-01T00:00:00Z"}}"#,
        "\n",
        r#"{"record":"planned","change":0,"address":"token/7","action":"expire","counts":{"expiries":1},"#,
        r#""deadline":"2026-12-08T00:00:00Z"}"#,
        "\n",
        r#"{"record":"planned","change":1,"address":"token/8","action":"revoke","counts":{"revocations":1}}"#,
        "\n",
        r#"{"record":"attempted","change":0,"at":"2026-11-23T12:00:01Z"}"#,
        "\n",
        r#"{"record":"result","change":0,"fate":"done","at":"2026-11-23T12:00:02Z"}"#,
        "\n",
        r#"{"record":"attempted","change":1,"at":"2026-11-23T12:00:03Z"}"#,
        "\n",
        r#"{"record":"result","change":1,"fate":"failed","at":"2026-11-23T12:00:04Z","reason":"away"}"#,
        "\n",
        r#"{"record":"ended","at":"2026-11-23T12:00:05Z"}"#,
        "\n",
    );

    fn read(text: &str) -> Result<Option<JournalFile>, String> {
        JournalFile::read("run.jsonl", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_tells_its_run_and_the_first_deadline_of_a_token_stands() {
        let file = read(RUN).unwrap().unwrap();
        assert_eq!(file.run.changes.len(), 2);
        assert_eq!(file.run.last_moment().to_string(), "2026-11-23T12:00:05Z");
        let deadlines = file.deadlines_afterwards();
        assert_eq!(deadlines[&TokenId::new("7")].to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(deadlines.len(), 1);
    }

    #[test]
    fn a_later_mark_takes_the_place_of_an_earlier_one_that_a_waiver_made_void() {
        let file = read(&RUN.replace("\"expire\"", "\"mark\"")).unwrap().unwrap();
        assert_eq!(file.deadlines_afterwards()[&TokenId::new("7")].to_string(), "2026-12-08T00:00:00Z");
    }

    #[test]
    fn a_line_that_no_run_could_have_written_is_named() {
        let cases = [
            (RUN.replace("\"begun\",", "\"begin\","), "line 1: it is not a record"),
            (RUN.replace("\"1.7\"", "\"2.0\""), "line 1: another version"),
            (
                RUN.replace("\"planned\",\"change\":1", "\"planned\",\"change\":4"),
                "line 3: the planned changes",
            ),
            (
                RUN.replace("\"attempted\",\"change\":0", "\"attempted\",\"change\":9"),
                "line 4: the planned change does not exist",
            ),
            (
                RUN.replace(
                    "{\"record\":\"attempted\",\"change\":1",
                    "{\"record\":\"attempted\",\"change\":0",
                ),
                "line 7: the change was not",
            ),
            (format!("{RUN}{RUN}"), "line 9: the run has ended"),
            (RUN.split_inclusive('\n').skip(1).collect(), "line 1: the run has not begun"),
            (RUN.replacen('\n', "\nx\n", 1), "line 2: it is not a record"),
        ];
        for (text, words) in cases {
            let said = read(&text).unwrap_err();
            assert!(said.contains("`run.jsonl`") && said.contains(words), "{said} has {words}");
        }
    }

    proptest! {
        /// A crash may cut a file anywhere.
        #[test]
        fn a_file_that_ends_anywhere_is_read_up_to_its_last_whole_line(cut in 0..RUN.len()) {
            let kept = &RUN[..cut];
            let lines = kept.matches('\n').count();
            let file = read(kept).unwrap();
            prop_assert_eq!(file.is_some(), lines > 0);
            if let Some(file) = file {
                prop_assert_eq!(file.run.changes.len(), lines.saturating_sub(1).min(2));
                prop_assert_eq!(file.run.ended, None);
            }
        }
    }
}
