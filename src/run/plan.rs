//! The targets of a run, read and planned: plan and apply begin alike, and this is how.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    apply::one_line,
    config::{TargetDeclaration, may_share_tokens},
    inventory::{Dated, InventoryReader, ReadError, Watch},
    plan::{self, Baseline, History, Plan, Purpose, Terms},
    policy::Policy,
    run::workspace::Workspace,
    saved::{Reviewed, SavedPlan},
};

use super::{
    Failure,
    clock::ClockStanding,
    hold,
    session::{AuthCommand, TargetSession, connect},
    stop::{self, Interrupted},
};

/// How many targets are read at once. Most of the time goes into waiting for them.
pub(crate) const AT_ONCE: usize = 64;

/// What is planned, and how.
pub(crate) struct Manner {
    /// What the plans are for.
    pub(crate) purpose: Purpose,
    /// What the changes are compared with.
    pub(crate) against: Against,
    /// A moment at which the targets were as they should be; when nobody says one, the last run of which
    /// all was done.
    pub(crate) since: Option<Timestamp>,
    /// The plan that was reviewed, when the purpose is to do what it has.
    pub(crate) saved: Option<Arc<SavedPlan>>,
    /// How far the clock of a server may be wrong, when somebody says so.
    pub(crate) skew: Option<SignedDuration>,
}

/// What plans are compared with, to say of each change where it comes from.
pub(crate) enum Against {
    /// Nothing.
    Nothing,
    /// The policies at hand: then nothing comes from a change of them.
    AtHand,
    /// The policies before the change under review, in the order of the targets.
    Before(Vec<Policy>),
}

impl Manner {
    /// For `purpose`, compared with nothing.
    pub(crate) fn of(purpose: Purpose) -> Self {
        Self { purpose, against: Against::Nothing, since: None, saved: None, skew: None }
    }

    /// What the plan of the target at `index`, whose policy is `at_hand`, is compared with.
    pub(crate) fn baseline<'a>(
        &'a self,
        index: usize,
        at_hand: &'a Policy,
        since: Option<Timestamp>,
    ) -> Option<Baseline<'a>> {
        let policy = match &self.against {
            Against::Nothing => None,
            Against::AtHand => Some(at_hand),
            Against::Before(policies) => policies.get(index),
        };
        policy.map(|policy| Baseline { policy, since })
    }

    /// To do what `saved` has.
    pub(crate) fn reviewed(saved: Arc<SavedPlan>) -> Self {
        let review = Arc::clone(&saved.review);
        Self { saved: Some(saved), ..Self::of(Purpose::Reviewed(review)) }
    }
}

/// A target with its policy, read and planned. Only one that was read over a [`TargetSession`] can be changed.
pub(crate) struct Planned<'a, S = TargetSession> {
    /// What the config file says of it.
    pub(crate) declaration: &'a TargetDeclaration,
    /// What should be.
    pub(crate) policy: Policy,
    /// What earlier runs did.
    pub(crate) history: History,
    /// What would be done, with the way to do it; or why that could not be found out.
    pub(crate) plan: Result<(S, Plan), Failure>,
    /// How the clock of the server stands to ours, once all was read.
    pub(crate) clock: ClockStanding,
    /// What becomes of the changes of the plan that was reviewed, when one was.
    pub(crate) reviewed: Vec<Reviewed>,
}

/// Reads the policies of `targets`, then the targets, several at once, and plans each for the
/// moment `fixed`, or the present one. A target that cannot be read does not keep the others from being read.
/// Revoking asks no policy, and none is read for it.
///
/// # Errors
///
/// When a policy is invalid: nothing is called then.
pub(crate) async fn plan<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    manner: Manner,
    command: AuthCommand,
    fixed: Option<Timestamp>,
) -> Result<Vec<Planned<'a>>, Failure> {
    plan_each(workspace, targets, manner, command, fixed, None).await
}

/// As [`plan()`], for a run that writes: it keeps other runs away from each target until its session is
/// closed, and waits `patience` at most for one that is under way.
///
/// # Errors
///
/// When a policy is invalid: nothing is called then.
pub(crate) async fn plan_to_write<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    manner: Manner,
    command: AuthCommand,
    fixed: Option<Timestamp>,
    patience: Duration,
) -> Result<Vec<Planned<'a>>, Failure> {
    plan_each(workspace, targets, manner, command, fixed, Some(patience)).await
}

async fn plan_each<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    manner: Manner,
    command: AuthCommand,
    fixed: Option<Timestamp>,
    patience: Option<Duration>,
) -> Result<Vec<Planned<'a>>, Failure> {
    let manner = &manner;
    let policies: Vec<Policy> = match &manner.purpose {
        Purpose::Revoke(_) => targets.iter().map(|_| Policy::default()).collect(),
        _ => workspace.load_policies(targets)?,
    };
    let writes = patience.is_some();
    let reached = targets.iter().enumerate().map(|(index, &declaration)| async move {
        (index, Box::pin(connect(workspace, declaration, command, fixed)).await)
    });
    // In order only at the end: one that does not answer must not keep others from beginning.
    let mut reached: Vec<_> = stream::iter(reached).buffer_unordered(AT_ONCE).collect().await;
    reached.sort_by_key(|(index, _)| *index);
    let mut reached: Vec<_> = reached.into_iter().map(|(_, session)| session).collect();
    if let Some(patience) = patience {
        hold_all(&mut reached, patience).await;
    }
    let planned = targets.iter().zip(policies).zip(reached).enumerate().map(
        |(index, ((&declaration, policy), reached))| async move {
            let made = async {
                let mut session = reached?;
                match plan_over(&mut session, declaration, &policy, manner, index, writes).await {
                    Ok((history, plan, reviewed)) => Ok((session, history, plan, reviewed)),
                    Err(failure) => {
                        session.close().await;
                        Err(failure)
                    }
                }
            };
            let (history, plan, reviewed) = match Box::pin(made).await {
                Ok((session, history, plan, reviewed)) => (history, Ok((session, plan)), reviewed),
                Err(failure) => (History::default(), Err(failure), Vec::new()),
            };
            let clock = plan.as_ref().map_or(ClockStanding::Given, |(session, _)| session.clock());
            (index, Planned { declaration, policy, history, plan, clock, reviewed })
        },
    );
    let mut planned: Vec<_> = stream::iter(planned).buffer_unordered(AT_ONCE).collect().await;
    planned.sort_by_key(|(index, _)| *index);
    let mut planned: Vec<_> = planned.into_iter().map(|(_, planned)| planned).collect();
    if stop::is_requested() {
        close(planned).await;
        return Err(Interrupted.into());
    }
    count_together(&mut planned);
    Ok(planned)
}

/// Keeps other runs away from every server that was reached, several at once; those on one server are held
/// together or not at all.
async fn hold_all(reached: &mut [Result<TargetSession, Failure>], patience: Duration) {
    let known: Vec<_> = reached.iter().map(|session| session.as_ref().ok()).collect();
    let groups = hold::together(&known);
    let mut sessions: HashMap<usize, &mut Result<TargetSession, Failure>> =
        reached.iter_mut().enumerate().collect();
    let groups: Vec<Vec<_>> = groups
        .into_iter()
        .map(|group| group.iter().filter_map(|place| sessions.remove(place)).collect())
        .collect();
    stream::iter(groups)
        .for_each_concurrent(AT_ONCE, async |mut group: Vec<&mut Result<TargetSession, Failure>>| {
            let mut held: Vec<_> = group.iter_mut().filter_map(|session| session.as_mut().ok()).collect();
            let Err(failure) = hold::hold(&mut held, patience).await else { return };
            for session in group {
                let refused = Failure::new(failure.ending, one_line(failure.error.as_ref()));
                if let Ok(session) = mem::replace(session, Err(refused)) {
                    session.close().await;
                }
            }
        })
        .await;
}

/// Lets the rails count together what is planned for targets on one server.
fn count_together(planned: &mut [Planned<'_>]) {
    let known: Vec<_> =
        planned.iter().map(|one| one.plan.as_ref().ok().map(|(session, _)| session)).collect();
    for group in hold::together(&known) {
        let mut members: Vec<_> = planned
            .iter_mut()
            .enumerate()
            .filter(|(place, _)| group.contains(place))
            .filter_map(|(_, one)| Some((&one.declaration.connection, &mut one.plan.as_mut().ok()?.1)))
            .collect();
        let connections: Vec<_> = members.iter().map(|(connection, _)| *connection).collect();
        let mut plans: Vec<_> = members.iter_mut().map(|(_, plan)| &mut **plan).collect();
        let share = |one: usize, other: usize| match (connections.get(one), connections.get(other)) {
            (Some(one), Some(other)) => may_share_tokens(one, other),
            _ => true,
        };
        plan::count_together(&mut plans, share);
    }
}

/// Plans the target at `index`, with what earlier runs on its server did.
async fn plan_over(
    session: &mut TargetSession,
    declaration: &TargetDeclaration,
    policy: &Policy,
    manner: &Manner,
    index: usize,
    writes: bool,
) -> Result<(History, Plan, Vec<Reviewed>), Failure> {
    session.skew = manner.skew;
    let planning = plan_held(session, declaration, policy, manner, index);
    let (history, plan, reviewed) = stop::unless_requested(Box::pin(planning)).await??;
    if writes {
        session.records.say_settled(&history, &plan);
    }
    Ok((history, plan, reviewed))
}

/// As [`plan_over`], once other runs are kept away.
async fn plan_held(
    session: &TargetSession,
    declaration: &TargetDeclaration,
    policy: &Policy,
    manner: &Manner,
    index: usize,
) -> Result<(History, Plan, Vec<Reviewed>), Failure> {
    // Anyone who waited plans for the moment at which the waiting ended.
    let now = session.now();
    let history = session.records.history(&session.target, now).await?;
    let terms = terms(declaration, policy, &history, now);
    let since = match (&manner.against, manner.since) {
        (Against::Nothing, _) => None,
        (_, Some(since)) => Some(since),
        (_, None) => session.records.last_success(&session.target).await?,
    };
    // Nothing was as it should be at a moment that has not come.
    let since = since.map(|since| since.min(now));
    let (baseline, saved) = (manner.baseline(index, policy, since), manner.saved.as_deref());
    let latest = || session.latest_date();
    let progress = session.listener.reading(&declaration.name);
    let seen = || progress.advance();
    let reader = Dated::new(&session.target, &latest).telling(&seen);
    let (plan, reviewed) =
        Box::pin(plan_one(&manner.purpose, baseline.as_ref(), saved, &terms, &reader)).await?;
    Ok((history, plan, reviewed))
}

/// Ends the sessions of all targets that were planned.
pub(crate) async fn close(planned: Vec<Planned<'_>>) {
    for one in planned {
        if let Ok((session, _)) = one.plan {
            session.close().await;
        }
    }
}

/// What a plan for the target of `declaration` is made from.
pub(crate) fn terms<'a>(
    declaration: &'a TargetDeclaration,
    policy: &'a Policy,
    history: &'a History,
    now: Timestamp,
) -> Terms<'a> {
    Terms {
        target: &declaration.name,
        policy,
        lockout: &declaration.lockout,
        unsupported: declaration.unsupported,
        history,
        now,
    }
}

/// The plan of one target, and what becomes of what was reviewed.
pub(crate) async fn plan_one(
    purpose: &Purpose,
    baseline: Option<&Baseline<'_>>,
    saved: Option<&SavedPlan>,
    terms: &Terms<'_>,
    target: &impl InventoryReader,
) -> Result<(Plan, Vec<Reviewed>), ReadError> {
    match (saved, baseline) {
        (Some(saved), _) => {
            let watch = Watch::new(target, saved.tokens(terms.target).collect());
            let plan = Plan::make_for(purpose, terms, &watch).await?;
            let reviewed = saved.review(&plan, &watch.seen());
            Ok((plan, reviewed))
        }
        (None, Some(baseline)) => {
            Ok((Plan::make_against(baseline, purpose, terms, target).await?, Vec::new()))
        }
        (None, None) => Ok((Plan::make_for(purpose, terms, target).await?, Vec::new())),
    }
}
