//! In: attempts with passwords and where they come from. Out: whether one more is let through. It
//! refuses to grow: it knows so many addresses and no more.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long attempts are counted together.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// So many addresses are known at most.
const MOST: usize = 10_000;

/// Counts failed attempts by address. An attempt counts as failed until it is known to be good, so
/// that many at a time get no more than one after the other.
#[derive(Debug)]
pub(super) struct Throttle {
    per_window: u32,
    counts: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Instant,
    failed: u32,
}

impl Throttle {
    pub(super) fn new(per_window: u32) -> Self {
        Self { per_window, counts: Mutex::default() }
    }

    /// Whether an attempt from `address` is let through at `now`. It counts as failed until it is
    /// forgiven.
    pub(super) fn begin(&self, address: IpAddr, now: Instant) -> bool {
        let mut counts = self.counts();
        if counts.len() >= MOST {
            make_room(&mut counts, now);
        }
        let count = counts.entry(network(address)).or_insert(Count { since: now, failed: 0 });
        if now.duration_since(count.since) >= WINDOW {
            *count = Count { since: now, failed: 0 };
        }
        if count.failed >= self.per_window {
            return false;
        }
        count.failed += 1;
        true
    }

    /// Takes an attempt from `address` back: it was good.
    pub(super) fn forgive(&self, address: IpAddr) {
        if let Some(count) = self.counts().get_mut(&network(address)) {
            count.failed = count.failed.saturating_sub(1);
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what does not count any more, and the oldest when everything still counts.
fn make_room(counts: &mut HashMap<IpAddr, Count>, now: Instant) {
    counts.retain(|_, count| now.duration_since(count.since) < WINDOW);
    if counts.len() >= MOST {
        let oldest = counts.iter().min_by_key(|(_, count)| count.since).map(|(&address, _)| address);
        oldest.map(|address| counts.remove(&address));
    }
}

/// Whoever has one IPv6 address has the 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        IpAddr::V4(v4) => IpAddr::V4(v4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn so_many_failures_a_minute_are_let_through_and_good_attempts_do_not_count() {
        let (throttle, now) = (Throttle::new(2), Instant::now());
        for _ in 0..5 {
            assert!(throttle.begin(address(1), now));
            throttle.forgive(address(1));
        }
        assert!(throttle.begin(address(1), now));
        assert!(throttle.begin(address(1), now));
        assert!(!throttle.begin(address(1), now));
        assert!(throttle.begin(address(2), now), "another address has its own count");
        assert!(throttle.begin(address(1), now + WINDOW), "a minute later it may try again");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let (throttle, now) = (Throttle::new(1), Instant::now());
        assert!(throttle.begin("2001:db8::1".parse().unwrap(), now));
        assert!(!throttle.begin("2001:db8::2".parse().unwrap(), now));
    }

    #[test]
    fn however_many_addresses_try_it_knows_no_more_than_so_many() {
        let (throttle, now) = (Throttle::new(1), Instant::now());
        for number in 0..u32::try_from(MOST).unwrap() + 500 {
            assert!(throttle.begin(address(number), now + Duration::from_micros(number.into())));
        }
        assert!(throttle.counts().len() <= MOST);
    }
}
