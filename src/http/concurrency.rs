//! The limit on concurrent calls. It is halved when the server signals overload and grows by one for each
//! round without that, as in TCP.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many calls of a client are under way at once.
pub(super) struct Concurrency {
    // INVARIANT: permits here and turns that are out are together `limit + surplus`.
    permits: Semaphore,
    window: Mutex<Window>,
}

struct Window {
    limit: usize,
    most: usize,
    /// Turns that are out and are not given again.
    surplus: usize,
    /// Calls that were answered well since the limit changed.
    answered: usize,
    /// How often the limit was lowered.
    lowered: u64,
}

/// The turn of one call, given back when it is dropped.
pub(super) struct Turn<'a> {
    of: &'a Concurrency,
    permit: Option<SemaphorePermit<'a>>,
    /// How often the limit had been lowered when the call was sent.
    lowered: u64,
}

impl Concurrency {
    /// At first and at most `most` calls at once; at least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let window = Window { limit: most, most, surplus: 0, answered: 0, lowered: 0 };
        Self { permits: Semaphore::new(most), window: Mutex::new(window) }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Turn<'_> {
        // It fails only when the semaphore is closed, which nobody does.
        let permit = self.permits.acquire().await.ok();
        Turn { of: self, permit, lowered: self.window().lowered }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The call was one too many. Calls that were sent before the limit was lowered do not lower it again.
    pub(super) fn was_too_many(&mut self) {
        let mut window = self.of.window();
        if self.lowered == window.lowered {
            let limit = (window.limit / 2).max(1);
            let surplus = window.limit - limit;
            window.surplus += surplus - self.of.permits.forget_permits(surplus);
            window.limit = limit;
            window.answered = 0;
            window.lowered += 1;
        }
        self.lowered = window.lowered;
    }

    /// The call was answered.
    pub(super) fn was_answered(&mut self) {
        let mut window = self.of.window();
        window.answered += 1;
        if window.limit < window.most && window.answered >= window.limit {
            window.limit += 1;
            window.answered = 0;
            match window.surplus.checked_sub(1) {
                Some(less) => window.surplus = less,
                None => self.of.permits.add_permits(1),
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut window = self.of.window();
        if let Some(less) = window.surplus.checked_sub(1)
            && let Some(permit) = self.permit.take()
        {
            window.surplus = less;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn take(concurrency: &Concurrency) -> Option<Turn<'_>> {
        concurrency.turn().now_or_never()
    }

    fn take_all(concurrency: &Concurrency) -> Vec<Turn<'_>> {
        std::iter::from_fn(|| take(concurrency)).collect()
    }

    #[test]
    fn one_too_many_halves_it_once_for_all_calls_that_were_under_way() {
        let concurrency = Concurrency::new(8);
        let mut turns = take_all(&concurrency);
        assert_eq!(turns.len(), 8);
        turns.iter_mut().for_each(Turn::was_too_many);
        drop(turns);
        assert_eq!(take_all(&concurrency).len(), 4);
    }

    #[test]
    fn a_call_that_is_too_many_again_and_again_leaves_one_at_a_time() {
        let concurrency = Concurrency::new(8);
        let mut turn = take(&concurrency).unwrap();
        (0..9).for_each(|_| turn.was_too_many());
        assert!(take(&concurrency).is_none());
        drop(turn);
        assert_eq!(take_all(&concurrency).len(), 1);
    }

    #[test]
    fn it_grows_by_one_a_round_up_to_where_it_began() {
        let concurrency = Concurrency::new(4);
        take(&concurrency).unwrap().was_too_many();
        for (calls, limit) in [(1, 2), (1, 3), (2, 3), (1, 4), (20, 4)] {
            (0..calls).for_each(|_| take(&concurrency).unwrap().was_answered());
            assert_eq!(take_all(&concurrency).len(), limit);
        }
    }

    proptest! {
        #[test]
        fn there_are_never_more_turns_than_allowed_and_none_is_lost(
            most in 1usize..10, steps in prop::collection::vec((0u8..4, 0usize..10), 0..200),
        ) {
            let concurrency = Concurrency::new(most);
            let mut turns: Vec<Turn<'_>> = Vec::new();
            for (step, which) in steps {
                let which = which.min(turns.len().saturating_sub(1));
                match (step, turns.get_mut(which)) {
                    (0, _) => {
                        let limit = concurrency.window().limit;
                        let out = turns.len();
                        let turn = take(&concurrency);
                        prop_assert_eq!(turn.is_some(), out < limit, "{} out of {}", out, limit);
                        turns.extend(turn);
                    }
                    (1, Some(turn)) => turn.was_too_many(),
                    (2, Some(turn)) => turn.was_answered(),
                    (3, Some(_)) => drop(turns.swap_remove(which)),
                    _ => {}
                }
            }
            drop(turns);
            let limit = concurrency.window().limit;
            prop_assert!((1..=most).contains(&limit));
            prop_assert_eq!(take_all(&concurrency).len(), limit);
        }
    }
}
