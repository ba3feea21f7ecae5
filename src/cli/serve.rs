//! `serve`: the server, until it is told to stop.
//!
//! Unless it is told to, it neither begins a new store, which lets everybody in, nor sends credentials in the clear
//! over a network.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use tokio::sync::watch;
use tracing::Level;

use crate::{
    config::{
        Auth,
        gateway::{self, GatewayConfig, GatewayReading, GatewayTls, Upstream},
    },
    model::{AddressSet, GroupName, Period},
    run::{
        Ending, Failure, front,
        reading::{folder_of, read_regular},
        stop::{self, Hangup},
        workspace::invalid,
    },
    serve::{
        self, Certificate, CompatibleVersion, PublicUrl, ServeError, ServerOptions, Tls, TlsVersion,
        front::UpstreamUrl,
        store::{Store, StoreError, StoreUrl},
    },
    yaml::{Diagnostics, Sources, Span},
};

use super::{CommandResult, Global, directory, log, runtime};

/// What `serve` understands.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where users, groups, settings and tokens are kept: `sqlite:FILE`. Not with `--config FILE`, which names a
    /// gateway file that says this and the rest
    #[arg(long, value_name = "URL")]
    store: Option<StoreUrl>,
    /// Create the store; on the first start only. Without it, a missing store is an error
    #[arg(long)]
    create: bool,
    /// Address and port to listen on [default: 127.0.0.1:7991]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The group whose members administer the server [default: administrators]
    #[arg(long, value_name = "GROUP")]
    admin_group: Option<String>,
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
    /// The lowest version of TLS to accept [default: 1.2]
    #[arg(long, value_name = "VERSION", requires = "tls_cert")]
    tls_min_version: Option<MinVersion>,
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
    /// Stand in front of this Bitbucket: judge every request by the settings and forward what passes
    #[arg(long, value_name = "URL", requires = "upstream_auth")]
    upstream: Option<UpstreamUrl>,
    /// The user who reads users, groups and tokens of the upstream
    #[arg(long, value_name = "NAME", requires = "upstream")]
    upstream_user: Option<String>,
    /// The environment variable with the password of `--upstream-user`
    #[arg(long, value_name = "NAME", requires = "upstream_user", group = "upstream_auth")]
    upstream_password_env: Option<String>,
    /// The environment variable with an access token that reads the upstream
    #[arg(long, value_name = "NAME", requires = "upstream", group = "upstream_auth")]
    upstream_token_env: Option<String>,
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

/// A server whose clock stands still would accept expired tokens.
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
    let (config, folder) = match &global.config {
        Some(file) => (arguments.of_file(global, file)?, folder_of(&global.resolve(file))),
        None => (arguments.of_flags()?, global.directory.clone()),
    };
    let listen = config.listen.unwrap_or(LISTEN);
    if config.tls.is_none() && !config.insecure_http && !listen.ip().to_canonical().is_loopback() {
        return Err(Failure::new(Ending::Usage, Unencrypted(listen)));
    }
    let public_url = config.public_url.as_ref().map(|url| url.parse::<PublicUrl>()).transpose();
    let public_url = public_url.map_err(|error| Failure::new(Ending::Usage, error))?;
    runtime::block_on_to_the_end(Hangup::Told, async {
        let listening = |cause| CannotListen { address: listen, cause };
        let listener = serve::listen(listen).await.map_err(listening)?;
        let (store, is_new) = open(&folder.join(&config.store), arguments.create).await?;
        if let Some(file) = &arguments.directory_file {
            directory::import(&store, &global.resolve(file)).await?;
        }
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let (mirror, front) = front::front(&config, &folder).await?.unzip();
        let group = config.admin_group.as_deref().unwrap_or("administrators");
        let at = |file: &PathBuf| folder.join(file);
        let tls = config.tls.as_ref();
        let usual = ServerOptions::new(GroupName::new(group));
        let options = ServerOptions {
            tls: tls.map(|tls| Tls { certificate: at(&tls.cert), key: at(&tls.key) }),
            tls_client_ca: tls.and_then(|tls| tls.client_ca.as_ref()).map(at),
            tls_min_version: match tls {
                Some(GatewayTls { only_1_3: true, .. }) => TlsVersion::V1_3,
                _ => TlsVersion::V1_2,
            },
            connections: connections(usual.lanes.get()),
            audit_retention: config.audit_retention,
            compatible_version: arguments.compatible_version.clone(),
            public_url,
            mirror: mirror.flatten(),
            front,
            ..usual
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

/// Where a server listens when nothing is said.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7991);

/// Nothing says where the store is.
#[derive(Debug, thiserror::Error)]
#[error("pass `--store sqlite:FILE`, or `--config FILE` with a gateway file that says it")]
struct NoStore;

/// A flag says what the gateway file says.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot be used with `--config`: write it into the gateway file")]
struct AlsoInFile(&'static str);

impl ServeArgs {
    /// What the flags say.
    fn of_flags(&self) -> Result<GatewayConfig, Failure> {
        let store = self.store.as_ref().ok_or_else(|| Failure::new(Ending::Usage, NoStore))?;
        let auth = match (&self.upstream_password_env, &self.upstream_token_env) {
            (Some(variable), _) => Some(Auth::Password {
                user: self.upstream_user.clone().unwrap_or_default(),
                password_env: variable.clone(),
            }),
            (None, Some(variable)) => {
                Some(Auth::Token { user: self.upstream_user.clone(), token_env: variable.clone() })
            }
            (None, None) => None,
        };
        let upstream = self.upstream.as_ref().zip(auth);
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        Ok(GatewayConfig {
            listen: self.listen,
            tls: tls.map(|(cert, key)| GatewayTls {
                cert,
                key,
                client_ca: self.tls_client_ca.clone(),
                only_1_3: matches!(self.tls_min_version, Some(MinVersion::V1_3)),
            }),
            insecure_http: self.insecure_http,
            store: store.file.clone(),
            admin_group: self.admin_group.clone(),
            public_url: self.public_url.as_ref().map(ToString::to_string),
            audit_retention: self.audit_retention,
            upstream: upstream.map(|(url, auth)| Upstream::new(url.to_string(), auth)),
            authz_peers: AddressSet::default(),
        })
    }

    /// What the gateway file at `path` says.
    fn of_file(&self, global: &Global, path: &Path) -> Result<GatewayConfig, Failure> {
        if let Some(flag) = self.flag_of_file() {
            return Err(Failure::new(Ending::Usage, AlsoInFile(flag)));
        }
        let shown: Arc<str> = path.display().to_string().into();
        let listener = global.base().listener;
        let bytes = read_regular(&global.resolve(path)).map_err(|problem| {
            let mut diagnostics = Diagnostics::default();
            diagnostics.push(problem.at(&Span::of_file(&shown), "", &shown));
            listener.mistakes(&diagnostics, &Sources::new());
            invalid(&diagnostics, 1)
        })?;
        let GatewayReading { config, diagnostics, sources } = gateway::read(&shown, &bytes);
        listener.mistakes(&diagnostics, &sources);
        config.ok_or_else(|| invalid(&diagnostics, 1))
    }

    /// A flag that was given and is a matter of the gateway file.
    fn flag_of_file(&self) -> Option<&'static str> {
        let given = [
            ("--store", self.store.is_some()),
            ("--listen", self.listen.is_some()),
            ("--admin-group", self.admin_group.is_some()),
            ("--tls-cert", self.tls_cert.is_some()),
            ("--tls-min-version", self.tls_min_version.is_some()),
            ("--audit-retention", self.audit_retention.is_some()),
            ("--public-url", self.public_url.is_some()),
            ("--insecure-http", self.insecure_http),
            ("--upstream", self.upstream.is_some()),
        ];
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

/// The store, and whether it is new.
///
/// # Errors
///
/// When the store is new and nobody asked for that (exit 64), or cannot be opened.
async fn open(file: &Path, create: bool) -> Result<(Store, bool), Failure> {
    let url = StoreUrl { file: file.to_owned() };
    let not_begun = || Failure::new(Ending::Usage, NotBegun(url.file.clone()));
    let opened = if create { Store::open_or_create(&url).await } else { Store::open(&url).await };
    let store = match opened {
        Err(StoreError::Missing(_)) => return Err(not_begun()),
        opened => opened?,
    };
    let is_new = store.settings(None).await?.is_none();
    if is_new && !create {
        store.close().await;
        return Err(not_begun());
    }
    Ok((store, is_new))
}

/// The files that the process needs for everything but connections and threads that answer.
#[cfg(unix)]
const OTHER_FILES: u64 = 64;
/// The files that such a thread takes.
#[cfg(unix)]
const FILES_OF_LANE: u64 = 4;

/// How many connections there may be: every one takes a file, of which the process takes as many as it may.
#[cfg(unix)]
fn connections(lanes: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { current };
    let others = OTHER_FILES + FILES_OF_LANE * lanes as u64;
    let possible = files.map_or(u64::MAX, |files| files.saturating_sub(others));
    ServerOptions::CONNECTIONS.min(usize::try_from(possible).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn connections(_: usize) -> usize {
    ServerOptions::CONNECTIONS
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
