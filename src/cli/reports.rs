//! The options `--format` and `--report`: one form of a run on standard output, others in files.

use std::{
    borrow::Cow,
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Instant,
};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::{
    apply::one_line,
    model::Why,
    plan::Allowed,
    report::{
        Paint, Run, TargetRun, View, fleet, html, junit, markdown, metrics, outcome, owners,
        sarif::{self, Files},
        text,
    },
    run::{
        Failure,
        plan::Planned,
        reading::{folder_of, read_text},
        redact::redact,
        session,
        workspace::Workspace,
    },
    saved::{self, document::PlanDocument},
};

use super::{
    Global, atomic, git, output,
    run_files::{Names, RunFiles},
};

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
    pub(super) fn render(self, run: &Run<'_>, earlier: &str, global: &Global) -> Result<String, Failure> {
        Ok(match self {
            Self::Text => plain(run, Paint { colour: false })?,
            Self::Json if run.was_applied() => serde_json::to_string_pretty(&PlanDocument::of(run))? + "\n",
            Self::Json => {
                // The document is gone before its text is looked through, and the text is not copied.
                let text = serde_json::to_string_pretty(&PlanDocument::of(run))?;
                let redacted = match redact(&text) {
                    Cow::Owned(redacted) => Some(redacted),
                    Cow::Borrowed(_) => None,
                };
                // Its digest is over what is written.
                saved::seal(redacted.unwrap_or(text))
            }
            Self::Markdown => markdown::report(run, markdown::CHARACTERS_AT_MOST),
            Self::Sarif => sarif_of(run, global),
            Self::Junit => junit::report(run)?,
            Self::Html => html::report(run),
            Self::Metrics => metrics::report(run, earlier),
        })
    }
}

fn sarif_of(run: &Run<'_>, global: &Global) -> String {
    let folder = folder_of(&global.directory.join(global.config()));
    let in_repository = git::paths_in_repository(&folder, &global.directory);
    let settings = global.config().display().to_string();
    let sarif = sarif::report_of(run, Files { settings: &settings, in_repository: &in_repository });
    for what in &sarif.left_out {
        output::note(&format!("warning: the SARIF report is incomplete: {what}"));
    }
    sarif.text
}

/// The plans of a run and what became of them, for people.
fn plain(run: &Run<'_>, paint: Paint) -> Result<String, std::fmt::Error> {
    let mut shown = plans(run, &View::whole(paint))?;
    for target in &run.targets {
        if let Some(applied) = target.applied.filter(|applied| !applied.outcome.changes.is_empty()) {
            shown.push('\n');
            outcome::outcome(target.name, applied, target.calls, paint, &mut shown)?;
        }
    }
    Ok(shown)
}

fn plans(run: &Run<'_>, view: &View) -> Result<String, std::fmt::Error> {
    let mut shown = text::lead(run, view);
    for (_, plan) in run.planned() {
        if !shown.is_empty() {
            shown.push('\n');
        }
        text::shown(plan, view, &mut shown)?;
    }
    let plans: Vec<_> = run.planned().map(|(_, plan)| plan).collect();
    fleet::planned(&plans, run.unread().count(), view.paint, &mut shown)?;
    Ok(shown)
}

/// What `view` shows of every plan that there is, for people who read standard output.
///
/// # Errors
///
/// When it cannot be formatted, which no content makes happen.
pub(super) fn shown_plans(run: &Run<'_>, view: &View) -> Result<String, Failure> {
    Ok(plans(run, view)?)
}

/// Writes what `view` shows of every plan that there is to standard output, for people.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn show_plans(run: &Run<'_>, view: &View) -> Result<(), Failure> {
    Ok(output::write(&shown_plans(run, view)?)?)
}

/// What planning came to, beyond what is `allowed`, for a run that began at `started`.
pub(super) fn run_of<'a, S>(
    workspace: &Workspace,
    planned: &'a [Planned<'_, S>],
    allowed: &Allowed,
    global: &Global,
    started: Instant,
) -> Run<'a> {
    let targets = planned.iter().map(|one| {
        let plan = one.plan.as_ref().map(|(_, plan)| plan);
        let rails = plan.iter().flat_map(|plan| plan.refusals(&one.declaration.rails, allowed));
        let refusals: Vec<String> = rails.map(|refusal| refusal.to_string()).collect();
        let shut_out = plan.iter().flat_map(|plan| &plan.shut_out).map(ToString::to_string);
        TargetRun {
            name: &one.declaration.name,
            refusals: refusals.into_iter().chain(shut_out).collect(),
            plan: plan.map(|plan| &plan.view).map_err(|failure| Why::of(failure.error.as_ref())),
            applied: None,
            calls: None,
            layers: workspace.layer_entries(one.declaration),
            reviewed: &one.reviewed,
        }
    });
    assemble(targets.collect(), global, started)
}

/// The run on `targets` that began at `started`.
pub(super) fn assemble<'a>(targets: Vec<TargetRun<'a>>, global: &Global, started: Instant) -> Run<'a> {
    let planned_for = targets.iter().find_map(|target| target.plan.as_ref().ok()).map(|plan| plan.made_for);
    let at: Timestamp = planned_for.unwrap_or_else(|| session::present(global.now));
    Run { at, took: SignedDuration::try_from(started.elapsed()).ok(), policy_verdict: None, targets }
}

/// The reports that go into files.
#[derive(Debug, Args)]
pub(super) struct Reports {
    /// Also write a report to a file; may be repeated. KIND is a form of `--format`, or `owners` for a folder
    /// with a notice for each owner whose tokens end or lose something
    #[arg(long = "report", value_name = "KIND=FILE")]
    wanted: Vec<Wanted>,
}

/// One report and where it goes.
#[derive(Clone, Debug)]
struct Wanted {
    /// As it was written.
    written: String,
    kind: Kind,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Document(Format),
    Owners,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, path) =
            text.split_once('=').filter(|(_, path)| !path.is_empty()).ok_or("write it as KIND=FILE")?;
        if path == "-" {
            return Err(format!("`-` is not a file; for standard output write `--format {kind}`"));
        }
        let kind = match Format::from_str(kind, false) {
            Ok(format) => Kind::Document(format),
            Err(_) if kind == "owners" => Kind::Owners,
            Err(_) => {
                let names = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
                let names: Vec<_> = names.map(|value| value.get_name().to_owned()).collect();
                return Err(format!("unknown report `{kind}`; the reports are {}, owners", names.join(", ")));
            }
        };
        Ok(Self { written: text.to_owned(), kind, path: path.into() })
    }
}

impl Reports {
    /// What a run reads and writes that has `files` beside them.
    pub(super) fn files<'a>(&self, files: RunFiles<'a>) -> RunFiles<'a> {
        self.wanted.iter().fold(files, |files, wanted| {
            let names = matches!(wanted.kind, Kind::Owners).then_some(Names::Notices);
            files.writing(&format!("--report {}", wanted.written), &wanted.path, names)
        })
    }

    /// Writes them all, each whole or not at all. One that cannot be written does not keep the others from
    /// being written.
    ///
    /// # Errors
    ///
    /// When one could not be written: the first of these.
    pub(super) fn write(&self, run: &Run<'_>, global: &Global) -> Result<(), Failure> {
        let written = self.wanted.iter().map(|wanted| wanted.write(run, global));
        // All are tried before the first failure is looked at.
        written.collect::<Vec<_>>().into_iter().collect()
    }

    /// Writes them all once something was changed, which a report that cannot be written does not undo: standard
    /// error says so, and no report is left that tells of something else than what was done.
    pub(super) fn write_outcome(&self, run: &Run<'_>, global: &Global) {
        for wanted in &self.wanted {
            if let Err(failure) = wanted.write(run, global) {
                let fate = match wanted.discard(global) {
                    Ok(()) => "the report from before the changes was removed".to_owned(),
                    Err(error) => format!("it still shows the state before the changes: {error}"),
                };
                let why = one_line(failure.error.as_ref());
                output::note(&format!("warning: the changes were made, but {why}; {fate}"));
            }
        }
    }
}

impl Wanted {
    fn write(&self, run: &Run<'_>, global: &Global) -> Result<(), Failure> {
        let path = global.resolve(&self.path);
        match self.kind {
            Kind::Document(format) => write_document(&path, format, run, global),
            Kind::Owners => write_notices(&path, run),
        }
    }

    /// Takes away what it holds.
    fn discard(&self, global: &Global) -> io::Result<()> {
        let path = global.resolve(&self.path);
        match self.kind {
            Kind::Document(_) => atomic::discard(&path),
            Kind::Owners => {
                let notices = read_index(&path.join(owners::INDEX)).notices.into_iter();
                let names = notices.map(|notice| notice.file).filter(|name| owners::is_file_name(name));
                names.chain([owners::INDEX.to_owned()]).try_for_each(|name| atomic::discard(&path.join(name)))
            }
        }
    }
}

fn write_document(path: &Path, format: Format, run: &Run<'_>, global: &Global) -> Result<(), Failure> {
    // What is not there, or is something else, has nothing to be kept.
    let earlier = if format == Format::Metrics { read_text(path).unwrap_or_default() } else { String::new() };
    Ok(atomic::write(path, &format.render(run, &earlier, global)?)?)
}

/// The index of the notices in a folder; an empty one where there is none.
fn read_index(path: &Path) -> owners::Index {
    serde_json::from_str(&read_text(path).unwrap_or_default()).unwrap_or_default()
}

/// Writes a notice for each owner and the index of them into `folder`, and takes away the notices of the
/// index before that are not in the new one.
fn write_notices(folder: &Path, run: &Run<'_>) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(atomic::cannot(folder))?;
    let index_path = folder.join(owners::INDEX);
    let earlier = read_index(&index_path);

    let notices = owners::notices(run);
    for notice in &notices {
        atomic::write_one_of_many(&folder.join(&notice.file), &notice.text)?;
    }
    atomic::write(&index_path, &(serde_json::to_string_pretty(&owners::Index::of(&notices))? + "\n"))?;
    let kept: HashSet<&str> = notices.iter().map(|notice| notice.file.as_str()).collect();
    for entry in earlier.notices {
        // INVARIANT: nothing but a notice of this very folder is taken away, whatever the index says.
        if owners::is_file_name(&entry.file) && !kept.contains(entry.file.as_str()) {
            let path = folder.join(&entry.file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(atomic::cannot(&path)(error).into());
                }
                _ => {}
            }
        }
    }
    Ok(())
}
