//! The last use of each token, written to the store a few times a second: a request does not wait for the
//! disk, and never fails because of it.
//!
//! A crash loses what was used in the last [`DELAY`]. Anyone who lists tokens lays what waits over what the store has,
//! so that a use is seen from then on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Notify, time::timeout};

use super::store::{Store, StoreError, TokenRow, Use};
use crate::model::{LastUse, UserName, Why};

/// How long a use waits for others before it is written.
const DELAY: Duration = Duration::from_millis(250);
/// How long a request waits for uses to be written.
const WITHIN: Duration = Duration::from_secs(1);
/// The most tokens that wait; the request that brings one more writes them itself.
const MOST: usize = 10_000;

/// Uses that are not written yet.
#[derive(Debug, Default)]
pub(super) struct LastUses {
    /// Whether the tokens are those of the server behind this one.
    of_upstream: bool,
    waiting: Mutex<HashMap<i64, LastUse>>,
    /// When users signed in with their passwords.
    sign_ins: Mutex<BTreeMap<UserName, Timestamp>>,
    /// Held while writing, so that a flush ends after the one that is under way.
    writing: tokio::sync::Mutex<()>,
    arrived: Notify,
}

impl LastUses {
    /// Those of tokens of the server behind this one.
    pub(super) fn of_upstream() -> Self {
        Self { of_upstream: true, ..Self::default() }
    }

    /// Takes note of `used`.
    pub(super) async fn record(&self, store: &Store, used: Use) {
        let count = {
            let mut waiting = self.unwritten();
            waiting.insert(used.token, used.last_use);
            waiting.len()
        };
        self.arrived.notify_one();
        if count >= MOST {
            self.flush_or_warn(store).await;
        }
    }

    /// Takes note that `user` signed in with a password at the moment `at`.
    pub(super) fn record_sign_in(&self, user: UserName, at: Timestamp) {
        self.sign_ins().insert(user, at);
        self.arrived.notify_one();
    }

    /// Writes everything that came in before the call.
    ///
    /// # Errors
    ///
    /// When the store fails; then everything waits for the next time.
    pub(super) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let batch = self.unwritten().clone();
        if !batch.is_empty() {
            let uses: Vec<Use> = batch.iter().map(|(&token, &last_use)| Use { token, last_use }).collect();
            if self.of_upstream {
                store.record_upstream_uses(&uses).await?;
            } else {
                store.record_uses(&uses).await?;
            }
            self.unwritten().retain(|token, last_use| batch.get(token) != Some(last_use));
        }
        let batch = self.sign_ins().clone();
        if !batch.is_empty() {
            store.record_sign_ins(&batch).await?;
            self.sign_ins().retain(|user, at| batch.get(user) != Some(at));
        }
        Ok(())
    }

    /// Writes whatever comes in, until it is dropped.
    pub(super) async fn keep_writing(&self, store: &Store) {
        loop {
            self.arrived.notified().await;
            tokio::time::sleep(DELAY).await;
            self.flush_or_warn(store).await;
        }
    }

    /// The uses that are not written yet, by the number of the token. One that came in before the call is among them, or
    /// in the store for whoever reads that afterwards.
    pub(super) fn waiting(&self) -> HashMap<i64, LastUse> {
        self.unwritten().clone()
    }

    /// Writes everything that came in before the call. When the store fails or is locked, that waits for the next
    /// time and is told in the log.
    pub(super) async fn flush_or_warn(&self, store: &Store) {
        // Nobody who reads waits for one who writes: what is not written yet is laid over.
        let flushed = timeout(WITHIN, self.flush(store)).await.unwrap_or(Err(StoreError::Locked));
        if let Err(error) = flushed {
            tracing::warn!(
                error = %Why::of(&error),
                "last uses of tokens wait to be written"
            );
        }
    }

    fn sign_ins(&self) -> MutexGuard<'_, BTreeMap<UserName, Timestamp>> {
        self.sign_ins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<i64, LastUse>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lays the uses that are `waiting` to be written over `tokens`.
pub(super) fn lay_over<'a>(
    waiting: &HashMap<i64, LastUse>,
    tokens: impl IntoIterator<Item = &'a mut TokenRow>,
) {
    for token in tokens {
        let later =
            waiting.get(&token.id).filter(|later| token.last_used.is_none_or(|used| used.at <= later.at));
        token.last_used = later.copied().or(token.last_used);
    }
}
