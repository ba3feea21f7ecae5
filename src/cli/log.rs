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
