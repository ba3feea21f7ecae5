//! What failed and what is under way, and what each attempt counts for.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Instant,
};

use super::{WINDOW, counts::CountMinSketch, places::Places};
use crate::model::UserName;

/// What failures are counted for.
#[derive(Hash)]
enum Count<'a> {
    /// Addresses that have this many bits in common.
    Network(IpAddr, u8),
    User(&'a str),
    /// A user at a place from which that user came in before.
    UserAt(u64, u64),
}

/// An attempt that is under way: hashes of the user and the place, and of what it counts for.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) user: u64,
    pub(super) place: u64,
    counts: Vec<u64>,
}

/// What becomes of an attempt.
pub(super) enum Begun {
    LetThrough(Attempt),
    /// It cannot be known before others end.
    Waits,
    Refused,
}

/// What failed and what is under way, in a fixed amount of memory.
#[derive(Debug)]
pub(super) struct Attempts {
    limit: u32,
    /// When the present minute began.
    since: Instant,
    failed: CountMinSketch,
    under_way: CountMinSketch,
    pub(super) places: Places,
    /// Nobody outside can find names or addresses that collide.
    hasher: RandomState,
}

impl Attempts {
    pub(super) fn new(limit: u32, now: Instant) -> Self {
        Self {
            limit,
            since: now,
            failed: CountMinSketch::default(),
            under_way: CountMinSketch::default(),
            places: Places::default(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn begin(
        &mut self,
        user: &UserName,
        has_password: bool,
        address: IpAddr,
        now: Instant,
    ) -> Begun {
        self.turn_over(now);
        let place = self.hasher.hash_one(network(address));
        let name = self.hasher.hash_one(user.folded());
        let hashed =
            |(count, times): (Count, u32)| (self.hasher.hash_one(count), self.limit.saturating_mul(times));
        let counts: Vec<(u64, u32)> = if has_password && self.places.knows(name, place, now) {
            vec![hashed((Count::UserAt(name, place), 5))]
        } else {
            networks(address).into_iter().chain([(Count::User(user.folded()), 2)]).map(hashed).collect()
        };
        if counts.iter().any(|&(count, limit)| self.failed.of(count) >= limit) {
            return Begun::Refused;
        }
        if counts.iter().any(|&(count, limit)| self.failed.of(count) + self.under_way.of(count) >= limit) {
            return Begun::Waits;
        }
        let counts: Vec<u64> = counts.into_iter().map(|(count, _)| count).collect();
        for &count in &counts {
            self.under_way.add(count);
        }
        Begun::LetThrough(Attempt { user: name, place, counts })
    }

    pub(super) fn failed(&mut self, attempt: &Attempt, now: Instant) {
        self.turn_over(now);
        for &count in &attempt.counts {
            self.failed.add(count);
        }
    }

    pub(super) fn end(&mut self, attempt: &Attempt) {
        for &count in &attempt.counts {
            self.under_way.take(count);
        }
    }

    /// Begins the next minute when the present one is over.
    fn turn_over(&mut self, now: Instant) {
        if now.duration_since(self.since) >= WINDOW {
            self.since = now;
            self.failed.clear();
        }
    }
}

/// The networks around `address`, and how many times as many attempts may fail from each as from one address.
/// Anyone who has one IPv6 address has the 2^64 of its network, and often many of those.
fn networks(address: IpAddr) -> Vec<(Count<'static>, u32)> {
    let sizes: &[(u8, u32)] = match address.to_canonical() {
        IpAddr::V4(_) => &[(32, 1), (24, 4)],
        IpAddr::V6(_) => &[(64, 1), (56, 2), (48, 4)],
    };
    sizes.iter().map(|&(bits, times)| (Count::Network(begin_of(address, bits), bits), times)).collect()
}

/// The first address that has its first `bits` in common with `address`.
fn begin_of(address: IpAddr, bits: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// Who sends from `address`: the address itself (IPv4), or its network (IPv6).
pub(in crate::serve) fn network(address: IpAddr) -> IpAddr {
    begin_of(address, if address.to_canonical().is_ipv4() { 32 } else { 64 })
}
