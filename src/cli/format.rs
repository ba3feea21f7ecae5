//! One form of a run: on standard output, or in a file.

use std::{
    fmt,
    io::{self, Write},
    mem,
    path::Path,
};

use clap::ValueEnum;

use crate::{
    report::{
        Paint, Run, View, fleet, html, junit, markdown, metrics, outcome,
        sarif::{Files, Sarif},
        text,
    },
    run::{
        Failure,
        reading::{folder_of, read_text},
        redact,
    },
    saved::{Seal, document::PlanDocument},
};

use super::{Global, atomic, git, output};

/// Form of one document about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON document, described by the schema `plan`
    Json,
    /// For a comment on a pull request, at most 32,768 characters
    Markdown,
    /// SARIF 2.1.0: each finding at the line of the policy that demands it
    Sarif,
    /// JUnit XML: a test suite for each rule, a failure for each finding
    Junit,
    /// One page for a browser, with charts
    Html,
    /// Metrics in the text format of Prometheus
    Metrics,
}

impl Format {
    /// The run in this form, without colour. `earlier` is what stands where it goes. What it has no room for is
    /// told on standard error.
    ///
    /// # Errors
    ///
    /// When it cannot be made, which no content makes happen.
    pub(super) fn render<'a>(
        self,
        run: &'a Run<'_>,
        earlier: &str,
        global: &Global,
    ) -> Result<Document<'a>, Failure> {
        let text = match self {
            Self::Text => return Ok(Document::new(|out| write!(out, "{}", whole(run)))),
            Self::Json => return Ok(json(run)),
            Self::Sarif => return Ok(sarif(run, global)),
            Self::Markdown => markdown::report(run, markdown::CHARACTERS_AT_MOST),
            Self::Junit => junit::report(run)?,
            Self::Html => html::report(run),
            Self::Metrics => metrics::report(run, earlier),
        };
        Ok(Document::new(move |out| out.write_all(text.as_bytes())))
    }
}

type WriteTo<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 'a>;

/// A run in one form. What may be long of it is made while it is written.
pub(super) struct Document<'a> {
    write: WriteTo<'a>,
    /// Whether its digest is to follow. That is over what is written, without secrets.
    is_sealed: bool,
}

impl<'a> Document<'a> {
    fn new(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + 'a) -> Self {
        Self { write: Box::new(write), is_sealed: false }
    }

    /// Writes it to `out`, without secrets, and returns `out`.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written.
    pub(super) fn write_to<W: Write>(self, out: W) -> io::Result<W> {
        if self.is_sealed {
            redact::through(Seal::new(out), self.write)?.finish()
        } else {
            redact::through(out, self.write)
        }
    }

    /// All of it, without secrets, where what it is made from does not last.
    ///
    /// # Errors
    ///
    /// When it is not text, which no content makes happen.
    pub(super) fn into_text(self) -> io::Result<String> {
        String::from_utf8(self.write_to(Vec::new())?).map_err(io::Error::other)
    }
}

fn json<'a>(run: &'a Run<'_>) -> Document<'a> {
    let document = PlanDocument::of(run);
    let is_sealed = !run.was_applied();
    let write = move |out: &mut dyn Write| {
        serde_json::to_writer_pretty(&mut *out, &document)?;
        if is_sealed { Ok(()) } else { out.write_all(b"\n") }
    };
    Document { is_sealed, ..Document::new(write) }
}

fn sarif<'a>(run: &'a Run<'_>, global: &Global) -> Document<'a> {
    let folder = folder_of(&global.directory.join(global.config()));
    let in_repository = git::paths_in_repository(&folder, &global.directory);
    let settings = global.config().display().to_string();
    let sarif = Sarif::of(run);
    for what in &sarif.left_out {
        output::note(&format!("warning: the SARIF report is incomplete: {what}"));
    }
    Document::new(move |out| sarif.write(Files { settings: &settings, in_repository: &in_repository }, out))
}

/// The plans of a run and what became of them, for people.
fn whole(run: &Run<'_>) -> impl fmt::Display {
    let paint = Paint { colour: false };
    fmt::from_fn(move |out| {
        plans(run, &View::whole(paint), out)?;
        for target in &run.targets {
            if let Some(applied) = target.applied.filter(|applied| !applied.outcome.changes.is_empty()) {
                writeln!(out)?;
                outcome::outcome(target.name, applied, target.calls, paint, out)?;
            }
        }
        Ok(())
    })
}

fn plans(run: &Run<'_>, view: &View, out: &mut impl fmt::Write) -> fmt::Result {
    let lead = text::lead(run, view);
    out.write_str(&lead)?;
    let mut is_first = lead.is_empty();
    for (_, plan) in run.planned() {
        if !mem::take(&mut is_first) {
            writeln!(out)?;
        }
        text::shown(plan, view, out)?;
    }
    let plans: Vec<_> = run.planned().map(|(_, plan)| plan).collect();
    fleet::planned(&plans, run.unread().count(), view.paint, out)
}

/// Writes what `view` shows of every plan that there is to standard output, for people.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn show_plans(run: &Run<'_>, view: &View) -> io::Result<()> {
    let shown = fmt::from_fn(|out| plans(run, view, out));
    output::stream(|out| redact::through(out, |out| write!(out, "{shown}")))
}

/// Writes `run` in the form `format` to standard output.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn show(format: Format, run: &Run<'_>, global: &Global) -> Result<(), Failure> {
    let document = format.render(run, "", global)?;
    Ok(output::stream(|out| document.write_to(out))?)
}

/// Writes `document`, which tells of what was done, to standard output; as [`output::tell`].
pub(super) fn tell(document: Document<'_>) {
    output::told(output::stream(|out| document.write_to(out)));
}

/// Makes the file at `path` hold `run` in the form `format`.
///
/// # Errors
///
/// When it cannot be written.
pub(super) fn write(path: &Path, format: Format, run: &Run<'_>, global: &Global) -> Result<(), Failure> {
    // What is not there, or is something else, has nothing to be kept.
    let earlier = if format == Format::Metrics { read_text(path).unwrap_or_default() } else { String::new() };
    let document = format.render(run, &earlier, global)?;
    Ok(atomic::stream(path, |file| document.write_to(file))?)
}
