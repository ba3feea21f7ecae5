//! The person at the terminal, as a run knows them: standard error, with colour where it is wanted.

use std::{io, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    report::{self, escape},
    run::{Failure, Listener, Progress},
    yaml::{Diagnostics, Sources},
};

use super::{ColorChoice, output};

const READING: &str = "{spinner} {msg}: reading, {human_pos} tokens seen, {elapsed}";
const BEGUN: &str = "{msg} {wide_bar} {human_pos}/{human_len} changes";
const UNDER_WAY: &str = "{msg} {wide_bar} {human_pos}/{human_len} changes, {eta} left";

/// Standard error.
pub(super) struct Terminal {
    color: ColorChoice,
    /// What is under way, a line each; `None` where standard error is not a terminal that can take a line back.
    bars: MultiProgress,
}

impl Terminal {
    /// Standard error, with the colour that is chosen.
    pub(super) fn new(color: ColorChoice) -> Self {
        let bars = MultiProgress::new();
        if !output::has_cursor() {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { color, bars }
    }

    fn bar(&self, length: Option<u64>, template: &str, target: &str) -> ProgressBar {
        let bar = self.bars.add(length.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
        bar.set_style(style(template));
        bar.set_message(escape(target));
        bar
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Listener for Terminal {
    fn note(&self, text: &str) {
        self.bars.suspend(|| output::note(text));
    }

    fn mistakes(&self, diagnostics: &Diagnostics, sources: &Sources) {
        let coloured = output::colour(self.color, &io::stderr());
        let text = report::diagnostics::text(diagnostics, sources, coloured);
        self.bars.suspend(|| output::diagnostics(&text));
    }

    fn failure(&self, failure: &Failure, target: &str) {
        self.bars.suspend(|| output::failure(failure, Some(target)));
    }

    fn reading(&self, target: &str) -> Box<dyn Progress> {
        let bar = self.bar(None, READING, target);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Box::new(Bar(bar))
    }

    fn progress(&self, target: &str, changes: usize) -> Box<dyn Progress> {
        Box::new(Bar(self.bar(Some(changes as u64), BEGUN, target)))
    }
}

/// A line on standard error, when that is a terminal.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn advance(&self) {
        self.0.inc(1);
        // Before the first change nobody knows how long one takes.
        if self.0.position() == 1 && self.0.length().is_some() {
            self.0.set_style(style(UNDER_WAY));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
