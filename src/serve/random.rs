//! Unpredictable bytes from the system, and names that are seldom the same.

use std::hash::{BuildHasher, RandomState};

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness(#[source] getrandom::Error);

/// `N` random bytes.
///
/// # Errors
///
/// When the system gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// What a request is called in the log and in answers: sixteen hexadecimal digits. It is no secret, so that the system is
/// not asked for each.
pub(super) fn request_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}
