//! The log on standard error, its level and its format.

use std::{
    cell::RefCell,
    fmt::{self, Debug, Write},
    io,
};

use jiff::Timestamp;
use tracing::{
    Level,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer, Registry,
    field::RecordFields,
    filter::Targets,
    fmt::{FormatFields, MakeWriter, format::Writer, layer, time::FormatTime},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    Global, LogFormat,
    log_queue::LogQueue,
    output::{self, LogLines},
};
use crate::world::system_time;

/// Sends the log to standard error: what is at least as grave as `usual`, and more with every `-v`.
pub(super) fn start(global: &Global, usual: Level) {
    start_with(global, usual, || LogLines);
}

/// The same for a server, which goes on when nobody reads the log. What is answered is flushed at the end.
///
/// # Errors
///
/// When the system gives no thread, or no second handle on standard error.
pub(super) fn start_apart(global: &Global, usual: Level) -> io::Result<LogQueue> {
    let notice = match global.log_format {
        LogFormat::Json => |lost| {
            let at = now();
            format!(
                r#"{{"timestamp":"{at}","level":"WARN","message":"lines of the log were lost","lost":{lost}}}"#
            )
        },
        LogFormat::Text => |lost| format!("{}  WARN lines of the log were lost lost={lost}", now()),
    };
    let queue = LogQueue::start(own_handle()?, notice)?;
    start_with(global, usual, queue.clone());
    Ok(queue)
}

/// The present moment as every line of the log begins with it, UTC.
fn now() -> String {
    let mut text = String::new();
    write_moment(&mut text, system_time());
    text
}

/// Has every line begin with the moment in which it is written.
struct Now;

impl FormatTime for Now {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        out.write_str(&now())
    }
}

/// Writes `moment` with its microseconds. A second is told once, since a busy server writes thousands of lines in it.
fn write_moment(out: &mut String, moment: Timestamp) {
    thread_local! {
        static SECOND: RefCell<(i64, String)> = RefCell::default();
    }
    SECOND.with_borrow_mut(|(second, text)| {
        if text.is_empty() || *second != moment.as_second() {
            *second = moment.as_second();
            *text = moment.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
        }
        out.push_str(text);
    });
    // Six digits, behind one that is not told.
    let microseconds = 1_000_000 + moment.subsec_microsecond();
    out.push_str(itoa::Buffer::new().format(microseconds).get(1..).unwrap_or_default());
    out.push('Z');
}

/// Standard error without its lock, which a thread that waits for a reader would keep from all others.
#[cfg(unix)]
fn own_handle() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;

    Ok(io::stderr().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn own_handle() -> io::Result<std::fs::File> {
    use std::os::windows::io::AsHandle;

    Ok(io::stderr().as_handle().try_clone_to_owned()?.into())
}

fn start_with<W>(global: &Global, usual: Level, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match (usual, global.verbose) {
        (Level::WARN, 1) => LevelFilter::INFO,
        (usual, 0) => LevelFilter::from_level(usual),
        (Level::WARN, 2) | (_, 1) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // A server in front of another one polls it; its log is about requests, not about these calls.
    let calls = if (usual, global.verbose) == (Level::INFO, 0) { LevelFilter::WARN } else { level };
    let shown = Targets::new().with_default(level).with_target("tokenwarden::http", calls);
    let colored = output::colour(global.color, &io::stderr());
    let lines = layer().with_timer(Now).with_writer(writer);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match global.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text if colored => lines.with_ansi(true).boxed(),
        LogFormat::Text => lines.with_ansi(false).fmt_fields(PlainFields).boxed(),
    };
    // It fails only when a log is there already, as in tests that run several commands.
    let _ = tracing_subscriber::registry().with(layer.with_filter(shown)).try_init();
}

/// The fields of a line without colours, as the library writes them, which asks for the style of each and formats it by
/// itself: more than half of what a line takes.
struct PlainFields;

impl<'w> FormatFields<'w> for PlainFields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line(String::with_capacity(LINE));
        fields.record(&mut line);
        out.write_str(&line.0)
    }
}

/// Room for the fields of one line, in bytes.
const LINE: usize = 256;

/// The fields of a line, divided by spaces. Writing into its `String` cannot fail.
struct Line(String);

impl Line {
    fn begin(&mut self, field: &Field) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        if !is_message(field) {
            self.0.push_str(field.name());
            self.0.push('=');
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.begin(field);
        if !is_message(field) {
            let _ = write!(self.0, "{value:?}");
            return;
        }
        let message = format!("{value:?}");
        // It may repeat what somebody sent, to the terminal of somebody else.
        if message.contains(|c: char| c.is_control() && c != '\n') {
            let _ = write!(self.0, "{}", message.escape_debug());
        } else {
            self.0.push_str(&message);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let stands_for_itself = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if is_message(field) {
            return self.record_debug(field, &format_args!("{value}"));
        }
        if !value.bytes().all(stands_for_itself) {
            return self.record_debug(field, &value);
        }
        self.begin(field);
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.begin(field);
        self.0.push_str(itoa::Buffer::new().format(value));
    }
}

fn is_message(field: &Field) -> bool {
    field.name() == "message"
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::{format::DefaultFields, time::SystemTime};

    use super::*;

    /// What is logged through it.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of `log`, whose fields `fields` writes.
    fn lines(fields: impl for<'w> FormatFields<'w> + Send + Sync + 'static, log: fn()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer().without_time().with_ansi(false).fmt_fields(fields);
        let layer = layer.with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_field_without_colours_is_written_as_the_library_does() {
        let log = || {
            tracing::info!(text = "a \"b\"\u{1b}[31m", number = 7, shown = %"c d", none = None::<u64>, "decision");
            tracing::warn!(some = Some(1_u64), "{} of two lines\nand the second", "a message");
            tracing::info!(no = true, below = -1);
            tracing::info!(text = "ä \\ \n \u{7f}", message = "plain");
        };
        let ours = lines(PlainFields, log);
        assert_eq!(ours, lines(DefaultFields::new(), log));
        assert!(ours.contains("decision text=\"a \\\"b\\\"\\u{1b}[31m\" number=7 shown=c d\n"), "{ours}");
    }

    #[test]
    fn a_line_begins_with_its_moment_in_microseconds_of_utc() {
        let written = |moment: &str| {
            let mut text = String::new();
            write_moment(&mut text, moment.parse().unwrap());
            text
        };
        for moment in
            ["2026-03-01T08:00:00.000007Z", "2026-03-01T08:00:00.120000Z", "2027-12-31T23:59:59.999999Z"]
        {
            assert_eq!(written(moment), moment);
        }
        assert_eq!(written("2026-03-01T08:00:01Z"), "2026-03-01T08:00:01.000000Z");
        let mut theirs = String::new();
        SystemTime.format_time(&mut Writer::new(&mut theirs)).unwrap();
        assert_eq!(theirs.len(), now().len(), "as the library has it: {theirs}");
    }

    #[test]
    fn no_control_character_of_a_message_reaches_a_terminal() {
        let log = || tracing::info!("{}", "a\u{1b}]0;b\u{7}\u{9b}31m");
        let line = lines(PlainFields, log);
        assert!(line.ends_with("a\\u{1b}]0;b\\u{7}\\u{9b}31m\n"), "{line}");
    }
}
