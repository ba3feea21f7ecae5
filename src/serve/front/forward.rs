//! The forwarder: one request to the upstream, and the answer back, both as they come.
//!
//! Connections to the upstream are pooled and bounded, in all and for one client; HTTP/1.1 is spoken on them. No
//! redirect is followed, nothing is unpacked, and no request that was written is sent again.

use std::{error::Error, io, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    BoxError,
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version},
};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    body::{Exchange, Silent},
    headers::{self, Up},
    pool::{Failure, Pool},
    upstream::{UpstreamLimits, UpstreamUrl},
};
use crate::serve::{
    callers::{self, Callers, Present},
    throttle::network,
};

/// How often TCP asks whether the upstream is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a request waits for others to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Forwards requests to one upstream.
pub struct Forwarder {
    pool: Arc<Pool>,
    upstream: UpstreamUrl,
    /// A permit for each connection that may be in use.
    room: Arc<Semaphore>,
    /// The connections of each client's network.
    clients: Callers<IpAddr>,
    silence: Duration,
}

/// What a request is forwarded with, beside what it is itself.
pub struct Outgoing<'a, H> {
    /// The one credential, written out again by us.
    pub authorization: Option<&'a HeaderValue>,
    /// The header that says who the sender is, where the upstream believes one.
    pub identity: Option<(HeaderName, HeaderValue)>,
    /// Whether no cookie crosses, in either direction.
    pub drops_cookies: bool,
    /// The address of the client; `None` when nobody can tell.
    pub client: Option<IpAddr>,
    /// The id of the request in the log.
    pub id: &'a str,
    /// Whether the other end of the connection is a trusted proxy.
    pub is_proxied: bool,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// What is kept until the answer has ended.
    pub held: H,
}

/// Room for one request to the upstream.
pub struct Room {
    /// Whether it was waited for: much may be another way by now.
    pub waited: bool,
    _turn: Present<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

/// The upstream did not answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection could be made.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] BoxError),
    /// The connection ended before there was an answer.
    #[error("the upstream broke off")]
    BrokeOff(#[source] hyper::Error),
    /// It took too long.
    #[error("the upstream did not answer in time")]
    Silent,
    /// As many requests are under way as there may be.
    #[error("all connections to the upstream are in use")]
    Busy,
    /// The answer is one that no request asked for.
    #[error("the upstream switched protocols without being asked to")]
    Switched,
    /// The client did not send the request to its end.
    #[error("the client broke off")]
    ClientBrokeOff,
    /// The client took too long to send it.
    #[error("the client did not send its request in time")]
    ClientSilent,
    /// The request has no path to forward.
    #[error("the target of the request is not a path")]
    NoPath,
}

impl Forwarder {
    /// A forwarder to `upstream`, which over TLS trusts as `tls` says.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(
        upstream: UpstreamUrl,
        tls: Option<ClientConfig>,
        limits: UpstreamLimits,
    ) -> Result<Self, rustls::Error> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits.connect));
        http.set_keepalive(Some(KEEPALIVE));
        let tls = tls.map_or_else(trusting_nobody, Ok)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let connections = limits.connections.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            pool: Pool::new(connector, upstream.to_uri(), connections),
            upstream,
            room: Arc::new(Semaphore::new(connections)),
            clients: callers::of_clients(limits.connections, PATIENCE),
            silence: limits.silence,
        })
    }

    /// Waits until there is room for one more request of the client at this address.
    ///
    /// # Errors
    ///
    /// When there is none in time.
    pub async fn enter(&self, client: IpAddr) -> Result<Room, UpstreamError> {
        let turn = self.clients.enter(&network(client), true).await;
        let turn = turn.map_err(|_| UpstreamError::Busy)?;
        let at_once = Arc::clone(&self.room).try_acquire_owned().ok();
        let waited = turn.waited || at_once.is_none();
        let permit = match at_once {
            Some(permit) => permit,
            None => match timeout(PATIENCE, Arc::clone(&self.room).acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                _ => return Err(UpstreamError::Busy),
            },
        };
        Ok(Room { waited, _turn: turn, _permit: permit })
    }

    /// Sends `request` on once there is room, as [`Self::send_in`] does.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn send<H: Send + 'static>(
        &self,
        request: Request<Body>,
        out: Outgoing<'_, H>,
    ) -> Result<Response<Body>, UpstreamError> {
        let room = self.enter(out.client.unwrap_or(out.peer)).await?;
        self.send_in(room, request, out).await
    }

    /// Sends `request` on, and answers what the upstream answers as soon as it begins to. What is held until the
    /// answer has ended is a connection.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn send_in<H: Send + 'static>(
        &self,
        room: Room,
        request: Request<Body>,
        out: Outgoing<'_, H>,
    ) -> Result<Response<Body>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        let host = self.host(&parts.headers, &parts.uri);
        parts.uri = target(parts.uri, &parts.method)?;
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let up = Up {
            authorization: out.authorization,
            identity: out.identity,
            drops_cookies: out.drops_cookies,
            client: out.client,
            host,
            id: out.id,
            is_proxied: out.is_proxied,
        };
        headers::to_upstream(&mut parts.headers, up);
        let exchange = Exchange::new(self.silence);
        let request = Request::from_parts(parts, exchange.up(body));
        let answered = tokio::select! {
            biased;
            answered = self.pool.request(request) => answered,
            silent = exchange.silent() => return Err(match silent {
                Silent::Client => UpstreamError::ClientSilent,
                Silent::Upstream => UpstreamError::Silent,
            }),
        };
        let (mut parts, body) = answered.map_err(|failed| failure(failed, &exchange))?;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(UpstreamError::Switched);
        }
        if !parts.status.is_success() {
            exchange.stop_upload();
        }
        headers::to_client(&mut parts.headers, out.drops_cookies);
        parts.version = Version::default();
        Ok(Response::from_parts(parts, exchange.down(body, (room, out.held))))
    }

    /// The path below which everything of the upstream is.
    #[must_use]
    pub fn context_path(&self) -> &str {
        self.upstream.context_path()
    }

    /// The host that the client called, which links in answers lead to.
    fn host(&self, headers: &axum::http::HeaderMap, uri: &Uri) -> HeaderValue {
        let in_target = || HeaderValue::from_str(uri.authority()?.as_str()).ok();
        let host = headers.get(axum::http::header::HOST).cloned().or_else(in_target);
        let upstream = || HeaderValue::from_str(self.upstream.authority.as_str()).ok();
        host.or_else(upstream).unwrap_or(HeaderValue::from_static(""))
    }
}

/// The same path and query, byte for byte.
fn target(uri: Uri, method: &Method) -> Result<Uri, UpstreamError> {
    let path = uri.into_parts().path_and_query.filter(|_| method != Method::CONNECT);
    path.filter(|path| path.as_str().starts_with('/')).map(Uri::from).ok_or(UpstreamError::NoPath)
}

fn failure(failed: Failure, exchange: &Exchange) -> UpstreamError {
    match failed {
        _ if exchange.client_broke_off() => UpstreamError::ClientBrokeOff,
        Failure::Exchange(error) => UpstreamError::BrokeOff(error),
        Failure::Connect(error) if is_late(&*error) => UpstreamError::Silent,
        Failure::Connect(error) => UpstreamError::Unreachable(error),
    }
}

/// Whether no connection was made because nothing answered at all.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// TLS for an upstream without: no certificate of the machine is needed, and none is trusted.
fn trusting_nobody() -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
