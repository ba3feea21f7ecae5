//! In: the settings file and the flags. Out: targets, connected, each with its policy. It refuses
//! to know what is done with them. Plan and apply begin alike, and this is how.

use std::{fs, time::Duration};

use clap::Args;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::{
    plan::{History, Plan, Terms},
    policy::{
        Policy,
        settings_file::{Auth, Connection, Server, TargetDeclaration},
    },
    target::{
        Target,
        bitbucket::{self, Bitbucket},
        gateway::Gateway,
        http::{HttpClient, Limits},
        resolution::{self, Resolution},
    },
};

use super::{Failure, Global, credential, embedded::Embedded, files::Workspace, output};

/// How many targets are read at once. Most of the time goes into waiting for them.
const AT_ONCE: usize = 64;

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
    /// The name of the target in the settings file.
    name: String,
    embedded: Option<Embedded>,
}

impl Session {
    /// Ends the connection, and the server when it is embedded.
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
    let planned =
        targets.iter().zip(policies).enumerate().map(|(index, (&declaration, policy))| async move {
            let history = History::default();
            let terms = terms(declaration, &policy, &history, now);
            let plan = plan_one(workspace, declaration, &terms, reach, global.now).await;
            (index, Planned { declaration, policy, history, plan })
        });
    // In order only at the end: one that does not answer must not keep others from beginning.
    let mut planned: Vec<_> = stream::iter(planned).buffer_unordered(AT_ONCE).collect().await;
    planned.sort_by_key(|(index, _)| *index);
    Ok(planned.into_iter().map(|(_, planned)| planned).collect())
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
    let name = declaration.name.clone();
    match &declaration.connection {
        Connection::Gateway(server) => {
            let client = client(workspace, server, reach).await?;
            let target = Target::Gateway(Gateway::new(client, server.url.as_str()));
            Ok(Session { target, name, embedded: None })
        }
        Connection::Embedded { store, directory, seed } => {
            let path = |file: &Option<String>| file.as_ref().map(|file| workspace.folder.join(file));
            let file = workspace.folder.join(store);
            let embedded = Embedded::start(&file, path(directory), path(seed), fixed).await?;
            let client = HttpClient::new(&embedded.url(), embedded.credential(), None)?;
            Ok(Session {
                target: Target::Gateway(Gateway::new(client, format!("embedded {store}"))),
                name,
                embedded: Some(embedded),
            })
        }
        Connection::Bitbucket { server, areas, projects } => {
            let key = workspace.settings.mark_key_env.as_deref().map(credential::mark_key).transpose()?;
            let options = bitbucket::Options {
                areas: areas.clone(),
                projects: projects.clone(),
                marker: key.map(|key| Bitbucket::marker(key, &name)),
                token_id: declaration.ourselves.token_id.clone(),
                address: declaration.ourselves.address,
            };
            let client = client(workspace, server, reach).await?;
            let target = Target::Bitbucket(Bitbucket::new(client, server.url.as_str(), options));
            Ok(Session { target, name, embedded: None })
        }
        Connection::Resolution { server, product, settings } => {
            let key = workspace.settings.mark_key_env.as_deref().map(credential::mark_key).transpose()?;
            let options = resolution::Options {
                product: *product,
                settings: settings.clone(),
                marker: key.map(|key| Resolution::marker(key, &name)),
                password: matches!(server.auth, Auth::Password { .. }),
                token_id: declaration.ourselves.token_id.clone(),
                address: declaration.ourselves.address,
            };
            let client = client(workspace, server, reach).await?;
            let target = Target::Resolution(Resolution::new(client, server.url.as_str(), options));
            Ok(Session { target, name, embedded: None })
        }
    }
}

/// A client of `server`. Its credential may come from a program or a file, which must not keep the other
/// targets waiting.
async fn client(workspace: &Workspace, server: &Server, reach: Reach) -> Result<HttpClient, Failure> {
    let (auth, folder) = (server.auth.clone(), workspace.folder.clone());
    let find = move || credential::find(&auth, &folder, reach.allow_auth_command);
    let credential = tokio::task::spawn_blocking(find).await??;
    let extra_ca = server.tls_ca.as_ref().map(|file| fs::read(workspace.folder.join(file))).transpose()?;
    let mut limits = Limits::default();
    if let Some(seconds) = server.timeout_seconds {
        limits.call = Duration::from_secs(u64::from(seconds.get()));
    }
    Ok(HttpClient::with_limits(&server.url, credential, extra_ca.as_deref(), limits)?)
}
