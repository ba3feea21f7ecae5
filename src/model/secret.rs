//! The secret of a token, which can be shown once and stored only as a hash. It cannot be printed by
//! accident.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::digest::hex;

/// What every secret begins with, so that secret scanners know one by sight.
pub const PREFIX: &str = "tw_";
/// Base62 characters that carry the randomness: more than 256 bits.
const BODY: usize = 43;
/// Base62 characters of the CRC-32 of the body.
const CHECK: usize = 6;
/// Characters of a whole secret.
pub const LENGTH: usize = PREFIX.len() + BODY + CHECK;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The secret of a token: `tw_`, 43 base62 characters (256 random bits) and 6 check characters.
///
/// It has no `Debug`, `Display` or `Serialize`, and is wiped when it is dropped.
pub struct TokenSecret(secrecy::SecretString);

impl TokenSecret {
    /// The secret that 32 random bytes make. The bytes must come from the system's source.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let mut number = bytes;
        let mut body = [0u8; BODY];
        for place in body.iter_mut().rev() {
            *place = digit(divide(&mut number));
        }
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        text.extend(body.iter().map(|&c| char::from(c)));
        text.extend(check(&body).iter().map(|&c| char::from(c)));
        Self(text.into())
    }

    /// The secret `text` when it has the shape of one; a random mistake is found by the check
    /// characters, so that a mistyped password costs no look-up.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?.as_bytes();
        let (body, given) = rest.split_at_checked(BODY)?;
        let shaped = body.iter().all(|c| ALPHABET.contains(c)) && given == check(body);
        shaped.then(|| Self(text.to_owned().into()))
    }

    /// The text, for showing it to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.expose().as_bytes()).into())
    }
}

/// The SHA-256 of a secret. A plain hash suffices, since a secret has 256 random bits.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash with these bytes, as they were stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for storing them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl SecretHash {
    /// The hash that `text` is in hexadecimal, 64 digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The hash in hexadecimal, 64 digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl PartialEq for SecretHash {
    /// Takes the same time whatever the hashes are.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// Divides the big-endian `number` by 62 in place and returns the remainder.
fn divide(number: &mut [u8; 32]) -> u8 {
    let mut remainder: u16 = 0;
    for byte in number {
        let value = remainder << 8 | u16::from(*byte);
        *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
        remainder = value % 62;
    }
    u8::try_from(remainder).unwrap_or(0)
}

fn digit(value: u8) -> u8 {
    ALPHABET.get(usize::from(value)).copied().unwrap_or(b'0')
}

fn check(body: &[u8]) -> [u8; CHECK] {
    let mut sum = crc32fast::hash(body);
    let mut text = [0u8; CHECK];
    for place in text.iter_mut().rev() {
        *place = digit(u8::try_from(sum % 62).unwrap_or(0));
        sum /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_reads_back_and_no_changed_character_does(
            bytes: [u8; 32], place in 3usize..52, other in 0usize..62,
        ) {
            let secret = TokenSecret::from_random(bytes);
            let text = secret.expose().to_owned();
            prop_assert_eq!(text.len(), 52);
            prop_assert!(TokenSecret::parse(&text).is_some_and(|again| again.hash() == secret.hash()));
            let changed: String = text
                .char_indices()
                .map(|(at, c)| if at == place { char::from(digit(u8::try_from(other).unwrap_or(0))) } else { c })
                .collect();
            prop_assert_eq!(TokenSecret::parse(&changed).is_some(), changed == text);
        }

        #[test]
        fn no_text_makes_the_parser_fail(text in ".{0,80}") {
            prop_assert!(TokenSecret::parse(&text).is_none());
        }
    }

    #[test]
    fn a_hash_reads_back_from_hexadecimal() {
        let hash = TokenSecret::from_random([9; 32]).hash();
        assert_eq!(SecretHash::from_hex(&hash.hex()), Some(hash));
        assert_eq!(SecretHash::from_hex(&hash.hex().to_uppercase()), Some(hash));
        for bad in [String::new(), hash.hex()[1..].to_owned(), "+".repeat(64), "é".repeat(32)] {
            assert_eq!(SecretHash::from_hex(&bad), None, "{bad}");
        }
    }

    #[test]
    fn different_randomness_makes_different_secrets() {
        let zero = TokenSecret::from_random([0; 32]);
        let mut bytes = [0; 32];
        if let Some(last) = bytes.last_mut() {
            *last = 1;
        }
        assert!(zero.hash() != TokenSecret::from_random(bytes).hash());
    }
}
