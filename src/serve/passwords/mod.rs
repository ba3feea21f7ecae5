//! Password verification. An unknown user takes as long as a known one, and only a limited number are
//! checked at a time. Passwords are not kept; of those that were right, a digest is for a few minutes.

mod recent;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use argon2::{
    Algorithm, Argon2, Block, MIN_SALT_LEN, Params, Version,
    password_hash::{Output, PasswordHash, Salt, SaltString},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use recent::Recent;

use super::{
    random::{NoRandomness, random_bytes},
    throttle::Throttle,
};
use crate::model::UserName;

/// The password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// No salt could be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The hash could not be made.
    #[error("the password cannot be hashed")]
    Hash(#[source] argon2::password_hash::Error),
    /// Too many wait already.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}

/// What an attempt with a password came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Right,
    Wrong,
    /// Too many failed from this network or for this user; this one was not looked at.
    Throttled,
}

/// The most passwords checked at a time: each takes 19 MiB.
const AT_A_TIME: usize = 4;
/// The most attempts that may wait for that.
const WAITING: usize = 128;

/// Checks passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    waiting: Semaphore,
    at_a_time: Arc<Semaphore>,
    /// One for each that is under way, used again and again.
    hashers: Arc<Mutex<Vec<Hasher>>>,
    /// A hash that no password is known to come to, for users that nobody knows.
    nobodys: String,
    recent: Arc<Recent>,
    failures: Throttle,
}

impl Passwords {
    /// At most `failures_per_minute` fail from one address.
    pub(super) fn new(failures_per_minute: u32) -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let nobodys = nobodys_hash()?;
        Ok(Self {
            waiting: Semaphore::new(WAITING),
            at_a_time: Arc::new(Semaphore::new(cores.min(AT_A_TIME))),
            hashers: Arc::default(),
            nobodys,
            recent: Arc::new(Recent::new()?),
            failures: Throttle::new(failures_per_minute, Instant::now()),
        })
    }

    /// Whether `password` of `user` is the one that hashes to `hash`; it never is when there is no hash, or one of
    /// other costs than ours. All of that takes as long, but for one that was right a moment ago.
    pub(super) async fn check(
        &self,
        user: &UserName,
        password: SecretString,
        hash: Option<String>,
        client: IpAddr,
    ) -> Result<Attempt, PasswordError> {
        let hash = hash.filter(|hash| is_password_hash(hash));
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobodys.clone());
        let remembered = known && self.recent.has(&hash, &password, Instant::now());
        let waits = || self.waiting.try_acquire().map_err(|_| PasswordError::Busy);
        let _waiting = if remembered { None } else { Some(waits()?) };
        let Some(turn) = self.failures.turn(user, known, client, Instant::now()).await else {
            return Ok(Attempt::Throttled);
        };
        if remembered {
            turn.right(Instant::now());
            return Ok(Attempt::Right);
        }
        let core = Arc::clone(&self.at_a_time).acquire_owned().await.map_err(|_| PasswordError::Stopping)?;
        let (hashers, recent) = (Arc::clone(&self.hashers), Arc::clone(&self.recent));
        // Who goes away meanwhile stops neither the work nor the counting.
        let checking = tokio::task::spawn_blocking(move || {
            let _core = core;
            let free = || hashers.lock().unwrap_or_else(PoisonError::into_inner);
            let mut hasher = free().pop().unwrap_or_default();
            let right = hasher.matches(password.expose_secret(), &hash);
            free().push(hasher);
            if right && known {
                recent.add(hash, &password, Instant::now());
                turn.right(Instant::now());
                return Attempt::Right;
            }
            turn.failed(Instant::now());
            Attempt::Wrong
        });
        checking.await.map_err(|_| PasswordError::Stopping)
    }
}

/// Hashes one password after another in the same memory. What is given back to the system in pieces of this size would
/// stay with the process.
#[derive(Debug, Default)]
pub(super) struct Hasher(Vec<Block>);

impl Hasher {
    /// Whether `password` hashes to `hash`, which has our costs.
    pub(super) fn matches(&mut self, password: &str, hash: &str) -> bool {
        let computed = PasswordHash::new(hash).ok().and_then(|hash| {
            let (salt, expected) = (hash.salt?, hash.hash?);
            // Outputs are compared in constant time.
            Some(self.output(password, salt, expected.len()).ok()? == expected)
        });
        computed.unwrap_or(false)
    }

    /// The argon2id hash of `password`, as a PHC string.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes for the salt.
    pub(super) fn hash(&mut self, password: &str) -> Result<String, PasswordError> {
        let salt = new_salt()?;
        let output = self.output(password, salt.as_salt(), Params::DEFAULT_OUTPUT_LEN);
        written(&salt, output.map_err(PasswordError::Hash)?)
    }

    fn output(
        &mut self,
        password: &str,
        salt: Salt<'_>,
        length: usize,
    ) -> Result<Output, argon2::password_hash::Error> {
        let mut bytes = [0; Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut bytes)?;
        self.0.resize(Params::DEFAULT.block_count(), Block::new());
        Output::init_with(length, |out| {
            let done = Argon2::default().hash_password_into_with_memory(
                password.as_bytes(),
                salt,
                out,
                self.0.as_mut_slice(),
            );
            done.map_err(Into::into)
        })
    }
}

/// Random bytes in the form of a hash that [`Hasher::hash`] makes: to check a password against it takes as long as
/// against any, and making it takes no time.
fn nobodys_hash() -> Result<String, PasswordError> {
    let output = Output::new(&random_bytes::<{ Params::DEFAULT_OUTPUT_LEN }>()?);
    written(&new_salt()?, output.map_err(PasswordError::Hash)?)
}

fn new_salt() -> Result<SaltString, PasswordError> {
    SaltString::encode_b64(&random_bytes::<16>()?).map_err(PasswordError::Hash)
}

/// The PHC string of a password that hashes to `output` with `salt`.
fn written(salt: &SaltString, output: Output) -> Result<String, PasswordError> {
    let hash = PasswordHash {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: Argon2::default().params().try_into().map_err(PasswordError::Hash)?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// What every hash of ours begins with: its algorithm and costs.
pub(super) const COSTS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// Whether `text` is a hash of argon2, whatever it costs.
pub(super) fn is_argon2(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        hash.algorithm.as_str().starts_with("argon2") && hash.salt.is_some() && hash.hash.is_some()
    })
}

/// Whether `text` is a hash that [`Hasher::hash`] could have made. One that took longer to check, or shorter, would
/// tell whose it is.
pub(super) fn is_password_hash(text: &str) -> bool {
    let is_long_enough = |salt: Salt<'_>| {
        let mut bytes = [0; Salt::MAX_LENGTH];
        salt.decode_b64(&mut bytes).is_ok_and(|salt| salt.len() >= MIN_SALT_LEN)
    };
    let salt = PasswordHash::new(text).ok().and_then(|hash| hash.salt.filter(|salt| is_long_enough(*salt)));
    text.starts_with(COSTS) && is_argon2(text) && salt.is_some()
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_hash_of_nobody_costs_what_a_real_one_costs() {
        let (nobodys, real) = (nobodys_hash().unwrap(), Hasher::default().hash("sesame").unwrap());
        let cost = |hash: &str| {
            let hash = PasswordHash::new(hash).unwrap();
            let salt = hash.salt.unwrap().as_str().len();
            (
                hash.algorithm.to_string(),
                hash.version,
                hash.params.to_string(),
                salt,
                hash.hash.unwrap().len(),
            )
        };
        assert_eq!(cost(&nobodys), cost(&real));
        assert!(is_password_hash(&nobodys) && is_password_hash(&real));
        assert_ne!(nobodys, nobodys_hash().unwrap());
    }

    #[test]
    fn one_password_after_another_is_hashed_in_the_same_memory() {
        let mut hasher = Hasher::default();
        let known = ["sesame", "right"].map(|password| hasher.hash(password).unwrap());
        assert!(hasher.matches("sesame", &known[0]) && hasher.matches("right", &known[1]));
        assert!(!hasher.matches("right", &known[0]));
        let first = PasswordHash::new(&known[0]).unwrap();
        assert!(first.verify_password(&[&Argon2::default()], "sesame").is_ok(), "as argon2 itself has it");
    }

    #[test]
    fn a_hash_of_other_costs_is_none_of_ours() {
        let ours = Hasher::default().hash("sesame").unwrap();
        let (_, rest) = ours.split_at(COSTS.len());
        assert!(is_password_hash(&format!("{COSTS}{rest}")));
        for begin in [
            "$argon2id$v=19$m=4194304,t=2,p=1$",
            "$argon2id$v=19$m=19456,t=4294967295,p=1$",
            "$argon2id$v=19$m=65536,t=3,p=4$",
            "$argon2id$v=19$m=8,t=1,p=1$",
            "$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAA$",
            "$argon2id$v=16$m=19456,t=2,p=1$",
            "$argon2id$m=19456,t=2,p=1$",
            "$argon2i$v=19$m=19456,t=2,p=1$",
            "$argon2d$v=19$m=19456,t=2,p=1$",
            "$pbkdf2-sha256$i=600000$",
        ] {
            assert!(!is_password_hash(&format!("{begin}{rest}")), "{begin}");
        }
        let without_salt = format!("{COSTS}{}", rest.split_once('$').unwrap().1);
        let with_short_salt = format!("{COSTS}AAAA${}", rest.split_once('$').unwrap().1);
        for text in ["", "sesame", COSTS, &without_salt, &with_short_salt] {
            assert!(!is_password_hash(text), "{text}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_other_costs_in_an_old_store_takes_what_every_other_takes() {
        let passwords = Passwords::new(9).unwrap();
        let password = || SecretString::from("right");
        let salt = SaltString::encode_b64(&[7; 16]).unwrap();
        let costs = Params::new(64, 1, 1, None).unwrap();
        let foreign = Argon2::new(Algorithm::Argon2id, Version::default(), costs);
        let hash = foreign.hash_password(b"right", &salt).unwrap().to_string();
        let (user, client) = (UserName::new("mary"), IpAddr::from([192, 0, 2, 7]));
        let attempt = passwords.check(&user, password(), Some(hash), client).await.unwrap();
        assert_eq!(attempt, Attempt::Wrong);
        let memory = passwords.hashers.lock().unwrap().iter().map(|hasher| hasher.0.len()).max();
        assert_eq!(memory, Some(Params::DEFAULT.block_count()));
    }

    #[tokio::test]
    async fn a_password_that_was_right_a_moment_ago_is_not_hashed_again_and_no_other_is_taken_for_it() {
        let passwords = Passwords::new(9).unwrap();
        let hash = Hasher::default().hash("right").unwrap();
        let (user, client) = (UserName::new("mary"), IpAddr::from([192, 0, 2, 7]));
        let attempt = |password: &str| passwords.check(&user, password.into(), Some(hash.clone()), client);
        let has_hashed = || !std::mem::take(&mut *passwords.hashers.lock().unwrap()).is_empty();
        assert_eq!((attempt("right").await.unwrap(), has_hashed()), (Attempt::Right, true));
        assert_eq!((attempt("right").await.unwrap(), has_hashed()), (Attempt::Right, false));
        assert_eq!((attempt("wrong").await.unwrap(), has_hashed()), (Attempt::Wrong, true));
        let changed = Hasher::default().hash("new").unwrap();
        let attempt = passwords.check(&user, "right".into(), Some(changed), client).await.unwrap();
        assert_eq!((attempt, has_hashed()), (Attempt::Wrong, true));
        let without = passwords.check(&user, "right".into(), None, client).await.unwrap();
        assert_eq!((without, has_hashed()), (Attempt::Wrong, true));
    }

    #[tokio::test]
    async fn a_password_that_was_right_a_moment_ago_waits_behind_no_guesses_and_is_throttled_with_them() {
        let passwords = Passwords::new(2).unwrap();
        let hash = Hasher::default().hash("right").unwrap();
        let (user, client) = (UserName::new("mary"), IpAddr::from([192, 0, 2, 7]));
        let attempt = || passwords.check(&user, "right".into(), Some(hash.clone()), client);
        assert_eq!(attempt().await.unwrap(), Attempt::Right);
        let guesses = passwords.waiting.try_acquire_many(128).unwrap();
        assert_eq!(attempt().await.unwrap(), Attempt::Right);
        drop(guesses);
        for _ in 0..40 {
            let _counted =
                passwords.check(&UserName::new("john"), "wrong".into(), None, client).await.unwrap();
        }
        let elsewhere = UserName::new("rose");
        let throttled =
            passwords.check(&elsewhere, "right".into(), Some(hash.clone()), client).await.unwrap();
        assert_eq!(throttled, Attempt::Throttled);
    }

    #[tokio::test]
    async fn attempts_with_the_right_password_that_are_given_up_do_not_stay_counted() {
        let passwords = Passwords::new(2).unwrap();
        let hash = Hasher::default().hash("right").unwrap();
        let (user, client) = (UserName::new("mary"), IpAddr::from([192, 0, 2, 7]));
        let attempt = || passwords.check(&user, SecretString::from("right"), Some(hash.clone()), client);
        for _ in 0..6 {
            assert!(attempt().now_or_never().is_none(), "it is given up before its end");
        }
        assert_eq!(attempt().await.unwrap(), Attempt::Right);
    }
}
