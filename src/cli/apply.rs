//! `apply`: make it so. In: the policy, the targets as they are, and a yes. Out: the plan, what
//! became of each change, and whether a new look at the target finds anything left. `revoke` is the same
//! run for another purpose.

use std::{
    collections::HashMap,
    io::{self, IsTerminal},
    mem::take,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use tokio::sync::oneshot;
use tracing::Level;

use crate::{
    apply::{Effect, Outcome, TargetWriter, WriteError, execute},
    config::TargetDeclaration,
    inventory::Dated,
    model::{Why, rails::RailClass},
    plan::{Allowed, ApprovedPlan, Change, History, Plan},
    policy::Policy,
    report::{
        self, Calls, Paint, Run, TargetRun, fleet,
        outcome::{self, Afterwards},
    },
    saved::{Reviewed, document::LayerEntry},
};

use super::{
    CommandResult, Exit, Failure, Global,
    clock::{self, TooEarly},
    files::{self, Workspace},
    log, output, plan,
    reports::{self, Format, Reports},
    reviewed,
    run_files::RunFiles,
    runtime,
    session::{self, Reach, Session},
    stop::{self, Hangup, Interrupted},
    targets::{self, Manner, Only, Planned},
};

/// Makes the targets comply: shows the plan, asks, applies it, and looks again
#[derive(Debug, Args)]
pub(super) struct ApplyCommand {
    /// A plan that was saved with `plan --out` and reviewed: of what the policy asks for now, only what it
    /// has is done, and nobody is asked
    #[arg(value_name = "PLAN", conflicts_with = "only")]
    plan: Option<PathBuf>,
    /// The digest that the saved plan had when it was reviewed
    #[arg(long, value_name = "SHA256", requires = "plan")]
    expect_digest: Option<String>,
    /// Do only this part of the plan, and leave the other one out
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Only>,
    #[command(flatten)]
    run: RunArgs,
}

/// How a run that changes something goes.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
    /// Let this run change so many, although a rail refuses it; such as revocations=41
    #[arg(long, value_name = "RAIL=COUNT", value_parser = allowance)]
    allow: Vec<(RailClass, u64)>,
    /// Go on although the clock of a server is up to so far from the one of this machine, such as 15m or 26h.
    /// Beyond ten minutes it is refused otherwise
    #[arg(long, value_name = "TIME", value_parser = clock::parse_length)]
    allow_clock_skew: Option<SignedDuration>,
    /// Wait so long for another run on the same target to end, such as 5m; otherwise it is refused at once
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = "0s", hide_default_value = true)]
    lock_timeout: Duration,
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    pub(super) reports: Reports,
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

fn patience(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no length of time; write a number and one of s, m, h, such as 5m");
    let time: SignedDuration = text.parse().map_err(|_| bad())?;
    Duration::try_from(time).map_err(|_| bad())
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
    calls: Calls,
    layers: Vec<LayerEntry>,
    reviewed: Vec<Reviewed>,
}

impl Applied {
    /// The same for reports.
    fn told(&self) -> TargetRun<'_> {
        TargetRun {
            name: &self.plan.target,
            plan: Ok(&self.plan),
            refusals: Vec::new(),
            applied: Some(report::Applied { outcome: &self.outcome, afterwards: &self.afterwards }),
            calls: Some(self.calls),
            layers: self.layers.clone(),
            reviewed: &self.reviewed,
        }
    }
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
        let chosen = workspace.targets(global)?;
        session::refuse_other_clock("apply", &chosen, global)?;
        let Some(file) = &self.plan else {
            return self
                .run
                .carry_out(&workspace, &chosen, Manner::of(self.only.into()), global, started)
                .await;
        };
        let saved = Arc::new(reviewed::read(file, self.expect_digest.as_deref(), global)?);
        let chosen = reviewed::targets(&saved, &workspace, &chosen)?;
        self.run.carry_out(&workspace, &chosen, Manner::reviewed(saved), global, started).await
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
        global: &Global,
        started: Instant,
    ) -> CommandResult {
        let saved = manner.saved.clone();
        if self.format != Format::Text && !self.auto_approve && saved.is_none() {
            let message = "only --format text shows something to say yes to; add --auto-approve";
            return Err(Failure::new(Exit::Usage, message));
        }
        let patience = self.lock_timeout;
        let manner = Manner { skew: self.allow_clock_skew, ..manner };
        let mut planned =
            targets::plan_to_write(workspace, chosen, manner, self.reach, global, patience).await?;
        let allowed: Allowed = self.allow.iter().copied().collect();
        let run = reports::run_of(workspace, &planned, &allowed, global, started);
        let asks = saved.is_none() && !self.auto_approve;
        let foretold = self.foretell(&run, asks, global);
        let skew = self.allow_clock_skew;
        plan::show_obstacles(&planned, &allowed, skew);
        let checked = saved.as_ref().map_or(Ok(()), |saved| reviewed::check_servers(saved, &planned));
        let shown = match foretold.and_then(|shown| checked.map(|()| shown)) {
            Ok(shown) => shown,
            Err(failure) => {
                targets::close(planned).await;
                return Err(failure);
            }
        };
        let unread: Vec<_> =
            run.unread().map(|(target, why)| (target.name.to_owned(), why.clone())).collect();
        let mut reviewed: HashMap<String, Vec<Reviewed>> =
            planned.iter_mut().map(|one| (one.declaration.name.clone(), take(&mut one.reviewed))).collect();
        let (ready, mut exit) = match approve(planned, &allowed, skew).await {
            Ok(approved) => approved,
            Err(refused) => {
                output::tell(&shown);
                return Err(refused);
            }
        };
        let writing = || ready.iter().filter(|one| !one.approved.plan().changes.is_empty());
        writing().for_each(|one| one.session.records.say_alone());
        if writing().next().is_some()
            && asks
            && let Err(refused) = ask().await
        {
            close(ready).await;
            return Err(refused.or(exit));
        }
        if stop::is_requested() {
            close(ready).await;
            return Err(Interrupted.into());
        }
        if ready.iter().any(|one| clock::is_old(one.approved.plan().made_for, one.session.latest())) {
            close(ready).await;
            let message = "the plan has become old: nothing was changed; make it anew";
            return Err(Failure::new(Exit::Refused, message).or(exit));
        }
        let mut applied = Vec::with_capacity(ready.len());
        for one in ready {
            let layers = workspace.layer_entries(one.declaration);
            let reviewed = reviewed.remove(&one.declaration.name).unwrap_or_default();
            // An allocation is nothing beside an apply, and keeps the future of the whole command small.
            let one = Applied { layers, reviewed, ..Box::pin(apply_one(one)).await };
            exit = exit.min(standing(&one)).min(reviewed::standing(&one.reviewed));
            applied.push(one);
        }
        let unread = unread.iter().map(|(name, why)| TargetRun::unread(name, why.clone()));
        let run =
            reports::assemble(applied.iter().map(Applied::told).chain(unread).collect(), global, started);
        // Whatever cannot be told: what was done is done, and the exit code says how far it went.
        let told = match self.format {
            Format::Text => shown_outcomes(&applied, global),
            format => format.render(&run, "", global),
        };
        match told {
            Ok(told) => output::tell(&told),
            Err(failure) => output::failure(&failure, None),
        }
        for one in &applied {
            reviewed::show(&one.reviewed);
        }
        self.reports.write_outcome(&run, global);
        if stop::is_requested() {
            output::note("interrupted: what was under way is finished and recorded; run again for the rest");
        }
        Ok(exit)
    }

    /// Says what would be done, before anything is: to people on standard output, and in the reports. Answers
    /// what standard output is to hold of it when nothing is done.
    ///
    /// # Errors
    ///
    /// When a report cannot be written, or standard output although the plan `asks` for a yes.
    fn foretell(&self, run: &Run<'_>, asks: bool, global: &Global) -> Result<String, Failure> {
        if self.format != Format::Text {
            self.reports.write(run, global)?;
            return self.format.render(run, "", global);
        }
        let plans = reports::shown_plans(run, global)?;
        if asks {
            output::write(&plans)?;
        } else {
            output::tell(&plans);
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
    let refuse = |why: &str| Err(Failure::new(Exit::Refused, why));
    if !io::stdin().is_terminal() {
        return refuse("nobody can be asked here; approve with --auto-approve");
    }
    output::prompt("\nApply these changes? Only `yes` is taken for a yes: ");
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
fn shown_outcomes(applied: &[Applied], global: &Global) -> Result<String, Failure> {
    let paint = Paint { colour: output::colour(global.color, &io::stdout()) };
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
    Ok(shown)
}

/// Sends every plan through the rails and the check on lockouts, all targets before the first change
/// of any. Targets that could not be read are left out and make the run end with an error.
async fn approve<'a>(
    planned: Vec<Planned<'a>>,
    allowed: &Allowed,
    skew: Option<SignedDuration>,
) -> Result<(Vec<Ready<'a>>, Exit), Failure> {
    let (mut ready, mut exit, mut refused) = (Vec::new(), Exit::Done, None::<Failure>);
    for Planned { declaration, policy, history, plan, clock, .. } in planned {
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
        let refused_all = || Failure::new(Exit::Refused, "refused, nothing was changed anywhere");
        let approved = match clock.too_early(&plan, skew) {
            Some(early @ TooEarly::Given { .. }) => Err(Failure::new(Exit::Usage, early)),
            Some(TooEarly::Read { .. }) => Err(refused_all()),
            None if clock.refusal(&plan, skew).is_some() => Err(refused_all()),
            None => plan.approve(&declaration.rails, allowed).map_err(|_| refused_all()),
        };
        match approved {
            Ok(approved) => ready.push(Ready { declaration, policy, history, session, approved }),
            Err(failure) => {
                session.close().await;
                // Of several the most telling one is told.
                refused = refused.into_iter().chain([failure]).min_by_key(|failure: &Failure| failure.exit);
            }
        }
    }
    match refused {
        None => Ok((ready, exit)),
        Some(failure) => {
            close(ready).await;
            Err(failure.or(exit))
        }
    }
}

/// Applies one plan and looks at the target again. Without changes there is nothing to look at.
async fn apply_one(ready: Ready<'_>) -> Applied {
    let Ready { declaration, policy, history, session, approved } = ready;
    let plan = approved.plan().clone();
    let outcome = execute_recorded(&session, &approved).await;
    let afterwards = if plan.changes.is_empty() {
        Afterwards::Planned(Box::new(plan.clone()))
    } else {
        let history = History { deadlines: plan.deadlines_afterwards(&history), ..history };
        let terms = targets::terms(declaration, &policy, &history, plan.made_for);
        let latest = || session.latest_date();
        let reader = Dated::new(&session.target, &latest);
        match stop::unless_requested(Box::pin(plan.left(&terms, &reader))).await {
            Ok(Ok(left)) => Afterwards::Planned(Box::new(left)),
            Ok(Err(error)) => Afterwards::Unread(Why::of(&error)),
            Err(_) => Afterwards::Unread(Why::own("the run was interrupted")),
        }
    };
    let calls = session.target.calls();
    let calls = Calls { sent: calls.calls, repeated: calls.retries };
    session.close().await;
    Applied { plan, outcome, afterwards, calls, layers: Vec::new(), reviewed: Vec::new() }
}

/// Does what `approved` says, on the record. What cannot be recorded is not done.
async fn execute_recorded(session: &Session, approved: &ApprovedPlan) -> Outcome {
    if stop::is_requested() {
        return Outcome::nothing_tried(approved, &Why::of(&WriteError::NotBegun));
    }
    let clock = || session.latest();
    let recording = match session.records.begin(&session.target, approved, &clock).await {
        Ok(recording) => recording,
        Err(failure) => {
            output::failure(&failure, Some(&approved.plan().target));
            let why = Why::of(failure.error.as_ref()).behind("the run cannot be recorded");
            return Outcome::nothing_tried(approved, &why);
        }
    };
    let bar = progress(approved.plan());
    let mut outcome = execute(approved, &session.target, &Stoppable(&recording), &|_| bar.inc(1)).await;
    bar.finish_and_clear();
    outcome.add_along(session.records.end(&session.target, &recording).await);
    outcome
}

/// A writer that begins nothing once the run was asked to stop. What was begun before is finished.
struct Stoppable<'a, W>(&'a W);

impl<W: TargetWriter> TargetWriter for Stoppable<'_, W> {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        if stop::is_requested() { Err(WriteError::NotBegun) } else { self.0.make(change).await }
    }
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
    match afterwards.is_finished() && outcome.is_whole() {
        // What was not seen, or is held back, may still be there.
        true if afterwards.is_whole() => Exit::Done,
        false if outcome.done() > 0 || stop::is_requested() => Exit::Partly,
        _ => Exit::Error,
    }
}
