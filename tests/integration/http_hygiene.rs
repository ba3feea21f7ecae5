//! What the doors refuse by the form of a request, and what every answer carries.

use std::net::SocketAddr;

use reqwest::{Method, header::HeaderMap};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{SETTINGS, TOKENS, TestServer, WHOAMI, status};

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
