//! The address at which clients reach a server, whatever the request says that reached it.

use std::{fmt, str::FromStr};

use axum::http::{Uri, uri::Scheme};

/// An absolute address with `http` or `https`, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is not an address that links could begin with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an absolute address with `http` or `https`, such as `https://tokens.example.com`")]
pub struct BadPublicUrl;

impl FromStr for PublicUrl {
    type Err = BadPublicUrl;

    fn from_str(text: &str) -> Result<Self, BadPublicUrl> {
        let uri: Uri = text.parse().map_err(|_| BadPublicUrl)?;
        let is_http = uri.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let has_host = uri.authority().is_some_and(|host| !host.as_str().contains('@'));
        if is_http && has_host && uri.query().is_none() && !text.contains('#') {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(BadPublicUrl)
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PublicUrl;

    #[test]
    fn a_public_address_is_absolute_and_has_neither_user_nor_query() {
        let read = |text: &str| text.parse::<PublicUrl>().map(|url| url.to_string()).ok();
        assert_eq!(read("https://tokens.example.com/").as_deref(), Some("https://tokens.example.com"));
        assert_eq!(read("http://[::1]:8080/tokens/").as_deref(), Some("http://[::1]:8080/tokens"));
        for bad in [
            "",
            "tokens.example.com",
            "/x",
            "ftp://x",
            "https://",
            "https://u@x",
            "https://x?a",
            "https://x#a",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
