//! What the upstream sees of a request, and what a client gets of its answer.

use std::time::Duration;

use futures_util::FutureExt;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenwarden::serve::front::{UpstreamLimits, judge::Browsers};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};

use super::{ENDED, Gate, READS, WRITES, With, secret, upstream::Upstream};
use crate::support::status;

#[tokio::test]
async fn a_request_with_a_token_reaches_the_upstream_as_it_was_judged() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    let request = gate
        .with_token(READS, Method::GET, "/rest/api/latest/projects/PLAT?start=0&limit=%32")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x_forwarded_for", "10.0.0.1")
        .header("x-forwarded-user", "root")
        .header("x-request-id", "forged")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("cookie", "BITBUCKETSESSIONID=stolen")
        .header("accept-language", "de");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers().clone();
    let arrived = upstream.only();
    assert_eq!(arrived.path, "/rest/api/latest/projects/PLAT?start=0&limit=%32");
    let of = |name: &str| arrived.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(of("authorization"), Some(format!("Bearer {}", secret(READS))));
    assert_eq!(of("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(of("x-request-id").as_deref(), headers["x-request-id"].to_str().ok());
    assert_eq!(of("host"), Some(gate.server.address().to_string()));
    assert_eq!(of("accept-language").as_deref(), Some("de"));
    for gone in ["x_forwarded_for", "x-forwarded-user", "x-hop", "te", "cookie", "connection"] {
        assert_eq!(of(gone), None, "{gone}");
    }
    assert_eq!(headers["x-upstream"], "yes");
    assert_eq!(headers["cache-control"], "max-age=60", "the answer of the upstream stays as it is");
    assert!(!headers.contains_key("set-cookie"), "a session would outlive the token");
    assert_eq!(headers["x-ausername"], "mary%40example.com");
}

#[tokio::test]
async fn browsers_pass_with_their_cookies_and_from_anywhere_unless_that_is_restricted() {
    let upstream = Upstream::start().await;
    let closed = json!({"network": {"allow": ["10.0.0.0/8"]}});
    for (browsers, expected) in [(Browsers::Pass, 200), (Browsers::Network, 403)] {
        let gate = Gate::with(upstream.address, With { browsers, ..With::default() }).await;
        gate.server.change_settings(closed.clone()).await;
        let request = gate.server.request(Method::GET, "/projects").header("cookie", "BITBUCKETSESSIONID=1");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected);
        if expected == 200 {
            assert!(response.headers().contains_key("set-cookie"));
            assert_eq!(upstream.only().headers["cookie"], "BITBUCKETSESSIONID=1");
        }
        let with_token = gate.with_token(WRITES, Method::GET, "/rest/api/latest/projects");
        assert_eq!(status(with_token).await, 403, "a token comes from an allowed network alone");
    }
    assert_eq!(upstream.arrived().len(), 0);
}

#[tokio::test]
async fn a_token_is_refused_for_what_the_policy_takes_away_and_the_upstream_hears_nothing() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    let path = "/rest/api/latest/projects";
    assert_eq!(status(gate.with_token(READS, Method::POST, path).json(&json!({}))).await, 403);
    assert_eq!(status(gate.with_token(ENDED, Method::GET, path)).await, 401);
    let ours = gate.server.operator().to_owned();
    let own_token = gate.server.request(Method::GET, path).bearer_auth(ours);
    assert_eq!(status(own_token).await, 401, "a token of the gateway is good for its own REST alone");
    gate.server.change_settings(json!({"permissions": {"use": ["nobodys"]}})).await;
    assert_eq!(status(gate.with_token(WRITES, Method::GET, path)).await, 403);
    assert_eq!(upstream.arrived().len(), 0);
}

#[tokio::test]
async fn the_gateway_answers_by_itself_for_its_own_paths_alone() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    for path in ["/healthz", "/rest/tokenwarden/1/settings", "/metrics"] {
        let response = gate.server.as_operator(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(!response.headers().contains_key("x-upstream"));
    }
    assert_eq!(upstream.arrived().len(), 0);
    for path in ["/", "/rest/api/latest/users", "/rest/de.resolution.apitokenauth/latest/user"] {
        assert_eq!(status(gate.with_token(WRITES, Method::GET, path)).await, 200, "{path}");
    }
    assert_eq!(upstream.arrived().len(), 3);
}

#[tokio::test]
async fn bodies_pass_whole_in_both_forms_and_however_they_are_packed() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    let path = "/rest/api/latest/projects/PLAT/repos/app/browse";
    let bytes: Vec<u8> = (0..300_000u32).map(|number| number.to_le_bytes()[0]).collect();
    let whole = gate.with_token(WRITES, Method::POST, path).body(bytes.clone());
    assert_eq!(status(whole.header("content-encoding", "gzip")).await, 200);
    let arrived = upstream.only();
    assert_eq!(
        (arrived.headers["content-length"].to_str().unwrap(), &arrived.body[..]),
        ("300000", &bytes[..])
    );
    assert_eq!(arrived.headers["content-encoding"], "gzip");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Late\r\nConnection: close\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Late: 1\r\n\r\n",
        secret(WRITES)
    );
    let mut stream = tokio::net::TcpStream::connect(gate.server.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let arrived = upstream.only();
    assert_eq!(&arrived.body[..], b"hello world");
    assert!(!arrived.headers.contains_key("x-late") && !arrived.headers.contains_key("trailer"));
}

#[tokio::test]
async fn an_upload_waits_for_the_upstream_and_is_not_kept_in_memory() {
    // It takes the head and nothing else.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = Gate::before(listener.local_addr().unwrap()).await;
    let mut client = tokio::net::TcpStream::connect(gate.server.address()).await.unwrap();
    let head = format!(
        "POST /scm/PLAT/app.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 1000000000\r\n\r\n",
        secret(WRITES)
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut upstream, _) = listener.accept().await.unwrap();
    let mut sent = 0usize;
    let chunk = vec![0; 64 * 1024];
    while let Ok(Ok(written)) = tokio::time::timeout(Duration::from_millis(500), client.write(&chunk)).await {
        sent += written;
        assert!(sent < 64 << 20, "nobody reads it, and it is taken all the same");
    }
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0;
    while read < sent / 2 {
        read += upstream.read(&mut buffer).await.unwrap();
    }
    let more = tokio::time::timeout(Duration::from_secs(10), client.write(&chunk)).await;
    assert!(more.expect("there is room again").unwrap() > 0);
}

#[tokio::test]
async fn a_refused_upload_is_not_asked_for() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    let mut client = tokio::net::TcpStream::connect(gate.server.address()).await.unwrap();
    let ask = |id: &str| {
        format!(
            "POST /scm/PLAT/app.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Expect: 100-continue\r\nContent-Length: 2147483648\r\n\r\n",
            secret(id)
        )
    };
    client.write_all(ask(READS).as_bytes()).await.unwrap();
    let mut start = [0; 12];
    client.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 403");
    let mut client = tokio::net::TcpStream::connect(gate.server.address()).await.unwrap();
    client.write_all(ask(WRITES).as_bytes()).await.unwrap();
    client.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 100");
    assert_eq!(upstream.arrived().len(), 0);
}

#[tokio::test]
async fn connections_to_the_upstream_are_bounded_and_shared() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits =
        UpstreamLimits { connections: 4, silence: Duration::from_mins(5), ..UpstreamLimits::default() };
    let gate = Gate::with(listener.local_addr().unwrap(), With { limits, ..With::default() }).await;
    let mut requests = JoinSet::new();
    for _ in 0..6 {
        let request = gate.with_token(WRITES, Method::GET, "/rest/api/latest/projects");
        requests.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    let held = listener.accept().await.unwrap();
    // One client has a quarter: three more of it wait, and the others hear at once that there is no room.
    for _ in 0..2 {
        assert_eq!(requests.join_next().await.unwrap().unwrap(), 503);
    }
    assert!(listener.accept().now_or_never().is_none(), "one client has one connection of four");
    drop((held, listener));
    assert_eq!(requests.join_all().await, [502; 4]);
}
