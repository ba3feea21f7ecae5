//! How many questions a mirror asks of the server behind: one at a time about one token, a few in all and for one
//! network, and none for credentials that were refused a moment ago.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{OwnedMutexGuard, Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::model::digest::sha256;

/// So many questions are asked at a time.
const AT_ONCE: usize = 8;
/// So many wait or are asked at a time for one network.
const OF_ONE: usize = 16;
/// How long one waits for others to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long credentials that were refused are not asked about again.
const REFUSED_FOR: SignedDuration = SignedDuration::from_secs(10);
/// So many questions of one network may be about credentials that are refused, in a minute.
const REFUSED_AT_MOST: u32 = 60;
/// How long these are counted together.
const WINDOW: SignedDuration = SignedDuration::from_secs(60);
/// So many of anything are remembered.
const REMEMBERED: usize = 10_000;

/// The questions under way, and those that came to nothing.
pub(super) struct Questions {
    at_once: Semaphore,
    under_way: Arc<Mutex<UnderWay>>,
    refused: Mutex<Refused>,
}

#[derive(Default)]
struct UnderWay {
    of_networks: HashMap<IpAddr, usize>,
    of_tokens: HashMap<u64, (usize, Arc<tokio::sync::Mutex<()>>)>,
}

/// What was refused lately.
#[derive(Default)]
struct Refused {
    /// Until when, by hashes of credentials.
    until: HashMap<String, Timestamp>,
    /// When the present minute began, and how much was refused in it.
    since: Option<Timestamp>,
    of_networks: HashMap<IpAddr, u32>,
}

/// The right to ask one question.
pub(super) struct Turn<'a> {
    _alone: OwnedMutexGuard<()>,
    _permit: SemaphorePermit<'a>,
    _counted: Counted,
}

/// One that waits or asks.
struct Counted {
    under_way: Arc<Mutex<UnderWay>>,
    network: IpAddr,
    token: u64,
}

impl Questions {
    pub(super) fn new() -> Self {
        Self { at_once: Semaphore::new(AT_ONCE), under_way: Arc::default(), refused: Mutex::default() }
    }

    /// The turn to ask about `token` for a client in `network`; `None` when there are too many such questions. Another
    /// one about the same token may have been answered meanwhile.
    pub(super) async fn turn(&self, token: u64, network: IpAddr, now: Timestamp) -> Option<Turn<'_>> {
        if locked(&self.refused).has_enough(network, now) {
            return None;
        }
        let (counted, alone) = self.count(token, network)?;
        let turn = async { Some((alone.lock_owned().await, self.at_once.acquire().await.ok()?)) };
        let (alone, permit) = timeout(PATIENCE, turn).await.ok()??;
        Some(Turn { _alone: alone, _permit: permit, _counted: counted })
    }

    fn count(&self, token: u64, network: IpAddr) -> Option<(Counted, Arc<tokio::sync::Mutex<()>>)> {
        let mut under_way = locked(&self.under_way);
        let of_network = under_way.of_networks.entry(network).or_default();
        if *of_network >= OF_ONE {
            return None;
        }
        *of_network += 1;
        let (count, alone) = under_way.of_tokens.entry(token).or_default();
        *count += 1;
        let alone = Arc::clone(alone);
        Some((Counted { under_way: Arc::clone(&self.under_way), network, token }, alone))
    }

    /// Takes note at `now` that `credential`, which came from `network`, was refused.
    pub(super) fn was_refused(&self, credential: &str, network: IpAddr, now: Timestamp) {
        let mut refused = locked(&self.refused);
        refused.until.retain(|_, until| *until > now);
        if refused.until.len() >= REMEMBERED {
            refused.until.clear();
        }
        refused.until.insert(sha256(credential.as_bytes()), now.saturating_add(REFUSED_FOR).unwrap_or(now));
        refused.count(network, now);
    }

    /// Whether `credential` was refused so lately that nobody is asked.
    pub(super) fn is_refused(&self, credential: &str, now: Timestamp) -> bool {
        let until = locked(&self.refused).until.get(&sha256(credential.as_bytes())).copied();
        until.is_some_and(|until| until > now)
    }
}

impl Refused {
    fn begin(&mut self, now: Timestamp) {
        let goes_on = self
            .since
            .is_some_and(|since| (since..since.saturating_add(WINDOW).unwrap_or(since)).contains(&now));
        if !goes_on {
            self.of_networks.clear();
            self.since = Some(now);
        }
    }

    fn count(&mut self, network: IpAddr, now: Timestamp) {
        self.begin(now);
        *self.of_networks.entry(network).or_default() += 1;
    }

    fn has_enough(&mut self, network: IpAddr, now: Timestamp) -> bool {
        self.begin(now);
        let is_full = self.of_networks.len() >= REMEMBERED;
        self.of_networks.get(&network).map_or(is_full, |count| *count >= REFUSED_AT_MOST)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut under_way = locked(&self.under_way);
        leave(&mut under_way.of_networks, &self.network, |count| count);
        leave(&mut under_way.of_tokens, &self.token, |(count, _)| count);
    }
}

/// Counts one less of `key`.
fn leave<K: Eq + Hash, V>(of: &mut HashMap<K, V>, key: &K, count: impl Fn(&mut V) -> &mut usize) {
    if let Some(value) = of.get_mut(key) {
        let left = count(value);
        *left = left.saturating_sub(1);
        if *left == 0 {
            of.remove(key);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
