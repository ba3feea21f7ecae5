//! Addresses, networks and ranges as people write them, read in the one way that leaves no doubt.
//!
//! A number of IPv4 that begins with a zero is decimal for some programs and octal for others, as in C:
//! `010.0.0.0/8` is `10.0.0.0/8` here and `8.0.0.0/8` there. Such text is refused, with both readings.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::{AddressRange, canonical};

/// The text is not an address, network or range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    /// It is not a single address, where one was asked for.
    #[error("`{0}` is not an IP address")]
    Address(String),
    /// It has none of the three forms.
    #[error("`{0}` is not an address, network (`10.0.0.0/8`) or range (`10.0.0.1-10.0.0.9`)")]
    Form(String),
    /// A number of it begins with a zero.
    #[error(transparent)]
    LeadingZero(LeadingZero),
    /// A network with bits set behind its length.
    #[error("`{text}` has host bits set; the network is `{meant}`")]
    HostBits {
        /// As written.
        text: String,
        /// The network that holds it.
        meant: String,
    },
    /// A range that ends before it begins.
    #[error("`{text}` ends before it begins; write `{meant}`")]
    Reversed {
        /// As written.
        text: String,
        /// The same ends the right way round.
        meant: String,
    },
    /// A range from one address family to the other.
    #[error("`{0}` mixes IPv4 and IPv6")]
    Mixed(String),
    /// An IPv4-mapped network that is wider than all of IPv4.
    #[error(
        "`{0}` holds more than the IPv4-mapped addresses; write the IPv4 and the IPv6 network \
             separately"
    )]
    WiderThanMapped(String),
}

/// Text with a number that begins with a zero, and what it can mean.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LeadingZero {
    /// As written.
    pub text: String,
    /// The same with its numbers read as decimal.
    pub decimal: String,
    /// The same with those numbers read as octal; `None` when that means the same.
    pub octal: Option<String>,
}

impl fmt::Display for LeadingZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, decimal, octal } = self;
        write!(f, "`{text}` has a number with a leading zero; ")?;
        match octal {
            None => write!(f, "write `{decimal}`"),
            Some(octal) => write!(f, "write `{decimal}` (read as decimal) or `{octal}` (read as octal)"),
        }
    }
}

impl LeadingZero {
    /// What `text` can mean, when it has such a number and is `understood` without the zeros.
    fn find(text: &str, understood: impl Fn(&str) -> bool) -> Option<Self> {
        let decimal = without_zeros(text, |digits| Some(digits.trim_start_matches('0').to_owned()));
        if decimal == text || !understood(&decimal) {
            return None;
        }
        let octal = without_zeros(text, |digits| Some(u64::from_str_radix(digits, 8).ok()?.to_string()));
        let octal = Some(octal).filter(|octal| *octal != decimal);
        Some(Self { text: text.to_owned(), decimal, octal })
    }
}

/// `text` with every decimal number that has a leading zero as `read` reads it, or else as decimal: the parts
/// of an IPv4 address and the length of a network. The groups of IPv6 are hexadecimal, and may have zeros.
fn without_zeros(text: &str, read: impl Fn(&str) -> Option<String>) -> String {
    let mut rewritten = String::with_capacity(text.len());
    let (mut before, mut rest) = (None, text);
    while let Some(next) = rest.chars().next() {
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(length.max(next.len_utf8()));
        let is_decimal = part.bytes().all(|byte| byte.is_ascii_digit())
            && (matches!(before, Some('.' | '/')) || behind.starts_with('.'));
        if is_decimal && part.len() > 1 && part.starts_with('0') {
            let decimal = part.trim_start_matches('0');
            let number = read(part).unwrap_or_else(|| decimal.to_owned());
            rewritten.push_str(if number.is_empty() { "0" } else { &number });
        } else {
            rewritten.push_str(part);
        }
        (before, rest) = (part.chars().next_back(), behind);
    }
    rewritten
}

/// The address that `text` is, as it is written.
///
/// # Errors
///
/// When it is none, or has a number with a leading zero.
pub fn address(text: &str) -> Result<IpAddr, BadRange> {
    text.parse().map_err(|_| {
        let zero = LeadingZero::find(text, |text| text.parse::<IpAddr>().is_ok());
        zero.map_or_else(|| BadRange::Address(text.to_owned()), BadRange::LeadingZero)
    })
}

impl FromStr for AddressRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match read(text) {
            Err(BadRange::Form(_)) => {
                let understood = |text: &str| !matches!(read(text), Err(BadRange::Form(_)));
                // What is to be written must be valid itself.
                let meant = |text: String| match read(&text) {
                    Err(BadRange::HostBits { meant, .. } | BadRange::Reversed { meant, .. }) => meant,
                    _ => text,
                };
                let zero = LeadingZero::find(text, understood).map(|LeadingZero { text, decimal, octal }| {
                    let (decimal, octal) = (meant(decimal), octal.map(meant));
                    let octal = octal.filter(|octal| *octal != decimal);
                    LeadingZero { text, decimal, octal }
                });
                Err(zero.map_or_else(|| BadRange::Form(text.to_owned()), BadRange::LeadingZero))
            }
            read => read,
        }
    }
}

fn read(text: &str) -> Result<AddressRange, BadRange> {
    let form = || BadRange::Form(text.to_owned());
    if let Some((first, last)) = text.split_once('-') {
        let end = |part: &str| part.trim().parse().map(canonical).map_err(|_| form());
        let (first, last) = (end(first)?, end(last)?);
        if first.is_ipv4() != last.is_ipv4() {
            return Err(BadRange::Mixed(text.to_owned()));
        }
        if first > last {
            return Err(BadRange::Reversed { text: text.to_owned(), meant: format!("{last}-{first}") });
        }
        return Ok(AddressRange { first, last });
    }
    if text.contains('/') {
        let network = network(text).ok_or_else(form)?;
        if network.addr() != network.network() {
            return Err(BadRange::HostBits { text: text.to_owned(), meant: network.trunc().to_string() });
        }
        return AddressRange::of_network(network).ok_or_else(|| BadRange::WiderThanMapped(text.to_owned()));
    }
    text.parse().map(|address: IpAddr| address.into()).map_err(|_| form())
}

/// An address, a slash and a length, each as the standard library writes it: `ipnet` reads zeros in front.
fn network(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let number: u8 = length.parse().ok().filter(|number: &u8| number.to_string() == length)?;
    IpNet::new(address.parse().ok()?, number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Result<(), String> {
        text.parse::<AddressRange>().map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mistake_in_a_network_says_what_was_meant() {
        assert_eq!(
            error("10.0.0.1/8"),
            Err("`10.0.0.1/8` has host bits set; the network is `10.0.0.0/8`".to_owned())
        );
        assert_eq!(
            error("10.0.0.9-10.0.0.1"),
            Err("`10.0.0.9-10.0.0.1` ends before it begins; write `10.0.0.1-10.0.0.9`".to_owned())
        );
        assert!(matches!("10.0.0.1-::1".parse::<AddressRange>(), Err(BadRange::Mixed(_))));
        assert!(matches!("::ffff:0:0/95".parse::<AddressRange>(), Err(BadRange::HostBits { .. })));
        for bad in ["", "10.0.0", "10.0.0.0/33", "fe80::1%eth0", "a-b", "10.0.0.0/8/8", "-"] {
            assert!(matches!(bad.parse::<AddressRange>(), Err(BadRange::Form(_))), "{bad}");
        }
    }

    #[test]
    fn a_number_with_a_leading_zero_is_refused_with_both_of_its_readings() {
        let both = |text: &str, decimal: &str, octal: &str| {
            let words = format!("write `{decimal}` (read as decimal) or `{octal}` (read as octal)");
            assert_eq!(error(text), Err(format!("`{text}` has a number with a leading zero; {words}")));
        };
        both("010.0.0.0/8", "10.0.0.0/8", "8.0.0.0/8");
        both("010.0.0.5/32", "10.0.0.5/32", "8.0.0.5/32");
        both("010.0.0.1", "10.0.0.1", "8.0.0.1");
        both("10.0.0.0/010", "10.0.0.0/10", "10.0.0.0/8");
        both("010.0.0.0/08", "10.0.0.0/8", "8.0.0.0/8");
        both("192.0.2.010-192.0.2.020", "192.0.2.10-192.0.2.20", "192.0.2.8-192.0.2.16");
        both("192.0.2.1 - 192.0.2.011", "192.0.2.1 - 192.0.2.11", "192.0.2.1 - 192.0.2.9");
        both("::ffff:010.0.0.1", "::ffff:10.0.0.1", "::ffff:8.0.0.1");
        both("::ffff:010.0.0.0/104", "::ffff:10.0.0.0/104", "::ffff:8.0.0.0/104");
        both("2001:db8::/032", "2001:db8::/32", "2001:d80::/26");
        let one = |text: &str, meant: &str| {
            assert_eq!(
                error(text),
                Err(format!("`{text}` has a number with a leading zero; write `{meant}`"))
            );
        };
        one("10.0.0.0/08", "10.0.0.0/8");
        one("10.0.0.00/8", "10.0.0.0/8");
        one("10.0.0.009/8", "10.0.0.0/8");
        one("10.0.0.009-10.0.0.001", "10.0.0.1-10.0.0.9");
        one("00.0.0.0/00", "0.0.0.0/0");
        one("192.0.2.09", "192.0.2.9");
        one("192.0.2.1-192.0.2.09", "192.0.2.1-192.0.2.9");
        let words = "`010.0.0.1` has a number with a leading zero; write `10.0.0.1` (read as decimal) or `8.0.0.1` (read as octal)";
        assert_eq!(address("010.0.0.1").map_err(|error| error.to_string()), Err(words.to_owned()));
    }

    #[test]
    fn zeros_in_the_groups_of_ipv6_are_no_mistake() {
        for text in ["2001:0db8::/32", "2001:0db8:0000::01", "::0001-::0002", "0::/1"] {
            assert_eq!(error(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_other_programs_guess_at_is_refused() {
        for bad in [
            "10.0.0.0/+8",
            "10.0.0.0/-8",
            "10.0.0.0/ 8",
            "10.0.0.0 /8",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "10/8",
            "10.1",
            "0x0a.0.0.0/8",
            "0x0a000001",
            "167772161",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/0x8",
            "10.0.0.0/",
            "/8",
            "10.0.0.256",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/8.0",
            "１０.0.0.0/8",
            "10.0.0.0/８",
            "010.0.0.256",
            "010",
            "+10.0.0.1",
            "10.0.0.1-",
            "10..0.1",
            "10.0.0.1\n",
            "1:2:3:4:5:6:7:8:9",
            "[::1]",
            "010.example.com",
        ] {
            assert!(matches!(bad.parse::<AddressRange>(), Err(BadRange::Form(_))), "{bad}");
            assert!(matches!(address(bad), Err(BadRange::Address(_))), "{bad}");
        }
    }
}
