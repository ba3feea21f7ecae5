//! They call us: the server that issues API tokens and obeys the settings that a policy gave it.
//!
//! From a store, a socket and requests to answers, each after a decision by `access`. Policy files and
//! plans are not known here: the server enforces settings, no matter who made them.
//!
//! A connection comes through the door to one of the lanes, which are threads. A request goes through the guard (client
//! address, network, credentials, log line), to the handler of its endpoint, which asks for the permit to do what the
//! request wants and then does it on the store. What is for the server behind a gateway goes to `front` instead.

mod address_text;
mod api;
mod authentication;
mod body;
mod callers;
mod certificate_end;
mod clock;
mod compatible_version;
mod connections;
mod dialect;
pub mod directory;
mod entry;
pub mod front;
mod guard;
mod head;
mod lanes;
mod last_uses;
mod live_settings;
mod passwords;
mod probe;
mod problem;
mod project_permissions;
mod public_url;
mod random;
mod request_log;
mod retention;
pub mod seed;
mod service;
mod session;
pub mod settings;
pub mod store;
mod throttle;
mod tls;
mod unread;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum_server::{Handle, Server, accept::DefaultAcceptor, tls_rustls::RustlsAcceptor};
use hyper_util::rt::TokioTimer;
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    model::{GroupName, Owner, Period, Settings, TokenSecret, secret::SecretHash},
    world::system_time,
};
use body::Bodies;
use callers::Callers;
pub use clock::{Clock, ServerClock};
pub use compatible_version::CompatibleVersion;
use connections::{Door, Patience, Peer};
pub use connections::{Waits, listen};
use front::{
    Front,
    mirror::{Mirror, MirrorOptions},
};
use lanes::{Arrivals, Lane};
use last_uses::LastUses;
use live_settings::LiveSettings;
use passwords::{PasswordError, Passwords};
use probe::Probe;
pub use public_url::PublicUrl;
pub use random::{NoRandomness, random_bytes};
use request_log::Strangers;
use service::Services;
use store::{Store, StoreError};
pub use tls::{Certificate, Tls, TlsVersion};

/// The most bytes that the head of a request in HTTP/2 takes.
const HEAD_BYTES: u32 = 128 * 1024;
/// So many requests of one connection in HTTP/2 are under way at a time.
const STREAMS: u32 = 64;
/// So many requests are under way at a time, of those that take work.
const REQUESTS: usize = 256;
/// How long requests in flight may take to finish when the server stops.
const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// How long the store may take to end after that.
const END_WITHIN: Duration = Duration::from_secs(5);

/// When the certificate `der` ends, UTC; `None` when it is not written as certificates are.
#[must_use]
pub fn certificate_end(der: &[u8]) -> Option<jiff::Timestamp> {
    certificate_end::end(der)
}

/// How a server is to be run.
pub struct ServerOptions {
    /// The group whose members administer the server.
    pub administrators: GroupName,
    /// What time it is for the server.
    pub clock: Clock,
    /// The credential of the process that runs the server for itself, sent as `Bearer`; it is exempt
    /// from the rules on networks and passwords. Nothing for a server that others use.
    pub operator: Option<TokenSecret>,
    /// Certificate chain and private key; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// The authorities of whose certificates a client with TLS must show one, PEM; `None` when none is asked for.
    pub tls_client_ca: Option<PathBuf>,
    /// The lowest version of TLS that is spoken.
    pub tls_min_version: TlsVersion,
    /// How many attempts with a password may fail in a minute from one address (IPv4) or network
    /// (IPv6, 64 bits) before the next is refused unseen. For one user it is twice as many, from wider
    /// networks up to four times.
    pub password_failures_per_minute: u32,
    /// How many connections there may be at a time; one address has a quarter of them at most.
    pub connections: usize,
    /// How many threads answer requests.
    pub lanes: NonZeroUsize,
    /// How long the other end of a connection is waited for.
    pub waits: Waits,
    /// How long entries of the audit are kept; `None` for ever.
    pub audit_retention: Option<Period>,
    /// The version of Bitbucket that clients are told.
    pub compatible_version: CompatibleVersion,
    /// Where clients reach it, for links in answers; `None` to go by each request.
    pub public_url: Option<PublicUrl>,
    /// What the mirror of the server behind is filled from; `None` for a server that stands in front of no other.
    pub mirror: Option<MirrorOptions>,
    /// What requests to the server behind go through; `None` for a server that stands in front of no other.
    pub front: Option<Front>,
}

impl ServerOptions {
    /// The failed attempts with a password that a server allows in a minute.
    pub const PASSWORD_FAILURES_PER_MINUTE: u32 = 20;

    /// The connections that a server takes at a time.
    pub const CONNECTIONS: usize = 1024;

    /// A server on the system's clock, without TLS and without an operator.
    #[must_use]
    pub fn new(administrators: GroupName) -> Self {
        Self {
            administrators,
            clock: Clock::System,
            operator: None,
            tls: None,
            tls_client_ca: None,
            tls_min_version: TlsVersion::default(),
            password_failures_per_minute: Self::PASSWORD_FAILURES_PER_MINUTE,
            connections: Self::CONNECTIONS,
            lanes: lanes::of_machine(),
            waits: Waits::default(),
            audit_retention: None,
            compatible_version: CompatibleVersion::default(),
            public_url: None,
            mirror: None,
            front: None,
        }
    }
}

/// The server cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The passwords cannot be checked.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The settings of a new store cannot be written.
    #[error("the settings cannot be written")]
    Settings(#[from] serde_json::Error),
    /// Certificate or key cannot be used.
    #[error("the certificate `{}` and its key cannot be used", certificate.display())]
    Tls {
        /// Path of the certificate.
        certificate: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The store did not end in time.
    #[error("the store did not take the last uses of tokens in time; everything acknowledged is in it")]
    Unfinished,
    /// The socket failed.
    #[error("the socket failed")]
    Socket(#[from] io::Error),
    /// The server ended in a way that it never should.
    #[error("the server ended unexpectedly")]
    Ended(#[from] tokio::task::JoinError),
}

/// What all requests share.
struct App {
    store: Store,
    clock: ServerClock,
    administrators: GroupName,
    operator: Option<SecretHash>,
    /// Whether it is reached by TLS without a proxy in between.
    has_tls: bool,
    settings: LiveSettings,
    uses: LastUses,
    passwords: Passwords,
    bodies: Bodies,
    probe: Probe,
    /// A permit for each request that may be under way.
    under_way: Semaphore,
    /// The requests of each address whose senders are not known, or not yet.
    strange: Callers<IpAddr>,
    callers: Callers<Owner>,
    strangers: Strangers,
    compatible_version: CompatibleVersion,
    public_url: Option<PublicUrl>,
    mirror: Option<Mirror>,
    front: Option<Front>,
}

/// A server that runs.
pub struct Running {
    address: SocketAddr,
    serving: JoinHandle<io::Result<Vec<Lane>>>,
    stop: Arc<Notify>,
    writing: JoinHandle<()>,
    keeps_time: bool,
    certificate: Option<Certificate>,
    app: Arc<App>,
}

/// Runs a server on `listener` over `store`, which it closes at the end. A new store gets the initial settings.
///
/// # Errors
///
/// When the store, the socket or the TLS files cannot be used.
pub async fn start(
    store: Store,
    listener: TcpListener,
    options: ServerOptions,
) -> Result<Running, ServeError> {
    begin_settings(&store, options.administrators.clone()).await?;
    if options.operator.is_none() && !store.has_active_member(&options.administrators).await? {
        tracing::warn!(
            group = %options.administrators,
            "nobody can administer this server: the group has no active member; import a directory file"
        );
    }
    let users = store.passwords_of_other_costs(passwords::COSTS).await?;
    if users > 0 {
        tracing::warn!(
            users,
            costs = passwords::COSTS,
            "the passwords of some users are refused: their hashes have other costs; import the directory again"
        );
    }
    let clock = ServerClock::start(options.clock, &store).await?;
    // A server that runs for one command keeps what time it was once it changes something.
    let keeps_time = options.operator.is_none();
    if keeps_time {
        clock.keep(&store).await?;
    }
    let mirror = options.mirror.map(|source| Mirror::new(source, store.clone(), clock.passing()));
    let app = Arc::new(App {
        mirror,
        front: options.front,
        store,
        clock,
        administrators: options.administrators,
        operator: options.operator.map(|secret| secret.hash()),
        has_tls: options.tls.is_some(),
        settings: LiveSettings::default(),
        uses: LastUses::default(),
        passwords: Passwords::new(options.password_failures_per_minute)?,
        bodies: Bodies::default(),
        probe: Probe::default(),
        under_way: Semaphore::new(REQUESTS),
        strange: callers::of_addresses(),
        callers: callers::of_owners(),
        strangers: Strangers::default(),
        compatible_version: options.compatible_version,
        public_url: options.public_url,
    });
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let door = door(listener, options.connections, &app);
    let read = |tls| Certificate::read(tls, options.tls_client_ca, options.tls_min_version);
    let certificate = options.tls.map(read).transpose()?;
    let lanes = start_lanes(options.lanes, &handle, certificate.clone(), options.waits, (address, &app))?;
    let stop = Arc::<Notify>::default();
    let serving = tokio::spawn(serve(door, lanes, handle, Arc::clone(&stop)));
    let (for_writing, current) = (Arc::clone(&app), certificate.clone());
    let retention = options.audit_retention;
    let writing = tokio::spawn(async move {
        let App { store, uses, clock, strangers, .. } = &*for_writing;
        let keeping = async {
            if keeps_time {
                clock.keep_on(store).await;
            }
        };
        let current = async {
            if let Some(certificate) = current {
                certificate.keep_current().await;
            }
        };
        let pruning = async {
            if let Some(period) = retention {
                retention::keep_pruning(store, clock, period).await;
            }
        };
        let mirroring = async {
            if let Some(mirror) = &for_writing.mirror {
                mirror_on(mirror, &for_writing).await;
            }
        };
        tokio::join!(
            uses.keep_writing(store),
            strangers.keep_telling(),
            keeping,
            current,
            pruning,
            mirroring
        );
    });
    Ok(Running { address, serving, stop, writing, keeps_time, certificate, app })
}

/// Keeps `mirror` current and writes the uses that it took note of, until it is dropped.
async fn mirror_on(mirror: &Mirror, app: &App) {
    tokio::join!(mirror.keep_current(&app.settings, &app.clock), mirror.uses.keep_writing(&app.store));
}

/// Gives a new store the settings of a new server.
///
/// # Errors
///
/// When the store is not new and has no settings, or fails.
async fn begin_settings(store: &Store, administrators: GroupName) -> Result<(), ServeError> {
    let text = live_settings::settings_text(&Settings::initial(administrators))?;
    Ok(store.begin_settings(&text).await?)
}

/// Takes the connections to `listener`, `most` at a time. Those of a proxy that is trusted are of many clients.
fn door(listener: TcpListener, most: usize, app: &Arc<App>) -> Door {
    let app = Arc::clone(app);
    let is_proxy = move |peer: IpAddr| {
        app.settings.last().is_some_and(|revision| revision.settings.client_address.trusts(peer))
    };
    Door::new(listener, most, Box::new(is_proxy))
}

/// Starts `count` lanes that answer requests.
fn start_lanes(
    count: NonZeroUsize,
    handle: &Handle<Peer>,
    certificate: Option<Certificate>,
    waits: Waits,
    (address, app): (SocketAddr, &Arc<App>),
) -> io::Result<Vec<Lane>> {
    let (app, of_all) = (Arc::clone(app), handle.clone());
    let serve = move |arrivals: Arrivals| {
        let service = Services { app: Arc::clone(&app), endpoints: api::router(Arc::clone(&app)) };
        let mut server = Server::<Peer>::from_listener(arrivals).handle(of_all.clone());
        limit_heads(server.http_builder(), waits.head);
        let tls = certificate.as_ref().map(|certificate| RustlsAcceptor::new(certificate.config()));
        async move {
            match tls {
                None => {
                    server.acceptor(Patience { inner: DefaultAcceptor::new(), waits }).serve(service).await
                }
                Some(tls) => {
                    let inner = tls.handshake_timeout(waits.begin);
                    server.acceptor(Patience { inner, waits }).serve(service).await
                }
            }
        }
    };
    lanes::start(count, (address, waits.ask), handle, serve)
}

/// Hands what comes through `door` to `lanes`, whose servers have this `handle`, until it is to `stop`, and waits until they
/// have answered everything. The lanes go on with what requests have begun until they are dropped.
async fn serve(
    door: Door,
    mut lanes: Vec<Lane>,
    handle: Handle<Peer>,
    stop: Arc<Notify>,
) -> io::Result<Vec<Lane>> {
    let handing = async {
        loop {
            Lane::hand(&lanes, door.next().await?)?;
        }
    };
    tokio::select! {
        biased;
        () = stop.notified() => {}
        failed = handing => return failed,
    }
    // Only then: a lane that takes no more would seem to have failed.
    handle.graceful_shutdown(Some(FINISH_WITHIN));
    drop(door);
    for lane in &mut lanes {
        lane.served().await?;
    }
    Ok(lanes)
}

fn limit_heads<E>(builder: &mut hyper_util::server::conn::auto::Builder<E>, within: Duration) {
    // Wider than what `head` lets pass: what it refuses is answered in the form of the path.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(within).max_headers(2 * head::LINES_AT_MOST);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(within)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES);
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that it shows; `None` without TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        self.certificate.clone()
    }

    /// Runs until `stop` is ready, or its socket fails. At the end no new connection is taken, requests
    /// in flight finish, everything is written and the store is closed.
    ///
    /// # Errors
    ///
    /// When the socket failed, or the last uses cannot be written.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        if let Some(certificate) = &self.certificate {
            certificate.tell_end(system_time());
        }
        let served = tokio::select! {
            served = &mut self.serving => served,
            () = stop => {
                self.stop.notify_one();
                self.serving.await
            }
        };
        self.writing.abort();
        let App { store, clock, uses, mirror, .. } = &*self.app;
        let ended = timeout(END_WITHIN, async {
            let mut flushed = uses.flush(store).await;
            if let Some(mirror) = mirror {
                flushed = flushed.and(mirror.uses.flush(store).await);
            }
            let kept = if self.keeps_time { clock.keep(store).await } else { Ok(()) };
            store.close().await;
            flushed.and(kept)
        });
        let ended = ended.await;
        drop(served??);
        Ok(ended.map_err(|_| ServeError::Unfinished)??)
    }

    /// Stops as [`Self::run_until`] does at the end.
    ///
    /// # Errors
    ///
    /// When the socket failed before, or the last uses cannot be written.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.run_until(std::future::ready(())).await
    }
}
