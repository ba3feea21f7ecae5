//! The file of a run: its name, and what is added to it.

use std::{
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
};

use super::{JournalError, error::failed, record::Record, regular};
use crate::model::run::RunId;

/// `<run>.<target>.jsonl`: in the order of the names of the runs when they are sorted.
pub(super) fn file_name(run: &RunId, target: &str) -> String {
    format!("{run}.{target}.jsonl")
}

/// Whether a file `name` in the folder of a journal is a record or a lock.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    run_of(name).is_some() || name.strip_suffix(".lock").is_some()
}

/// The target in the name of a file of a run.
pub(super) fn target_of(name: &str) -> &str {
    name.strip_suffix(".jsonl").and_then(|name| name.split_once('.')).map_or("", |(_, target)| target)
}

/// The run of the file `name`; `None` when it is not a file of a run.
pub(super) fn run_of(name: &str) -> Option<RunId> {
    let (run, _) = name.strip_suffix(".jsonl")?.split_once('.')?;
    run.parse().ok()
}

/// The file of a run that is under way.
#[derive(Debug)]
pub struct RunFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl RunFile {
    /// Adds a record. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, record: &Record) -> Result<(), JournalError> {
        self.add_all(std::slice::from_ref(record))
    }

    /// Adds records, with one wait for the disk.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn add_all(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let lines: String = records.iter().map(Record::line).collect::<Result<_, _>>()?;
        self.write(&lines)
    }

    pub(super) fn write(&mut self, lines: &str) -> Result<(), JournalError> {
        let mut write = || {
            // What is written into a file that was taken away, nobody reads.
            if !regular::stands_at(&self.file, &self.path)? {
                return Err(io::Error::new(io::ErrorKind::NotFound, "it was removed during the run"));
            }
            self.file.write_all(lines.as_bytes())?;
            self.file.sync_data()
        };
        let written = write();
        written.map_err(failed("write", &self.path))
    }
}
