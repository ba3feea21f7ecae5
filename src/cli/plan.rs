//! `plan`: what would be done? In: the policy and the targets as they are. Out: the plan of each on
//! standard output. It changes nothing.

use clap::{Args, ValueEnum};
use tracing::Level;

use crate::report::{self, Paint, json::PlanDocument, text};

use super::{
    CommandResult, Exit, Failure, Global, files, log, output, runtime,
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
    reach: Reach,
}

/// Form of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON document, described by the schema `plan`
    Json,
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
        let workspace = files::load_settings(global)?;
        let chosen = workspace.targets(global)?;
        let planned = targets::plan(&workspace, &chosen, self.reach, global).await?;
        let mut exit = Exit::Done;
        for one in &planned {
            exit = exit.min(standing(one, self.detailed_exitcode));
        }
        show(&planned, self.format, global)?;
        for one in planned {
            if let Ok((session, _)) = one.plan {
                session.close().await;
            }
        }
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

/// Writes every plan that there is to standard output, and what kept the others from being made
/// to standard error.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn show(planned: &[Planned<'_>], format: Format, global: &Global) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let mut document = PlanDocument::new();
            for plan in planned.iter().filter_map(|one| one.plan.as_ref().ok()) {
                document.add_plan(&plan.1);
            }
            output::write(&(serde_json::to_string_pretty(&document)? + "\n"))?;
        }
        Format::Text => {
            let paint = Paint { colour: output::colour(global.color, &std::io::stdout()) };
            let mut shown = String::new();
            for (_, plan) in planned.iter().filter_map(|one| one.plan.as_ref().ok()) {
                if !shown.is_empty() {
                    shown.push('\n');
                }
                text::plan(plan, paint, &mut shown)?;
            }
            output::write(&shown)?;
        }
    }
    for one in planned {
        if let Err(failure) = &one.plan {
            output::failure(failure, Some(&one.declaration.name));
        }
    }
    show_warnings(planned);
    show_refusals(planned);
    Ok(())
}

/// Writes to standard error which waivers ended, end soon or hold nothing.
pub(super) fn show_warnings(planned: &[Planned<'_>]) {
    for plan in planned.iter().filter_map(|one| one.plan.as_ref().ok()) {
        for warning in &plan.1.waiver_warnings {
            output::note(&format!("{}: {}", plan.1.target, report::warning::line(warning)));
        }
    }
}

/// Writes to standard error which rails the plans would run into, and whom they would shut out.
fn show_refusals(planned: &[Planned<'_>]) {
    for one in planned {
        let Ok((_, plan)) = &one.plan else { continue };
        let rails = plan.refusals(&one.declaration.rails, &crate::plan::Allowed::new());
        let refusals = rails.iter().map(ToString::to_string);
        for refusal in refusals.chain(plan.shut_out.iter().map(ToString::to_string)) {
            output::note(&format!("warning: apply would refuse this on {}: {refusal}", plan.target));
        }
        for user in &plan.without_way_in {
            let target = &plan.target;
            output::note(&format!("warning: `{user}` of `break_glass` has no way in to {target} even now"));
        }
    }
}
