//! What time it is for a server: the present one, and never an earlier one than it has been before.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::store::{Store, StoreError};

use crate::{model::Why, world::system_time};

/// How often the latest moment is kept.
const KEPT_EVERY: Duration = Duration::from_secs(15);
/// A clock that jumps further than this is spoken of.
const NOTABLE: SignedDuration = SignedDuration::from_mins(2);

/// What time it is for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// What the system says.
    System,
    /// Always this moment.
    Fixed(Timestamp),
}

impl Clock {
    /// The present moment, UTC, in whole milliseconds: the store keeps no more.
    #[must_use]
    pub fn now(self) -> Timestamp {
        milliseconds(match self {
            Self::System => system_time(),
            Self::Fixed(moment) => moment,
        })
    }
}

/// The clock of a server that runs.
///
/// The store keeps the latest moment that there was, and time goes on from there when the clock of the system
/// is set back: what has expired stays expired, and no use of a token lies in the future. A moment that was
/// given is not a moment that there was. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct ServerClock {
    given: Option<Timestamp>,
    latest: Arc<Mutex<Latest>>,
}

/// The latest moment that there was, and when that was.
#[derive(Clone, Copy, Debug)]
struct Latest {
    at: Timestamp,
    seen: Instant,
    /// When it was kept last.
    kept: Instant,
}

impl Latest {
    /// What time it is, as far as time itself goes on.
    fn now(self) -> Timestamp {
        self.at.checked_add(self.seen.elapsed()).unwrap_or(Timestamp::MAX)
    }
}

impl From<Clock> for ServerClock {
    /// One that knows of no earlier moment.
    fn from(clock: Clock) -> Self {
        let given = if let Clock::Fixed(moment) = clock { Some(milliseconds(moment)) } else { None };
        let latest = Latest { at: system_time(), seen: Instant::now(), kept: Instant::now() };
        Self { given, latest: Arc::new(Mutex::new(latest)) }
    }
}

impl ServerClock {
    /// That of a server over `store`, which goes by `clock`.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(super) async fn start(clock: Clock, store: &Store) -> Result<Self, StoreError> {
        let started = Self::from(clock);
        if started.given.is_none()
            && let Some(kept) = store.latest_moment().await?
        {
            let mut latest = started.latest();
            latest.at = latest.at.max(kept);
        }
        Ok(started)
    }

    /// The moment that was given, otherwise the present one, UTC, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.given.unwrap_or_else(|| self.passing())
    }

    /// The present moment, UTC, in whole milliseconds, whatever was given: for what is about time that goes by.
    pub(super) fn passing(&self) -> Timestamp {
        let mut latest = self.latest();
        let (system, expected) = (system_time(), latest.now());
        if system.duration_since(expected) > NOTABLE {
            tracing::warn!(%expected, %system, "the clock of this machine went ahead: it counts from now on");
        }
        if system >= expected {
            *latest = Latest { at: system, seen: Instant::now(), ..*latest };
        }
        milliseconds(system.max(expected))
    }

    /// Keeps in `store` what time it is.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(super) async fn keep(&self, store: &Store) -> Result<(), StoreError> {
        if self.given.is_some() {
            return Ok(());
        }
        let now = self.passing();
        let kept = mem::replace(&mut self.latest().kept, Instant::now());
        store.keep_time(now, system_time(), kept.elapsed()).await
    }

    /// How far the time in `store` is proven, UTC, and no later than any clock says. `None` when nobody kept the time, and
    /// no moment was given.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(super) async fn proven(&self, store: &Store) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now().min(system_time());
        let proven = store.proven_moment().await?.or(self.given);
        Ok(proven.map(|proven| proven.min(now)))
    }

    /// Keeps in `store` what time it is, again and again until it is dropped, and says when the clock of the
    /// system is behind.
    pub(super) async fn keep_on(&self, store: &Store) {
        let mut is_said = false;
        loop {
            tokio::time::sleep(KEPT_EVERY).await;
            if let Err(error) = self.keep(store).await {
                tracing::warn!(error = %Why::of(&error), "the time waits to be kept");
            }
            let (system, now) = (system_time(), self.now());
            let is_behind = self.given.is_none() && now.duration_since(system) > NOTABLE;
            if is_behind && !is_said {
                tracing::warn!(
                    %now,
                    %system,
                    "the clock of this machine went back: time continues from the latest known time; if \
                     that one was wrong, stop the server and run `tokenwarden settings reset-clock`"
                );
            }
            is_said = is_behind;
        }
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(moment.as_millisecond()).unwrap_or(moment)
}
