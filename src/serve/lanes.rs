//! Lanes: the threads that answer requests. A connection belongs to one of them from its beginning to its end, and so do
//! those to the server behind that its requests take: handing a request from thread to thread takes longer than
//! answering it.

use std::{future::pending, io, net::SocketAddr, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use axum_server::{AddrListener, Handle};
use tokio::{
    runtime::Builder,
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
};

use super::connections::{Arrival, Peer, Placed};

/// How many lanes a server has for others: one for each core that it may use.
pub(super) fn of_machine() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A thread that serves connections. Dropped, it ends those of all lanes, and whatever their requests have begun.
pub(super) struct Lane {
    arrivals: UnboundedSender<(Arrival, Arc<()>)>,
    /// Held once more by each of its connections.
    present: Arc<()>,
    served: oneshot::Receiver<io::Result<()>>,
    /// The thread goes on until it is dropped.
    _released: oneshot::Sender<()>,
    handle: Handle<Peer>,
}

/// Starts `count` lanes, in each of which `serve` answers what arrives; `handle` is that of all these servers.
///
/// # Errors
///
/// When the system gives no thread, or nothing to wait for connections with.
pub(super) fn start<F>(
    count: NonZeroUsize,
    (address, ask): (SocketAddr, Duration),
    handle: &Handle<Peer>,
    serve: impl Fn(Arrivals) -> F + Clone + Send + 'static,
) -> io::Result<Vec<Lane>>
where
    F: Future<Output = io::Result<()>>,
{
    let lane = |number: usize| {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (arrivals, arriving) = unbounded_channel();
        let ((ended, served), (released, release)) = (oneshot::channel(), oneshot::channel::<()>());
        let arriving = Arrivals { arriving: Mutex::new(arriving), address, ask };
        let serve = serve.clone();
        thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
            runtime.block_on(async {
                // Who started it may be gone.
                let _ = ended.send(serve(arriving).await);
                // What requests have begun goes on after their connections.
                let _ = release.await;
            });
            runtime.shutdown_background();
        })?;
        Ok(Lane { arrivals, present: Arc::default(), served, _released: released, handle: handle.clone() })
    };
    (0..count.get()).map(lane).collect()
}

impl Lane {
    /// Hands a connection to that of `lanes` which has the fewest.
    ///
    /// # Errors
    ///
    /// When that one has ended, which it never should.
    pub(super) fn hand(lanes: &[Self], arrival: Arrival) -> io::Result<()> {
        let freest = lanes.iter().min_by_key(|lane| Arc::strong_count(&lane.present));
        let handed = freest.map(|lane| lane.arrivals.send((arrival, Arc::clone(&lane.present))));
        handed.transpose().map_err(|_| io::Error::other("a thread that serves connections has ended"))?;
        Ok(())
    }

    /// Waits until it serves no more.
    ///
    /// # Errors
    ///
    /// When it cannot, or ended in a way that it never should.
    pub(super) async fn served(&mut self) -> io::Result<()> {
        (&mut self.served).await.map_err(io::Error::other)?
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// The connections of one lane, as they are handed to it.
pub(super) struct Arrivals {
    arriving: Mutex<UnboundedReceiver<(Arrival, Arc<()>)>>,
    address: SocketAddr,
    ask: Duration,
}

impl AddrListener<Placed, Peer> for Arrivals {
    async fn bind_to(_: Peer) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept_stream(&self) -> io::Result<(Placed, Peer)> {
        let Some((arrival, of_lane)) = self.arriving.lock().await.recv().await else {
            // The lane was dropped, which ends the server.
            return pending().await;
        };
        Placed::new(arrival, of_lane, self.ask)
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::new(self.address))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::serve::connections::Door;

    /// `count` lanes that keep whatever arrives, and tell of each connection on which thread that was.
    fn keeping(count: usize, address: SocketAddr) -> (Vec<Lane>, UnboundedReceiver<(String, Placed)>) {
        let (tell, told) = unbounded_channel();
        let serve = move |arrivals: Arrivals| {
            let tell = tell.clone();
            async move {
                loop {
                    let (placed, _) = arrivals.accept_stream().await?;
                    let lane = thread::current().name().unwrap().to_owned();
                    tell.send((lane, placed)).map_err(io::Error::other)?;
                }
            }
        };
        let at = (address, Duration::from_secs(20));
        let lanes = start(NonZeroUsize::new(count).unwrap(), at, &Handle::new(), serve).unwrap();
        (lanes, told)
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_lane_that_has_the_fewest() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::new(listener, 64, Box::new(|_| false));
        let (lanes, mut told) = keeping(3, address);
        let (mut clients, mut present) = (Vec::new(), Vec::<(String, Placed)>::new());
        let counts = |present: &[(String, Placed)]| {
            let of = |lane: &str| present.iter().filter(|(name, _)| name == lane).count();
            [of("lane-0"), of("lane-1"), of("lane-2")]
        };
        for wanted in [[2, 2, 2], [4, 4, 4]] {
            while present.len() < wanted.iter().sum() {
                let (arrival, client) = tokio::join!(door.next(), TcpStream::connect(address));
                clients.push(client.unwrap());
                Lane::hand(&lanes, arrival.unwrap()).unwrap();
                present.push(told.recv().await.unwrap());
            }
            assert_eq!(counts(&present), wanted);
            // What one of them has is over.
            present.retain(|(lane, _)| lane != "lane-1");
        }
    }

    #[tokio::test]
    async fn nothing_is_handed_to_a_lane_that_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::new(listener, 64, Box::new(|_| false));
        let at = (address, Duration::from_secs(20));
        let serve = |_: Arrivals| async { Err(io::Error::other("broken")) };
        let mut lanes = start(NonZeroUsize::MIN, at, &Handle::new(), serve).unwrap();
        let ended = lanes.first_mut().unwrap().served().await;
        assert_eq!(ended.unwrap_err().to_string(), "broken");
        let (arrival, _client) = tokio::join!(door.next(), TcpStream::connect(address));
        assert!(Lane::hand(&lanes, arrival.unwrap()).is_err());
    }
}
