//! The command `apply`: the plan, a question, the result of each change, and whether a new look at the
//! target finds anything left. `revoke` is the same run for another purpose.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use jiff::SignedDuration;
use tokio::sync::oneshot;
use tracing::Level;

use crate::{
    config::TargetDeclaration,
    model::rails::RailClass,
    plan::Allowed,
    report::{self, Run, TargetRun, View, event, fleet, outcome},
    run::{
        Ending, Failure,
        apply::AppliedTarget,
        clock,
        plan::Manner,
        reviewed, session,
        stop::{self, Hangup},
        workspace::Workspace,
    },
    saved::{ReviewVerdict, Reviewed},
};

use super::{
    CommandResult, Global,
    auth_command::AuthCommandFlag,
    files,
    format::{self, Format},
    log,
    only::Only,
    output, plan,
    reports::{self, Reports},
    run_files::RunFiles,
    runtime,
    view::ViewArgs,
    webhook::WebhookArgs,
};

/// Reconcile the targets with the policy: show the plan, ask, apply it, and read back
#[derive(Debug, Args)]
pub(super) struct ApplyCommand {
    /// A reviewed plan that `plan --out` saved: apply only its changes, as far as the policy still asks for
    /// them, without a prompt
    #[arg(value_name = "PLAN", conflicts_with = "only")]
    plan: Option<PathBuf>,
    /// The digest that the saved plan had when it was reviewed
    #[arg(long, value_name = "SHA256", requires = "plan")]
    expect_digest: Option<String>,
    /// Apply only this part of the plan, and leave the other one out
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Only>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    view: ViewArgs,
}

/// How a run that changes something goes.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Apply without a prompt
    #[arg(long)]
    auto_approve: bool,
    /// Raise one rail for this run, e.g. revocations=41
    #[arg(long, value_name = "RAIL=COUNT", value_parser = allowance)]
    allow: Vec<(RailClass, u64)>,
    /// Accept server clocks that differ from this machine by up to TIME, e.g. 15m or 26h [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = clock::parse_length)]
    allow_clock_skew: Option<SignedDuration>,
    /// How long to wait for another run on the target, e.g. 5m [default: do not wait]
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "0s", hide_default_value = true)]
    lock_timeout: Duration,
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    pub(super) reports: Reports,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
    #[command(flatten)]
    webhook: WebhookArgs,
}

fn allowance(text: &str) -> Result<(RailClass, u64), String> {
    let known = || RailClass::ALL.map(RailClass::key).join(", ");
    let (name, count) = text.split_once('=').ok_or("write it as RAIL=COUNT")?;
    let class = RailClass::ALL.into_iter().find(|class| class.key() == name);
    let class = class.ok_or_else(|| format!("unknown rail `{name}`; the rails are {}", known()))?;
    Ok((class, count.parse().map_err(|_| format!("`{count}` is not a count"))?))
}

fn patience(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a duration; use a number and a unit (s, m, h), e.g. 5m");
    let time: SignedDuration = text.parse().map_err(|_| bad())?;
    Duration::try_from(time).map_err(|_| bad())
}

impl ApplyCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        let files = self.run.reports.files(RunFiles::of_config(global));
        self.plan.iter().fold(files, |files, path| files.reading("the saved plan", path))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the policy is invalid, a rail refuses, nobody says yes, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on_to_the_end(Hangup::Stops, self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let started = Instant::now();
        let workspace = files::load_workspace(global)?;
        let chosen = workspace.targets(&global.target)?;
        session::refuse_other_clock("apply", &chosen, global.now)?;
        let view = &self.view.view(global);
        let Some(file) = &self.plan else {
            return self
                .run
                .carry_out(&workspace, &chosen, Manner::of(self.only.into()), view, global, started)
                .await;
        };
        let saved = Arc::new(reviewed::read(file, self.expect_digest.as_deref(), &global.base())?);
        let chosen = reviewed::targets(&saved, &workspace, &chosen)?;
        self.run.carry_out(&workspace, &chosen, Manner::reviewed(saved), view, global, started).await
    }
}

impl RunArgs {
    /// Plans as `manner` says on `chosen`, shows it, asks, applies it, and looks again. What was reviewed
    /// is not asked about.
    ///
    /// # Errors
    ///
    /// When a policy is invalid, a rail refuses, nobody says yes, or standard output cannot be written.
    pub(super) async fn carry_out(
        &self,
        workspace: &Workspace,
        chosen: &[&TargetDeclaration],
        manner: Manner,
        view: &View,
        global: &Global,
        started: Instant,
    ) -> CommandResult {
        let saved = manner.saved.clone();
        if self.format != Format::Text && !self.auto_approve && saved.is_none() {
            let message = "only --format text has a prompt; other formats need --auto-approve";
            return Err(Failure::new(Ending::Usage, message));
        }
        let webhook = self.webhook.open()?;
        let patience = self.lock_timeout;
        let manner = Manner { skew: self.allow_clock_skew, ..manner };
        let planned = crate::run::plan::plan_to_write(
            workspace,
            chosen,
            manner,
            self.auth_command.said(),
            global.now,
            patience,
        )
        .await?;
        let allowed: Allowed = self.allow.iter().copied().collect();
        let run = reports::run_of(workspace, &planned, &allowed, global, started);
        let asks = saved.is_none() && !self.auto_approve;
        let foretold = self.foretell(&run, asks, view, global);
        let skew = self.allow_clock_skew;
        plan::show_obstacles(&planned, &allowed, skew);
        let checked = saved
            .as_ref()
            .map_or(Ok(()), |saved| reviewed::check_servers(saved, &planned, &*workspace.listener));
        let shown = match foretold.and_then(|shown| checked.map(|()| shown)) {
            Ok(shown) => shown,
            Err(failure) => {
                crate::run::plan::close(planned).await;
                return Err(failure);
            }
        };
        let refusals = event::refusals(&run);
        let unread: Vec<_> =
            run.unread().map(|(target, why)| (target.name.to_owned(), why.clone())).collect();
        let approved = match crate::run::apply::approve(planned, workspace, &allowed, skew).await {
            Ok(approved) => approved,
            Err(refused) => {
                output::tell(&shown);
                webhook.tell(&refusals).await;
                return Err(refused);
            }
        };
        // It may be as long as the plan, and nobody needs it any more.
        drop(shown);
        approved.say_alone();
        if approved.has_changes()
            && asks
            && let Err(refused) = ask().await
        {
            return Err(approved.give_up(refused).await);
        }
        let (applied, ending) = crate::run::apply::apply_all(approved).await?;
        let unread = unread.iter().map(|(name, why)| TargetRun::unread(name, why.clone()));
        let run = reports::assemble(applied.iter().map(told).chain(unread).collect(), global, started);
        // Whatever cannot be told: what was done is done, and the exit code says how far it went.
        let told = match self.format {
            Format::Text => shown_outcomes(&applied, global).map(|shown| output::tell(&shown)),
            format => format.render(&run, "", global).map(format::tell),
        };
        if let Err(failure) = told {
            output::failure(&failure, None);
        }
        for one in &applied {
            show_reviewed(&one.reviewed);
        }
        self.reports.write_outcome(&run, global);
        webhook.tell(&event::revocations(&run)).await;
        if stop::is_requested() {
            output::note("interrupted: changes under way were finished and recorded; run again for the rest");
        }
        Ok(ending)
    }

    /// Says what would be done, before anything is: to people on standard output, and in the reports. Answers
    /// what standard output is to hold of it when nothing is done.
    ///
    /// # Errors
    ///
    /// When a report cannot be written, or standard output although the plan `asks` for a yes.
    fn foretell(&self, run: &Run<'_>, asks: bool, view: &View, global: &Global) -> Result<String, Failure> {
        if self.format != Format::Text {
            self.reports.write(run, global)?;
            return Ok(self.format.render(run, "", global)?.into_text()?);
        }
        let shown = format::show_plans(run, view);
        if asks {
            shown?;
        } else {
            output::told(shown);
        }
        self.reports.write(run, global)?;
        Ok(String::new())
    }
}

/// Asks the person at the terminal.
///
/// # Errors
///
/// When there is none, or the answer is not `yes`.
async fn ask() -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::new(Ending::Refused, why));
    if !io::stdin().is_terminal() {
        return refuse("stdin is not a terminal; pass --auto-approve");
    }
    output::prompt("\nApply these changes? Only `yes` is accepted: ");
    let (sender, answer) = oneshot::channel();
    // A thread of its own: nothing can end the reading but an answer or the end of the process.
    thread::Builder::new().spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map(|_| line);
        // Nobody may be waiting any more.
        let _ = sender.send(read);
    })?;
    let Ok(answer) = stop::unless_requested(answer).await else {
        return refuse("interrupted and not approved, nothing was changed");
    };
    if answer??.trim() == "yes" { Ok(()) } else { refuse("not approved, nothing was changed") }
}

/// What became of each target, for people who read standard output.
fn shown_outcomes(applied: &[AppliedTarget], global: &Global) -> Result<String, Failure> {
    let paint = output::paint(global);
    let mut shown = String::new();
    for one in applied.iter().filter(|one| !one.plan.changes.is_empty()) {
        shown.push('\n');
        let applied = report::Applied { outcome: &one.outcome, afterwards: &one.afterwards };
        outcome::outcome(&one.plan.target, applied, Some(one.calls), paint, &mut shown)?;
    }
    if !shown.is_empty() {
        let all: Vec<_> = applied.iter().map(|one| (&one.outcome, &one.afterwards)).collect();
        fleet::applied(&all, paint, &mut shown)?;
    }
    Ok(output::layout().fit(&shown))
}

/// What became of one target, for reports.
fn told(applied: &AppliedTarget) -> TargetRun<'_> {
    TargetRun {
        name: &applied.plan.target,
        plan: Ok(&applied.plan.view),
        refusals: Vec::new(),
        applied: Some(report::Applied { outcome: &applied.outcome, afterwards: &applied.afterwards }),
        calls: Some(applied.calls),
        layers: applied.layers.clone(),
        reviewed: &applied.reviewed,
    }
}

/// Writes to standard error what was reviewed and not made, and why.
fn show_reviewed(reviewed: &[Reviewed]) {
    for one in reviewed.iter().filter(|one| one.verdict != ReviewVerdict::Made) {
        let label = if one.verdict.is_refused() { "refused" } else { "note" };
        output::note(&format!("{label}: {} {}: {}", one.change.verb, one.change.address, one.verdict));
    }
}
