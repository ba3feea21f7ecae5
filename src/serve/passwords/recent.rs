//! Passwords that were right a moment ago. A script that sends one with each request would keep a core busy with hashing
//! it, and would have to wait behind everybody who guesses.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hmac::{Hmac, Mac, digest::CtOutput};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::super::random::{NoRandomness, random_bytes};

type Keyed = Hmac<Sha256>;

/// How long a password is remembered after it was hashed.
const FOR: Duration = Duration::from_mins(5);
/// The most that are remembered.
const AT_MOST: usize = 1_000;

/// Digests of passwords, by the hash that each comes to: who gets a new password, or none, is forgotten with the hash.
/// They are under a key that never leaves the process.
pub(super) struct Recent {
    key: Keyed,
    right: Mutex<HashMap<String, Right>>,
}

struct Right {
    digest: CtOutput<Keyed>,
    until: Instant,
}

impl Recent {
    pub(super) fn new() -> Result<Self, NoRandomness> {
        let key: [u8; 64] = random_bytes()?;
        Ok(Self { key: <Keyed as hmac::digest::KeyInit>::new(&key.into()), right: Mutex::default() })
    }

    /// Whether `password` came to `hash` not long before `now`.
    pub(super) fn has(&self, hash: &str, password: &SecretString, now: Instant) -> bool {
        let digest = self.digest(hash, password);
        // Digests are compared in constant time.
        self.right().get(hash).is_some_and(|right| now < right.until && right.digest == digest)
    }

    /// `password` came to `hash` at `now`.
    pub(super) fn add(&self, hash: String, password: &SecretString, now: Instant) {
        let digest = self.digest(&hash, password);
        let mut right = self.right();
        if right.len() >= AT_MOST {
            right.retain(|_, right| now < right.until);
        }
        if right.len() >= AT_MOST {
            right.clear();
        }
        right.insert(hash, Right { digest, until: now + FOR });
    }

    fn digest(&self, hash: &str, password: &SecretString) -> CtOutput<Keyed> {
        let digest =
            self.key.clone().chain_update(hash).chain_update([0]).chain_update(password.expose_secret());
        digest.finalize()
    }

    fn right(&self) -> MutexGuard<'_, HashMap<String, Right>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("passwords", &self.right().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_remembered_for_five_minutes_and_with_its_hash_alone() {
        let (recent, now) = (Recent::new().unwrap(), Instant::now());
        let [sesame, other] = ["sesame", "other"].map(SecretString::from);
        assert!(!recent.has("hash", &sesame, now));
        recent.add("hash".to_owned(), &sesame, now);
        assert!(recent.has("hash", &sesame, now + FOR.mul_f32(0.99)));
        assert!(!recent.has("hash", &sesame, now + FOR), "it is over");
        assert!(!recent.has("hash", &other, now), "another password");
        assert!(!recent.has("new hash", &sesame, now), "the hash of a new password");
    }

    #[test]
    fn no_more_are_remembered_than_have_room_and_the_last_is_among_them() {
        let (recent, now) = (Recent::new().unwrap(), Instant::now());
        let password = SecretString::from("sesame");
        for hash in 0..3 * AT_MOST {
            recent.add(hash.to_string(), &password, now);
            assert!(recent.has(&hash.to_string(), &password, now));
            assert!(recent.right().len() <= AT_MOST);
        }
    }

    #[test]
    fn what_is_printed_of_it_has_neither_password_nor_digest() {
        let recent = Recent::new().unwrap();
        recent.add("hash".to_owned(), &SecretString::from("sesame"), Instant::now());
        assert_eq!(format!("{recent:?}"), "Recent { passwords: 1, .. }");
    }
}
