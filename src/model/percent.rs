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

#[cfg(test)]
mod tests {
    use super::{decode, encode};
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
    }
}
