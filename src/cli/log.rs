//! In: how much is to be said, and in which form. Out: the log on standard error. It refuses to know
//! what is said.

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    Global, LogFormat,
    output::{self, LogLines},
};

/// Sends the log to standard error: what is at least as grave as `usual`, and more with every `-v`.
pub(super) fn start(global: &Global, usual: Level) {
    let level = match (usual, global.verbose) {
        (Level::WARN, 1) => LevelFilter::INFO,
        (usual, 0) => LevelFilter::from_level(usual),
        (Level::WARN, 2) | (_, 1) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let colored = output::colour(global.color, &std::io::stderr());
    let lines = fmt::layer().with_writer(|| LogLines);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match global.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text => lines.with_ansi(colored).boxed(),
    };
    // It fails only when a log is there already, as in tests that run several commands.
    let _ = tracing_subscriber::registry().with(layer.with_filter(level)).try_init();
}
