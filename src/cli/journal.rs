//! The command `journal`: a table of the latest runs, or one run in full, from the journal folder and the
//! ledgers of our own servers. It changes nothing.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use tracing::Level;

use crate::{
    config::Connection,
    journal::merge,
    model::run::{RecordedRun, RunId},
    report::journal::{self, RunsDocument},
    run::{Ending, Failure, records, session},
};

use super::{CommandResult, Global, auth_command::AuthCommandFlag, files, help, log, output, runtime};

/// What runs did.
#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    #[command(after_long_help = help::JOURNAL_SHOW)]
    Show(Show),
}

/// Show the latest runs, or one of them in full
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run to show in full
    #[arg(value_name = "RUN")]
    run: Option<RunId>,
    /// How many of the latest runs of each record to show
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: u16,
    /// Form of the runs on standard output; the schema `runs` describes the JSON
    #[arg(long, value_enum, value_name = "FORM", default_value_t = RunsForm::Text)]
    format: RunsForm,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
}

/// Form of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RunsForm {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// One JSON object on a line for each run, the oldest first, for what collects logs
    Jsonl,
}

impl JournalCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a record cannot be read, there is no such run, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        let Self::Show(show) = self;
        runtime::block_on(show.work(global))
    }
}

impl Show {
    async fn work(&self, global: &Global) -> CommandResult {
        let runs = self.recorded(global).await?;
        let shown = match &self.run {
            None => runs.into_iter().take(self.limit.into()).collect(),
            Some(name) => {
                let found = runs.into_iter().find(|run| run.head.run == *name);
                let missing = || Failure::new(Ending::Error, format!("unknown run `{name}`"));
                vec![found.ok_or_else(missing)?]
            }
        };
        self.show(shown, global)?;
        Ok(Ending::Done)
    }

    /// The runs on the chosen targets that anybody keeps a record of, the latest first.
    async fn recorded(&self, global: &Global) -> Result<Vec<RecordedRun>, Failure> {
        let workspace = files::load_workspace(global)?;
        let chosen = workspace.targets(&global.target)?;
        let limit = if self.run.is_some() { usize::MAX } else { self.limit.into() };
        let mut runs = Vec::new();
        for declaration in chosen {
            let sought = records::sought(&workspace, declaration);
            let of_journal = match &workspace.journal {
                Some(folder) => folder.latest(&sought, limit)?,
                None => Vec::new(),
            };
            let keeps_ledger =
                matches!(declaration.connection, Connection::Gateway(_) | Connection::Embedded { .. });
            let mut of_server = Vec::new();
            if keeps_ledger {
                let session =
                    session::connect(&workspace, declaration, self.auth_command.said(), global.now).await?;
                if let Some(gateway) = session.target.gateway() {
                    let asked = gateway.runs(Timestamp::UNIX_EPOCH, Some(limit)).await;
                    session.close().await;
                    of_server = asked?;
                }
            }
            runs.extend(merge(of_journal, of_server));
        }
        runs.sort_by(|a, b| b.head.begun.cmp(&a.head.begun).then_with(|| b.head.run.cmp(&a.head.run)));
        // Targets on one server have one ledger.
        runs.dedup_by(|a, b| a.head.run == b.head.run);
        Ok(runs)
    }

    fn show(&self, runs: Vec<RecordedRun>, global: &Global) -> Result<(), Failure> {
        let paint = output::paint(global);
        let mut text = String::new();
        match (self.format, runs.as_slice()) {
            (RunsForm::Jsonl, runs) => {
                for run in runs.iter().rev() {
                    text += &(serde_json::to_string(run)? + "\n");
                }
            }
            (RunsForm::Json, _) => text = serde_json::to_string_pretty(&RunsDocument::new(runs))? + "\n",
            (RunsForm::Text, [run]) if self.run.is_some() => journal::run(run, paint, &mut text)?,
            (RunsForm::Text, runs) => journal::table(runs, paint, &mut text)?,
        }
        Ok(match self.format {
            RunsForm::Json | RunsForm::Jsonl => output::write(&text),
            RunsForm::Text => output::write_text(&text),
        }?)
    }
}
