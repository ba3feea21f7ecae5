//! The person at the terminal, as a run knows them: standard error, with colour where it is wanted.

use std::io;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    report,
    run::{Failure, Listener, Progress},
    yaml::{Diagnostics, Sources},
};

use super::{ColorChoice, output};

/// Standard error.
pub(super) struct Terminal {
    /// When it shows colour.
    pub(super) color: ColorChoice,
}

impl Listener for Terminal {
    fn note(&self, text: &str) {
        output::note(text);
    }

    fn mistakes(&self, diagnostics: &Diagnostics, sources: &Sources) {
        let coloured = output::colour(self.color, &io::stderr());
        output::diagnostics(&report::diagnostics::text(diagnostics, sources, coloured));
    }

    fn failure(&self, failure: &Failure, target: &str) {
        output::failure(failure, Some(target));
    }

    fn progress(&self, target: &str, changes: usize) -> Box<dyn Progress> {
        let bar = ProgressBar::new(changes as u64);
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} changes, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(target.to_owned());
        Box::new(Bar(bar))
    }
}

/// A bar on standard error, when that is a terminal.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn advance(&self) {
        self.0.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
