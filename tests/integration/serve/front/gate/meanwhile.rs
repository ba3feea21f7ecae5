//! Rights that end while a request waits for its own body or for room.

use std::time::Duration;

use futures_util::FutureExt;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenwarden::serve::front::UpstreamLimits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Gate, READS, WRITES, With, secret, upstream::Upstream};
use crate::support::{answer, status};

async fn until_read(gate: &Gate) {
    while status(gate.server.request(Method::GET, "/readyz")).await != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_that_comes_slowly_is_judged_by_the_settings_of_its_end() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    until_read(&gate).await;
    let body = r#"{"name": "ci", "permissions": ["REPO_READ"]}"#;
    let mut client = TcpStream::connect(gate.server.address()).await.unwrap();
    let head = format!(
        "PUT /rest/access-tokens/latest/users/mary_example.com HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        secret(WRITES),
        body.len()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 25];
    client.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 100 Continue\r\n\r\n", "it was judged, and the body is asked for");
    gate.server.change_settings(json!({"permissions": {"create": "nobody"}})).await;
    client.write_all(body.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    client.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 403");
    assert_eq!(upstream.arrived().len(), 0);
}

#[tokio::test]
async fn a_token_that_is_restricted_while_its_request_waits_for_room_does_not_pass() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits =
        UpstreamLimits { connections: 4, silence: Duration::from_mins(5), ..UpstreamLimits::default() };
    let gate = Gate::with(listener.local_addr().unwrap(), With { limits, ..With::default() }).await;
    until_read(&gate).await;
    let page = "/plugins/servlet/app";
    let first = tokio::spawn(gate.with_token(WRITES, Method::GET, page).send());
    let (mut held, _) = listener.accept().await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..4 {
        waiting.spawn(gate.with_token(READS, Method::GET, page).send());
    }
    // One client has a quarter: as three wait, the fourth hears that there is no room.
    assert_eq!(waiting.join_next().await.unwrap().unwrap().unwrap().status(), 503);
    let restrict = gate.server.as_operator(Method::PUT, &format!("/rest/tokenwarden/1/restrictions/{READS}"));
    let body = json!({"not_after": "2026-01-01T00:00:00Z"});
    answer(restrict.header("if-none-match", "*").json(&body), StatusCode::OK).await;
    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    held.write_all(response).await.unwrap();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    for response in waiting.join_all().await {
        assert_eq!(response.unwrap().status(), 401);
    }
    assert!(listener.accept().now_or_never().is_none(), "nothing of it reached the server behind");
}
