//! Percent-encoding (RFC 3986): text as a segment of a path or as the value of a header, and back.

use std::fmt::Write;

/// `text` with every byte but `A-Z a-z 0-9 - . _ ~` as `%XX`.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            // Writing into a `String` cannot fail.
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

/// The text behind `encoded`, in which every `%` begins the two hexadecimal digits of a byte; `None` where one
/// does not, or where the bytes are not UTF-8.
#[must_use]
pub fn decode(encoded: &str) -> Option<String> {
    let mut parts = encoded.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The bytes behind `encoded`. What only looks like the code of a byte, as in `100%`, stands for itself.
#[must_use]
pub fn bytes(encoded: &str) -> Vec<u8> {
    let mut parts = encoded.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        let rest = if byte.is_some() { part.get(2..).unwrap_or_default() } else { part };
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{bytes, decode, encode};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_is_read_back(text in any::<String>()) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }
    }

    #[test]
    fn a_sequence_that_is_cut_or_no_number_has_no_reading() {
        for broken in ["100%", "%4", "%+4x", "%zz", "%ff", "a%c3"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
        assert_eq!(decode("ann%40example.com").as_deref(), Some("ann@example.com"));
        assert_eq!(bytes("100%&%4&%zz%ff%41"), b"100%&%4&%zz\xffA");
    }
}
