//! How long the audit is kept: entries that are older go, at the start of a server and every hour.

use std::{error::Error, time::Duration};

use tokio::time::sleep;

use super::{ServerClock, store::Store};
use crate::model::Period;

const EVERY: Duration = Duration::from_hours(1);

/// Deletes the entries of the audit that are older than `period`, again and again until it is dropped.
pub(super) async fn keep_pruning(store: &Store, clock: &ServerClock, period: Period) {
    loop {
        let more = store.prune_audit(period.before(clock.now())).await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn Error, "old entries of the audit stay for now");
            false
        });
        if !more {
            sleep(EVERY).await;
        }
    }
}
