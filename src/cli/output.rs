//! In: text and data of a command. Out: the same on standard output or standard error, with colour
//! where it is wanted.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

use crate::report::escape_whole;

use super::{ColorChoice, Failure};

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
        ColorChoice::Auto => {
            stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

/// Writes `text` to standard output. A reader that went away, such as `head`, is no error.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
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

/// Writes lines to standard error. They may hold text from anywhere: what could steer a terminal is
/// shown as an escape.
pub(super) fn note(lines: &str) {
    let mut stderr = io::stderr().lock();
    for line in lines.lines() {
        // Nothing can be said when standard error is gone.
        let _ = writeln!(stderr, "{}", escape_whole(line));
    }
}
