//! Whether the store can be written to and its audit can be right, found out by writing and reading a little, however
//! many ask.

use std::time::{Duration, Instant};

use tokio::{sync::Mutex, time::timeout};

use super::{
    ServerClock,
    problem::Problem,
    store::{Store, StoreError},
};

/// How long an answer is good.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long an attempt may take.
const WITHIN: Duration = Duration::from_secs(5);

/// What the last attempt came to.
#[derive(Debug, Default)]
pub(super) struct Probe {
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    outcome: Option<(Instant, Result<(), Problem>)>,
    /// The entry of the audit from which the next attempt goes on.
    next: i64,
}

impl Probe {
    /// Writes and reads, unless that was tried just now.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to, or its audit is damaged.
    pub(super) async fn attempt(&self, store: &Store, clock: &ServerClock) -> Result<(), Problem> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &last.outcome
            && at.elapsed() < GOOD_FOR
        {
            return outcome.clone();
        }
        let start = last.next.max(1);
        let attempt = async {
            store.probe(clock.now()).await?;
            store.look_through_audit(start).await
        };
        let outcome = match timeout(WITHIN, attempt).await {
            // What is damaged is looked at again the next time.
            Ok(looked) => looked.map(|next| last.next = next).map_err(|error| match error {
                StoreError::Damaged(problem) => Problem::damaged(&problem),
                error => error.into(),
            }),
            Err(_) => Err(Problem::locked()),
        };
        last.outcome = Some((Instant::now(), outcome.clone()));
        outcome
    }
}
