//! The command `validate`: every mistake in the config file and its layers, or in policy files on their
//! own, on standard output. It needs no network.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use clap::Args;
use jiff::Timestamp;

use crate::{
    policy::{Layer, Reading, read_layers},
    report,
    run::{
        Ending,
        reading::{Disk, read_regular},
        session::present,
        workspace::{Loaded, load},
    },
    yaml::{Diagnostics, Sources, Span},
};

use super::{
    CommandResult, Global,
    output::{self, Form},
    run_files::RunFiles,
};

/// Check the config file and every policy layer, and show all mistakes at once
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Policy files to check, each on its own and without a config file
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    format: Form,
}

/// Everything that was read and what is wrong with it.
struct Checked {
    now: Timestamp,
    files: usize,
    diagnostics: Diagnostics,
    sources: Sources,
}

impl Checked {
    fn add(&mut self, reading: Reading) {
        let reading = reading.judged_at(self.now);
        self.diagnostics.append(reading.diagnostics);
        self.sources.extend(reading.sources);
    }
}

impl Validate {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        let files = if self.paths.is_empty() { RunFiles::of_config(global) } else { RunFiles::new(global) };
        self.paths.iter().fold(files, |files, path| files.reading("the policy file", path))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let checked = if self.paths.is_empty() { workspace(global) } else { self.single_files(global) };
        let text = match self.format {
            Form::Text => {
                let colour = output::colour(global.color, &std::io::stdout());
                let text = report::diagnostics::text(&checked.diagnostics, &checked.sources, colour);
                let layout = output::layout_for_people().unwrap_or(report::Layout::UNBROKEN);
                layout.fit_messages(&text)
                    + &report::diagnostics::summary(&checked.diagnostics, checked.files)
                    + "\n"
            }
            Form::Json => {
                let document = report::diagnostics::document(&checked.diagnostics, checked.files);
                serde_json::to_string_pretty(&document)? + "\n"
            }
        };
        output::write(&text)?;
        Ok(if checked.diagnostics.have_errors() { Ending::Invalid } else { Ending::Done })
    }

    fn single_files(&self, global: &Global) -> Checked {
        let paths: BTreeSet<&PathBuf> = self.paths.iter().collect();
        let mut checked = Checked {
            now: present(global.now),
            files: paths.len(),
            diagnostics: Diagnostics::default(),
            sources: Sources::new(),
        };
        for path in paths {
            let shown = path.display().to_string();
            match read_regular(&global.directory.join(path)) {
                Ok(bytes) => {
                    let layer = Layer::read(shown.into(), &bytes);
                    checked.add(read_layers(&[&layer]));
                }
                Err(problem) => {
                    let whole = Span::of_file(&Arc::from(shown.as_str()));
                    checked.diagnostics.push(problem.at(&whole, "", &shown));
                }
            }
        }
        checked
    }
}

fn workspace(global: &Global) -> Checked {
    let Loaded { policies, layers, diagnostics, sources, .. } = load(&global.base(), &Disk);
    let mut checked = Checked { now: present(global.now), files: 1 + layers.count(), diagnostics, sources };
    for policy in &policies {
        let read = layers.of(policy);
        if read.len() == policy.len() {
            checked.add(read_layers(&read));
        } else {
            // What all say together is unknown without the one that is missing.
            for layer in read {
                checked.add(layer.by_itself());
            }
        }
    }
    checked
}
