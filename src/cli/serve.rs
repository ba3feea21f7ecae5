//! `serve`: the server, until it is told to stop.
//!
//! Unless it is told to, it neither begins a new store, which lets everybody in, nor sends credentials in the clear
//! over a network.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use tokio::sync::watch;
use tracing::Level;

use crate::{
    model::{GroupName, Period},
    run::{
        Ending, Failure,
        stop::{self, Hangup},
    },
    serve::{
        self, Certificate, CompatibleVersion, Options, PublicUrl, ServeError, Tls, TlsVersion,
        store::{Store, StoreError, StoreUrl},
    },
};

use super::{CommandResult, Global, directory, log, runtime};

/// What `serve` understands.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where users, groups, settings and tokens are kept: `sqlite:FILE`
    #[arg(long, value_name = "URL")]
    store: StoreUrl,
    /// Create the store; on the first start only. Without it, a missing store is an error
    #[arg(long)]
    create: bool,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7991")]
    listen: SocketAddr,
    /// The group whose members administer the server
    #[arg(long, value_name = "GROUP", default_value = "administrators")]
    admin_group: String,
    /// Import this directory file before the start: users and groups become equal to it
    #[arg(long = "directory", value_name = "FILE")]
    directory_file: Option<PathBuf>,
    /// Certificate chain for TLS, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key for TLS, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Accept only clients with a certificate of these authorities, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// The lowest version of TLS to accept
    #[arg(long, value_name = "VERSION", requires = "tls_cert", default_value = "1.2")]
    tls_min_version: MinVersion,
    /// Delete audit entries older than this, e.g. `400d` [default: keep them forever]
    #[arg(long, value_name = "PERIOD")]
    audit_retention: Option<Period>,
    /// The version of Bitbucket to report to clients
    #[arg(long, value_name = "VERSION", default_value_t)]
    compatible_version: CompatibleVersion,
    /// Where clients reach the server, for links in its answers, such as `https://tokens.example.com`
    /// [default: by each request]
    #[arg(long, value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// Listen without TLS although traffic can be intercepted
    #[arg(long, conflicts_with = "tls_cert")]
    insecure_http: bool,
}

/// The lowest version of TLS.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MinVersion {
    /// TLS 1.2
    #[value(name = "1.2")]
    V1_2,
    /// TLS 1.3
    #[value(name = "1.3")]
    V1_3,
}

impl From<MinVersion> for TlsVersion {
    fn from(version: MinVersion) -> Self {
        match version {
            MinVersion::V1_2 => Self::V1_2,
            MinVersion::V1_3 => Self::V1_3,
        }
    }
}

/// The server would send tokens and passwords over a network for everybody to read.
#[derive(Debug, thiserror::Error)]
#[error(
    "tokens and passwords would cross the network unencrypted on `{0}`; pass `--tls-cert` and `--tls-key`, \
     listen on a loopback address, or pass `--insecure-http`"
)]
struct Unencrypted(SocketAddr);

/// There is no store, or one that no server has run on.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no store in use at `{}`; to begin a new one, in which everything is still allowed, add `--create` once; \
     otherwise name the store that the server had before, or restore a backup of it with `tokenwarden store restore`",
    .0.display()
)]
struct NotBegun(PathBuf);

/// A server whose clock stands still would accept tokens for ever.
#[derive(Debug, thiserror::Error)]
#[error("`--now` cannot be given to a server: no token would ever expire")]
struct StoppedClock;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`")]
struct CannotListen {
    address: SocketAddr,
    #[source]
    cause: io::Error,
}

pub(super) fn run(global: &Global, arguments: &ServeArgs) -> CommandResult {
    let queue = log::start_apart(global, Level::INFO)?;
    let done = run_logged(global, arguments);
    queue.flush();
    done
}

fn run_logged(global: &Global, arguments: &ServeArgs) -> CommandResult {
    if global.now.is_some() {
        return Err(Failure::new(Ending::Usage, StoppedClock));
    }
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(Tls { certificate: global.resolve(certificate), key: global.resolve(key) })
        }
        _ => None,
    };
    if tls.is_none() && !arguments.insecure_http && !arguments.listen.ip().to_canonical().is_loopback() {
        return Err(Failure::new(Ending::Usage, Unencrypted(arguments.listen)));
    }
    runtime::block_on_to_the_end(Hangup::Told, async {
        let listening = |cause| CannotListen { address: arguments.listen, cause };
        let listener = TcpListener::bind(arguments.listen).map_err(listening)?;
        let (store, is_new) = open(global, arguments).await?;
        if let Some(file) = &arguments.directory_file {
            directory::import(&store, &global.resolve(file)).await?;
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        let options = Options {
            tls,
            tls_client_ca: arguments.tls_client_ca.as_deref().map(|file| global.resolve(file)),
            tls_min_version: arguments.tls_min_version.into(),
            connections: connections(),
            audit_retention: arguments.audit_retention,
            compatible_version: arguments.compatible_version.clone(),
            public_url: arguments.public_url.clone(),
            ..Options::new(GroupName::new(arguments.admin_group.as_str()))
        };
        let running = serve::start(store, listener, options).await.map_err(|error| match error {
            ServeError::Store(StoreError::SettingsLost) => Failure::new(Ending::Usage, error),
            error => error.into(),
        })?;
        let reloaded = running.certificate().map(|certificate| (certificate, stop::hangups()));
        tracing::info!(url = format!("{scheme}://{}", running.address()), "listening");
        if arguments.create && !is_new {
            tracing::warn!(
                "the store already exists: remove `--create`, so that a lost store is never silently \
                 recreated"
            );
        }
        tokio::select! {
            ended = running.run_until(asked_to_stop()) => ended?,
            never = reload_on_hangup(reloaded) => match never {},
        }
        tracing::info!("stopped");
        Ok(Ending::Done)
    })
}

/// The store, and whether it is new.
///
/// # Errors
///
/// When the store is new and nobody asked for that (exit 64), or cannot be opened.
async fn open(global: &Global, arguments: &ServeArgs) -> Result<(Store, bool), Failure> {
    let url = StoreUrl { file: global.resolve(&arguments.store.file) };
    let not_begun = || Failure::new(Ending::Usage, NotBegun(url.file.clone()));
    let opened = if arguments.create { Store::open_or_create(&url).await } else { Store::open(&url).await };
    let store = match opened {
        Err(StoreError::Missing(_)) => return Err(not_begun()),
        opened => opened?,
    };
    let is_new = store.settings(None).await?.is_none();
    if is_new && !arguments.create {
        store.close().await;
        return Err(not_begun());
    }
    Ok((store, is_new))
}

/// The files that the process needs for everything but connections.
#[cfg(unix)]
const OTHER_FILES: u64 = 64;

/// How many connections there may be: every one takes a file, of which the process takes as many as it may.
#[cfg(unix)]
fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { current };
    let possible = files.map_or(u64::MAX, |files| files.saturating_sub(OTHER_FILES));
    Options::CONNECTIONS.min(usize::try_from(possible).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn connections() -> usize {
    Options::CONNECTIONS
}

/// Reads the files of a certificate again with each SIGHUP.
async fn reload_on_hangup(reloaded: Option<(Certificate, watch::Receiver<()>)>) -> Infallible {
    if let Some((certificate, mut hangups)) = reloaded {
        while hangups.changed().await.is_ok() {
            tracing::info!("SIGHUP: the TLS files are reloaded if they have changed");
            certificate.reload().await;
        }
    }
    std::future::pending().await
}

/// Ready when the process is asked to stop: by the terminal or by anyone who runs services.
async fn asked_to_stop() {
    stop::requested().await;
    tracing::info!("stopping after requests in flight have finished");
}
