//! A name for something that several texts name together, short enough to fit everywhere.

use sha2::{Digest, Sha256};

use crate::model::digest::hex;

/// SHA-256 of `parts` in hexadecimal; other parts never come to the same text together.
pub(super) fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}
