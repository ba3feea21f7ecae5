//! Where users came in with the right password, as far as a bounded memory goes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long a place is known.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// The most places of one user, and the most users. Those that were not seen for the longest time go.
const PLACES: usize = 8;
const USERS: usize = 10_000;

/// The places of users, both as hashes.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<u64, Vec<(u64, Instant)>>);

impl Places {
    /// Whether `user` came in from `place` not too long before `now`.
    pub(super) fn knows(&self, user: u64, place: u64, now: Instant) -> bool {
        let known = |&(at, seen): &(u64, Instant)| at == place && now.duration_since(seen) < KNOWN_FOR;
        self.0.get(&user).is_some_and(|places| places.iter().any(known))
    }

    /// Takes note that `user` came in from `place` at `now`.
    pub(super) fn note(&mut self, user: u64, place: u64, now: Instant) {
        if self.0.len() >= USERS && !self.0.contains_key(&user) {
            let last_seen = |places: &[(u64, Instant)]| places.iter().map(|(_, seen)| *seen).max();
            let oldest = self.0.iter().min_by_key(|(_, places)| last_seen(places)).map(|(user, _)| *user);
            oldest.map(|user| self.0.remove(&user));
        }
        let places = self.0.entry(user).or_default();
        places.retain(|(at, _)| *at != place);
        if places.len() >= PLACES {
            places.remove(0);
        }
        places.push((place, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_users_and_places_there_are_the_latest_are_known_and_no_more_than_so_many() {
        let (mut places, now) = (Places::default(), Instant::now());
        for place in 0..100 {
            places.note(7, place, now);
            places.note(7, 0, now);
        }
        assert!(places.knows(7, 0, now) && places.knows(7, 99, now) && !places.knows(7, 1, now));
        assert!(!places.knows(8, 0, now) && !places.knows(7, 0, now + KNOWN_FOR));
        for user in 0..USERS as u64 + 500 {
            places.note(user + 10, 1, now + Duration::from_micros(user));
        }
        assert_eq!(places.0.len(), USERS);
        assert!(!places.knows(7, 0, now) && places.knows(USERS as u64 + 509, 1, now));
        assert!(places.0.values().all(|places| places.len() <= PLACES));
    }
}
