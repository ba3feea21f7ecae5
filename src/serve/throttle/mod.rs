//! Attempts with passwords: how many may fail in a minute, from one network and for one user, before further ones are
//! refused unseen.
//!
//! Every failure counts for the address, for the wider networks around it, of which somebody may have a whole one, and
//! for the user, whose password may be guessed from everywhere. Nobody is locked out: a count is over after a minute,
//! and a user who came in from a place before is counted there apart from everybody else.

mod attempts;
mod counts;
mod places;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::model::UserName;
use attempts::{Attempt, Attempts, Begun};

pub(super) use attempts::network;

/// How long failures are counted together.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// Limits failed attempts. No more attempts are under way at a time than may still fail; the others wait until it is
/// known how those end, so that many at a time get no more failures than one after the other.
#[derive(Debug)]
pub(super) struct Throttle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    attempts: Mutex<Attempts>,
    /// Some attempt has ended.
    ended: Notify,
}

/// An attempt that is let through. It was given up unless it is said how it ended.
#[derive(Debug)]
pub(super) struct Turn {
    shared: Arc<Shared>,
    attempt: Attempt,
}

impl Throttle {
    /// `limit` attempts may fail in a minute from one address; from wider networks and for one user a few times as many.
    pub(super) fn new(limit: u32, now: Instant) -> Self {
        Self(Arc::new(Shared { attempts: Mutex::new(Attempts::new(limit, now)), ended: Notify::new() }))
    }

    /// Lets an attempt for `user` through that arrives from `address` at `now`; `None` when too many failed. Only a user
    /// who `has_password` can be known where the attempt comes from.
    pub(super) async fn turn(
        &self,
        user: &UserName,
        has_password: bool,
        address: IpAddr,
        now: Instant,
    ) -> Option<Turn> {
        let shared = &self.0;
        loop {
            let ended = shared.ended.notified();
            let begun = shared.attempts().begin(user, has_password, address, now);
            match begun {
                Begun::LetThrough(attempt) => return Some(Turn { shared: Arc::clone(shared), attempt }),
                Begun::Refused => return None,
                Begun::Waits => ended.await,
            }
        }
    }
}

impl Shared {
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Counts the attempt as failed at `now`.
    pub(super) fn failed(self, now: Instant) {
        self.shared.attempts().failed(&self.attempt, now);
    }

    /// Takes note that the password was right at `now`.
    pub(super) fn right(self, now: Instant) {
        let Attempt { user, place, .. } = self.attempt;
        self.shared.attempts().places.note(user, place, now);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.attempts().end(&self.attempt);
        self.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn v6(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn let_through(throttle: &Throttle, user: &str, address: IpAddr, now: Instant) -> Option<Turn> {
        throttle.turn(&UserName::new(user), true, address, now).now_or_never().expect("nothing to wait for")
    }

    /// Whether an attempt with a wrong password is looked at.
    fn fails(throttle: &Throttle, user: &str, address: IpAddr, now: Instant) -> bool {
        let turn = let_through(throttle, user, address, now);
        turn.map(|turn| turn.failed(now)).is_some()
    }

    /// How many of `tries` attempts with wrong passwords are looked at.
    fn looked_at(
        tries: impl IntoIterator<Item = (String, IpAddr)>,
        throttle: &Throttle,
        now: Instant,
    ) -> usize {
        tries.into_iter().filter(|(user, address)| fails(throttle, user, *address, now)).count()
    }

    #[test]
    fn so_many_failures_a_minute_are_let_through_and_good_attempts_do_not_count() {
        let now = Instant::now();
        let throttle = Throttle::new(2, now);
        for _ in 0..5 {
            assert!(let_through(&throttle, "a", address(1), now).is_some());
        }
        assert!(fails(&throttle, "a", address(1), now) && fails(&throttle, "b", address(1), now));
        assert!(let_through(&throttle, "c", address(1), now).is_none());
        assert!(let_through(&throttle, "c", address(2), now).is_some(), "another address has its own count");
        assert!(
            let_through(&throttle, "c", address(1), now + WINDOW).is_some(),
            "a minute later it may try again"
        );
        assert!(let_through(&Throttle::new(0, now), "a", address(1), now).is_none());
        let unlimited = Throttle::new(u32::MAX, now);
        assert_eq!(looked_at((0..70_000).map(|_| ("a".to_owned(), address(1))), &unlimited, now), 70_000);
    }

    #[tokio::test]
    async fn more_at_a_time_than_may_fail_wait_for_the_end_of_the_others() {
        let (now, user) = (Instant::now(), UserName::new("a"));
        let throttle = Throttle::new(2, now);
        let [good, bad] = [(); 2].map(|()| let_through(&throttle, "a", address(1), now).unwrap());
        assert!(throttle.turn(&user, true, address(1), now).now_or_never().is_none());
        let (last, ()) = tokio::join!(throttle.turn(&user, true, address(1), now), async { drop(good) });
        bad.failed(now);
        let last = last.unwrap();
        let (turn, ()) =
            tokio::join!(throttle.turn(&user, true, address(1), now), async { last.failed(now) });
        assert!(turn.is_none(), "who waits is refused once too many failed");
    }

    #[test]
    fn whoever_has_a_whole_network_gets_a_few_times_the_guesses_of_one_address() {
        let now = Instant::now();
        let users = |number: u32| format!("user{number}");
        let of = |prefix: &str| {
            let prefix = prefix.to_owned();
            (0..2000u32).map(move |number| (users(number), v6(&prefix.replace('N', &format!("{number:x}")))))
        };
        for (prefix, expected) in [
            ("2001:db8:0:1::N", 20),
            ("2001:db8:0:17::N", 20),
            ("2001:db8:0:N::1", 80),
            ("2001:db8:1:N::1", 80),
        ] {
            assert_eq!(looked_at(of(prefix), &Throttle::new(20, now), now), expected, "{prefix}");
        }
        let in_56 =
            (0..2000u32).map(|number| (users(number), v6(&format!("2001:db8:0:12{:02x}::1", number % 256))));
        assert_eq!(looked_at(in_56, &Throttle::new(20, now), now), 40);
        let in_24 = (0..2000u32).map(|number| (users(number), address(0xc000_0200 + number % 256)));
        assert_eq!(looked_at(in_24, &Throttle::new(20, now), now), 80);
        let mapped = Throttle::new(1, now);
        assert!(
            fails(&mapped, "a", v6("::ffff:192.0.2.1"), now)
                && !fails(&mapped, "b", address(0xc000_0201), now)
        );
    }

    #[test]
    fn one_account_is_guessed_at_a_few_times_a_minute_from_everywhere_together() {
        let now = Instant::now();
        let throttle = Throttle::new(20, now);
        let everywhere = |user: &'static str| (0..5000u32).map(move |n| (user.to_owned(), address(n << 12)));
        assert_eq!(looked_at(everywhere("mary"), &throttle, now), 40);
        assert_eq!(
            looked_at(everywhere("MARY"), &throttle, now),
            0,
            "names are compared without regard to case"
        );
        let_through(&throttle, "sam", address(3 << 28), now).expect("another account is free");
        assert_eq!(looked_at(everywhere("mary"), &throttle, now + WINDOW), 40, "it is a delay");
    }

    #[test]
    fn who_came_in_from_a_place_before_is_not_shut_out_there_by_the_failures_of_others() {
        let now = Instant::now();
        let throttle = Throttle::new(20, now);
        let_through(&throttle, "mary", address(1), now).unwrap().right(now);
        let others = (0..100).map(|number| (format!("user{number}"), address(1)));
        assert_eq!(looked_at(others, &throttle, now), 20);
        let everywhere = (1..100u32).map(|number| ("mary".to_owned(), address(number << 12)));
        assert_eq!(looked_at(everywhere, &throttle, now), 40);
        assert!(let_through(&throttle, "mary", address(1), now).is_some());
        assert!(let_through(&throttle, "sam", address(1), now).is_none(), "who did not, waits");
        assert!(let_through(&throttle, "mary", address(2), now).is_none(), "from another place, too");
        let gone = throttle.turn(&UserName::new("mary"), false, address(1), now).now_or_never().unwrap();
        assert!(gone.is_none(), "who has left is like a user whom nobody knows");
        let guesses = (0..1000).map(|_| ("mary".to_owned(), address(1)));
        assert_eq!(
            looked_at(guesses, &throttle, now),
            100,
            "nor may her password be guessed there without end"
        );
    }

    #[test]
    fn very_many_who_fail_make_it_forget_nobody_and_shut_out_nobody_else() {
        let now = Instant::now();
        let throttle = Throttle::new(20, now);
        assert_eq!(looked_at((0..50).map(|_| ("root".to_owned(), address(1))), &throttle, now), 20);
        // More than can be hashed in a minute.
        for number in 1..20_000u32 {
            assert!(fails(&throttle, &format!("user{number}"), address(number.rotate_left(16)), now));
        }
        assert!(let_through(&throttle, "innocent", address(1), now).is_none());
        let shut_out = (0..1000u32)
            .filter(|n| let_through(&throttle, &format!("innocent{n}"), address(n << 12 | 7), now).is_none());
        assert_eq!(shut_out.count(), 0);
    }

    proptest! {
        #[test]
        fn no_order_of_attempts_lets_more_fail_in_a_minute_than_may(
            tries in proptest::collection::vec((0u32..4, 0u32..6, 0u32..3, 0u64..4), 1..300),
        ) {
            let began = Instant::now();
            let (throttle, mut now) = (Throttle::new(3, began), began);
            let mut under_way = Vec::new();
            let mut failed: HashMap<String, u32> = HashMap::new();
            let mut since = began;
            for (user, place, how, seconds) in tries {
                now += Duration::from_secs(seconds);
                let name = format!("user{user}");
                let attempt = throttle.turn(&UserName::new(&*name), true, address(place), now).now_or_never();
                if now - since >= WINDOW {
                    (failed, since) = (HashMap::new(), now);
                }
                under_way.extend(attempt.flatten().map(|turn| (turn, name, place)));
                if how > 0 && !under_way.is_empty() {
                    let (turn, name, place) = under_way.remove(0);
                    if how == 1 {
                        turn.failed(now);
                        let of_user = failed.entry(name.clone()).or_default();
                        *of_user += 1;
                        prop_assert!(*of_user <= 2 * 3, "{name}");
                        let at = failed.entry(place.to_string()).or_default();
                        *at += 1;
                        prop_assert!(*at <= 3, "{place}");
                    }
                }
            }
        }
    }
}
