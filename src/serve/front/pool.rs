//! Connections to the upstream, kept for the next request. Each runtime has its own: the system tells of what arrives on
//! a connection to the one that made it.
//!
//! A request drives its connection itself: most answers come in one piece, and handing both over to a task of the
//! connection and back would take longer than what that task does. What comes in more pieces gets a task of its own, so
//! that both directions go on whoever waits for whom.

use std::{
    collections::HashMap,
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{
    BoxError,
    body::{Body, Bytes},
    http::{Request, Uri, response::Parts},
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    net::TcpStream,
    runtime::{Handle, Id},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tower_service::Service;

/// How long an idle connection is kept: less than servers do, which would close it under the next request.
const IDLE: Duration = Duration::from_secs(4);

/// What passes the bytes of a connection.
type Driver = http1::Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Body>;

/// The connections to one upstream.
pub(super) struct Pool {
    connector: HttpsConnector<HttpConnector>,
    upstream: Uri,
    idle: Mutex<Idle>,
    /// A permit for each connection that there may be.
    places: Arc<Semaphore>,
}

/// A connection, and since when no request has it.
type Kept = (Connection, Instant);

/// The connections that no request has.
#[derive(Default)]
struct Idle {
    /// Those of each runtime, the last one used at the end.
    connections: HashMap<Id, Vec<Kept>>,
    /// Whether somebody closes them when their time is over.
    is_watched: bool,
}

struct Connection {
    requests: SendRequest<Body>,
    /// `None` when a task drives it, or it has ended.
    driver: Option<Pin<Box<Driver>>>,
    /// The runtime that made it.
    home: Id,
    /// `None` when all places were taken by connections that were just going to be idle.
    _place: Option<OwnedSemaphorePermit>,
}

/// There is no answer.
pub(super) enum Failure {
    /// No connection could be made.
    Connect(BoxError),
    /// The connection ended before.
    Exchange(hyper::Error),
}

impl Pool {
    /// Connections that `connector` makes to `upstream` for `most` requests at a time: as many, beside those that are just
    /// going to be idle.
    pub(super) fn new(connector: HttpsConnector<HttpConnector>, upstream: Uri, most: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(most));
        Arc::new(Self { connector, upstream, idle: Mutex::default(), places })
    }

    /// Sends `request`, in origin form, and answers once the head of the answer is there. No request is sent again of
    /// which anything was written.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub(super) async fn request(
        self: &Arc<Self>,
        mut request: Request<Body>,
    ) -> Result<(Parts, Answer), Failure> {
        loop {
            let (kept, place) = self.kept_or_place();
            let was_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => Box::pin(self.connect(place)).await?,
            };
            match connection.exchange(request).await {
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    let held = Some((connection, Arc::clone(self)));
                    return Ok((parts, Answer { body, held, is_over: false }));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_kept => request = unsent,
                    _ => return Err(Failure::Exchange(error.into_error())),
                },
            }
        }
    }

    /// A connection that is still there, if this runtime has one; otherwise the place for a new one. When there are as many as
    /// there may be, one of another runtime.
    fn kept_or_place(&self) -> (Option<Connection>, Option<OwnedSemaphorePermit>) {
        let here = Handle::current().id();
        if let Some(kept) = self.take(|idle| idle.get_mut(&here)?.pop()) {
            return (Some(kept), None);
        }
        let place = || Arc::clone(&self.places).try_acquire_owned().ok();
        if let Some(place) = place() {
            return (None, Some(place));
        }
        match self.take(|idle| idle.values_mut().find_map(Vec::pop)) {
            Some(kept) => (Some(kept), None),
            // Those that were not there any more have left theirs.
            None => (None, place()),
        }
    }

    async fn connect(&self, place: Option<OwnedSemaphorePermit>) -> Result<Connection, Failure> {
        let mut connector = self.connector.clone();
        poll_fn(|cx| connector.poll_ready(cx)).await.map_err(Failure::Connect)?;
        let stream = connector.call(self.upstream.clone()).await.map_err(Failure::Connect)?;
        let (requests, driver) = http1::handshake(stream).await.map_err(Failure::Exchange)?;
        let home = Handle::current().id();
        Ok(Connection { requests, driver: Some(Box::pin(driver)), home, _place: place })
    }

    /// What `next` takes of the idle ones, until it is a connection that is still there.
    fn take(&self, next: impl Fn(&mut HashMap<Id, Vec<Kept>>) -> Option<Kept>) -> Option<Connection> {
        loop {
            let (mut connection, since) = next(&mut self.idle().connections)?;
            if since.elapsed() < IDLE && connection.is_ready() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose answer has ended, once it takes the next request.
    fn keep(self: &Arc<Self>, mut connection: Connection) {
        // Without a runtime everything ends.
        let Ok(runtime) = Handle::try_current() else { return };
        if connection.driver.is_some() {
            if connection.is_ready() {
                self.put(connection, &runtime);
            }
            return;
        }
        let (pool, on) = (Arc::downgrade(self), runtime.clone());
        runtime.spawn(async move {
            if connection.requests.ready().await.is_ok()
                && let Some(pool) = pool.upgrade()
            {
                pool.put(connection, &on);
            }
        });
    }

    fn put(self: &Arc<Self>, connection: Connection, runtime: &Handle) {
        let mut idle = self.idle();
        idle.connections.entry(connection.home).or_default().push((connection, Instant::now()));
        if !mem::replace(&mut idle.is_watched, true) {
            runtime.spawn(close_idle(Arc::downgrade(self)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the connections of `pool` whose time is over, until none is left.
async fn close_idle(pool: Weak<Pool>) {
    loop {
        sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        let mut closed = Vec::new();
        for connections in idle.connections.values_mut() {
            let over = connections.partition_point(|(_, since)| since.elapsed() >= IDLE);
            closed.extend(connections.drain(..over));
        }
        idle.connections.retain(|_, connections| !connections.is_empty());
        idle.is_watched = !idle.connections.is_empty();
        let is_done = !idle.is_watched;
        drop(idle);
        drop(closed);
        if is_done {
            return;
        }
    }
}

impl Connection {
    /// Whether it takes a request: the one before has ended, and the upstream has not closed it.
    fn is_ready(&mut self) -> bool {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        {
            return false;
        }
        self.requests.is_ready()
    }

    /// Sends `request`; ready when the head of the answer is there.
    async fn exchange(
        &mut self,
        request: Request<Body>,
    ) -> Result<axum::http::Response<Incoming>, TrySendError<Request<Body>>> {
        let mut answered = pin!(self.requests.try_send_request(request));
        poll_fn(|cx| {
            let Some(driver) = &mut self.driver else { return answered.as_mut().poll(cx) };
            if driver.as_mut().poll(cx).is_ready() {
                self.driver = None;
                return answered.as_mut().poll(cx);
            }
            // Nothing but the driver brings the answer.
            answered.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Leaves it to a task of its own.
    fn run(&mut self) {
        if let Some(driver) = self.driver.take() {
            // Whoever waits for the answer is told how it ended.
            tokio::spawn(driver);
        }
    }
}

/// The body of an answer. When it has ended its connection is kept; dropped before, that one is closed.
pub(super) struct Answer {
    body: Incoming,
    held: Option<(Connection, Arc<Pool>)>,
    is_over: bool,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.is_over = matches!(polled, Poll::Ready(None)) || self.body.is_end_stream();
        if !self.is_over
            && let Some((connection, _)) = &mut self.held
        {
            connection.run();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some((connection, pool)) = self.held.take()
            && (self.is_over || self.body.is_end_stream())
        {
            pool.keep(connection);
        }
    }
}
