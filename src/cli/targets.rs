//! In: the settings file and the flags. Out: targets, connected, each with its policy. It refuses
//! to know what is done with them. Plan and apply begin alike, and this is how.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    apply::one_line,
    inventory::{Dated, InventoryReader, ReadError, Watch},
    model::canonical_address,
    plan::{self, Baseline, History, Part, Plan, Purpose, Review, Terms},
    policy::{
        Policy,
        settings_file::{Auth, Connection, Server, TargetDeclaration, may_share_tokens},
    },
    report::saved::{Reviewed, SavedPlan},
    target::{
        Target,
        bitbucket::{self, Bitbucket},
        gateway::Gateway,
        http::{HttpClient, Limits},
        resolution::{self, Resolution},
    },
};

use super::{
    Exit, Failure, Global,
    clock::ClockStanding,
    credential,
    embedded::Embedded,
    files::{self, Workspace},
    hold, output,
    records::Records,
    stop::{self, Interrupted},
};

/// How many targets are read at once. Most of the time goes into waiting for them.
pub(super) const AT_ONCE: usize = 64;

/// How long `auth.command` may take where `timeout_seconds` does not say it.
const COMMAND_ENDS_WITHIN: Duration = Duration::from_secs(30);

/// What is said about reaching targets.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Reach {
    /// Run the program that `auth.command` of the settings file names
    #[arg(long)]
    allow_auth_command: bool,
}

/// The part that a run is confined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Only {
    /// The settings of the server
    Settings,
    /// The tokens that are there
    Tokens,
}

impl From<Option<Only>> for Purpose {
    fn from(only: Option<Only>) -> Self {
        match only {
            None => Self::Comply,
            Some(Only::Settings) => Self::ComplyOnly(Part::Settings),
            Some(Only::Tokens) => Self::ComplyOnly(Part::Tokens),
        }
    }
}

/// What is planned, and how.
pub(super) struct Manner {
    /// What the plans are for.
    pub(super) purpose: Purpose,
    /// What the changes are compared with.
    pub(super) against: Against,
    /// A moment at which the targets were as they should be; when nobody says one, the last run of which
    /// all was done.
    pub(super) since: Option<Timestamp>,
    /// The plan that was reviewed, when the purpose is to do what it has.
    pub(super) saved: Option<Arc<SavedPlan>>,
    /// How far the clock of a server may be wrong, when somebody says so.
    pub(super) skew: Option<SignedDuration>,
}

/// What plans are compared with, to say of each change where it comes from.
pub(super) enum Against {
    /// Nothing.
    Nothing,
    /// The policies at hand: then nothing comes from a change of them.
    AtHand,
    /// The policies before the change under review, in the order of the targets.
    Before(Vec<Policy>),
}

impl Manner {
    /// For `purpose`, compared with nothing.
    pub(super) fn of(purpose: Purpose) -> Self {
        Self { purpose, against: Against::Nothing, since: None, saved: None, skew: None }
    }

    /// What the plan of the target at `index`, whose policy is `at_hand`, is compared with.
    pub(super) fn baseline<'a>(
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
    pub(super) fn reviewed(saved: Arc<SavedPlan>) -> Self {
        let has = Arc::clone(&saved);
        let review = Review::new(move |target, change| has.has(target, change));
        Self { saved: Some(saved), ..Self::of(Purpose::Reviewed(review)) }
    }
}

/// A target with its policy, read and planned. Only one that was read over a [`Session`] can be changed.
pub(super) struct Planned<'a, S = Session> {
    /// What the settings file says of it.
    pub(super) declaration: &'a TargetDeclaration,
    /// What should be.
    pub(super) policy: Policy,
    /// What earlier runs did.
    pub(super) history: History,
    /// What would be done, with the way to do it; or why that could not be found out.
    pub(super) plan: Result<(S, Plan), Failure>,
    /// How the clock of the server stands to ours, once all was read.
    pub(super) clock: ClockStanding,
    /// What becomes of the changes of the plan that was reviewed, when one was.
    pub(super) reviewed: Vec<Reviewed>,
}

/// A connection to a target; for an embedded one the server as well.
pub(super) struct Session {
    /// The target.
    pub(super) target: Target,
    /// What runs on it did.
    pub(super) records: Records,
    /// The name of the target in the settings file.
    name: String,
    embedded: Option<Embedded>,
    /// The moment that `--now` says.
    fixed: Option<Timestamp>,
    /// How far its clock may be wrong, when somebody says so.
    skew: Option<SignedDuration>,
}

impl Session {
    /// What time it is on the server, UTC, in whole seconds; the moment that `--now` says when it does.
    pub(super) fn now(&self) -> Timestamp {
        now_of(&self.target, self.fixed)
    }

    /// What time it is on the server at the latest, UTC; the moment that `--now` says when it does.
    pub(super) fn latest(&self) -> Timestamp {
        self.fixed.unwrap_or_else(|| self.clock().latest(Timestamp::now()))
    }

    /// How the clock of the server stands to ours.
    pub(super) fn clock(&self) -> ClockStanding {
        // The server that runs in this process has the same moment then.
        if self.embedded.is_some() && self.fixed.is_some() {
            ClockStanding::Given
        } else {
            ClockStanding::of(&self.target)
        }
    }

    /// How late the date of anything that happened on the server can be by now, UTC; nothing when it does not
    /// tell its time.
    pub(super) fn latest_date(&self) -> Option<Timestamp> {
        self.clock().latest_date(Timestamp::now(), self.skew)
    }

    /// Says what is to be said of the clocks.
    pub(super) fn say_clock(&self) {
        if let Some(warning) = self.clock().warning() {
            output::note(&format!("warning: {}: {warning}", self.name));
        }
    }

    /// Ends the connection, and the server when it is embedded; other runs may begin then.
    pub(super) async fn close(self) {
        let calls = self.target.calls();
        tracing::info!(
            of = self.name,
            calls = calls.calls,
            retries = calls.retries,
            bytes = calls.bytes,
            milliseconds = calls.time.as_millis(),
            "calls in all"
        );
        self.records.release().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Reads the policies of `targets`, then the targets, several at once, and plans each for the
/// moment that `global` says. A target that cannot be read does not keep the others from being read.
/// Revoking asks no policy, and none is read for it.
///
/// # Errors
///
/// When a policy is invalid: nothing is called then.
pub(super) async fn plan<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    manner: Manner,
    reach: Reach,
    global: &Global,
) -> Result<Vec<Planned<'a>>, Failure> {
    plan_each(workspace, targets, manner, reach, global, None).await
}

/// As [`plan()`], for a run that writes: it keeps other runs away from each target until its session is
/// closed, and waits `patience` at most for one that is under way.
///
/// # Errors
///
/// When a policy is invalid: nothing is called then.
pub(super) async fn plan_to_write<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    manner: Manner,
    reach: Reach,
    global: &Global,
    patience: Duration,
) -> Result<Vec<Planned<'a>>, Failure> {
    plan_each(workspace, targets, manner, reach, global, Some(patience)).await
}

async fn plan_each<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    manner: Manner,
    reach: Reach,
    global: &Global,
    patience: Option<Duration>,
) -> Result<Vec<Planned<'a>>, Failure> {
    let manner = &manner;
    let policies: Vec<Policy> = match &manner.purpose {
        Purpose::Revoke(_) => targets.iter().map(|_| Policy::default()).collect(),
        _ => workspace.load_policies(targets)?,
    };
    let writes = patience.is_some();
    let reached = targets.iter().enumerate().map(|(index, &declaration)| async move {
        (index, Box::pin(connect(workspace, declaration, reach, global.now)).await)
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
async fn hold_all(reached: &mut [Result<Session, Failure>], patience: Duration) {
    let known: Vec<_> = reached.iter().map(|session| session.as_ref().ok()).collect();
    let groups = hold::together(&known);
    let mut sessions: HashMap<usize, &mut Result<Session, Failure>> =
        reached.iter_mut().enumerate().collect();
    let groups: Vec<Vec<_>> = groups
        .into_iter()
        .map(|group| group.iter().filter_map(|place| sessions.remove(place)).collect())
        .collect();
    stream::iter(groups)
        .for_each_concurrent(AT_ONCE, async |mut group: Vec<&mut Result<Session, Failure>>| {
            let mut held: Vec<_> = group.iter_mut().filter_map(|session| session.as_mut().ok()).collect();
            let Err(failure) = hold::hold(&mut held, patience).await else { return };
            for session in group {
                let refused = Failure::new(failure.exit, one_line(failure.error.as_ref()));
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
    session: &mut Session,
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
    session: &Session,
    declaration: &TargetDeclaration,
    policy: &Policy,
    manner: &Manner,
    index: usize,
) -> Result<(History, Plan, Vec<Reviewed>), Failure> {
    // Whoever waited plans for the moment at which the waiting ended.
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
    let reader = Dated::new(&session.target, &latest);
    let (plan, reviewed) =
        Box::pin(plan_one(&manner.purpose, baseline.as_ref(), saved, &terms, &reader)).await?;
    Ok((history, plan, reviewed))
}

/// Ends the sessions of all targets that were planned.
pub(super) async fn close(planned: Vec<Planned<'_>>) {
    for one in planned {
        if let Ok((session, _)) = one.plan {
            session.close().await;
        }
    }
}

/// The moment that `--now` says, otherwise the present one of this machine in whole seconds: nothing here is
/// finer. What becomes of a target is never judged by it: see [`Session::now`].
pub(super) fn present(global: &Global) -> Timestamp {
    global.now.unwrap_or_else(|| whole_seconds(Timestamp::now()))
}

/// What time it is on `target`, UTC, in whole seconds; `fixed` when it is given.
fn now_of(target: &Target, fixed: Option<Timestamp>) -> Timestamp {
    fixed.unwrap_or_else(|| whole_seconds(ClockStanding::of(target).now(Timestamp::now())))
}

fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

/// Refuses `--now` for targets that have their own clock.
///
/// # Errors
///
/// When the command line has it, and one of `targets` is not embedded.
pub(super) fn refuse_other_clock(
    command: &str,
    targets: &[&TargetDeclaration],
    global: &Global,
) -> Result<(), Failure> {
    if global.now.is_some() && targets.iter().any(|target| target.connection.server().is_some()) {
        let message = format!(
            "--now goes with `{command}` only for embedded targets: other servers have their own clock"
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(())
}

/// What a plan for the target of `declaration` is made from.
pub(super) fn terms<'a>(
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
pub(super) async fn plan_one(
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

/// Connects to the target of `declaration`, and looks who it is and what its clock says; starts its server when it is embedded,
/// with its clock at `fixed` when that is given.
///
/// # Errors
///
/// When there is no credential, the embedded server cannot start, or the server does not let us in.
pub(super) async fn connect(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    reach: Reach,
    fixed: Option<Timestamp>,
) -> Result<Session, Failure> {
    let (target, embedded) = reach_target(workspace, declaration, reach, fixed).await?;
    let records = Records::new(workspace, declaration);
    let mut session =
        Session { target, records, name: declaration.name.clone(), embedded, fixed, skew: None };
    match session.target.greet().await {
        Ok(()) => {
            session.records.identify(&session.target);
            Ok(session)
        }
        Err(error) => {
            session.close().await;
            Err(error.into())
        }
    }
}

/// The target of `declaration`, and its server when it is embedded.
async fn reach_target(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    reach: Reach,
    fixed: Option<Timestamp>,
) -> Result<(Target, Option<Embedded>), Failure> {
    let name = &declaration.name;
    match &declaration.connection {
        Connection::Gateway(server) => {
            let client = client(workspace, server, reach).await?;
            let target = Target::Gateway(Gateway::new(client, server.url.as_str()));
            Ok((target, None))
        }
        Connection::Embedded { store, directory, seed } => {
            let path = |file: &Option<String>| file.as_ref().map(|file| workspace.folder.join(file));
            let file = workspace.folder.join(store);
            let embedded = Embedded::start(&file, path(directory), path(seed), fixed).await?;
            let client = HttpClient::new(&embedded.url(), embedded.credential(), None)?;
            let target = Target::Gateway(Gateway::new(client, format!("embedded {store}")));
            Ok((target, Some(embedded)))
        }
        Connection::Bitbucket { server, areas, projects } => {
            let key = workspace.settings.mark_key_env.as_deref().map(credential::mark_key).transpose()?;
            let options = bitbucket::Options {
                areas: areas.clone(),
                projects: projects.clone(),
                marker: key.map(|key| Bitbucket::marker(key, &canonical_address(&server.url)).or_of(name)),
                password: matches!(server.auth, Auth::Password { .. }),
                token_id: declaration.ourselves.token_id.clone(),
                address: declaration.ourselves.address,
            };
            let client = client(workspace, server, reach).await?;
            let target = Target::Bitbucket(Bitbucket::new(client, server.url.as_str(), options));
            Ok((target, None))
        }
        Connection::Resolution { server, product, settings } => {
            let key = workspace.settings.mark_key_env.as_deref().map(credential::mark_key).transpose()?;
            let options = resolution::Options {
                product: *product,
                settings: settings.clone(),
                marker: key.map(|key| Resolution::marker(key, &canonical_address(&server.url)).or_of(name)),
                password: matches!(server.auth, Auth::Password { .. }),
                token_id: declaration.ourselves.token_id.clone(),
                address: declaration.ourselves.address,
            };
            let client = client(workspace, server, reach).await?;
            let target = Target::Resolution(Resolution::new(client, server.url.as_str(), options));
            Ok((target, None))
        }
    }
}

/// A client of `server`. Its credential may come from a program or a file, and the certificates of the
/// system come from many: none of that must keep the other targets waiting.
async fn client(workspace: &Workspace, server: &Server, reach: Reach) -> Result<HttpClient, Failure> {
    let (server, folder) = (server.clone(), workspace.folder.clone());
    let make = move || -> Result<HttpClient, Failure> {
        let timeout = server.timeout_seconds.map(|seconds| Duration::from_secs(seconds.get().into()));
        let may_run = reach.allow_auth_command.then(|| timeout.unwrap_or(COMMAND_ENDS_WITHIN));
        let credential = credential::find(&server.auth, &folder, may_run)?;
        let extra_ca =
            server.tls_ca.as_ref().map(|file| files::read_whole(&folder.join(file))).transpose()?;
        let mut limits = Limits::default();
        limits.call = timeout.unwrap_or(limits.call);
        Ok(HttpClient::with_limits(&server.url, credential, extra_ca.as_deref(), limits)?)
    };
    tokio::task::spawn_blocking(make).await?
}
