//! What the doors refuse by the form of a request, and what every answer carries.

use std::net::SocketAddr;

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{SETTINGS, TOKENS, TestServer, WHOAMI, status};

/// The answer to `bytes`, as they are, up to its end: its status, the head in lower case and the body.
async fn exchange(address: SocketAddr, bytes: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// The status of the answer to `bytes`, as they are.
async fn raw(address: SocketAddr, bytes: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut told = [0; 12];
    stream.read_exact(&mut told).await.unwrap();
    let (_, status) = std::str::from_utf8(&told).unwrap().split_once(' ').unwrap();
    status.parse().unwrap()
}

#[tokio::test]
async fn a_form_of_another_site_with_the_password_of_the_browser_changes_nothing() {
    let server = TestServer::new().await;
    let tokens = format!("{TOKENS}/token");
    // The name of a field in a form, `=`, and its value make JSON together.
    let body = r#"{"tokenScope": 2, "tokenDescription": "="}"#;
    let post = || server.with_password("root", Method::POST, &tokens).body(body);
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=utf-7",
    ] {
        assert_eq!(status(post().header("content-type", kind)).await, 415, "{kind}");
        let empty = server.with_password("root", Method::DELETE, &format!("{TOKENS}/token/1"));
        assert_eq!(status(empty.header("content-type", kind)).await, 415, "{kind}");
    }
    let json = || post().header("content-type", "application/json;charset=UTF-8");
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        assert_eq!(status(json().header(name, value)).await, 403, "{name}: {value}");
        let put = server.with_password("root", Method::PUT, SETTINGS).json(&json!({}));
        assert_eq!(status(put.header(name, value)).await, 403, "{name}: {value}");
        let read = server.with_password("root", Method::GET, WHOAMI).header(name, value);
        assert_eq!(status(read).await, 200, "a page cannot read the answer");
    }
    assert_eq!(server.all_tokens().await.len(), 0);
    let accepted = json().header("sec-fetch-site", "same-origin").header("origin", server.url(""));
    assert_eq!(status(accepted).await, 200);
}

#[tokio::test]
async fn a_request_whose_framing_proxies_could_read_otherwise_is_refused() {
    let server = TestServer::new().await;
    let ask =
        |lines: &str| format!("GET {WHOAMI} HTTP/1.1\r\nAuthorization: Basic cm9vdDpyb290\r\n{lines}\r\n");
    for (lines, expected) in [
        ("Host: x\r\n", 200),
        ("Host: 127.0.0.1:7991\r\n", 200),
        ("", 400),
        ("Host: x\r\nHost: x\r\n", 400),
        ("Host: x\r\nHost: y\r\n", 400),
        ("Host: x, y\r\n", 400),
        ("Host: root@x\r\n", 400),
        ("Host:\r\n", 400),
        ("Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", 400),
        ("Host: x\r\nTransfer-Encoding: identity, chunked\r\n", 400),
        ("Host: x\r\nTransfer-Encoding: chunked, chunked\r\n", 400),
        ("Host: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Host: x\r\nTransfer-Encoding: gzip\r\n", 400),
    ] {
        assert_eq!(raw(server.address(), &ask(lines)).await, expected, "{lines}");
    }
    let elsewhere = format!("GET http://y{WHOAMI} HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(raw(server.address(), &elsewhere).await, 400);
    assert_eq!(raw(server.address(), "GET /healthz HTTP/1.0\r\n\r\n").await, 200, "as load balancers ask");
}

#[tokio::test]
async fn a_body_that_is_far_too_long_is_refused_before_it_comes() {
    let server = TestServer::new().await;
    for length in ["1048577", "99999999999", "9223372036854775807"] {
        let head = format!(
            "POST {TOKENS}/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic cm9vdDpyb290\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        assert_eq!(raw(server.address(), &head).await, 413, "{length}");
    }
}

#[tokio::test]
async fn no_answer_is_kept_by_a_cache_or_taken_for_another_kind() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let answers = [
        server.with_token(&made.secret, Method::GET, WHOAMI),
        server
            .with_password("mary", Method::POST, &format!("{TOKENS}/token"))
            .json(&json!({"tokenScope": 1})),
        server.as_operator(Method::GET, SETTINGS),
        server.request(Method::GET, WHOAMI),
        server.request(Method::GET, "/healthz"),
        server.request(Method::GET, "/nothing"),
        server.with_token(&made.secret, Method::PATCH, WHOAMI),
    ];
    let header =
        |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    for answer in answers {
        let headers = answer.send().await.unwrap().headers().clone();
        assert_eq!(header(&headers, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(header(&headers, "x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header(&headers, "strict-transport-security"), None, "without TLS it means nothing");
    }
    let open = server.request(Method::GET, "/rest/tokenwarden/1/openapi.json").send().await.unwrap();
    assert_eq!(header(open.headers(), "cache-control").as_deref(), Some("no-cache"), "it has an entity tag");
    assert_eq!(header(open.headers(), "x-content-type-options").as_deref(), Some("nosniff"));
}

/// Whether `body` is a refusal in the form that clients of `path` read.
fn is_refusal(path: &str, body: &Value) -> bool {
    if path.starts_with("/rest/api/") || path.starts_with("/rest/access-tokens/") {
        body["errors"][0]["message"].is_string()
    } else if path.starts_with("/rest/basicauth/") {
        body["message"].is_string()
    } else {
        body["errorMessage"].is_string()
    }
}

#[tokio::test]
async fn whatever_is_refused_is_refused_in_json_in_the_form_of_its_path() {
    let server = TestServer::new().await;
    let auth = "Authorization: Basic cm9vdDpyb290\r\n";
    let long = |length| "x".repeat(length);
    let lines = |count: usize| "X-A: b\r\n".repeat(count);
    for place in [
        "/rest/api/1.0/users/mary",
        "/rest/api/latest/projects/PLAT/repos/app",
        "/rest/access-tokens/1.0/users/mary/1",
        "/rest/basicauth/latest/config",
        &format!("{TOKENS}/token/1"),
        "/rest/tokenwarden/1/lease/x",
        "/rest/api/1.0/application-properties",
        "/healthz",
        "/",
    ] {
        let cases = [
            (400, format!("GET {place}/%ff HTTP/1.1\r\nHost: x\r\n{auth}")),
            (400, format!("DELETE {place}%C3%28 HTTP/1.1\r\nHost: x\r\n{auth}")),
            (400, format!("GET {place}?limit=%ff HTTP/1.1\r\nHost: x\r\n{auth}")),
            (400, format!("GET {place}?%e2%82 HTTP/1.1\r\nHost: x\r\n{auth}")),
            (400, format!("GET {place} HTTP/1.1\r\n{auth}")),
            (400, format!("GET {place} HTTP/1.1\r\nHost: x\r\n{auth}Transfer-Encoding: gzip, chunked\r\n")),
            (405, format!("TRACE {place} HTTP/1.1\r\nHost: x\r\n{auth}")),
            (405, format!("BREW {place} HTTP/1.1\r\nHost: x\r\n{auth}")),
            (404, format!("GET {place}/no/such/thing HTTP/1.1\r\nHost: x\r\n{auth}")),
            (403, format!("POST {place} HTTP/1.1\r\nHost: x\r\n{auth}Origin: https://evil.example\r\n")),
            (414, format!("GET {place}?a={} HTTP/1.1\r\nHost: x\r\n{auth}", long(62_000))),
            (414, format!("GET {place}/{} HTTP/1.1\r\nHost: x\r\n{auth}", long(63_000))),
            (431, format!("GET {place} HTTP/1.1\r\nHost: x\r\n{auth}X-A: {}\r\n", long(100_000))),
            (431, format!("GET {place} HTTP/1.1\r\nHost: x\r\n{auth}{}", lines(150))),
        ];
        for (expected, request) in cases {
            let shown = request.get(..100).unwrap_or(&request);
            let (status, head, body) =
                exchange(server.address(), &format!("{request}Connection: close\r\n\r\n")).await;
            let is_missing = expected == 405 && place == "/" && status == 404;
            assert!(status == expected || is_missing, "{shown}: {status} {body}");
            assert!(head.contains("content-type: application/json"), "{shown}: {head}");
            let target = request.split(' ').nth(1).unwrap();
            let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{shown}: {body}"));
            assert!(is_refusal(target, &body), "{shown}: {body}");
        }
    }
    let posted = |path: &str, more: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\n{auth}{more}Connection: close\r\n\r\n")
    };
    let (app, bitbucket) = (format!("{TOKENS}/token"), "/rest/access-tokens/1.0/users/root/1");
    for path in [&*app, bitbucket] {
        for (expected, more) in [
            (413, "Content-Length: 99999999\r\n"),
            (415, "Content-Type: text/plain\r\nContent-Length: 0\r\n"),
            (415, "Content-Encoding: gzip\r\nContent-Length: 0\r\n"),
        ] {
            let (status, _, body) = exchange(server.address(), &posted(path, more)).await;
            assert_eq!(status, expected, "{path} {more} {body}");
            assert!(is_refusal(path, &serde_json::from_str(&body).unwrap()), "{path} {body}");
        }
    }
    // What only looks like a code is none, and stays what it was.
    let page = server.with_password("root", Method::GET, "/rest/api/latest/admin/users?filter=100%");
    assert_eq!(status(page).await, 200);
}
