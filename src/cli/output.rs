//! Standard output and standard error, with colour where it is wanted.

use std::io::{self, IsTerminal, StdoutLock, Write};

use clap::ValueEnum;

use crate::{
    http::HttpError,
    report::{Layout, Paint, escape_whole},
    run::{
        Failure,
        redact::{redact, text_of},
    },
    world::environment,
};

use super::{ColorChoice, Global};

/// Form of what a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// Whether to write colour to `stream`: on a terminal that has it, unless the environment wants it otherwise
/// (<https://no-color.org>, <https://bixense.com/clicolors>).
pub(super) fn colour(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if environment::is_set("NO_COLOR") => false,
        ColorChoice::Auto if is_on("CLICOLOR_FORCE").unwrap_or(false) => true,
        ColorChoice::Auto => is_on("CLICOLOR").unwrap_or(true) && stream.is_terminal() && has_cursor(),
    }
}

/// Whether the variable `name` is set to something other than 0; `None` when it is not set, or empty.
fn is_on(name: &str) -> Option<bool> {
    environment::variable(name).filter(|value| !value.is_empty()).map(|value| value != "0")
}

/// Whether terminals can do more than print line after line.
pub(super) fn has_cursor() -> bool {
    environment::variable("TERM").is_some_and(|term| !matches!(term.as_str(), "" | "dumb"))
}

/// The colour of standard output.
pub(super) fn paint(global: &Global) -> Paint {
    Paint { colour: colour(global.color, &io::stdout()) }
}

/// The layout of standard output: as wide as `COLUMNS` says, or the terminal.
pub(super) fn layout() -> Layout {
    layout_for_people().unwrap_or_default()
}

/// The same; `None` where standard output is neither a terminal nor said to have a width.
pub(super) fn layout_for_people() -> Option<Layout> {
    let said = environment::variable("COLUMNS").and_then(|columns| columns.trim().parse().ok());
    let seen = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into());
    said.filter(|columns| *columns > 0).or_else(seen).map(Layout::of_terminal)
}

/// Writes `text` for people to standard output, as wide as its [`layout`].
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn write_text(text: &str) -> io::Result<()> {
    write(&layout().fit(text))
}

/// Writes `text` to standard output. A reader that went away, such as `head`, is not an error.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn write(text: &str) -> io::Result<()> {
    stream(|mut out| out.write_all(redact(text).as_bytes()).map(|()| out))
}

/// Lets `write` write to standard output what has no secrets. A reader that went away, such as `head`, is not an
/// error.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn stream(
    write: impl FnOnce(StdoutLock<'static>) -> io::Result<StdoutLock<'static>>,
) -> io::Result<()> {
    match write(io::stdout().lock()).and_then(|mut out| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `text`, which tells of what was done, to standard output. Where it cannot be written, standard error
/// says so: what was done stays done.
pub(super) fn tell(text: &str) {
    told(write(text));
}

/// Says on standard error that standard output, which was to tell of what was done, could not be `written`.
pub(super) fn told(written: io::Result<()>) {
    if let Err(error) = written {
        note(&format!("warning: standard output could not be written: {error}"));
    }
}

/// Writes `failure` with its causes to standard error, a line each; `about` names the target, when it
/// is about one. Below a cause that says what is likely wrong, more is said with `-v` only.
pub(super) fn failure(failure: &Failure, about: Option<&str>) {
    let about = about.map_or(String::new(), |target| format!("{target}: "));
    note(&format!("error: {about}{}", failure.error));
    let is_verbose = tracing::level_filters::LevelFilter::current() >= tracing::Level::INFO;
    let mut cause = failure.error.source();
    while let Some(error) = cause {
        note(&format!("  because: {error}"));
        let is_explained = error.downcast_ref::<HttpError>().is_some_and(HttpError::is_explained);
        cause = error.source().filter(|_| is_verbose || !is_explained);
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
    let _ = io::stderr().lock().write_all(layout_of_errors().fit_messages(&redact(text)).as_bytes());
}

/// The layout of standard error. Nobody reads a pipe by columns: there a line stays as it is.
fn layout_of_errors() -> Layout {
    let seen = terminal_size::terminal_size_of(io::stderr());
    seen.map_or(Layout::UNBROKEN, |(width, _)| Layout::of_terminal(width.0.into()))
}

/// Standard error for a log: a line that cannot be written is lost, and changes nothing.
pub(super) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Nothing can be said when standard error is gone.
        let text = text_of(line);
        let without = redact(&text);
        let _ = io::stderr().lock().write_all(without.as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines to standard error, as [`note`] does, below the line where a terminal has shown the key that was pressed.
pub(super) fn note_of_a_key(lines: &str) {
    if io::stderr().is_terminal() {
        prompt("\n");
    }
    note(lines);
}

/// Writes lines to standard error. They may hold text from anywhere: what could steer a terminal is
/// shown as an escape.
pub(super) fn note(lines: &str) {
    let (layout, mut stderr) = (layout_of_errors(), io::stderr().lock());
    for line in redact(lines).lines() {
        let line = layout.fit(&escape_whole(line));
        // Nothing can be said when standard error is gone.
        let _ = writeln!(stderr, "{line}");
    }
}
