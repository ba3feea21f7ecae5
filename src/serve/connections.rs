//! Connections: how many there may be, in all and from one address, and how long one may stay silent.
//!
//! Who connects is not known yet, so nothing here asks who may. What is limited is what every connection takes: a
//! file of the process, and memory.

mod patience;
mod placed;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

use super::throttle::network;
use crate::model::Why;

pub(super) use patience::Patience;
pub(super) use placed::{Arrival, Peer, Placed};

use placed::ConnectionSlot;

/// So many connections wait in the system until they are taken, or as many as it lets wait. When there is room for no
/// more, it drops what clients send, and they try again a second and more later.
const WAITING: u32 = 4096;
/// How long the door stays closed when the system gives no connection.
const PAUSE: Duration = Duration::from_millis(100);
/// The log tells of connections that are not taken once in this time.
const TELL_EVERY: Duration = Duration::from_mins(1);

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

/// Listens at `address`, and lets a burst of connections wait until they are taken.
///
/// # Errors
///
/// When the system does not allow it, such as when another process listens there.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Elsewhere it would let another process take the address.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Whether connections from an address are not counted: those of a proxy are of many clients.
type Exempt = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Takes connections, as many as there may be. Further ones wait in the system until one ends; one more than an
/// address may have ends at once.
pub(super) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    per_address: usize,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    exempt: Exempt,
    told: Mutex<Option<Instant>>,
}

impl Door {
    /// At most `most` connections in all, a quarter of them from one address unless it is `exempt`.
    pub(super) fn new(listener: TcpListener, most: usize, exempt: Exempt) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            per_address: most.div_ceil(4),
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
        Some(ConnectionSlot::new(network, Arc::clone(&self.by_address), permit))
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

    /// The next connection that has a place.
    pub(super) async fn next(&self) -> io::Result<Arrival> {
        loop {
            let places = Arc::clone(&self.places);
            let permit = if let Ok(permit) = Arc::clone(&places).try_acquire_owned() {
                permit
            } else {
                self.tell("there are as many as there may be", None, None);
                places.acquire_owned().await.map_err(io::Error::other)?
            };
            let accepted = self.listener.accept().await;
            // Away from this runtime: another one is going to wait for what arrives.
            match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => match self.place(peer.ip(), permit) {
                    Some(place) => return Ok(Arrival { stream, peer, place }),
                    None => self.tell("one address has as many as it may have", Some(peer.ip()), None),
                },
                Err(error) => {
                    self.tell("the system gives none", None, Some(&error));
                    sleep(PAUSE).await;
                }
            }
        }
    }
}
