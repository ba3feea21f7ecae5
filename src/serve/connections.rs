//! Connections: how many there may be, in all and from one address, and how long one may stay silent.
//!
//! Who connects is not known yet, so nothing here asks who may. What is limited is what every connection takes: a
//! file of the process, and memory.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address, accept::Accept};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

use super::throttle::network;
use crate::model::Why;

/// How long the door stays closed when the system gives no connection.
const PAUSE: Duration = Duration::from_millis(100);
/// The log tells of connections that are not taken once in this time.
const TELL_EVERY: Duration = Duration::from_mins(1);
/// What a connection in HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long the other end of a connection is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Until it has said in which version of HTTP it speaks.
    pub begin: Duration,
    /// Until the head of a request has arrived.
    pub head: Duration,
    /// Until there is a request, whatever else it sends, unless it still takes an answer.
    pub ask: Duration,
    /// Until it takes some of what it is sent.
    pub take: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        let [begin, head, ask, take] = [10, 15, 30, 30].map(Duration::from_secs);
        Self { begin, head, ask, take }
    }
}

/// Whether connections from an address are not counted: those of a proxy are of many clients.
type Exempt = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Takes connections, as many as there may be. Further ones wait in the system until one ends; one more than an
/// address may have ends at once.
pub(super) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    per_address: usize,
    ask: Duration,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    exempt: Exempt,
    told: Mutex<Option<Instant>>,
}

impl Door {
    /// At most `most` connections in all, a quarter of them from one address unless it is `exempt`; each ends when it
    /// is without a request for as long as `ask`.
    pub(super) fn new(listener: TcpListener, most: usize, ask: Duration, exempt: Exempt) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            per_address: most.div_ceil(4),
            ask,
            by_address: Arc::default(),
            exempt,
            told: Mutex::default(),
        }
    }

    fn place(&self, address: IpAddr, permit: OwnedSemaphorePermit) -> Option<ConnectionSlot> {
        let network = network(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let present = by_address.entry(network).or_default();
        if *present >= self.per_address && !(self.exempt)(address.to_canonical()) {
            return None;
        }
        *present += 1;
        Some(ConnectionSlot { network, by_address: Arc::clone(&self.by_address), _permit: permit })
    }

    /// Tells that connections are not taken; not every time, since anybody can bring that about.
    fn tell(&self, why: &str, address: Option<IpAddr>, error: Option<&io::Error>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        tracing::warn!(
            why,
            address = address.map(tracing::field::display),
            error = error.map(|error| tracing::field::display(Why::of(error))),
            "connections are not taken"
        );
    }
}

impl AddrListener<Placed, Peer> for Door {
    async fn bind_to(_: Peer) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept_stream(&self) -> io::Result<(Placed, Peer)> {
        loop {
            let places = Arc::clone(&self.places);
            let permit = if let Ok(permit) = Arc::clone(&places).try_acquire_owned() {
                permit
            } else {
                self.tell("there are as many as there may be", None, None);
                places.acquire_owned().await.map_err(io::Error::other)?
            };
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.place(peer.ip(), permit) {
                    Some(place) => return Ok(Placed::new(stream, place, peer, self.ask)),
                    None => self.tell("one address has as many as it may have", Some(peer.ip()), None),
                },
                Err(error) => {
                    self.tell("the system gives none", None, Some(&error));
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        self.listener.local_addr().map(|address| Peer { address, requests: Arc::default() })
    }
}

/// The other end of a connection, and what it asks for.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    address: SocketAddr,
    requests: Arc<Mutex<Requests>>,
}

impl Peer {
    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Counts a request until what it returns is dropped.
    pub(super) fn request(&self) -> impl Drop + use<> {
        Requests::of(&self.requests).under_way += 1;
        UnderWay(Arc::clone(&self.requests))
    }
}

/// The requests of one connection.
#[derive(Debug)]
struct Requests {
    under_way: usize,
    /// When the last one ended, or the other end took more of what it waits for, or else the connection began.
    since: Instant,
}

impl Default for Requests {
    fn default() -> Self {
        Self { under_way: 0, since: Instant::now() }
    }
}

impl Requests {
    fn of(shared: &Mutex<Self>) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the connection ends, which may be without a request for as long as `ask`, unless there is one before.
    fn end(&self, now: Instant, ask: Duration) -> Instant {
        (if self.under_way > 0 { now } else { self.since }) + ask
    }
}

/// A request that is under way.
struct UnderWay(Arc<Mutex<Requests>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut requests = Requests::of(&self.0);
        requests.under_way = requests.under_way.saturating_sub(1);
        requests.since = Instant::now();
    }
}

impl Address for Peer {
    type Stream = Placed;
    type Listener = Door;
}

impl Connected<Self> for Peer {
    fn connect_info(peer: Self) -> Self {
        peer
    }
}

/// The place of one connection among those that there may be.
struct ConnectionSlot {
    network: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = by_address.get_mut(&self.network) {
            *present -= 1;
            if *present == 0 {
                by_address.remove(&self.network);
            }
        }
    }
}

/// A connection that has its place, which it loses when it is without a request for too long.
pub(super) struct Placed {
    stream: TcpStream,
    _place: ConnectionSlot,
    requests: Arc<Mutex<Requests>>,
    ask: Duration,
    end: Pin<Box<Sleep>>,
    /// Whether there was more to send than the other end took.
    is_behind: bool,
}

impl Placed {
    fn new(stream: TcpStream, place: ConnectionSlot, address: SocketAddr, ask: Duration) -> (Self, Peer) {
        let requests = Arc::<Mutex<Requests>>::default();
        let end = Box::pin(sleep(ask));
        (
            Self { stream, _place: place, requests: Arc::clone(&requests), ask, end, is_behind: false },
            Peer { address, requests },
        )
    }

    /// Takes note of what was `written`. Whoever is slow to take an answer is not without a request, however long ago
    /// that ended for the server.
    fn note(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(_)) if self.is_behind => {
                self.is_behind = false;
                Requests::of(&self.requests).since = Instant::now();
            }
            Poll::Ready(_) => {}
            Poll::Pending => self.is_behind = true,
        }
        written
    }

    /// Ready when there was no request for too long.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.end.as_mut().poll(cx));
            let now = Instant::now();
            let end = Requests::of(&self.requests).end(now, self.ask);
            if end <= now {
                return Poll::Ready(());
            }
            self.end.as_mut().reset(end);
        }
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_end(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Makes the streams of `A` end when they are silent for too long. `A` itself limits what comes before, such as
/// the handshake of TLS.
#[derive(Clone, Debug)]
pub(super) struct Patience<A> {
    /// What takes the connection.
    pub(super) inner: A,
    /// How long the other end is waited for.
    pub(super) waits: Waits,
}

impl<A, I, S> Accept<I, S> for Patience<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = Patient<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (accepted, waits) = (self.inner.accept(stream, service), self.waits);
        async move { accepted.await.map(|(stream, service)| (Patient::new(stream, waits), service)) }.boxed()
    }
}

/// A stream that ends when its other end does not begin, or does not take what it is sent.
pub(super) struct Patient<S> {
    stream: S,
    beginning: Option<Beginning>,
    take: Duration,
    /// Until when the other end must take something; nothing while it does.
    stuck: Option<Pin<Box<Sleep>>>,
}

/// A connection that has not said yet in which version of HTTP it speaks. From then on that version's own limits
/// hold.
struct Beginning {
    /// So much of the preface of HTTP/2 was seen.
    seen: usize,
    until: Pin<Box<Sleep>>,
}

impl Beginning {
    /// Whether it is over with `more`.
    fn is_over(&mut self, more: &[u8]) -> bool {
        let is_preface = PREFACE.get(self.seen..).is_some_and(|rest| rest.starts_with(more));
        self.seen += more.len();
        !is_preface || self.seen == PREFACE.len()
    }
}

impl<S> Patient<S> {
    fn new(stream: S, waits: Waits) -> Self {
        let beginning = Beginning { seen: 0, until: Box::pin(sleep(waits.begin)) };
        Self { stream, beginning: Some(beginning), take: waits.take, stuck: None }
    }

    /// `written`, or an error when the other end has taken nothing for too long.
    fn limited<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let take = self.take;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(take)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(beginning) = &mut self.beginning else { return read };
        if read.is_ready() {
            if beginning.is_over(buf.filled().get(before..).unwrap_or_default()) {
                self.beginning = None;
            }
            return read;
        }
        ready!(beginning.until.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limited(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.limited(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limited(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Both ends of a connection: the server's, and that of its client.
    async fn connection() -> (Placed, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::new(listener, 4, Waits::default().ask, Box::new(|_| false));
        let (placed, client) = tokio::join!(door.accept_stream(), TcpStream::connect(address));
        (placed.unwrap().0, client.unwrap())
    }

    /// Makes it so long ago that there was a request.
    fn grow_old(placed: &Placed) {
        Requests::of(&placed.requests).since = Instant::now().checked_sub(placed.ask).unwrap();
    }

    fn is_over(placed: &Placed) -> bool {
        let now = Instant::now();
        Requests::of(&placed.requests).end(now, placed.ask) <= now
    }

    #[tokio::test]
    async fn an_answer_that_is_taken_slowly_is_not_cut_and_one_that_is_not_taken_is() {
        let (mut placed, mut client) = connection().await;
        let some = vec![0; 1 << 20];
        for _ in 0..3 {
            // Until the other end has to take something first.
            while placed.write(&some).now_or_never().is_some() {}
            grow_old(&placed);
            assert!(is_over(&placed), "the client takes nothing");
            let mut taken = vec![0; 1 << 16];
            let take = async { while client.read(&mut taken).await.unwrap() > 0 {} };
            tokio::select! {
                written = placed.write(&some) => assert!(written.unwrap() > 0),
                () = take => panic!("the server goes on"),
            }
            assert!(!is_over(&placed));
        }
    }

    #[tokio::test]
    async fn what_is_sent_beside_answers_keeps_no_connection() {
        let (mut placed, _client) = connection().await;
        grow_old(&placed);
        placed.write_all(b"pong").await.unwrap();
        assert!(is_over(&placed));
    }
}
