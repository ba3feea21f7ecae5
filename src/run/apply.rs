//! From plans to outcomes: what may be applied, and applying it on the record. Between the two calls a caller shows
//! the plans, and asks.

use jiff::SignedDuration;

use crate::{
    apply::{Effect, Outcome, TargetWriter, WriteError, execute},
    config::TargetDeclaration,
    inventory::Dated,
    model::Why,
    plan::{Allowed, ApprovedPlan, Change, History, Plan},
    policy::Policy,
    report::{Calls, outcome::Afterwards},
    saved::{Reviewed, document::LayerEntry},
};

use super::{
    Ending, Failure, Workspace,
    clock::{self, TooEarly},
    plan::{Planned, terms},
    session::TargetSession,
    stop::{self, Interrupted},
};

/// Plans that may be applied.
pub(crate) struct Approved<'a> {
    ready: Vec<Ready<'a>>,
    /// How the run ends because of what could not be read or seen.
    ending: Ending,
}

/// A target whose plan may be applied.
struct Ready<'a> {
    declaration: &'a TargetDeclaration,
    policy: Policy,
    history: History,
    session: TargetSession,
    approved: ApprovedPlan,
    layers: Vec<LayerEntry>,
    reviewed: Vec<Reviewed>,
}

/// What became of one target.
pub(crate) struct AppliedTarget {
    /// The plan that was applied.
    pub(crate) plan: Plan,
    /// What became of each of its changes.
    pub(crate) outcome: Outcome,
    /// What the target was found to be afterwards.
    pub(crate) afterwards: Afterwards,
    /// What was called, from reading to reading back.
    pub(crate) calls: Calls,
    /// The files that the policy was read from.
    pub(crate) layers: Vec<LayerEntry>,
    /// What became of the changes of the plan that was reviewed, when one was.
    pub(crate) reviewed: Vec<Reviewed>,
}

/// Sends every plan through the rails and the check on lockouts, all targets before the first change
/// of any. Targets that could not be read are left out and make the run end with an error.
///
/// # Errors
///
/// When one is refused: then none may be applied, and all sessions are closed.
pub(crate) async fn approve<'a>(
    planned: Vec<Planned<'a>>,
    workspace: &Workspace,
    allowed: &Allowed,
    skew: Option<SignedDuration>,
) -> Result<Approved<'a>, Failure> {
    let (mut ready, mut ending, mut refused) = (Vec::new(), Ending::Done, None::<Failure>);
    for Planned { declaration, policy, history, plan, clock, reviewed } in planned {
        let (session, plan) = match plan {
            Ok(plan) => plan,
            Err(failure) => {
                ending = ending.min(failure.ending);
                continue;
            }
        };
        if !plan.is_whole() {
            ending = ending.min(Ending::Error);
        }
        let refused_all = || Failure::new(Ending::Refused, "refused, nothing was changed anywhere");
        let approved = match clock.too_early(&plan, skew) {
            Some(early @ TooEarly::Given { .. }) => Err(Failure::new(Ending::Usage, early)),
            Some(TooEarly::Read { .. }) => Err(refused_all()),
            None if clock.refusal(&plan, skew).is_some() => Err(refused_all()),
            None => plan.approve(&declaration.rails, allowed).map_err(|_| refused_all()),
        };
        match approved {
            Ok(approved) => {
                let layers = workspace.layer_entries(declaration);
                ready.push(Ready { declaration, policy, history, session, approved, layers, reviewed });
            }
            Err(failure) => {
                session.close().await;
                // Of several the most telling one is told.
                refused = refused.into_iter().chain([failure]).min_by_key(|failure: &Failure| failure.ending);
            }
        }
    }
    let approved = Approved { ready, ending };
    match refused {
        None => Ok(approved),
        Some(failure) => Err(approved.give_up(failure).await),
    }
}

impl Approved<'_> {
    /// Whether anything is to be changed.
    #[must_use]
    pub(crate) fn has_changes(&self) -> bool {
        self.writing().next().is_some()
    }

    /// Says of every target that is to be changed when nothing keeps other runs away from it.
    pub(crate) fn say_alone(&self) {
        self.writing().for_each(|one| one.session.records.say_alone());
    }

    /// Closes all sessions; the failure for which nothing is applied, with what else the run ends for.
    pub(crate) async fn give_up(self, failure: impl Into<Failure>) -> Failure {
        for one in self.ready {
            one.session.close().await;
        }
        failure.into().or(self.ending)
    }

    fn writing(&self) -> impl Iterator<Item = &Ready<'_>> {
        self.ready.iter().filter(|one| !one.approved.plan().changes.is_empty())
    }
}

/// Applies all plans, one target after the other, and looks at each again. Returns what became of each, and how
/// the run ends for it.
///
/// # Errors
///
/// When the run was asked to stop before, or a plan has become old meanwhile: then nothing was changed.
pub(crate) async fn apply_all(approved: Approved<'_>) -> Result<(Vec<AppliedTarget>, Ending), Failure> {
    if stop::is_requested() {
        return Err(approved.give_up(Interrupted).await);
    }
    let is_old = |one: &Ready<'_>| clock::is_old(one.approved.plan().made_for, one.session.latest());
    if approved.ready.iter().any(is_old) {
        let message = "the plan became too old while it waited: nothing was changed; run it again";
        return Err(approved.give_up(Failure::new(Ending::Refused, message)).await);
    }
    let Approved { ready, mut ending } = approved;
    let mut all = Vec::with_capacity(ready.len());
    for one in ready {
        // An allocation is nothing beside an apply, and keeps the future of the whole command small.
        let applied = Box::pin(apply_one(one)).await;
        ending = ending.min(ending_of(&applied)).min(ending_of_review(&applied.reviewed));
        all.push(applied);
    }
    Ok((all, ending))
}

/// Applies one plan and looks at the target again. Without changes there is nothing to look at.
async fn apply_one(ready: Ready<'_>) -> AppliedTarget {
    let Ready { declaration, policy, history, session, approved, layers, reviewed } = ready;
    let plan = approved.plan().clone();
    let outcome = execute_recorded(&session, &approved).await;
    let afterwards = if plan.changes.is_empty() {
        Afterwards::Planned(Box::new(plan.clone()))
    } else {
        let history = History { deadlines: plan.deadlines_afterwards(&history), ..history };
        let terms = terms(declaration, &policy, &history, plan.made_for);
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
    AppliedTarget { plan, outcome, afterwards, calls, layers, reviewed }
}

/// Does what `approved` says, on the record. What cannot be recorded is not done.
async fn execute_recorded(session: &TargetSession, approved: &ApprovedPlan) -> Outcome {
    if stop::is_requested() {
        return Outcome::nothing_tried(approved, &Why::of(&WriteError::NotBegun));
    }
    let clock = || session.latest();
    let recording = match session.records.begin(&session.target, approved, &clock).await {
        Ok(recording) => recording,
        Err(failure) => {
            session.listener.failure(&failure, &approved.plan().target);
            let why = Why::of(failure.error.as_ref()).behind("the run cannot be recorded");
            return Outcome::nothing_tried(approved, &why);
        }
    };
    let plan = approved.plan();
    let progress = session.listener.progress(&plan.target, plan.changes.len());
    let mut outcome =
        execute(approved, &session.target, &Stoppable(&recording), &|_| progress.advance()).await;
    drop(progress);
    outcome.add_along(session.records.end(&session.target, &recording).await);
    outcome
}

/// A writer that begins nothing once the run was asked to stop. What was begun before is finished.
struct Stoppable<'a, W>(&'a W);

impl<W: TargetWriter> TargetWriter for Stoppable<'_, W> {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        if stop::is_requested() { Err(WriteError::NotBegun) } else { self.0.make(change).await }
    }

    fn at_most(&self) -> usize {
        self.0.at_most()
    }

    async fn make_all(&self, changes: &[&Change]) -> Vec<Result<Effect, WriteError>> {
        if stop::is_requested() {
            return changes.iter().map(|_| Err(WriteError::NotBegun)).collect();
        }
        self.0.make_all(changes).await
    }
}

/// How a run ends because of one target after applying.
fn ending_of(applied: &AppliedTarget) -> Ending {
    let AppliedTarget { outcome, afterwards, .. } = applied;
    match afterwards.is_finished() && outcome.is_whole() {
        // What was not seen, or is held back, may still be there.
        true if afterwards.is_whole() => Ending::Done,
        false if outcome.done() > 0 || stop::is_requested() => Ending::Partly,
        _ => Ending::Error,
    }
}

/// How a run ends because of what was reviewed and not made.
fn ending_of_review(reviewed: &[Reviewed]) -> Ending {
    let refused = reviewed.iter().filter(|one| one.verdict.is_refused()).count();
    match refused {
        0 => Ending::Done,
        _ if refused == reviewed.len() => Ending::Refused,
        _ => Ending::Partly,
    }
}
