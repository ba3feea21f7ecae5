//! Other readings of an `Authorization`: what a server could take for a token that is more lenient than the gateway,
//! written without a line of the gateway's own.

use std::collections::BTreeSet;

/// The identifiers of all tokens that any reading finds in `line`.
pub(crate) fn ids(line: &[u8]) -> BTreeSet<String> {
    let text = trimmed(line);
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t' | b',')).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(end);
    let rest = trimmed(rest);
    let mut found = BTreeSet::new();
    if !scheme.eq_ignore_ascii_case(b"basic") {
        // The scheme can be anything, or be left out.
        return [rest, text].into_iter().flat_map(of_secret).collect();
    }
    for decode in DECODERS {
        let pair = decode(rest);
        found.extend(of_secret(&pair));
        for (at, _) in pair.iter().enumerate().filter(|(_, byte)| **byte == b':') {
            found.extend(of_secret(&pair[at + 1..]));
        }
    }
    found
}

/// The identifiers of the tokens that any reading finds in a secret.
fn of_secret(secret: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let secret = trimmed(secret);
    let lower = secret.to_ascii_lowercase();
    let bodies = [secret, if lower.starts_with(b"bbdc-") { &secret[5..] } else { secret }];
    for body in bodies {
        for decode in DECODERS {
            let bytes = decode(body);
            let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits >= 6 && bytes.get(digits) == Some(&b':') {
                found.insert(String::from_utf8(bytes[..digits].to_vec()).unwrap());
            }
        }
    }
    found
}

type Decode = fn(&[u8]) -> Vec<u8>;

/// As Commons Codec does it, as `java.util.Base64` does it for MIME, and as it does it for URLs, up to the first
/// mistake.
const DECODERS: [Decode; 3] = [
    |text| groups(text.iter().filter_map(|byte| digit(*byte, true, true))),
    |text| groups(text.iter().take_while(|byte| **byte != b'=').filter_map(|byte| digit(*byte, true, false))),
    |text| {
        let digits: Vec<Option<u32>> = text.iter().map(|byte| digit(*byte, false, true)).collect();
        groups(digits.into_iter().map_while(|digit| digit))
    },
];

fn groups(digits: impl Iterator<Item = u32>) -> Vec<u8> {
    let (mut bytes, mut bits, mut have) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        bits = bits << 6 | digit;
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push(u8::try_from(bits >> have & 0xff).unwrap());
            bits &= (1 << have) - 1;
        }
    }
    bytes
}

fn digit(byte: u8, standard: bool, url: bool) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' if standard => 62,
        b'/' if standard => 63,
        b'-' if url => 62,
        b'_' if url => 63,
        _ => return None,
    })
}

/// Without what Java takes for white space at the ends.
fn trimmed(text: &[u8]) -> &[u8] {
    let begin = text.iter().position(|byte| *byte > b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|byte| *byte > b' ').map_or(begin, |end| end + 1);
    &text[begin..end]
}
