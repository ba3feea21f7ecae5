//! In: the settings file and the flags. Out: targets, connected, each with its policy. It refuses
//! to know what is done with them. Plan and apply begin alike, and this is how.

use std::fs;

use clap::Args;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::{
    plan::{History, Plan, Terms},
    policy::{
        Policy,
        settings_file::{Connection, Server, TargetDeclaration},
    },
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
    global: &Global,
) -> Result<Vec<Planned<'a>>, Failure> {
    if workspace.settings.journal.is_some() {
        output::note("warning: `journal` has no effect yet: this version does not keep one");
    }
    let now = present(global);
    let policies = workspace.load_policies(targets)?;
    let planned = targets.iter().zip(policies).map(|(&declaration, policy)| async move {
        let history = History::default();
        let terms = terms(declaration, &policy, &history, now);
        let plan = plan_one(workspace, declaration, &terms, reach, global.now).await;
        Planned { declaration, policy, history, plan }
    });
    Ok(stream::iter(planned).buffered(AT_ONCE).collect().await)
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
        unsupported: declaration.unsupported,
        history,
        now,
    }
}

async fn plan_one(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    terms: &Terms<'_>,
    reach: Reach,
    fixed: Option<Timestamp>,
) -> Result<(Session, Plan), Failure> {
    let session = connect(workspace, declaration, reach, fixed).await?;
    match Plan::make(terms, &session.target).await {
        Ok(plan) => Ok((session, plan)),
        Err(error) => {
            session.close().await;
            Err(error.into())
        }
    }
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
