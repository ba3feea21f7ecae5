//! In: a password, and what is kept of the right one. Out: whether it is right. An unknown user takes
//! as long as a known one, and only so many are checked at a time. It refuses to keep passwords.

use std::{net::IpAddr, sync::Arc, time::Instant};

use argon2::{
    Algorithm, Argon2, PasswordVerifier, Version,
    password_hash::{Output, PasswordHash, PasswordHasher, SaltString},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::{
    random::{NoRandomness, random_bytes},
    throttle::Throttle,
};

/// The password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// No salt could be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The hash could not be made.
    #[error("the password cannot be hashed")]
    Hash(#[source] argon2::password_hash::Error),
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}

/// What an attempt with a password came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Right,
    Wrong,
    /// Too many failed from this address; this one was not looked at.
    Throttled,
}

/// Checks passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    at_a_time: Arc<Semaphore>,
    /// A hash that no password is known to come to, for users that nobody knows.
    nobodys: String,
    failures: Throttle,
}

impl Passwords {
    /// At most `failures_per_minute` fail for one address.
    pub(super) fn new(failures_per_minute: u32) -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let nobodys = nobodys_hash()?;
        let at_a_time = Arc::new(Semaphore::new(cores));
        Ok(Self { at_a_time, nobodys, failures: Throttle::new(failures_per_minute) })
    }

    /// Whether `password` is the one that hashes to `hash`; it never is when there is no hash.
    pub(super) async fn check(
        &self,
        password: SecretString,
        hash: Option<String>,
        client: IpAddr,
    ) -> Result<Attempt, PasswordError> {
        let Some(turn) = self.failures.turn(client, Instant::now()).await else {
            return Ok(Attempt::Throttled);
        };
        let core = Arc::clone(&self.at_a_time).acquire_owned().await.map_err(|_| PasswordError::Stopping)?;
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobodys.clone());
        // Who goes away meanwhile stops neither the work nor the counting.
        let checking = tokio::task::spawn_blocking(move || {
            let _core = core;
            if matches(&password, &hash) && known {
                return Attempt::Right;
            }
            turn.failed();
            Attempt::Wrong
        });
        checking.await.map_err(|_| PasswordError::Stopping)
    }
}

fn matches(password: &SecretString, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
    })
}

/// The argon2id hash of `password`, as a PHC string.
///
/// # Errors
///
/// When the system gives no random bytes for the salt.
pub(super) fn hash_password(password: &str) -> Result<String, PasswordError> {
    let salt = SaltString::encode_b64(&random_bytes::<16>()?).map_err(PasswordError::Hash)?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Random bytes in the form of a hash that [`hash_password`] makes: to check a password against it takes as
/// long as against any, and making it takes no time.
fn nobodys_hash() -> Result<String, PasswordError> {
    let salt = SaltString::encode_b64(&random_bytes::<16>()?).map_err(PasswordError::Hash)?;
    let hash = PasswordHash {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: Argon2::default().params().try_into().map_err(PasswordError::Hash)?,
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(&random_bytes::<32>()?).map_err(PasswordError::Hash)?),
    };
    Ok(hash.to_string())
}

/// Whether `text` is a hash that [`hash_password`] could have made.
#[must_use]
pub(super) fn is_password_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        hash.algorithm.as_str().starts_with("argon2") && hash.salt.is_some() && hash.hash.is_some()
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_hash_of_nobody_costs_what_a_real_one_costs() {
        let (nobodys, real) = (nobodys_hash().unwrap(), hash_password("sesame").unwrap());
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
        assert_ne!(nobodys, nobodys_hash().unwrap());
    }

    #[tokio::test]
    async fn attempts_with_the_right_password_that_are_given_up_do_not_stay_counted() {
        let passwords = Passwords::new(2).unwrap();
        let hash = hash_password("right").unwrap();
        let attempt =
            || passwords.check(SecretString::from("right"), Some(hash.clone()), IpAddr::from([192, 0, 2, 7]));
        for _ in 0..6 {
            assert!(attempt().now_or_never().is_none(), "it is given up before its end");
        }
        assert_eq!(attempt().await.unwrap(), Attempt::Right);
    }
}
