//! The headers that cross the gateway: what a request carries to the upstream, and what an answer carries back.
//!
//! Names are compared in the form in which servers behind proxies may take one for another.

use std::{borrow::Cow, net::IpAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{model, serve::address_text::address_text};

/// Whether a header is of one connection, not of the request (RFC 9110, section 7.6.1), beside those that `Connection`
/// names.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether an upstream may be told by a header who or where a client is. Only a proxy says that, never a client.
fn tells_identity(name: &str) -> bool {
    matches!(
        name,
        "forwarded"
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "true-client-ip"
            | "remote-user"
            | "x-remote-user"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("x-tokenwarden-")
}

/// Whether a trusted proxy in front tells by it of the address that the client called.
fn is_of_the_address(name: &str) -> bool {
    matches!(name, "x-forwarded-host" | "x-forwarded-port" | "x-forwarded-proto")
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The id under which a request is in the log, at the upstream and here.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request says of itself to the upstream in place of what its client said.
pub(super) struct Up<'a> {
    /// The one credential, written out again by us.
    pub(super) authorization: Option<&'a HeaderValue>,
    /// The header that says who the sender is, where the upstream believes one.
    pub(super) identity: Option<(HeaderName, HeaderValue)>,
    /// Whether the request carries a session cookie no further.
    pub(super) drops_cookies: bool,
    /// The address of the client.
    pub(super) client: Option<IpAddr>,
    /// The host that the client called.
    pub(super) host: HeaderValue,
    /// The id of the request.
    pub(super) id: &'a str,
    /// Whether a trusted proxy is the other end of the connection.
    pub(super) is_proxied: bool,
}

/// Makes `headers`, of a client, those of the request to the upstream.
pub(super) fn to_upstream(headers: &mut HeaderMap, up: Up<'_>) {
    let identity = up.identity.as_ref().map(|(header, _)| model::HeaderName::folded(header.as_str()));
    take_out(headers, |name| {
        (tells_identity(name) && !(up.is_proxied && is_of_the_address(name)))
            || identity.as_ref().is_some_and(|header| header == name)
            || matches!(name, "authorization" | "expect" | "host" | "x-request-id")
            || (up.drops_cookies && name == "cookie")
    });
    if let Some(authorization) = up.authorization {
        let mut authorization = authorization.clone();
        authorization.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, authorization);
    }
    if let Some((header, who)) = up.identity {
        headers.insert(header, who);
    }
    headers.insert(header::HOST, up.host);
    let client = up.client.and_then(|client| HeaderValue::try_from(address_text(client)).ok());
    if let Some(client) = client {
        headers.insert(X_FORWARDED_FOR, client);
    }
    if let Some(id) = HeaderValue::from_str(up.id).ok().filter(|id| !id.is_empty()) {
        headers.insert(X_REQUEST_ID, id);
    }
}

/// Makes `headers`, of the upstream, those of the answer to the client. A session that a token opened would outlive
/// it, so none is.
pub(super) fn to_client(headers: &mut HeaderMap, drops_cookies: bool) {
    take_out(headers, |name| drops_cookies && (name == "set-cookie" || name == "set-cookie2"));
}

/// Takes out the headers of the connection, and those whose folded name is one of `which`.
fn take_out(headers: &mut HeaderMap, which: impl Fn(&str) -> bool) {
    let named: Vec<Cow<'_, str>> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|name| model::HeaderName::folded(name.trim()))
        // The framing of the body and where it goes are not for a client to take away.
        .filter(|name| !["content-length", "host", "authorization", "cookie"].contains(&&**name))
        .collect();
    let is_out = |name: &str| {
        let name = &*model::HeaderName::folded(name);
        is_hop_by_hop(name) || named.iter().any(|other| other == name) || which(name)
    };
    let out: Vec<HeaderName> = headers.keys().filter(|name| is_out(name.as_str())).cloned().collect();
    for name in out {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        lines.collect()
    }

    fn sent(lines: &[(&'static str, &'static str)], is_proxied: bool, drops_cookies: bool) -> Vec<String> {
        let mut headers = headers(lines);
        let authorization = HeaderValue::from_static("Bearer ours");
        let up = Up {
            authorization: Some(&authorization),
            identity: None,
            drops_cookies,
            client: Some(IpAddr::from([192, 0, 2, 7])),
            host: HeaderValue::from_static("bitbucket.example.com"),
            id: "1f",
            is_proxied,
        };
        to_upstream(&mut headers, up);
        let line =
            |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<String> = headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    const OURS: [&str; 4] = [
        "authorization: Bearer ours",
        "host: bitbucket.example.com",
        "x-forwarded-for: 192.0.2.7",
        "x-request-id: 1f",
    ];

    #[test]
    fn whatever_a_client_says_of_itself_is_replaced_by_what_is_known_of_it() {
        let lines = [
            ("authorization", "Bearer theirs"),
            ("host", "evil"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x-forwarded-user", "root"),
            ("x_forwarded_user", "root"),
            ("x-forwarded-prefix", "/x"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("x_real_ip", "10.0.0.1"),
            ("remote_user", "root"),
            ("x.forwarded.user", "root"),
            ("x-forwarded~for", "10.0.0.1"),
            ("remote+user", "root"),
            ("x-tokenwarden-token", "7"),
            ("x-request-id", "forged"),
        ];
        assert_eq!(sent(&lines, false, false), OURS);
        let mut kept = OURS.to_vec();
        kept.insert(3, "x-forwarded-proto: https");
        assert_eq!(sent(&lines, true, false), kept, "a trusted proxy may say how it was called");
    }

    #[test]
    fn who_a_sender_is_is_said_by_us_alone_however_a_client_writes_the_header() {
        let lines = [
            ("x-webauth-user", "root"),
            ("x_webauth_user", "root"),
            ("x.webauth!user", "root"),
            ("x-webauth_user", "root"),
            ("remote_user", "root"),
        ];
        let mut headers = headers(&lines);
        headers.insert(header::CONNECTION, HeaderValue::from_static("x-webauth-user"));
        let name = HeaderName::from_static("x-webauth-user");
        let up = Up {
            authorization: None,
            identity: Some((name.clone(), HeaderValue::from_static("mary"))),
            drops_cookies: true,
            client: None,
            host: HeaderValue::from_static("git.example.com"),
            id: "",
            is_proxied: true,
        };
        to_upstream(&mut headers, up);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers[name], "mary");
    }

    #[test]
    fn headers_of_one_connection_and_those_that_it_names_stay_on_it() {
        let lines = [
            ("connection", "close, X-Hop, content-length, Host, Authorization"),
            ("x-hop", "1"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers, deflate"),
            ("trailer", "expires"),
            ("transfer-encoding", "gzip, chunked"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
        ];
        let mut kept = OURS.to_vec();
        kept.insert(1, "content-length: 3");
        assert_eq!(sent(&lines, false, false), kept);
    }

    #[test]
    fn cookies_are_dropped_around_requests_with_a_token_and_no_others() {
        assert_eq!(sent(&[("cookie", "BITBUCKETSESSIONID=1")], false, true), OURS);
        assert_eq!(sent(&[("cookie", "a=1")], false, false).len(), OURS.len() + 1);
        let answered = |drops| {
            let mut headers = headers(&[("set-cookie", "a=1"), ("connection", "x-hop"), ("x-hop", "1")]);
            to_client(&mut headers, drops);
            headers.len()
        };
        assert_eq!((answered(true), answered(false)), (0, 1));
    }

    #[test]
    fn what_git_and_its_servers_agree_on_passes() {
        let lines = [
            ("git-protocol", "version=2"),
            ("content-encoding", "gzip"),
            ("content-type", "application/x-git-upload-pack-request"),
            ("accept-encoding", "deflate, gzip"),
            ("accept-language", "en"),
            ("x-atlassian-token", "no-check"),
        ];
        assert_eq!(sent(&lines, false, true).len(), OURS.len() + lines.len());
    }
}
