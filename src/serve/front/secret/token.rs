//! The secret of a token of Bitbucket: Base64 of twelve digits, a colon and twenty random bytes, behind `BBDC-` on
//! newer servers.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use secrecy::{ExposeSecret, SecretSlice, zeroize::Zeroizing};

use crate::model::{TokenId, leak::BITBUCKET_PREFIX as PREFIX, secret::PREFIX as OURS};

/// Digits of the identifier.
const DIGITS: usize = 12;
/// All bytes of a secret. They fill their characters, so that no bit of these is without a meaning.
const BYTES: usize = DIGITS + 1 + 20;
/// The characters of these in Base64.
const CHARACTERS: usize = BYTES / 3 * 4;

/// The identifier of the token whose secret is `text`, when that has the one form of a secret: what is written anew from
/// what was read is `text` again.
pub(super) fn read(text: &str) -> Option<TokenId> {
    let body = text.strip_prefix(PREFIX).unwrap_or(text);
    let alphabet = if body.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let mut bytes = Zeroizing::new([0; BYTES]);
    let mut written = Zeroizing::new([0; CHARACTERS]);
    let is_whole = alphabet.decode_slice(body, &mut *bytes) == Ok(BYTES);
    let is_one_form =
        alphabet.encode_slice(*bytes, &mut *written) == Ok(CHARACTERS) && *written == body.as_bytes();
    let (digits, rest) = bytes.split_at_checked(DIGITS)?;
    let is_token = is_whole && is_one_form && digits.iter().all(u8::is_ascii_digit) && rest.starts_with(b":");
    str::from_utf8(digits).ok().filter(|_| is_token).map(TokenId::new)
}

/// So many characters of Base64 have the identifier in them, the colon, and something behind that.
const HEAD: usize = 24;
/// So few digits are an identifier to nobody.
const DIGITS_AT_LEAST: usize = 6;

/// Whether anyone who is lenient could take `text` for the secret of a token: who leaves out what is no Base64, takes
/// both alphabets, any padding, a prefix in another case or somewhere else, an identifier of another length.
pub(super) fn could_be_one(text: &[u8]) -> bool {
    let prefix = PREFIX.as_bytes();
    if text.windows(prefix.len()).any(|window| window.eq_ignore_ascii_case(prefix)) {
        return true;
    }
    // Of the letters in which the alphabets differ, one can be left out as any other.
    [(true, true), (true, false), (false, true)].iter().any(|alphabet| begins_as_one(text, *alphabet))
}

/// Whether `text` begins as the secret of a token for who takes the letters of the alphabets of the standard and of
/// URLs, or one of both.
fn begins_as_one(text: &[u8], (standard, urls): (bool, bool)) -> bool {
    let kept = text.iter().filter_map(|byte| match byte {
        b'+' | b'/' if standard => Some(*byte),
        b'-' if urls => Some(b'+'),
        b'_' if urls => Some(b'/'),
        byte if byte.is_ascii_alphanumeric() => Some(*byte),
        _ => None,
    });
    // Filled up, so that a text of any length has a reading.
    let head: Vec<u8> = kept.chain(std::iter::repeat(b'A')).take(HEAD).collect();
    let bytes = SecretSlice::from(STANDARD.decode(head).unwrap_or_default());
    let bytes = bytes.expose_secret().trim_ascii_start();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits >= DIGITS_AT_LEAST && bytes.get(digits) == Some(&b':')
}

/// Whether `text` is the secret of a token of the gateway, or begins like one and is about as long.
pub(super) fn is_ours(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let begins = text.get(..OURS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(OURS.as_bytes()));
    begins && text.len() >= 40
}
