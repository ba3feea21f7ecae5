//! A connection to a target: how it is reached, and what its clock says.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    config::{Auth, Connection, Endpoint, TargetDeclaration},
    http::{CallLimits, HttpClient},
    model::canonical_address,
    run::{Listener, reading::read_whole, workspace::Workspace},
    targets::{
        Target,
        bitbucket::{self, Bitbucket},
        fronted::Fronted,
        gateway::Gateway,
        resolution::{self, Resolution},
    },
    world::system_time,
};

use super::{Ending, Failure, clock::ClockStanding, credential, embedded::Embedded, records::Records};

/// How long `auth.command` may take where `timeout_seconds` does not say it.
const COMMAND_ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Whether the program that `auth.command` of the config file names may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthCommand {
    /// It is run.
    Allowed,
    /// It is not: the author of the config file may not be trusted with a program.
    Forbidden,
}

/// A connection to a target; for an embedded one the server as well.
pub(crate) struct TargetSession {
    /// The target.
    pub(crate) target: Target,
    /// What runs on it did.
    pub(crate) records: Records,
    /// The name of the target in the config file.
    name: String,
    embedded: Option<Embedded>,
    pub(crate) listener: Arc<dyn Listener>,
    /// The moment that `--now` says.
    fixed: Option<Timestamp>,
    /// How far its clock may be wrong, when somebody says so.
    pub(crate) skew: Option<SignedDuration>,
}

impl TargetSession {
    /// What time it is on the server, UTC, in whole seconds; the moment that `--now` says when it does.
    pub(crate) fn now(&self) -> Timestamp {
        now_of(&self.target, self.fixed)
    }

    /// What time it is on the server at the latest, UTC; the moment that `--now` says when it does.
    pub(crate) fn latest(&self) -> Timestamp {
        self.fixed.unwrap_or_else(|| self.clock().latest(system_time()))
    }

    /// How the clock of the server stands to ours.
    pub(crate) fn clock(&self) -> ClockStanding {
        // The server that runs in this process has the same moment then.
        if self.embedded.is_some() && self.fixed.is_some() {
            ClockStanding::Given
        } else {
            ClockStanding::of(&self.target)
        }
    }

    /// How late the date of anything that happened on the server can be by now, UTC; `None` when it does not
    /// tell its time.
    pub(crate) fn latest_date(&self) -> Option<Timestamp> {
        self.clock().latest_date(system_time(), self.skew)
    }

    /// Says what is to be said of the clocks.
    pub(crate) fn say_clock(&self) {
        if let Some(warning) = self.clock().warning() {
            self.listener.note(&format!("warning: {}: {warning}", self.name));
        }
    }

    /// Ends the connection, and the server when it is embedded; other runs may begin then.
    pub(crate) async fn close(self) {
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

/// Connects to the target of `declaration`, and looks who it is and what its clock says; starts its server when it is embedded,
/// with its clock at `fixed` when that is given.
///
/// # Errors
///
/// When there is no credential, the embedded server cannot start, or the server does not let us in.
pub(crate) async fn connect(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    command: AuthCommand,
    fixed: Option<Timestamp>,
) -> Result<TargetSession, Failure> {
    let (target, embedded) = reach_target(workspace, declaration, command, fixed).await?;
    let records = Records::new(workspace, declaration);
    let mut session = TargetSession {
        target,
        records,
        name: declaration.name.clone(),
        embedded,
        listener: Arc::clone(&workspace.listener),
        fixed,
        skew: None,
    };
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
    command: AuthCommand,
    fixed: Option<Timestamp>,
) -> Result<(Target, Option<Embedded>), Failure> {
    let name = &declaration.name;
    match &declaration.connection {
        Connection::Gateway(server) => {
            let client = client(workspace, server, command).await?;
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
        Connection::Bitbucket { server, areas, projects, gateway } => {
            let key = workspace.config.mark_key_env.as_deref().map(credential::mark_key).transpose()?;
            let options = bitbucket::BitbucketOptions {
                areas: areas.clone(),
                projects: projects.clone(),
                marker: key.map(|key| Bitbucket::marker(key, &canonical_address(&server.url)).or_of(name)),
                password: matches!(server.auth, Auth::Password { .. }),
                token_id: declaration.ourselves.token_id.clone(),
                address: declaration.ourselves.address,
            };
            let client = client(workspace, server, command).await?;
            let bitbucket = Bitbucket::new(client, server.url.as_str(), options);
            let Some(gateway) = gateway else { return Ok((Target::Bitbucket(bitbucket), None)) };
            let client = self::client(workspace, gateway, command).await?;
            let gateway = Gateway::new(client, gateway.url.as_str());
            Ok((Target::Fronted(Box::new(Fronted::new(bitbucket, gateway))), None))
        }
        Connection::Resolution { server, product, settings } => {
            let key = workspace.config.mark_key_env.as_deref().map(credential::mark_key).transpose()?;
            let options = resolution::ResolutionOptions {
                product: *product,
                settings: settings.clone(),
                marker: key.map(|key| Resolution::marker(key, &canonical_address(&server.url)).or_of(name)),
                password: matches!(server.auth, Auth::Password { .. }),
                token_id: declaration.ourselves.token_id.clone(),
                address: declaration.ourselves.address,
            };
            let client = client(workspace, server, command).await?;
            let target = Target::Resolution(Resolution::new(client, server.url.as_str(), options));
            Ok((target, None))
        }
    }
}

/// A client of `server`. Its credential may come from a program or a file, and the certificates of the
/// system come from many: none of that must keep the other targets waiting.
async fn client(
    workspace: &Workspace,
    server: &Endpoint,
    command: AuthCommand,
) -> Result<HttpClient, Failure> {
    let (server, folder) = (server.clone(), workspace.folder.clone());
    let make = move || -> Result<HttpClient, Failure> {
        let timeout = server.timeout_seconds.map(|seconds| Duration::from_secs(seconds.get().into()));
        let may_run = (command == AuthCommand::Allowed).then(|| timeout.unwrap_or(COMMAND_ENDS_WITHIN));
        let credential = credential::find(&server.auth, &folder, may_run)?;
        let extra_ca = server.tls_ca.as_ref().map(|file| read_whole(&folder.join(file))).transpose()?;
        let mut limits = CallLimits::default();
        limits.call = timeout.unwrap_or(limits.call);
        Ok(HttpClient::with_limits(&server.url, credential, extra_ca.as_deref(), limits)?)
    };
    tokio::task::spawn_blocking(make).await?
}

/// The time that `--now` says, otherwise the present one of this machine in whole seconds: nothing here is
/// finer. What becomes of a target is never judged by it: see [`TargetSession::now`].
pub(crate) fn present(fixed: Option<Timestamp>) -> Timestamp {
    fixed.unwrap_or_else(|| whole_seconds(system_time()))
}

/// What time it is on `target`, UTC, in whole seconds; `fixed` when it is given.
fn now_of(target: &Target, fixed: Option<Timestamp>) -> Timestamp {
    fixed.unwrap_or_else(|| whole_seconds(ClockStanding::of(target).now(system_time())))
}

fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

/// Refuses `--now` for targets that have their own clock.
///
/// # Errors
///
/// When the command line has it, and one of `targets` is not embedded.
pub(crate) fn refuse_other_clock(
    command: &str,
    targets: &[&TargetDeclaration],
    fixed: Option<Timestamp>,
) -> Result<(), Failure> {
    if fixed.is_some() && targets.iter().any(|target| target.connection.server().is_some()) {
        let message = format!(
            "--now works with `{command}` only for embedded targets: other servers have their own clock"
        );
        return Err(Failure::new(Ending::Usage, message));
    }
    Ok(())
}
