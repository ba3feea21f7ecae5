//! Requests of each caller who is known: how many may be under way, and how many of them read at a time, so that one
//! caller's lists leave the machine to the others.

use std::{
    collections::{HashMap, hash_map::Entry},
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

/// So many requests of one caller are under way at most.
const OF_ONE: usize = REQUESTS / 4;
/// So many of them read at a time at most; fewer on small machines.
const READING: usize = 2;
/// So long one waits for others of the same caller at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// The callers with requests under way.
#[derive(Debug, Default)]
pub(super) struct Callers(Arc<Mutex<HashMap<Owner, Caller>>>);

#[derive(Debug)]
struct Caller {
    present: usize,
    reading: Arc<Semaphore>,
}

impl Default for Caller {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        Self { present: 0, reading: Arc::new(Semaphore::new((cores / 2).clamp(1, READING))) }
    }
}

/// A request of a caller that is under way.
#[derive(Debug)]
pub(super) struct Present {
    /// Whether it waited for others of the same caller: much may be another way by now.
    pub(super) waited: bool,
    _counted: Counted,
    _reading: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Counted {
    callers: Arc<Mutex<HashMap<Owner, Caller>>>,
    caller: Owner,
}

impl Callers {
    /// Lets one more request of `caller` in; one that `reads` waits for others of the same caller, for ten seconds
    /// at most.
    ///
    /// # Errors
    ///
    /// When the caller has as many under way as there may be, or the others do not end in time.
    pub(super) async fn enter(&self, caller: &Owner, reads: bool) -> Result<Present, Problem> {
        let (counted, reading) = self.count(caller)?;
        let at_once = Arc::clone(&reading).try_acquire_owned().ok();
        let waited = reads && at_once.is_none();
        let turn = if waited {
            let turn = timeout(PATIENCE, reading.acquire_owned()).await.map_err(|_| Problem::busy())?;
            turn.ok()
        } else {
            at_once.filter(|_| reads)
        };
        Ok(Present { waited, _counted: counted, _reading: turn })
    }

    fn count(&self, caller: &Owner) -> Result<(Counted, Arc<Semaphore>), Problem> {
        let mut callers = locked(&self.0);
        let entry = callers.entry(caller.clone()).or_default();
        if entry.present >= OF_ONE {
            return Err(Problem::busy());
        }
        entry.present += 1;
        let counted = Counted { callers: Arc::clone(&self.0), caller: caller.clone() };
        Ok((counted, Arc::clone(&entry.reading)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = locked(&self.callers).entry(self.caller.clone()) {
            entry.get_mut().present -= 1;
            if entry.get().present == 0 {
                entry.remove();
            }
        }
    }
}

fn locked(callers: &Mutex<HashMap<Owner, Caller>>) -> MutexGuard<'_, HashMap<Owner, Caller>> {
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
        let (callers, mary) = (Callers::default(), user("mary"));
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
        assert!(locked(&callers.0).is_empty(), "nobody stays behind");
    }

    #[test]
    fn one_caller_has_a_quarter_of_the_requests_under_way() {
        let (callers, mary) = (Callers::default(), user("mary"));
        let enter = |caller: &Owner| callers.enter(caller, false).now_or_never().unwrap();
        let mut present: Vec<Present> = (0..OF_ONE).map(|_| enter(&mary).unwrap()).collect();
        assert_eq!(enter(&mary).unwrap_err().status, 503);
        assert!(enter(&user("sam")).is_ok());
        present.pop();
        assert!(enter(&mary).is_ok());
    }
}
