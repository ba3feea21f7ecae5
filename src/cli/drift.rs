//! The command `drift`: what is not as the policy asks for although nobody changed the policy. It changes
//! nothing.

use std::time::Instant;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing::Level;

use crate::{
    plan::{Allowed, Origin, Purpose},
    report::event,
    run::{
        Ending,
        plan::{Against, Manner, Planned},
        workspace::Workspace,
    },
};

use super::{
    CommandResult, Global,
    auth_command::AuthCommandFlag,
    baseline::{BaselineArgs, BaselinePolicies},
    files,
    format::{self, Format},
    log, plan,
    reports::{self, Reports},
    run_files::RunFiles,
    runtime,
    view::ViewArgs,
    webhook::{Webhook, WebhookArgs},
};

/// Show what was changed on the targets other than by the policy; exit with 2 if something was
#[derive(Debug, Args)]
pub(super) struct DriftCommand {
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    /// Attribute changes that were not yet due at TIME to time, not to drift
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Also exit with 2 for these origins
    #[arg(long, value_enum, value_name = "ORIGIN")]
    fail_on: Vec<FailOn>,
    #[command(flatten)]
    reports: Reports,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
    #[command(flatten)]
    webhook: WebhookArgs,
    #[command(flatten)]
    view: ViewArgs,
}

/// Also exit with 2 for these origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Changes that became due because a date was reached
    Time,
}

impl DriftCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        self.reports.files(self.baseline.files(RunFiles::of_config(global), global))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a policy is invalid or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let started = Instant::now();
        let webhook = self.webhook.open()?;
        let workspace = files::load_workspace(global)?;
        let chosen = workspace.targets(&global.target)?;
        let earlier = self.baseline.earlier(&chosen, global)?;
        let against = earlier.as_ref().map_or(Against::AtHand, BaselinePolicies::against);
        let manner = Manner { against, since: self.since, ..Manner::of(Purpose::Comply) };
        let planned =
            crate::run::plan::plan(&workspace, &chosen, manner, self.auth_command.said(), global.now).await?;
        let shown = Box::pin(self.show(&workspace, &planned, &webhook, global, started)).await;
        crate::run::plan::close(planned).await;
        shown
    }

    async fn show(
        &self,
        workspace: &Workspace,
        planned: &[Planned<'_>],
        webhook: &Webhook,
        global: &Global,
        started: Instant,
    ) -> CommandResult {
        let allowed = Allowed::new();
        let run = reports::run_of(workspace, planned, &allowed, global, started);
        match self.format {
            Format::Text => format::show_plans(&run, &self.view.of_drift(global))?,
            format => format::show(format, &run, global)?,
        }
        plan::show_obstacles(planned, &allowed, None);
        webhook.tell(&event::drift(&run)).await;
        self.reports.write(&run, global)?;
        Ok(planned.iter().map(|one| self.standing(one)).min().unwrap_or(Ending::Done))
    }

    /// How the program ends for one target.
    fn standing(&self, planned: &Planned<'_>) -> Ending {
        let counts = |origin| match origin {
            // What may be drift counts: an invalid baseline does not tell.
            Some(Origin::Drift) | None => true,
            Some(Origin::Time) => self.fail_on.contains(&FailOn::Time),
            Some(Origin::Policy) => false,
        };
        match &planned.plan {
            Err(failure) => failure.ending,
            Ok((_, plan)) if !plan.is_whole() => Ending::Error,
            Ok((_, plan)) if plan.changes.iter().any(|change| counts(change.origin)) => Ending::Pending,
            Ok(_) => Ending::Done,
        }
    }
}
