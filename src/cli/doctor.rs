//! The command `doctor`: whether an installation is as it should be, on standard output.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use tracing::Level;

use crate::{
    report::escape_whole,
    run::{
        Ending,
        doctor::{Check, State, examine},
    },
};

use super::{
    CommandResult, Global,
    auth_command::AuthCommandFlag,
    files, log,
    output::{self, Form},
    run_files::RunFiles,
    runtime,
};

/// Check the servers of the config file, and this machine, for what no document tells
#[derive(Debug, Args)]
pub(super) struct DoctorCommand {
    /// An address at which Bitbucket must not be reachable from here; may be repeated
    #[arg(long, value_name = "URL")]
    around: Vec<String>,
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    format: Form,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
}

/// What was found about one target.
#[derive(Serialize)]
struct Examined<'a> {
    target: &'a str,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Report<'a> {
    format_version: &'static str,
    targets: Vec<Examined<'a>>,
}

impl DoctorCommand {
    /// What it reads.
    #[expect(clippy::unused_self, reason = "every command says it alike")]
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        RunFiles::of_config(global)
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the config file is invalid, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::ERROR);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let workspace = files::load_workspace(global)?;
        let mut targets = Vec::new();
        for declaration in workspace.targets(&global.target)? {
            let checks =
                Box::pin(examine(&workspace, declaration, self.auth_command.said(), &self.around)).await;
            targets.push(Examined { target: &declaration.name, checks });
        }
        let worst = targets.iter().flat_map(|one| &one.checks).map(|check| check.state).max();
        let report = match self.format {
            Form::Json => serde_json::to_string_pretty(&Report { format_version: "1.0", targets })? + "\n",
            Form::Text => output::layout().fit(&text(&targets)?),
        };
        output::write(&report)?;
        Ok(if worst == Some(State::Failure) { Ending::Error } else { Ending::Done })
    }
}

fn text(targets: &[Examined<'_>]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for Examined { target, checks } in targets {
        writeln!(text, "{target}:\n")?;
        for Check { of, state, why, advice } in checks {
            let word = match state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Failure => "FAILURE",
            };
            writeln!(text, "  {word:<8} {of:<16} {}", escape_whole(why))?;
            if let Some(advice) = advice {
                writeln!(text, "  {:<25} -> {}", "", escape_whole(advice))?;
            }
        }
        let count = |state| checks.iter().filter(|check| check.state == state).count();
        let (failures, warnings) = (count(State::Failure), count(State::Warning));
        let noun = if checks.len() == 1 { "check" } else { "checks" };
        writeln!(text, "\n{} {noun}: {failures} failed, {warnings} with a warning.\n", checks.len())?;
    }
    Ok(text)
}
