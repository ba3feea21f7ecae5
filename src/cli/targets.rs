//! In: the settings file and the flags. Out: targets, connected, each with its policy. It refuses
//! to know what is done with them. Plan and apply begin alike, and this is how.

use std::{
    error::Error,
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use clap::{Args, ValueEnum};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::{
    inventory::snapshot::Snapshot,
    plan::{History, Part, Plan, Purpose, Terms},
    policy::{
        Policy,
        settings_file::{Connection, Server, TargetDeclaration},
    },
    target::{self, Target, gateway::Gateway, http::HttpClient},
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
}

/// A connection to a target; for an embedded one the server as well.
pub(super) struct Session {
    /// The target.
    pub(super) target: Target,
    embedded: Option<Embedded>,
}

impl Session {
    /// Ends the connection, and the server when it is embedded.
    pub(super) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Reads the policies of `targets`, then the targets, several at once, and plans for each what `purpose`
/// asks for, for the moment `now`. A target that cannot be read does not keep the others from being read.
/// Revoking asks no policy, and none is read for it.
///
/// # Errors
///
/// When a policy is invalid: nothing is called then.
pub(super) async fn plan<'a>(
    workspace: &'a Workspace,
    targets: &[&'a TargetDeclaration],
    purpose: &Purpose,
    reach: Reach,
    global: &Global,
) -> Result<Vec<Planned<'a>>, Failure> {
    if workspace.settings.journal.is_some() {
        output::note("warning: `journal` has no effect yet: this version does not keep one");
    }
    let now = present(global);
    let policies = match purpose {
        Purpose::Revoke(_) => targets.iter().map(|_| Policy::default()).collect(),
        Purpose::Comply | Purpose::ComplyOnly(_) => workspace.load_policies(targets)?,
    };
    let planned = targets.iter().zip(policies).map(|(&declaration, policy)| async move {
        let history = History::default();
        let terms = terms(declaration, &policy, &history, now);
        let plan = plan_one(workspace, declaration, purpose, &terms, reach, global.now).await;
        Planned { declaration, policy, history, plan }
    });
    Ok(stream::iter(planned).buffered(AT_ONCE).collect().await)
}

/// A snapshot cannot be planned from.
#[derive(Debug, thiserror::Error)]
#[error("the inventory `{path}` cannot be used")]
struct UnusableInventory {
    path: String,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
}

/// Plans what `purpose` asks for from the snapshot in `file`, without network and credentials, for the
/// moment that it shows unless `--now` says another one. There is no [`Session`] and so no way to apply it.
///
/// # Errors
///
/// When the file is no snapshot of a target of the settings file, or the policy is invalid.
pub(super) async fn plan_offline<'a>(
    workspace: &'a Workspace,
    file: &Path,
    purpose: &Purpose,
    global: &Global,
) -> Result<Planned<'a, Snapshot<BufReader<File>>>, Failure> {
    let unusable =
        |cause: Box<dyn Error + Send + Sync>| UnusableInventory { path: file.display().to_string(), cause };
    let input = File::open(global.resolve(file)).map_err(|error| unusable(error.into()))?;
    let snapshot = Snapshot::open(file.display().to_string(), BufReader::new(input), target::calls_of)
        .map_err(|error| unusable(error.into()))?;
    let chosen = workspace.targets(global)?;
    let of_it = chosen.into_iter().find(|target| target.name == snapshot.target());
    let declaration = of_it.ok_or_else(|| unusable(other_target(snapshot.target(), global).into()))?;
    let kind = declaration.connection.kind();
    if kind != snapshot.kind() {
        let message = format!(
            "it is of a server of `kind: {}`, and `{}` is of `kind: {kind}` now",
            snapshot.kind(),
            declaration.name
        );
        return Err(unusable(message.into()).into());
    }
    let policy = workspace.load_policies(&[declaration])?.pop().unwrap_or_default();
    let history = History::default();
    let now = global.now.unwrap_or(snapshot.seen_at());
    let terms = terms(declaration, &policy, &history, now);
    let plan = Plan::make_for(purpose, &terms, &snapshot).await;
    let plan = plan.map_err(Failure::from).map(|plan| (snapshot, plan));
    Ok(Planned { declaration, policy, history, plan })
}

fn other_target(target: &str, global: &Global) -> String {
    if global.target.is_empty() {
        format!("it is of the target `{target}`, which the settings file does not have")
    } else {
        format!("it is of the target `{target}`, which `--target` does not name")
    }
}

/// The moment that `--now` says, otherwise the present one in whole seconds: nothing here is finer.
pub(super) fn present(global: &Global) -> Timestamp {
    global.now.unwrap_or_else(|| {
        let now = Timestamp::now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    })
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
    Terms { target: &declaration.name, policy, lockout: &declaration.lockout, history, now }
}

async fn plan_one(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    purpose: &Purpose,
    terms: &Terms<'_>,
    reach: Reach,
    fixed: Option<Timestamp>,
) -> Result<(Session, Plan), Failure> {
    let session = connect(workspace, declaration, reach, fixed).await?;
    match Plan::make_for(purpose, terms, &session.target).await {
        Ok(plan) => Ok((session, plan)),
        Err(error) => {
            session.close().await;
            Err(error.into())
        }
    }
}

/// Connects to the target of `declaration`; starts its server when it is embedded, with its clock at
/// `fixed` when that is given.
///
/// # Errors
///
/// When there is no credential, or the embedded server cannot start.
pub(super) async fn connect(
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
