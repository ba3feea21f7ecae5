//! Statistics of calls: how many, how many retries, how long and how many bytes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What the calls of a client came to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallStatistics {
    /// Requests that were sent, every try counted.
    pub calls: u64,
    /// How many of them were repetitions.
    pub retries: u64,
    /// Bytes of bodies that were read, after decompression.
    pub bytes: u64,
    /// The time that they took, each counted for itself although several are under way at once.
    pub time: Duration,
}

impl CallStatistics {
    /// These calls, and `other` ones.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            retries: self.retries + other.retries,
            bytes: self.bytes + other.bytes,
            time: self.time + other.time,
        }
    }
}

/// Counts calls, from wherever they are made.
#[derive(Default)]
pub(super) struct Counters {
    calls: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
    microseconds: AtomicU64,
}

impl Counters {
    /// Counts a call that was the try number `tries`, took `time` and brought `bytes`.
    pub(super) fn count(&self, tries: u32, time: Duration, bytes: usize) {
        let add = |to: &AtomicU64, what: u64| to.fetch_add(what, Ordering::Relaxed);
        add(&self.calls, 1);
        add(&self.retries, u64::from(tries > 1));
        add(&self.bytes, bytes.try_into().unwrap_or(u64::MAX));
        add(&self.microseconds, time.as_micros().try_into().unwrap_or(u64::MAX));
    }

    /// What was counted so far.
    pub(super) fn statistics(&self) -> CallStatistics {
        let get = |from: &AtomicU64| from.load(Ordering::Relaxed);
        CallStatistics {
            calls: get(&self.calls),
            retries: get(&self.retries),
            bytes: get(&self.bytes),
            time: Duration::from_micros(get(&self.microseconds)),
        }
    }
}
