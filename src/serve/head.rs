//! What the head of a request must be like, no matter who sends it: framing that every proxy reads alike, and
//! nothing that a page of another site makes a browser send.

use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, Version, header, request::Parts, uri::Authority};

use super::problem::Problem;
use crate::model::percent;

/// How a browser says which site made it send a request (W3C, Fetch Metadata Request Headers).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a head that is ambiguous, or a write that a page of another site sends.
///
/// # Errors
///
/// The refusal.
pub(super) fn check(head: &Parts) -> Result<(), Problem> {
    check_target(&head.uri)?;
    let host = check_framing(head)?;
    if !head.method.is_safe() && is_of_another_site(&head.headers, host.as_ref()) {
        let message = "A page of another site cannot change anything here.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", message));
    }
    Ok(())
}

/// Refuses a head whose end, host or body two servers could read differently, and one that is too long. Returns the
/// host that it is for.
///
/// # Errors
///
/// The refusal.
pub(super) fn check_framing(head: &Parts) -> Result<Option<Authority>, Problem> {
    check_length(&head.headers)?;
    let host = host(head)?;
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        return Err(Problem::bad_request("The only transfer coding is `chunked`."));
    }
    Ok(host)
}

/// The longest path with its query, in bytes: a little less than what can be read at all.
const TARGET_AT_MOST: usize = 60_000;
/// The most bytes that the names and values of all headers have together.
const HEADERS_AT_MOST: usize = 32 * 1024;
/// The most headers.
pub(super) const LINES_AT_MOST: usize = 100;

/// Refuses a path or query that is too long, or not in UTF-8 once it is decoded.
fn check_target(target: &Uri) -> Result<(), Problem> {
    let (path, query) = (target.path(), target.query().unwrap_or_default());
    if path.len() + query.len() > TARGET_AT_MOST {
        let message = format!("A path and its query have {TARGET_AT_MOST} bytes at most.");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "target", message));
    }
    for (what, text) in [("path", path), ("query", query)] {
        if String::from_utf8(percent::bytes(text)).is_err() {
            return Err(Problem::bad_request(format!("The {what} is not in UTF-8, percent-encoded.")));
        }
    }
    Ok(())
}

fn check_length(headers: &HeaderMap) -> Result<(), Problem> {
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if length > HEADERS_AT_MOST || headers.len() > LINES_AT_MOST {
        let message =
            format!("A request has {LINES_AT_MOST} headers and {HEADERS_AT_MOST} bytes of them at most.");
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", message));
    }
    Ok(())
}

/// The one host that the request is for. HTTP/1.0 may leave it out, and HTTP/2 names it elsewhere.
fn host(head: &Parts) -> Result<Option<Authority>, Problem> {
    let target = head.uri.authority();
    let mut lines = head.headers.get_all(header::HOST).iter();
    let host = match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok().and_then(|text| text.parse::<Authority>().ok()),
        (None, _) if head.version != Version::HTTP_11 => return Ok(target.cloned()),
        _ => None,
    };
    host.filter(|host| !host.as_str().contains('@') && target.is_none_or(|target| target == host))
        .map(Some)
        .ok_or_else(|| Problem::bad_request("The request needs exactly one valid `Host`."))
}

/// Whether a browser says that a page of another site sends the request. Older ones name only its origin.
fn is_of_another_site(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| site != "same-origin" && site != "none");
    }
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let origin = origin.and_then(|(_, authority)| authority.parse::<Authority>().ok());
        origin.is_none() || origin.as_ref() != host
    })
}

/// Refuses a body that claims to be anything but JSON: a form of another site can send any other kind of text. A client
/// that says nothing is not a form.
///
/// # Errors
///
/// The refusal.
pub(super) fn check_content(headers: &HeaderMap) -> Result<(), Problem> {
    let all = |name, holds: fn(&str) -> bool| {
        headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(holds))
    };
    if headers.get_all(header::CONTENT_TYPE).iter().count() > 1
        || !all(header::CONTENT_TYPE, is_json)
        || !all(header::CONTENT_ENCODING, |coding| coding.trim().eq_ignore_ascii_case("identity"))
    {
        let message = "A body must be JSON, not compressed: send `Content-Type: application/json`.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", message));
    }
    Ok(())
}

/// Whether a `Content-Type` is that of JSON, which is always in UTF-8.
fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, Request};

    use super::*;

    fn head(method: Method, lines: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri("/x");
        let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn refusal(method: Method, lines: &[(&str, &str)]) -> Option<u16> {
        check(&head(method, lines)).err().map(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_request_has_one_host_and_no_other_transfer_coding_than_chunked() {
        for host in ["tw", "tw:7991", "[2001:db8::1]:443"] {
            assert_eq!(refusal(Method::GET, &[("host", host)]), None, "{host}");
        }
        let bad: [&[(&str, &str)]; 9] = [
            &[],
            &[("host", "a"), ("host", "a")],
            &[("host", "")],
            &[("host", "a b")],
            &[("host", "a, b")],
            &[("host", "user@a")],
            &[("host", "a/b")],
            &[("host", "a"), ("transfer-encoding", "gzip, chunked")],
            &[("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        ];
        for lines in bad {
            assert_eq!(refusal(Method::GET, lines), Some(400), "{lines:?}");
        }
        assert_eq!(refusal(Method::POST, &[("host", "a"), ("transfer-encoding", "Chunked")]), None);
        let mut old = head(Method::GET, &[]);
        old.version = Version::HTTP_10;
        assert!(check(&old).is_ok());
        let mut absolute = head(Method::GET, &[("host", "a")]);
        absolute.uri = "http://a/x".parse().unwrap();
        assert!(check(&absolute).is_ok());
        absolute.uri = "http://b/x".parse().unwrap();
        assert!(check(&absolute).is_err());
    }

    #[test]
    fn a_page_of_another_site_reads_like_anybody_and_writes_nothing() {
        let refused = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "new-word"),
            ("origin", "https://evil.example"),
            ("origin", "https://tw:8443"),
            ("origin", "null"),
        ];
        for line in refused {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert_eq!(refusal(method, &[("host", "tw"), line]), Some(403), "{line:?}");
            }
            assert_eq!(refusal(Method::GET, &[("host", "tw"), line]), None, "{line:?}");
        }
        for line in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "https://TW")]
        {
            assert_eq!(refusal(Method::POST, &[("host", "tw"), line]), None, "{line:?}");
        }
    }

    #[test]
    fn a_body_is_json_in_utf_8_or_says_nothing() {
        let content = |lines: &[(&str, &str)]| check_content(&head(Method::POST, lines).headers).is_ok();
        for kind in [
            "application/json",
            "Application/JSON;charset=UTF-8",
            "application/json; charset=\"utf-8\"",
            "application/json; version=1",
        ] {
            assert!(content(&[("content-type", kind)]), "{kind}");
        }
        for kind in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain; application/json",
            "application/jsonp",
            "application/json, text/plain",
            "application/json; charset=utf-16",
        ] {
            assert!(!content(&[("content-type", kind)]), "{kind}");
        }
        assert!(content(&[]) && content(&[("content-encoding", "identity")]));
        assert!(!content(&[("content-encoding", "gzip")]));
        assert!(!content(&[("content-type", "application/json"), ("content-type", "text/plain")]));
    }
}
