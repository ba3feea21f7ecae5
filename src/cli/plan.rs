//! `plan`: what would be done on each target, as it is or as an inventory shows it. It changes nothing.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tracing::Level;

use crate::{
    config::Connection,
    model::PolicyVerdict,
    plan::Allowed,
    report::{
        self,
        compare::{Compared, verdict},
        event,
    },
    run::{
        Ending, Failure,
        clock::{TooEarly, WAY_BACK},
        offline,
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
    log,
    only::Only,
    output,
    reports::{self, Reports},
    require::RequireArgs,
    run_files::RunFiles,
    runtime,
    view::ViewArgs,
    webhook::{Webhook, WebhookArgs},
};

/// Show what would change to make the targets comply, as a dry run
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    /// Form of the plan on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    /// Exit with 2 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
    /// Save the plan to this file, for `show` and `apply`; `-` is standard output, instead of the report
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    require: RequireArgs,
    /// Plan only this part, and leave the other one out
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Only>,
    /// Plan from a snapshot of `inventory`, without network and credentials, for the time of the snapshot
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    #[command(flatten)]
    reports: Reports,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
    #[command(flatten)]
    webhook: WebhookArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl PlanCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        let files = self.reports.files(self.baseline.files(RunFiles::of_config(global), global));
        let files = self
            .out
            .iter()
            .fold(files, |files, path| files.writing(&format!("--out {}", path.display()), path, None));
        self.inventory.iter().fold(files, |files, path| files.reading("the inventory", path))
    }

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
        let webhook = self.webhook.open()?;
        let workspace = files::load_workspace(global)?;
        let chosen = workspace.targets(&global.target)?;
        let earlier = self.baseline.earlier(&chosen, global)?;
        if earlier.is_none() && self.require.said().is_some() {
            return Err(Failure::new(Ending::Usage, "`--require` needs `--baseline` or `--baseline-dir`"));
        }
        let against = earlier.as_ref().map_or(Against::Nothing, BaselinePolicies::against);
        let manner = Manner { against, ..Manner::of(self.only.into()) };
        if let Some(file) = &self.inventory {
            let planned =
                Box::pin(offline::plan(&workspace, &global.base(), file, manner, &global.target, global.now))
                    .await?;
            return Box::pin(self.show(&workspace, &[planned], earlier.as_ref(), &webhook, global, started))
                .await;
        }
        let planned =
            crate::run::plan::plan(&workspace, &chosen, manner, self.auth_command.said(), global.now).await?;
        let shown =
            Box::pin(self.show(&workspace, &planned, earlier.as_ref(), &webhook, global, started)).await;
        crate::run::plan::close(planned).await;
        shown
    }

    async fn show<S>(
        &self,
        workspace: &Workspace,
        planned: &[Planned<'_, S>],
        earlier: Option<&BaselinePolicies>,
        webhook: &Webhook,
        global: &Global,
        started: Instant,
    ) -> CommandResult {
        let allowed = Allowed::new();
        let mut run = reports::run_of(workspace, planned, &allowed, global, started);
        run.policy_verdict = earlier.map(|earlier| self.verdict(earlier, planned, run.at));
        let to_stdout = self.out.as_deref() == Some(Path::new("-"));
        match self.format {
            Format::Text if !to_stdout => format::show_plans(&run, &self.view.view(global))?,
            _ if to_stdout => format::show(Format::Json, &run, global)?,
            format => format::show(format, &run, global)?,
        }
        show_obstacles(planned, &allowed, None);
        if let Some(file) = self.out.as_ref().filter(|_| !to_stdout) {
            format::write(&global.resolve(file), Format::Json, &run, global)?;
        }
        webhook.tell(&event::refusals(&run)).await;
        self.reports.write(&run, global)?;
        let is_met = run.policy_verdict.as_ref().is_none_or(|verdict| verdict.missed().is_none());
        let standing = planned.iter().map(|one| standing(one, self.detailed_exitcode));
        Ok(standing.chain((!is_met).then_some(Ending::Pending)).min().unwrap_or(Ending::Done))
    }

    /// What the policies of `planned` come to, compared with `earlier` as of `now`.
    fn verdict<S>(
        &self,
        earlier: &BaselinePolicies,
        planned: &[Planned<'_, S>],
        now: Timestamp,
    ) -> PolicyVerdict {
        let compared: Vec<Compared> =
            planned.iter().map(|one| earlier.compared(&one.declaration.name, &one.policy, now)).collect();
        verdict(&earlier.name, &compared, self.require.said())
    }
}

/// How the program ends for one target after planning alone.
fn standing<S>(planned: &Planned<'_, S>, detailed: bool) -> Ending {
    match &planned.plan {
        Err(failure) => failure.ending,
        Ok((_, plan)) if !plan.is_whole() => Ending::Error,
        Ok((_, plan)) if detailed && !plan.changes.is_empty() => Ending::Pending,
        Ok(_) => Ending::Done,
    }
}

/// Writes to standard error what kept a plan from being made, which rails the plans would run into
/// beyond what is `allowed`, whom they would shut out, and what there is to say of waivers.
/// Clocks may be `skew` apart.
pub(super) fn show_obstacles<S>(planned: &[Planned<'_, S>], allowed: &Allowed, skew: Option<SignedDuration>) {
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
        let clocks = one.clock.refusal(plan, skew);
        if let Some(warning) = one.clock.warning().filter(|_| clocks.is_none()) {
            output::note(&format!("warning: {target}: {warning}"));
        }
        let shut_out = plan.shut_out.iter().map(ToString::to_string);
        let early = one.clock.too_early(plan, skew);
        let keeps_time =
            matches!(one.declaration.connection, Connection::Gateway(_) | Connection::Embedded { .. });
        let was_ahead =
            clocks.is_some() && one.clock.is_ahead() || matches!(early, Some(TooEarly::Read { .. }));
        let early = early.map(|early| early.to_string());
        for refusal in clocks.into_iter().chain(early).chain(refusals).chain(shut_out) {
            output::note(&format!("apply is refused on {target}: {refusal}"));
        }
        if keeps_time && was_ahead {
            output::note(&format!("note: {target}: {WAY_BACK}"));
        }
        let as_seen = if plan.is_whole() { "" } else { ", as far as could be seen" };
        for user in &plan.without_way_in {
            output::note(&format!(
                "warning: `{user}` of `break_glass` has no way in to {target} even now{as_seen}"
            ));
        }
        for user in &plan.without_lasting_way_in {
            let horizon = one.declaration.lockout.horizon;
            output::note(&format!(
                "warning: every way in that `{user}` of `break_glass` has to {target} ends within {horizon}, \
                 `lockout.horizon`: make a token that lasts longer"
            ));
        }
    }
}
