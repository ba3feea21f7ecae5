//! The command `show`: the reports on a saved plan, as `plan` gives them. It asks no server, and shows what
//! was saved without vouching for it.

use std::path::PathBuf;

use clap::Args;
use tracing::Level;

use super::{
    CommandResult, Global,
    format::{self, Format},
    log, output,
    reports::Reports,
    run_files::RunFiles,
    view::ViewArgs,
};
use crate::{
    report::Run,
    run::{Ending, reviewed},
};

/// Show a saved plan
#[derive(Debug, Args)]
pub(super) struct ShowCommand {
    /// The file that `plan --out` wrote
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Form on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    reports: Reports,
    #[command(flatten)]
    view: ViewArgs,
}

impl ShowCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        self.reports.files(RunFiles::of_config(global)).reading("the saved plan", &self.plan)
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not whole, or a report cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        let saved = reviewed::open(&self.plan, &global.base())?;
        let shown = saved.shown().map_err(reviewed::refused)?;
        let run = Run::of_shown(&shown);
        match self.format {
            Format::Json => output::write(saved.text())?,
            Format::Text => format::show_plans(&run, &self.view.view(global))?,
            format => format::show(format, &run, global)?,
        }
        for target in &run.targets {
            if let Err(why) = &target.plan {
                output::note(&format!("error: {}: {why}", target.name));
            }
            for why in &target.refusals {
                output::note(&format!("apply was refused on {}: {why}", target.name));
            }
        }
        output::note(&format!("digest sha256:{}, valid until {:.0}", saved.digest, saved.valid_until));
        self.reports.write(&run, global)?;
        Ok(Ending::Done)
    }
}
