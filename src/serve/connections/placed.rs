//! Connections that have a place, and their requests: one without a request for too long ends.

use std::{
    collections::HashMap,
    io,
    net::{self, IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::extract::connect_info::Connected;
use axum_server::Address;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep},
};

use crate::serve::lanes::Arrivals;

/// How long an other end that goes on sending is waited for once everything is said to it.
const LINGER: Duration = Duration::from_secs(2);

/// The other end of a connection, and what it asks for.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Peer {
    address: SocketAddr,
    requests: Arc<Mutex<Requests>>,
}

impl Peer {
    pub(in crate::serve) fn new(address: SocketAddr) -> Self {
        Self { address, requests: Arc::default() }
    }

    pub(in crate::serve) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Takes note whether more of a request is coming. There is one at a time, in HTTP/1.
    pub(in crate::serve) fn set_sending(&self, is_sending: bool) {
        Requests::of(&self.requests).is_sending = is_sending;
    }

    /// Whether more of a request is coming.
    pub(in crate::serve) fn is_sending(&self) -> bool {
        Requests::of(&self.requests).is_sending
    }

    /// Counts a request until what it returns is dropped.
    pub(in crate::serve) fn request(&self) -> impl Drop + use<> {
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
    /// Whether more of one is coming, in HTTP/1.
    is_sending: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self { under_way: 0, since: Instant::now(), is_sending: false }
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
    type Listener = Arrivals;
}

impl Connected<Self> for Peer {
    fn connect_info(peer: Self) -> Self {
        peer
    }
}

/// The place of one connection among those that there may be.
pub(super) struct ConnectionSlot {
    network: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionSlot {
    /// One that is counted in `by_address` already.
    pub(super) fn new(
        network: IpAddr,
        by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { network, by_address, _permit: permit }
    }
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

/// A connection that was taken, and its place.
pub(in crate::serve) struct Arrival {
    pub(super) stream: net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: ConnectionSlot,
}

/// A connection that has its place, which it loses when it is without a request for too long.
pub(in crate::serve) struct Placed {
    stream: TcpStream,
    _place: ConnectionSlot,
    /// Counts those of the thread that serves it.
    _of_lane: Arc<()>,
    requests: Arc<Mutex<Requests>>,
    ask: Duration,
    end: Pin<Box<Sleep>>,
    /// Whether there was more to send than the other end took.
    is_behind: bool,
    /// Whether everything is said.
    is_over: bool,
}

impl Placed {
    /// One that this thread serves, and which ends when it is without a request for as long as `ask`. `of_lane` is held
    /// until then.
    ///
    /// # Errors
    ///
    /// When the system cannot tell what arrives on it.
    pub(in crate::serve) fn new(
        arrival: Arrival,
        of_lane: Arc<()>,
        ask: Duration,
    ) -> io::Result<(Self, Peer)> {
        let Arrival { stream, peer, place } = arrival;
        let (stream, peer) = (TcpStream::from_std(stream)?, Peer::new(peer));
        let (requests, end) = (Arc::clone(&peer.requests), Box::pin(sleep(ask)));
        let placed = Self {
            stream,
            _place: place,
            _of_lane: of_lane,
            requests,
            ask,
            end,
            is_behind: false,
            is_over: false,
        };
        Ok((placed, peer))
    }

    /// Takes note of what was `written`. A client that is slow to take an answer is not without a request, however long ago
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

    /// Takes what the other end still sends of a request, for a while: to close the connection with some of it unread resets
    /// it, and the other end may lose what it has not read yet, such as why its request is refused.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_over {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_over = true;
            self.end.as_mut().reset(Instant::now() + LINGER);
        }
        if !Requests::of(&self.requests).is_sending {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; 4096];
        while self.end.as_mut().poll(cx).is_pending() {
            let mut taken = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut taken)) {
                Ok(()) if !taken.filled().is_empty() => {}
                // It is gone, in whichever way.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::serve::connections::{Door, Waits};

    /// Both ends of a connection: the server's, and that of its client.
    async fn connection() -> (Placed, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::new(listener, 4, Box::new(|_| false));
        let (arrival, client) = tokio::join!(door.next(), TcpStream::connect(address));
        let (placed, _) = Placed::new(arrival.unwrap(), Arc::default(), Waits::default().ask).unwrap();
        // What nobody has heard of yet cannot be written to.
        placed.stream.writable().await.unwrap();
        (placed, client.unwrap())
    }

    /// Moves the last request so far back that the wait is over.
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
