//! When a certificate ends: the one field of X.509 that rustls does not tell (RFC 5280, section 4.1).

use jiff::{Timestamp, civil::DateTime, tz::Offset};

const SEQUENCE: u8 = 0x30;
/// The version of a certificate, which may be left out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the certificate `der` ends; `None` when it is not written as certificates are.
pub(super) fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der)?;
    let (_, signed, _) = element(certificate)?;
    let (tag, _, rest) = element(signed)?;
    let mut fields = if tag == VERSION { rest } else { signed };
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (SEQUENCE, validity, _) = element(fields)? else { return None };
    let (_, _, after) = element(validity)?;
    let (tag, text, _) = element(after)?;
    moment(tag, std::str::from_utf8(text).ok()?)
}

/// The first element of `der`: its tag, its content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The moment that is written as `YYMMDDhhmmssZ`, from 1950 on, or with four digits of the year.
fn moment(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let moment = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    // RFC 5280 writes 99991231235959Z for "no end", which is later than a `Timestamp` can be.
    Some(Offset::UTC.to_timestamp(moment).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_without_an_end_ends_as_late_as_can_be() {
        let mut parameters = CertificateParams::new(vec!["tw".to_owned()]).unwrap();
        parameters.not_after = date_time_ymd(9999, 12, 31);
        let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(end(certificate.der()), Some(Timestamp::MAX));
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_a_date() {
        let key = KeyPair::generate().unwrap();
        for (year, month, day) in [(1999, 12, 31), (2026, 2, 28), (2049, 12, 31), (2050, 1, 1), (4096, 1, 1)]
        {
            let mut parameters = CertificateParams::new(vec!["tw".to_owned()]).unwrap();
            parameters.not_after = date_time_ymd(year, month, day);
            let certificate = parameters.self_signed(&key).unwrap();
            let expected = format!("{year}-{month:02}-{day:02}T00:00:00Z").parse().unwrap();
            assert_eq!(end(certificate.der()), Some(expected));
            for length in 0..certificate.der().len() {
                assert_eq!(end(certificate.der().get(..length).unwrap()), None, "it is cut off");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_no_certificate_has_no_end(bytes: Vec<u8>) {
            prop_assert_eq!(end(&bytes), None);
        }
    }
}
