//! Standard output and standard error, with colour where it is wanted.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

use crate::{
    report::escape_whole,
    run::{Failure, redact::redact},
    world::environment,
};

use super::ColorChoice;

/// Form of what a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// Whether to write colour to `stream`: on a terminal, unless `NO_COLOR` is set to something
/// (<https://no-color.org>).
pub(super) fn colour(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => stream.is_terminal() && !environment::is_set("NO_COLOR"),
    }
}

/// Writes `text` to standard output. A reader that went away, such as `head`, is not an error.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(redact(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `text`, which tells of what was done, to standard output. Where it cannot be written, standard error
/// says so: what was done stays done.
pub(super) fn tell(text: &str) {
    if let Err(error) = write(text) {
        note(&format!("warning: standard output could not be written: {error}"));
    }
}

/// Writes `failure` with its causes to standard error, a line each; `about` names the target, when it
/// is about one.
pub(super) fn failure(failure: &Failure, about: Option<&str>) {
    let about = about.map_or(String::new(), |target| format!("{target}: "));
    note(&format!("error: {about}{}", failure.error));
    let mut cause = failure.error.source();
    while let Some(error) = cause {
        note(&format!("  because: {error}"));
        cause = error.source();
    }
}

/// Writes a question to standard error, and stays in its line.
pub(super) fn prompt(question: &str) {
    let mut stderr = io::stderr().lock();
    // Nothing can be said when standard error is gone.
    let _ = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
}

/// Writes what is wrong with files to standard error: `text` is escaped already, and may have colour.
pub(super) fn diagnostics(text: &str) {
    // Nothing can be said when standard error is gone.
    let _ = io::stderr().lock().write_all(redact(text).as_bytes());
}

/// Standard error for a log: a line that cannot be written is lost, and changes nothing.
pub(super) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Nothing can be said when standard error is gone.
        let line_without = redact(&String::from_utf8_lossy(line)).into_owned();
        let _ = io::stderr().lock().write_all(line_without.as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines to standard error. They may hold text from anywhere: what could steer a terminal is
/// shown as an escape.
pub(super) fn note(lines: &str) {
    let mut stderr = io::stderr().lock();
    for line in redact(lines).lines() {
        // Nothing can be said when standard error is gone.
        let _ = writeln!(stderr, "{}", escape_whole(line));
    }
}
