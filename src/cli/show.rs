//! `show`: what a saved plan says. In: the file. Out: the same report that `plan` gave. It refuses to ask
//! any server, and to vouch for the file: what it says is what was saved.

use std::path::PathBuf;

use clap::Args;
use tracing::Level;

use crate::report::{Paint, saved::Shown, text};

use super::{CommandResult, Exit, Failure, Global, log, output, plan::Format, reviewed};

/// Shows a saved plan
#[derive(Debug, Args)]
pub(super) struct ShowCommand {
    /// The file that `plan --out` wrote
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Form on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
}

impl ShowCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not whole, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        let saved = reviewed::open(&self.plan, global)?;
        let shown = saved.shown().map_err(reviewed::refused)?;
        match self.format {
            Format::Json => output::write(saved.text())?,
            Format::Text => show_text(&shown, global)?,
        }
        for (target, why) in &shown.errors {
            output::note(&format!("error: {target}: {why}"));
        }
        for (target, why) in &shown.refusals {
            output::note(&format!("apply was refused on {target}: {why}"));
        }
        output::note(&format!("digest sha256:{}, valid until {}", saved.digest, saved.valid_until));
        Ok(Exit::Done)
    }
}

fn show_text(shown: &Shown, global: &Global) -> Result<(), Failure> {
    let paint = Paint { colour: output::colour(global.color, &std::io::stdout()) };
    let mut out = String::new();
    for plan in &shown.plans {
        if !out.is_empty() {
            out.push('\n');
        }
        text::plan(plan, paint, &mut out)?;
    }
    Ok(output::write(&out)?)
}
