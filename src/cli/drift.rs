//! `drift`: did somebody change a target? In: the policy, and the targets as they are. Out: what is not as
//! the policy asks for although nobody changed the policy. It changes nothing.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing::Level;

use crate::plan::{Allowed, Origin, Purpose};

use super::{
    CommandResult, Exit, Global,
    baseline::BaselineArgs,
    files, log, output,
    plan::{self, Format},
    runtime,
    targets::{self, Against, Manner, Planned, Reach},
};

/// Shows what was changed on the targets, other than by the policy; exits with 2 when something was
#[derive(Debug, Args)]
pub(super) struct DriftCommand {
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    /// What the same state did not need at this moment comes of a date that was reached, and is no drift
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// What counts beside drift
    #[arg(long, value_enum, value_name = "ORIGIN")]
    fail_on: Vec<FailOn>,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    reach: Reach,
}

/// What counts beside drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// What comes of a date that was reached
    Time,
}

impl DriftCommand {
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
        let workspace = files::load_settings(global)?;
        let chosen = workspace.targets(global)?;
        let against = self.baseline.policies(&chosen, global)?.map_or(Against::AtHand, Against::Before);
        let manner = Manner { against, since: self.since, ..Manner::of(Purpose::Comply) };
        let planned = targets::plan(&workspace, &chosen, manner, self.reach, global).await?;
        let allowed = Allowed::new();
        match self.format {
            Format::Json => output::write(&plan::saved(&workspace, &planned, global)?)?,
            Format::Text => plan::show_text(&planned, global)?,
        }
        plan::show_obstacles(&planned, &allowed);
        let exit = planned.iter().map(|one| self.standing(one)).min().unwrap_or(Exit::Done);
        targets::close(planned).await;
        Ok(exit)
    }

    /// How the program ends for one target.
    fn standing(&self, planned: &Planned<'_>) -> Exit {
        let counts = |origin| match origin {
            Some(Origin::Drift) => true,
            Some(Origin::Time) => self.fail_on.contains(&FailOn::Time),
            Some(Origin::Policy) | None => false,
        };
        match &planned.plan {
            Err(failure) => failure.exit,
            Ok((_, plan)) if !plan.is_whole() => Exit::Error,
            Ok((_, plan)) if plan.changes.iter().any(|change| counts(change.origin)) => Exit::Pending,
            Ok(_) => Exit::Done,
        }
    }
}
