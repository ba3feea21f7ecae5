//! The lines of a snapshot, one record each.

use std::io::{BufRead, Read as _, Seek, SeekFrom};

use serde::Deserialize;

use super::{
    super::record::{FORMAT_VERSION, Header, Record, WITH_MISSING_USERS},
    SnapshotError,
};

/// The longest line that is read, in bytes: a group with a million members.
const LINE_AT_MOST: u64 = 64 << 20;

/// A place between two lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// How many bytes lie before it.
    pub(super) byte: u64,
    /// How many lines lie before it.
    pub(super) line: u64,
}

/// The reader of them.
pub(super) struct Lines<R> {
    pub(super) input: R,
    pub(super) at: Position,
    pub(super) line: Vec<u8>,
}

/// What every version has in the first line.
#[derive(Deserialize)]
struct Versioned {
    record: String,
    format_version: String,
}

impl<R: BufRead + Seek> Lines<R> {
    /// The header, once its version is one that can be read.
    pub(super) fn header(&mut self) -> Result<Header, SnapshotError> {
        if !self.read()? {
            return Err(SnapshotError::NoHeader);
        }
        let Versioned { record, format_version } =
            serde_json::from_slice(&self.line).map_err(|_| SnapshotError::NoHeader)?;
        if record != "header" {
            return Err(SnapshotError::NoHeader);
        }
        if ![FORMAT_VERSION, WITH_MISSING_USERS].contains(&format_version.as_str()) {
            return Err(SnapshotError::Version(format_version));
        }
        match self.record()? {
            Record::Header(header) => Ok(*header),
            _ => Err(SnapshotError::NoHeader),
        }
    }

    /// The record of the next line. There always is one until the trailer.
    pub(super) fn next(&mut self) -> Result<Record<'_>, SnapshotError> {
        if self.read()? { self.record() } else { Err(SnapshotError::CutOff { lines: self.at.line }) }
    }

    pub(super) fn record(&self) -> Result<Record<'_>, SnapshotError> {
        let line = self.at.line;
        Record::read(&self.line).map_err(|cause| SnapshotError::NoRecord { line, cause })
    }

    /// Reads the next line, and returns whether there is one.
    pub(super) fn read(&mut self) -> Result<bool, SnapshotError> {
        self.line.clear();
        let mut bounded = (&mut self.input).take(LINE_AT_MOST);
        let bytes = bounded.read_until(b'\n', &mut self.line)?;
        if bytes == 0 {
            return Ok(false);
        }
        if !self.line.ends_with(b"\n") {
            return Err(if self.at.line == 0 {
                SnapshotError::NoHeader
            } else {
                SnapshotError::CutOff { lines: self.at.line }
            });
        }
        self.at = Position { byte: self.at.byte + bytes as u64, line: self.at.line + 1 };
        Ok(true)
    }

    pub(super) fn go_to(&mut self, position: Position) -> Result<(), SnapshotError> {
        self.input.seek(SeekFrom::Start(position.byte))?;
        self.at = position;
        Ok(())
    }

    pub(super) fn out_of_order(&self) -> SnapshotError {
        SnapshotError::OutOfOrder { line: self.at.line }
    }
}
