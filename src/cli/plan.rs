//! `plan`: what would be done? In: the policy and the targets as they are. Out: the plan of each on
//! standard output. It changes nothing.

use std::time::Instant;

use clap::Args;
use tracing::Level;

use crate::{plan::Allowed, report};

use super::{
    CommandResult, Exit, Global, files, log, output,
    reports::{self, Format, Reports},
    runtime,
    targets::{self, Planned, Reach},
};

/// Shows what would be changed to make the targets comply, and changes nothing
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    /// Form of the plan on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    /// Exit with 2 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    reports: Reports,
    #[command(flatten)]
    reach: Reach,
}

impl PlanCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the policy is invalid or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let started = Instant::now();
        self.reports.check(global)?;
        let workspace = files::load_settings(global)?;
        let chosen = workspace.targets(global)?;
        let planned = targets::plan(&workspace, &chosen, self.reach, global).await?;
        let mut exit = Exit::Done;
        for one in &planned {
            exit = exit.min(standing(one, self.detailed_exitcode));
        }
        let allowed = Allowed::new();
        let run = reports::run_of(&planned, &allowed, global, started);
        match self.format {
            Format::Text => reports::show_plans(&run, global)?,
            format => output::write(&format.render(&run, "")?)?,
        }
        show_obstacles(&planned, &allowed);
        let written = self.reports.write(&run, global);
        for one in planned {
            if let Ok((session, _)) = one.plan {
                session.close().await;
            }
        }
        written?;
        Ok(exit)
    }
}

/// How the program ends for one target after planning alone.
fn standing(planned: &Planned<'_>, detailed: bool) -> Exit {
    match &planned.plan {
        Err(failure) => failure.exit,
        Ok((_, plan)) if !plan.is_whole() => Exit::Error,
        Ok((_, plan)) if detailed && !plan.changes.is_empty() => Exit::Pending,
        Ok(_) => Exit::Done,
    }
}

/// Writes to standard error what kept a plan from being made, which rails the plans would run into
/// beyond what is `allowed`, whom they would shut out, and what there is to say of waivers.
pub(super) fn show_obstacles(planned: &[Planned<'_>], allowed: &Allowed) {
    for one in planned {
        let target = &one.declaration.name;
        let plan = match &one.plan {
            Ok((_, plan)) => plan,
            Err(failure) => {
                output::failure(failure, Some(target));
                continue;
            }
        };
        for warning in &plan.waiver_warnings {
            output::note(&format!("{target}: {}", report::warning::line(warning)));
        }
        let rails = plan.refusals(&one.declaration.rails, allowed);
        let refusals = rails.iter().map(ToString::to_string);
        for refusal in refusals.chain(plan.shut_out.iter().map(ToString::to_string)) {
            output::note(&format!("apply is refused on {target}: {refusal}"));
        }
        for user in &plan.without_way_in {
            output::note(&format!("warning: `{user}` of `break_glass` has no way in to {target} even now"));
        }
    }
}
