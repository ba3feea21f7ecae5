//! The address of an upstream, and how much of everything it is asked for.

use std::{fmt, str::FromStr, time::Duration};

use axum::http::{
    Uri,
    uri::{self, Authority, PathAndQuery, Scheme},
};

/// The base address of an upstream. A path in it is the context path, which clients use too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    context_path: String,
}

/// The text is not the base address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the URL of a server; write e.g. `http://127.0.0.1:7990`, without credentials, query or fragment"
)]
pub struct BadUpstream(String);

impl UpstreamUrl {
    /// Whether it is reached over TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Where connections lead to, without the context path.
    pub(super) fn to_uri(&self) -> Uri {
        let mut address = uri::Parts::default();
        (address.scheme, address.authority) = (Some(self.scheme.clone()), Some(self.authority.clone()));
        address.path_and_query = Some(PathAndQuery::from_static("/"));
        Uri::from_parts(address).unwrap_or_default()
    }

    /// The path below which everything of the upstream is, such as `/bitbucket`; empty at the root.
    #[must_use]
    pub fn context_path(&self) -> &str {
        &self.context_path
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.context_path)
    }
}

impl FromStr for UpstreamUrl {
    type Err = BadUpstream;

    fn from_str(text: &str) -> Result<Self, BadUpstream> {
        let bad = || BadUpstream(text.to_owned());
        // A fragment is lost when an address is read.
        let uri: Uri = text.parse().ok().filter(|_| !text.contains('#')).ok_or_else(bad)?;
        let scheme = uri.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        match (scheme, authority, uri.query()) {
            (Some(scheme), Some(authority), None) => Ok(Self {
                scheme: scheme.clone(),
                authority: authority.clone(),
                context_path: uri.path().trim_end_matches('/').to_owned(),
            }),
            _ => Err(bad()),
        }
    }
}

/// How much of everything there may be towards an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Connections in use at a time; the network of one client has a quarter of them at most.
    pub connections: usize,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long nothing may pass in either direction. There is no limit on how long it takes in all.
    pub silence: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self { connections: 512, connect: Duration::from_secs(10), silence: Duration::from_mins(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_an_address_with_a_context_path_at_most() {
        let read = |text: &str| text.parse::<UpstreamUrl>();
        let plain = read("http://127.0.0.1:7990/").unwrap();
        assert_eq!((plain.has_tls(), plain.context_path()), (false, ""));
        let below = read("https://bitbucket.internal/bitbucket/").unwrap();
        assert_eq!((below.has_tls(), below.context_path()), (true, "/bitbucket"));
        for bad in ["", "bitbucket", "/x", "ftp://a", "http://", "http://u:p@a", "http://a/?x", "http://a#b"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
