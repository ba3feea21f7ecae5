//! `apply`: make it so. In: the policy, the targets as they are, and a yes. Out: the plan, what
//! became of each change, and whether a new look at the target finds anything left.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tracing::Level;

use crate::{
    apply::{Outcome, execute, one_line},
    model::rails::RailClass,
    plan::{Allowed, ApprovedPlan, History, Plan},
    policy::{Policy, settings_file::TargetDeclaration},
    report::{Paint, fleet, outcome, outcome::Afterwards},
    target::http::CallStatistics,
};

use super::{
    CommandResult, Exit, Failure, Global, files, log, output,
    plan::{self, Format},
    runtime,
    targets::{self, Planned, Reach, Session},
};

/// Makes the targets comply: shows the plan, asks, applies it, and looks again
#[derive(Debug, Args)]
pub(super) struct ApplyCommand {
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
    /// Let this run change so many, although a rail refuses it; such as revocations=41
    #[arg(long, value_name = "RAIL=COUNT", value_parser = allowance)]
    allow: Vec<(RailClass, u64)>,
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    reach: Reach,
}

fn allowance(text: &str) -> Result<(RailClass, u64), String> {
    let known = || RailClass::ALL.map(RailClass::key).join(", ");
    let (name, count) = text.split_once('=').ok_or("write it as RAIL=COUNT")?;
    let class = RailClass::ALL.into_iter().find(|class| class.key() == name);
    let class = class.ok_or_else(|| format!("there is no rail `{name}`; the rails are {}", known()))?;
    Ok((class, count.parse().map_err(|_| format!("`{count}` is no count"))?))
}

/// A target whose plan may be applied.
struct Ready<'a> {
    declaration: &'a TargetDeclaration,
    policy: Policy,
    history: History,
    session: Session,
    approved: ApprovedPlan,
}

/// What became of one target.
struct Applied {
    plan: Plan,
    outcome: Outcome,
    afterwards: Afterwards,
    calls: CallStatistics,
}

impl ApplyCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the policy is invalid, a rail refuses, nobody says yes, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let workspace = files::load_settings(global)?;
        let chosen = workspace.targets(global)?;
        if global.now.is_some() && chosen.iter().any(|target| target.connection.server().is_some()) {
            let message =
                "--now goes with `apply` only for embedded targets: other servers have their own clock";
            return Err(Failure::new(Exit::Usage, message));
        }
        if self.format == Format::Json && !self.auto_approve {
            return Err(Failure::new(
                Exit::Usage,
                "--format json shows nothing to say yes to; add --auto-approve",
            ));
        }
        let planned = targets::plan(&workspace, &chosen, self.reach, global).await?;
        let allowed: Allowed = self.allow.iter().copied().collect();
        let mut document = plan::document(&planned, &allowed);
        if self.format == Format::Text {
            plan::show_text(&planned, global)?;
        }
        plan::show_obstacles(&planned, &allowed);
        let (ready, mut exit) = match approve(planned, &allowed, global.now).await {
            Ok(approved) => approved,
            Err(refused) => {
                if self.format == Format::Json {
                    plan::show_document(&document)?;
                }
                return Err(refused);
            }
        };
        let anything = ready.iter().any(|one| !one.approved.plan().changes.is_empty());
        if anything && let Err(refused) = self.ask() {
            close(ready).await;
            return Err(refused);
        }
        let mut applied = Vec::with_capacity(ready.len());
        for one in ready {
            let one = apply_one(one).await;
            exit = exit.min(standing(&one));
            applied.push(one);
        }
        match self.format {
            Format::Json => {
                for one in &applied {
                    document.add_outcome(&one.plan.target, &one.outcome, &one.afterwards);
                    document.add_calls(&one.plan.target, one.calls.calls, one.calls.retries);
                }
                plan::show_document(&document)?;
            }
            Format::Text => show_outcomes(&applied, global)?,
        }
        Ok(exit)
    }

    fn ask(&self) -> Result<(), Failure> {
        if self.auto_approve {
            return Ok(());
        }
        let refuse = |why: &str| Err(Failure::new(Exit::Refused, why));
        if !io::stdin().is_terminal() {
            return refuse("nobody can be asked here; approve with --auto-approve");
        }
        let mut stderr = io::stderr().lock();
        write!(stderr, "\nApply these changes? Only `yes` is taken for a yes: ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if answer.trim() == "yes" { Ok(()) } else { refuse("not approved, nothing was changed") }
    }
}

/// Writes what became of each target to standard output, for people.
fn show_outcomes(applied: &[Applied], global: &Global) -> Result<(), Failure> {
    let paint = Paint { colour: output::colour(global.color, &io::stdout()) };
    let mut shown = String::new();
    for one in applied.iter().filter(|one| !one.plan.changes.is_empty()) {
        shown.push('\n');
        outcome::outcome(&one.plan.target, &one.outcome, &one.afterwards, paint, &mut shown)?;
    }
    if !shown.is_empty() {
        let all: Vec<_> = applied.iter().map(|one| (&one.outcome, &one.afterwards)).collect();
        fleet::applied(&all, paint, &mut shown)?;
    }
    Ok(output::write(&shown)?)
}

/// Sends every plan through the rails and the check on lockouts, all targets before the first change
/// of any. Targets that could not be read are left out and make the run end with an error.
async fn approve<'a>(
    planned: Vec<Planned<'a>>,
    allowed: &Allowed,
    now: Option<Timestamp>,
) -> Result<(Vec<Ready<'a>>, Exit), Failure> {
    let (mut ready, mut exit, mut refused) = (Vec::new(), Exit::Done, None);
    for Planned { declaration, policy, history, plan } in planned {
        let (session, plan) = match plan {
            Ok(plan) => plan,
            Err(failure) => {
                exit = exit.min(failure.exit);
                continue;
            }
        };
        if !plan.is_whole() {
            exit = exit.min(Exit::Error);
        }
        let too_early = plan.latest_use.filter(|latest| now.is_some_and(|now| now < *latest));
        let approved = match too_early {
            Some(latest) => Err(Failure::new(Exit::Usage, TooEarly { target: plan.target, latest })),
            None => plan
                .approve(&declaration.rails, allowed)
                .map_err(|_| Failure::new(Exit::Refused, "refused, nothing was changed anywhere")),
        };
        match approved {
            Ok(approved) => ready.push(Ready { declaration, policy, history, session, approved }),
            Err(failure) => {
                session.close().await;
                refused = Some(failure);
            }
        }
    }
    match refused {
        None => Ok((ready, exit)),
        Some(failure) => {
            close(ready).await;
            Err(failure)
        }
    }
}

/// A run for a moment that the target has left behind would bring expiries into the past.
#[derive(Debug, thiserror::Error)]
#[error("--now lies before {latest}, when a token of `{target}` was made or used")]
struct TooEarly {
    target: String,
    latest: Timestamp,
}

/// Applies one plan and looks at the target again. Without changes there is nothing to look at.
async fn apply_one(ready: Ready<'_>) -> Applied {
    let Ready { declaration, policy, history, session, approved } = ready;
    let plan = approved.plan().clone();
    let bar = progress(&plan);
    let writer = session.target.writer(&approved);
    let outcome = execute(&approved, &session.target, &writer, &|_| bar.inc(1)).await;
    bar.finish_and_clear();
    let afterwards = if plan.changes.is_empty() {
        Afterwards::Planned(Box::new(plan.clone()))
    } else {
        let terms = targets::terms(declaration, &policy, &history, plan.made_for);
        match Plan::make(&terms, &session.target).await {
            Ok(left) => Afterwards::Planned(Box::new(left)),
            Err(error) => Afterwards::Unread(one_line(&error)),
        }
    };
    let calls = session.target.calls();
    session.close().await;
    Applied { plan, outcome, afterwards, calls }
}

/// A bar on standard error, when that is a terminal.
fn progress(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::new(plan.changes.len() as u64);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} changes, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(plan.target.clone());
    bar
}

async fn close(ready: Vec<Ready<'_>>) {
    for one in ready {
        one.session.close().await;
    }
}

/// How the program ends for one target after applying.
fn standing(applied: &Applied) -> Exit {
    let Applied { outcome, afterwards, .. } = applied;
    if outcome.is_whole() && afterwards.is_finished() {
        Exit::Done
    } else if outcome.done() > 0 {
        Exit::Partly
    } else {
        Exit::Error
    }
}
