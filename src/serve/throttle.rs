//! In: attempts with passwords, where they come from, and which of them fail. Out: whether one more is
//! let through. It refuses to grow: it knows so many addresses and no more.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long failures are counted together.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// So many addresses are known at most.
const MOST: usize = 10_000;

/// Counts failed attempts by address. As many attempts are under way at a time as may still fail; the
/// others wait until it is known how those end, so that many at a time get no more failures than one
/// after the other.
#[derive(Debug)]
pub(super) struct Throttle {
    per_window: u32,
    windows: Mutex<HashMap<IpAddr, Arc<Window>>>,
}

/// The attempts from one address in one stretch of time.
#[derive(Debug)]
struct Window {
    since: Instant,
    /// How many may still fail.
    left: AtomicU32,
    /// A permit for each that may still fail; closed when none may.
    attempts: Arc<Semaphore>,
}

/// An attempt that is let through. It is good, or was given up, unless it is said to have failed.
#[derive(Debug)]
pub(super) struct Turn {
    window: Arc<Window>,
    permit: OwnedSemaphorePermit,
}

impl Throttle {
    pub(super) fn new(per_window: u32) -> Self {
        Self { per_window, windows: Mutex::default() }
    }

    /// Lets an attempt from `address` through that arrives at `now`; nothing when too many failed.
    pub(super) async fn turn(&self, address: IpAddr, now: Instant) -> Option<Turn> {
        let window = self.window(address, now);
        let permit = Arc::clone(&window.attempts).acquire_owned().await.ok()?;
        Some(Turn { window, permit })
    }

    fn window(&self, address: IpAddr, now: Instant) -> Arc<Window> {
        let mut windows = self.windows();
        if windows.len() >= MOST {
            make_room(&mut windows, now);
        }
        let window = windows.entry(network(address)).or_insert_with(|| Window::new(now, self.per_window));
        if window.is_over(now) {
            *window = Window::new(now, self.per_window);
        }
        Arc::clone(window)
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Window>>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn new(since: Instant, may_fail: u32) -> Arc<Self> {
        let permits = usize::try_from(may_fail)
            .map_or(Semaphore::MAX_PERMITS, |permits| permits.min(Semaphore::MAX_PERMITS));
        let window = Self { since, left: may_fail.into(), attempts: Arc::new(Semaphore::new(permits)) };
        if may_fail == 0 {
            window.attempts.close();
        }
        Arc::new(window)
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= WINDOW
    }
}

impl Turn {
    /// Counts the attempt as failed.
    pub(super) fn failed(self) {
        self.permit.forget();
        if self.window.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.window.attempts.close();
        }
    }
}

/// Drops what does not count any more, and the oldest when everything still counts.
fn make_room(windows: &mut HashMap<IpAddr, Arc<Window>>, now: Instant) {
    windows.retain(|_, window| !window.is_over(now));
    if windows.len() >= MOST {
        let oldest = windows.iter().min_by_key(|(_, window)| window.since).map(|(&address, _)| address);
        oldest.map(|address| windows.remove(&address));
    }
}

/// Whoever has one IPv6 address has the 2^64 of its network.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        IpAddr::V4(v4) => IpAddr::V4(v4),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn let_through(throttle: &Throttle, address: IpAddr, now: Instant) -> Option<Turn> {
        throttle.turn(address, now).now_or_never().expect("nothing to wait for")
    }

    #[test]
    fn so_many_failures_a_minute_are_let_through_and_good_attempts_do_not_count() {
        let (throttle, now) = (Throttle::new(2), Instant::now());
        for _ in 0..5 {
            assert!(let_through(&throttle, address(1), now).is_some());
        }
        let_through(&throttle, address(1), now).unwrap().failed();
        let_through(&throttle, address(1), now).unwrap().failed();
        assert!(let_through(&throttle, address(1), now).is_none());
        assert!(let_through(&throttle, address(2), now).is_some(), "another address has its own count");
        assert!(
            let_through(&throttle, address(1), now + WINDOW).is_some(),
            "a minute later it may try again"
        );
        assert!(let_through(&Throttle::new(0), address(1), now).is_none());
    }

    #[tokio::test]
    async fn more_at_a_time_than_may_fail_wait_for_the_end_of_the_others() {
        let (throttle, now) = (Throttle::new(2), Instant::now());
        let [good, bad] = [(); 2].map(|()| let_through(&throttle, address(1), now).unwrap());
        assert!(throttle.turn(address(1), now).now_or_never().is_none());
        let waiting = throttle.turn(address(1), now);
        drop(good);
        let last = waiting.await.unwrap();
        bad.failed();
        let (turn, ()) = tokio::join!(throttle.turn(address(1), now), async { last.failed() });
        assert!(turn.is_none(), "who waits is refused once too many failed");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let (throttle, now) = (Throttle::new(1), Instant::now());
        let_through(&throttle, "2001:db8::1".parse().unwrap(), now).unwrap().failed();
        assert!(let_through(&throttle, "2001:db8::2".parse().unwrap(), now).is_none());
    }

    #[test]
    fn however_many_addresses_try_it_knows_no_more_than_so_many() {
        let (throttle, now) = (Throttle::new(1), Instant::now());
        for number in 0..u32::try_from(MOST).unwrap() + 500 {
            let now = now + Duration::from_micros(number.into());
            assert!(let_through(&throttle, address(number), now).is_some());
        }
        assert!(throttle.windows().len() <= MOST);
    }
}
