//! `plan`: what would be done? In: the policy and the targets as they are. Out: the plan of each on
//! standard output. It changes nothing.

use clap::{Args, ValueEnum};
use tracing::Level;

use crate::{
    apply::one_line,
    plan::Allowed,
    report::{self, Paint, fleet, json::PlanDocument, text},
};

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
        let allowed = Allowed::new();
        match self.format {
            Format::Json => show_document(&document(&planned, &allowed))?,
            Format::Text => show_text(&planned, global)?,
        }
        show_obstacles(&planned, &allowed);
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

/// Every plan that there is, what would refuse it beyond what is `allowed`, and the targets that could
/// not be read.
pub(super) fn document(planned: &[Planned<'_>], allowed: &Allowed) -> PlanDocument {
    let mut document = PlanDocument::new();
    for one in planned {
        let name = &one.declaration.name;
        match &one.plan {
            Ok((_, plan)) => {
                document.add_plan(plan);
                for refusal in plan.refusals(&one.declaration.rails, allowed) {
                    document.add_refusal(name, &refusal);
                }
                for lockout in &plan.shut_out {
                    document.add_refusal(name, lockout);
                }
            }
            Err(failure) => document.add_error(name, one_line(failure.error.as_ref())),
        }
    }
    document
}

/// Writes `document` to standard output.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn show_document(document: &PlanDocument) -> Result<(), Failure> {
    Ok(output::write(&(serde_json::to_string_pretty(document)? + "\n"))?)
}

/// Writes every plan that there is to standard output, for people.
///
/// # Errors
///
/// When standard output cannot be written.
pub(super) fn show_text(planned: &[Planned<'_>], global: &Global) -> Result<(), Failure> {
    let paint = Paint { colour: output::colour(global.color, &std::io::stdout()) };
    let mut shown = String::new();
    for (_, plan) in planned.iter().filter_map(|one| one.plan.as_ref().ok()) {
        if !shown.is_empty() {
            shown.push('\n');
        }
        text::plan(plan, paint, &mut shown)?;
    }
    let plans: Vec<_> = planned.iter().filter_map(|one| Some(&one.plan.as_ref().ok()?.1)).collect();
    fleet::planned(&plans, planned.len() - plans.len(), paint, &mut shown)?;
    Ok(output::write(&shown)?)
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
