//! The log on standard error, its level and its format.

use std::{
    fmt::{Debug, Result},
    io,
};

use tracing::{Level, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    field::MakeExt,
    filter::Targets,
    fmt::{
        self, MakeWriter,
        format::{self, Writer},
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    Global, LogFormat,
    log_queue::LogQueue,
    output::{self, LogLines},
};

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
    // Writing into a `String` cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
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
    let lines = fmt::layer().with_writer(writer);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match global.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text if colored => lines.with_ansi(true).boxed(),
        LogFormat::Text => {
            lines.with_ansi(false).fmt_fields(format::debug_fn(plain_field).delimited(" ")).boxed()
        }
    };
    // It fails only when a log is there already, as in tests that run several commands.
    let _ = tracing_subscriber::registry().with(layer.with_filter(shown)).try_init();
}

/// Writes a field without colours, as the library does that asks for the style of each: a third of what a line takes.
fn plain_field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> Result {
    if field.name() != "message" {
        return write!(out, "{field}={value:?}");
    }
    let message = format!("{value:?}");
    // It may repeat what somebody sent, to the terminal of somebody else.
    if message.contains(|c: char| c.is_control() && c != '\n') {
        return write!(out, "{}", message.escape_debug());
    }
    out.write_str(&message)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::FormatFields;

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
        let layer = fmt::layer().without_time().with_ansi(false).fmt_fields(fields);
        let layer = layer.with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_field_without_colours_is_written_as_the_library_does() {
        let log = || {
            tracing::info!(text = "a \"b\"\u{1b}[31m", number = 7, shown = %"c d", none = None::<u64>, "decision");
            tracing::warn!(some = Some(1_u64), "{} of two lines\nand the second", "a message");
            tracing::info!(no = true);
        };
        let ours = lines(format::debug_fn(plain_field).delimited(" "), log);
        assert_eq!(ours, lines(format::DefaultFields::new(), log));
        assert!(ours.contains("decision text=\"a \\\"b\\\"\\u{1b}[31m\" number=7 shown=c d\n"), "{ours}");
    }

    #[test]
    fn no_control_character_of_a_message_reaches_a_terminal() {
        let log = || tracing::info!("{}", "a\u{1b}]0;b\u{7}\u{9b}31m");
        let line = lines(format::debug_fn(plain_field).delimited(" "), log);
        assert!(line.ends_with("a\\u{1b}]0;b\\u{7}\\u{9b}31m\n"), "{line}");
    }
}
