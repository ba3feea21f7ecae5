//! In: the settings file and the flags. Out: targets, connected, each with its policy. It refuses
//! to know what is done with them. Plan and apply begin alike, and this is how.

use std::fs;

use clap::Args;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::{
    inventory::{ReadError, Watch},
    plan::{Baseline, Change, History, Plan, Selection, Terms},
    policy::{
        Policy,
        settings_file::{Connection, Server, TargetDeclaration},
    },
    report::saved::{Reviewed, SavedPlan},
    target::{Target, gateway::Gateway, http::HttpClient},
};

use super::{Exit, Failure, Global, credential, embedded::Embedded, files::Workspace, output};

/// How many targets are read at once.
const AT_ONCE: usize = 8;

/// What is said about reaching targets.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Reach {
    /// Run the program that `auth.command` of the settings file names
    #[arg(long)]
    allow_auth_command: bool,
}

/// How targets are planned.
#[derive(Default)]
pub(super) struct Manner<'a> {
    /// What the changes are compared with: the policies of the targets before the change under review, in
    /// the order of the targets.
    pub(super) baseline: Option<Vec<Policy>>,
    /// A moment at which the targets were as they should be.
    pub(super) since: Option<Timestamp>,
    /// The plan that was reviewed, of which no other changes are wanted.
    pub(super) saved: Option<&'a SavedPlan>,
}

/// A target with its policy, read and planned.
pub(super) struct Planned<'a> {
    /// What the settings file says of it.
    pub(super) declaration: &'a TargetDeclaration,
    /// What should be.
    pub(super) policy: Policy,
    /// What earlier runs did.
    pub(super) history: History,
    /// What would be done, with the way to do it; or why that could not be found out.
    pub(super) plan: Result<(Session, Plan), Failure>,
    /// What becomes of the changes of the plan that was reviewed, when one was.
    pub(super) reviewed: Vec<Reviewed>,
}

/// A connection to a target; for an embedded one the server as well.
pub(super) struct Session {
    /// The target.
    pub(super) target: Target,
    embedded: Option<Embedded>,
}

impl Session {
    /// The session with the plan that was made over it; without one the session ends.
    async fn with(self, made: Result<Plan, ReadError>) -> Result<(Self, Plan), Failure> {
        match made {
            Ok(plan) => Ok((self, plan)),
            Err(error) => {
                self.close().await;
                Err(error.into())
            }
        }
    }

    /// Ends the connection, and the server when it is embedded.
    pub(super) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Reads the policies of `targets`, then the targets, several at once, and plans each for the
/// moment `now`. A target that cannot be read does not keep the others from being read.
///
/// # Errors
///
/// When a policy is invalid: nothing is called then.
pub(super) async fn plan<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    reach: Reach,
    manner: Manner<'_>,
    global: &Global,
) -> Result<Vec<Planned<'a>>, Failure> {
    if workspace.settings.journal.is_some() {
        output::note("warning: `journal` has no effect yet: this version does not keep one");
    }
    let now = present(global);
    let policies = workspace.load_policies(targets)?;
    let mut baselines = manner.baseline.map(Vec::into_iter);
    let planned = targets.iter().zip(policies).map(|(&declaration, policy)| {
        let baseline = baselines.as_mut().and_then(Iterator::next);
        async move {
            let history = History::default();
            let terms = terms(declaration, &policy, &history, now);
            let session = connect(workspace, declaration, reach, global.now).await;
            let mut reviewed = Vec::new();
            let plan = match (session, &baseline, manner.saved) {
                (Err(failure), ..) => Err(failure),
                (Ok(session), Some(policy), _) => {
                    let baseline = Baseline { policy, since: manner.since };
                    let made = Plan::make_against(&baseline, &terms, &session.target).await;
                    session.with(made).await
                }
                (Ok(session), None, Some(saved)) => {
                    let made = plan_saved(saved, &terms, &session.target).await;
                    let made = made.map(|(plan, verdicts)| {
                        reviewed = verdicts;
                        plan
                    });
                    session.with(made).await
                }
                (Ok(session), None, None) => {
                    let made = Plan::make(&terms, &session.target).await;
                    session.with(made).await
                }
            };
            Planned { declaration, policy, history, plan, reviewed }
        }
    });
    Ok(stream::iter(planned).buffered(AT_ONCE).collect().await)
}

/// Ends the sessions of all targets that were planned.
pub(super) async fn close(planned: Vec<Planned<'_>>) {
    for one in planned {
        if let Ok((session, _)) = one.plan {
            session.close().await;
        }
    }
}

/// The moment that `--now` says, otherwise the present one in whole seconds: nothing here is finer.
pub(super) fn present(global: &Global) -> Timestamp {
    global.now.unwrap_or_else(|| {
        let now = Timestamp::now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    })
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
        history,
        now,
        selection: Selection::All,
    }
}

/// A fresh plan with those changes alone that `saved` has, and what becomes of all that it has.
async fn plan_saved(
    saved: &SavedPlan,
    terms: &Terms<'_>,
    target: &Target,
) -> Result<(Plan, Vec<Reviewed>), ReadError> {
    let watch = Watch::new(target, saved.tokens(terms.target).collect());
    let is_reviewed = |change: &Change| saved.has(terms.target, change);
    let plan = Plan::make(&Terms { selection: Selection::Those(&is_reviewed), ..*terms }, &watch).await?;
    let reviewed = saved.review(&plan, &watch.seen());
    Ok((plan, reviewed))
}

async fn connect(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    reach: Reach,
    fixed: Option<Timestamp>,
) -> Result<Session, Failure> {
    match &declaration.connection {
        Connection::Gateway(server) => {
            let client = client(workspace, server, reach)?;
            Ok(Session { target: Target::Gateway(Gateway::new(client, server.url.as_str())), embedded: None })
        }
        Connection::Embedded { store, directory, seed } => {
            let path = |file: &Option<String>| file.as_ref().map(|file| workspace.folder.join(file));
            let file = workspace.folder.join(store);
            let embedded = Embedded::start(&file, path(directory), path(seed), fixed).await?;
            let client = HttpClient::new(&embedded.url(), embedded.credential(), None)?;
            Ok(Session {
                target: Target::Gateway(Gateway::new(client, format!("embedded {store}"))),
                embedded: Some(embedded),
            })
        }
        other @ (Connection::Resolution { .. } | Connection::Bitbucket { .. }) => {
            let message =
                format!("targets of `kind: {}` are not supported yet by this version", other.kind());
            Err(Failure::new(Exit::Error, message))
        }
    }
}

fn client(workspace: &Workspace, server: &Server, reach: Reach) -> Result<HttpClient, Failure> {
    let credential = credential::find(&server.auth, &workspace.folder, reach.allow_auth_command)?;
    let extra_ca = server.tls_ca.as_ref().map(|file| fs::read(workspace.folder.join(file))).transpose()?;
    Ok(HttpClient::new(&server.url, credential, extra_ca.as_deref())?)
}
