//! The setting `network.client_address`: the peer, or a header and the proxies whose header is believed. Finding the
//! address in a request is the subject of `access`.

use std::{borrow::Cow, fmt, net::IpAddr};

use crate::model::AddressSet;

/// Where the address of a client is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAddressSource {
    /// The peer of the connection; no header is believed.
    Peer,
    /// A header, when the peer is one of the trusted proxies; otherwise the peer.
    Header {
        /// The header that carries the addresses.
        name: HeaderName,
        /// The proxies that may be believed; never empty, and never all addresses of a family.
        trusted_proxies: AddressSet,
    },
}

impl ClientAddressSource {
    /// Whether `peer` is one of the proxies that may be believed.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        match self {
            Self::Peer => false,
            Self::Header { trusted_proxies, .. } => trusted_proxies.contains(peer),
        }
    }
}

impl fmt::Display for ClientAddressSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("peer"),
            Self::Header { name, trusted_proxies } => {
                write!(f, "{name} from {trusted_proxies}")
            }
        }
    }
}

/// The name of a header that carries the addresses of clients: an HTTP token other than
/// `Forwarded`, shown as written and compared without regard to case.
#[derive(Clone, Debug)]
pub struct HeaderName(String);

impl HeaderName {
    /// The header `name`.
    ///
    /// # Errors
    ///
    /// When it is no HTTP field name (RFC 9110, section 5.1), or is `Forwarded`, whose form is
    /// another one (RFC 7239) and is not read.
    pub fn new(name: impl Into<String>) -> Result<Self, BadHeaderName> {
        let name = name.into();
        let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) {
            Err(BadHeaderName::NoFieldName(name))
        } else if name.eq_ignore_ascii_case("forwarded") {
            Err(BadHeaderName::Forwarded)
        } else {
            Ok(Self(name))
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `name` in the form in which servers behind proxies may take it for another one: for CGI some make
    /// `HTTP_X_FORWARDED_USER` of `X.Forwarded.User` as well as of `x-forwarded-user`.
    #[must_use]
    pub fn folded(name: &str) -> Cow<'_, str> {
        if name.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Cow::Borrowed(name);
        }
        Cow::Owned(name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a header that can carry the address of a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeaderName {
    /// It is not a field name.
    #[error("`{0}` is not a valid header name")]
    NoFieldName(String),
    /// It is the header of RFC 7239.
    #[error("the header `Forwarded` (RFC 7239) is not supported; let the proxy send `X-Forwarded-For`")]
    Forwarded,
}
