//! What planning came to, for its reports, and the option `--report`, which writes them to files.

use std::{
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
    report::{Run, TargetRun, owners},
    run::{Failure, plan::Planned, reading::read_text, session, workspace::Workspace},
};

use super::{
    Global, atomic,
    format::{self, Format},
    output,
    run_files::{Names, RunFiles},
};

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
            Kind::Document(format) => format::write(&path, format, run, global),
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

    let mut index = owners::Index::default();
    for notice in owners::notices(run) {
        atomic::write_one_of_many(&folder.join(&notice.file), &notice.text)?;
        index.add(notice);
    }
    atomic::write(&index_path, &(serde_json::to_string_pretty(&index)? + "\n"))?;
    let kept: HashSet<&str> = index.notices.iter().map(|notice| notice.file.as_str()).collect();
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
