//! In: texts that name something together. Out: a name for it that fits everywhere. It refuses to know
//! what is named.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// SHA-256 of `parts` in hexadecimal; other parts never come to the same text together.
pub(super) fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// `bytes` in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
