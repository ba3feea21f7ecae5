//! How long the audit is kept: entries that are older go, at the start of a server and every hour. Their age is told by
//! the time that was seen to go by: a clock that jumps ahead deletes nothing.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::sleep;

use super::{
    ServerClock,
    store::{Store, StoreError},
};
use crate::model::{Period, Why};

const EVERY: Duration = Duration::from_hours(1);
/// After the start of a server, which does not wait for it.
const FIRST: Duration = Duration::from_secs(1);
/// A clock that is further ahead of the proven time is spoken of.
const NOTABLE: SignedDuration = SignedDuration::from_hours(1);

/// Deletes the entries of the audit that are older than `period`, again and again until it is dropped.
pub(super) async fn keep_pruning(store: &Store, clock: &ServerClock, period: Period) {
    sleep(FIRST).await;
    loop {
        if let Err(error) = prune(store, clock, period).await {
            tracing::warn!(error = %Why::of(&error), "old entries of the audit stay for now");
        }
        sleep(EVERY).await;
    }
}

async fn prune(store: &Store, clock: &ServerClock, period: Period) -> Result<(), StoreError> {
    let Some(proven) = clock.proven(store).await? else { return Ok(()) };
    let now = clock.now();
    if now.duration_since(proven) > NOTABLE {
        tracing::warn!(
            %now,
            %proven,
            "the clock went ahead: the audit is pruned by the time that was seen to go by, which follows a day in an \
             hour; if the clock is wrong, stop the server, set it, and run `tokenwarden settings reset-clock`"
        );
    }
    while store.prune_audit(period.before(proven)).await? {}
    Ok(())
}
