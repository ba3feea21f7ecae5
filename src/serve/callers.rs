//! Requests under way: how many an address may have before their senders are known, how many each known caller may
//! have, and how many of these run at a time, so that one caller's many requests or long lists leave the machine to the
//! others.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{REQUESTS, problem::Problem};
use crate::model::Owner;

/// The most requests of one caller that may be under way.
const OF_ONE: usize = REQUESTS / 4;
/// The most of them that read at a time; fewer on small machines.
const READING: usize = 2;
/// The longest that one waits for others of the same caller.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most requests from one address that wait for others of it to be identified or answered, beside those that have
/// their turn.
const WAITING: usize = REQUESTS;
/// The most tokens of one owner that wait to be created.
const CREATIONS: usize = 8;
/// The longest that one waits for that.
const STRANGERS_PATIENCE: Duration = Duration::from_secs(1);

/// The callers with requests under way.
#[derive(Debug)]
pub(super) struct Callers<K> {
    present: Arc<Mutex<HashMap<K, CallerLoad>>>,
    limits: CallerLimits,
}

/// What each caller has.
#[derive(Clone, Copy, Debug)]
struct CallerLimits {
    /// Requests, those that wait included.
    most: usize,
    /// Requests that have their turn at a time.
    turns: usize,
    /// How long one waits for its turn.
    patience: Duration,
}

/// What one caller has under way.
#[derive(Debug)]
struct CallerLoad {
    present: usize,
    turns: Arc<Semaphore>,
}

/// Known callers; turns are for requests that read.
pub(super) fn of_owners() -> Callers<Owner> {
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    Callers::new(CallerLimits { most: OF_ONE, turns: (cores / 2).clamp(1, READING), patience: PATIENCE })
}

/// Addresses whose senders are not known.
pub(super) fn of_addresses() -> Callers<IpAddr> {
    Callers::new(CallerLimits { most: OF_ONE + WAITING, turns: OF_ONE, patience: STRANGERS_PATIENCE })
}

/// The networks of clients whose requests are forwarded: each has a quarter of the `connections` to the upstream at a
/// time, and as many again wait as long as `patience`.
pub(super) fn of_clients(connections: usize, patience: Duration) -> Callers<IpAddr> {
    let turns = connections.div_ceil(4);
    Callers::new(CallerLimits { most: 4 * turns, turns, patience })
}

/// Owners whose tokens are counted: their tokens are created one after another, and a few wait.
pub(super) fn of_creations() -> Callers<Owner> {
    Callers::new(CallerLimits { most: CREATIONS, turns: 1, patience: PATIENCE })
}

/// A request of a caller that is under way.
#[derive(Debug)]
pub(super) struct Present<K: Eq + Hash> {
    /// Whether it waited for others of the same caller: much may have changed by now.
    pub(super) waited: bool,
    _counted: Counted<K>,
    _turn: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Counted<K: Eq + Hash> {
    callers: Arc<Mutex<HashMap<K, CallerLoad>>>,
    caller: K,
}

impl<K: Eq + Hash + Clone> Callers<K> {
    fn new(limits: CallerLimits) -> Self {
        Self { present: Arc::default(), limits }
    }

    /// Lets one more request of `caller` in; one that `takes_turns` waits for others of the same caller, up to the
    /// limit.
    ///
    /// # Errors
    ///
    /// When the caller has as many under way as there may be, or the others do not end in time.
    pub(super) async fn enter(&self, caller: &K, takes_turns: bool) -> Result<Present<K>, Problem> {
        let (counted, turns) = self.count(caller)?;
        let at_once = Arc::clone(&turns).try_acquire_owned().ok();
        let waited = takes_turns && at_once.is_none();
        let turn = if waited {
            let turn = timeout(self.limits.patience, turns.acquire_owned()).await;
            turn.map_err(|_| Problem::busy())?.ok()
        } else {
            at_once.filter(|_| takes_turns)
        };
        Ok(Present { waited, _counted: counted, _turn: turn })
    }

    fn count(&self, caller: &K) -> Result<(Counted<K>, Arc<Semaphore>), Problem> {
        let mut callers = locked(&self.present);
        let new = || CallerLoad { present: 0, turns: Arc::new(Semaphore::new(self.limits.turns)) };
        let entry = callers.entry(caller.clone()).or_insert_with(new);
        if entry.present >= self.limits.most {
            return Err(Problem::busy());
        }
        entry.present += 1;
        let counted = Counted { callers: Arc::clone(&self.present), caller: caller.clone() };
        Ok((counted, Arc::clone(&entry.turns)))
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut callers = locked(&self.callers);
        if let Some(caller) = callers.get_mut(&self.caller) {
            caller.present -= 1;
            if caller.present == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

fn locked<K>(callers: &Mutex<HashMap<K, CallerLoad>>) -> MutexGuard<'_, HashMap<K, CallerLoad>> {
    callers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn user(name: &str) -> Owner {
        Owner::User(name.into())
    }

    #[tokio::test]
    async fn what_one_caller_reads_waits_for_the_same_caller_alone() {
        let (callers, mary) = (of_owners(), user("mary"));
        let mut reading = Vec::new();
        while let Some(present) = callers.enter(&mary, true).now_or_never() {
            reading.push(present.unwrap());
        }
        assert!((1..=READING).contains(&reading.len()));
        assert!(callers.enter(&user("sam"), true).now_or_never().unwrap().is_ok());
        assert!(
            callers.enter(&mary, false).now_or_never().unwrap().is_ok(),
            "a write does not wait for lists"
        );
        let next = callers.enter(&mary, true);
        drop(reading);
        assert!(next.await.is_ok());
        assert!(locked(&callers.present).is_empty(), "nobody stays behind");
    }

    #[test]
    fn one_caller_has_a_quarter_of_the_requests_under_way() {
        let (callers, mary) = (of_owners(), user("mary"));
        let enter = |caller: &Owner| callers.enter(caller, false).now_or_never().unwrap();
        let mut present: Vec<Present<Owner>> = (0..OF_ONE).map(|_| enter(&mary).unwrap()).collect();
        assert_eq!(enter(&mary).unwrap_err().status, 503);
        assert!(enter(&user("sam")).is_ok());
        present.pop();
        assert!(enter(&mary).is_ok());
    }

    #[tokio::test]
    async fn a_crowd_of_one_address_waits_a_moment_for_its_turn_and_leaves_the_others_theirs() {
        let (strange, one) = (of_addresses(), IpAddr::from([127, 0, 0, 2]));
        let other = IpAddr::from([127, 0, 0, 3]);
        let mut present: Vec<_> =
            (0..OF_ONE).map(|_| strange.enter(&one, true).now_or_never().unwrap().unwrap()).collect();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(strange.enter(&one, true))).collect();
        assert!(waiting.iter_mut().all(|next| next.now_or_never().is_none()));
        let refused = strange.enter(&one, true).now_or_never().unwrap();
        assert_eq!(refused.unwrap_err().status, 503, "no more than so many wait");
        assert!(strange.enter(&other, true).now_or_never().unwrap().is_ok());
        present.pop();
        let _next = waiting.remove(0).await.expect("its turn has come");
        assert_eq!(waiting.remove(0).await.unwrap_err().status, 503, "the others do not end");
    }
}
