//! Whether the store can be written to, found out by writing, however many ask.

use std::time::{Duration, Instant};

use tokio::{sync::Mutex, time::timeout};

use super::{ServerClock, problem::Problem, store::Store};

/// How long an answer is good.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long a write may take.
const WITHIN: Duration = Duration::from_secs(5);

/// What the last attempt to write came to.
#[derive(Debug, Default)]
pub(super) struct Probe {
    last: Mutex<Option<(Instant, Result<(), Problem>)>>,
}

impl Probe {
    /// Writes, unless that was tried just now.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    pub(super) async fn write(&self, store: &Store, clock: &ServerClock) -> Result<(), Problem> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return outcome.clone();
        }
        let outcome = match timeout(WITHIN, store.probe(clock.now())).await {
            Ok(written) => written.map_err(Problem::from),
            Err(_) => Err(Problem::locked()),
        };
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}
