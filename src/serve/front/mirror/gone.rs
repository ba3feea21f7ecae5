//! The tokens that a whole reading shows to be gone, and what is kept of them in the store.

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};

use super::Mirror;
use crate::{model::Why, serve::store::StoreError};

/// How often the store is told.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How long a token is gone before its restriction and its use go: who is lost by a directory may come back.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Mirror {
    /// Tells the store which tokens are gone, once a day, after a whole reading that began at `began`.
    pub(super) async fn tell_gone(&self, began: Timestamp) {
        let told = *self.told_gone.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| began.duration_since(told) < EVERY) {
            return;
        }
        match self.prune(began).await {
            Ok(restrictions) => {
                *self.told_gone.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
                if restrictions > 0 {
                    tracing::info!(restrictions, "restrictions of tokens that are long gone were taken off");
                }
            }
            Err(error) => tracing::warn!(
                error = %Why::of(&error),
                "what is kept of tokens that are gone stays for now"
            ),
        }
    }

    async fn prune(&self, began: Timestamp) -> Result<usize, StoreError> {
        let mut kept = self.store.kept_of_upstream().await?;
        {
            let memory = self.memory();
            kept.retain(|token| !u64::try_from(*token).is_ok_and(|number| memory.holds(number)));
        }
        let before = began.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN);
        self.store.upstream_gone(&kept, began, before).await
    }
}
