//! An upstream that is away, hangs, breaks off or answers too early: clients get a 5xx that asks them to come back, and
//! never a 401.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use tokenwarden::serve::front::UpstreamLimits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Gate, WRITES, With, secret, upstream::raw};
use crate::targets::bitbucket::stub::token;

const PATH: &str = "/rest/api/latest/projects";
/// A token that no reading has shown yet.
const NEW: &str = "075905477799";

async fn get(gate: &Gate) -> Response {
    gate.with_token(WRITES, Method::GET, PATH).send().await.unwrap()
}

fn is_retried(response: &Response) -> bool {
    response.headers().contains_key("retry-after") && !response.headers().contains_key("www-authenticate")
}

#[tokio::test]
async fn an_upstream_that_is_away_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = Gate::before(listener.local_addr().unwrap()).await;
    drop(listener);
    let response = get(&gate).await;
    let (status, is_retried) = (response.status(), is_retried(&response));
    let text = response.text().await.unwrap();
    assert_eq!((status.as_u16(), is_retried), (502, true), "{text}");
    assert!(text.contains("The server behind cannot be reached."), "{text}");
}

#[tokio::test]
async fn an_upstream_that_breaks_off_before_it_answers_is_a_502_and_is_not_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = Gate::before(listener.local_addr().unwrap()).await;
    let breaking = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let read = stream.read(&mut [0; 1024]).await.unwrap();
        assert!(read > 0);
        drop(stream);
        tokio::time::timeout(Duration::from_millis(300), listener.accept()).await.is_err()
    });
    let response = get(&gate).await;
    assert_eq!(response.status(), 502);
    assert!(is_retried(&response));
    assert!(breaking.await.unwrap(), "it was sent once");
}

#[tokio::test]
async fn an_upstream_that_hangs_is_a_504_and_so_is_one_that_takes_no_connection_in_time() {
    let (upstream, _) = raw(b"").await;
    let limits = UpstreamLimits { silence: Duration::from_millis(300), ..UpstreamLimits::default() };
    let gate = Gate::with(upstream, With { limits, ..With::default() }).await;
    let began = Instant::now();
    let response = get(&gate).await;
    assert_eq!(response.status(), 504);
    assert!(is_retried(&response) && began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_client_that_does_not_send_what_it_announced_is_told_and_holds_nothing() {
    let (upstream, _) = raw(b"").await;
    let limits = UpstreamLimits { silence: Duration::from_millis(300), ..UpstreamLimits::default() };
    let gate = Gate::with(upstream, With { limits, ..With::default() }).await;
    let mut client = TcpStream::connect(gate.server.address()).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 9\r\n\r\nhalf",
        secret(WRITES)
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    client.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_stops_is_never_taken_for_a_whole_one() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let (upstream, _) = raw(answer).await;
        let limits = UpstreamLimits { silence: Duration::from_millis(300), ..UpstreamLimits::default() };
        let gate = Gate::with(upstream, With { limits, ..With::default() }).await;
        let response = get(&gate).await;
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err(), "it has no end");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_ends_reaches_the_client() {
    let answer = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge";
    let (upstream, _) = raw(answer).await;
    let gate = Gate::before(upstream).await;
    let mut client = TcpStream::connect(gate.server.address()).await.unwrap();
    let head = format!(
        "POST /scm/PLAT/app.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 1000000\r\n\r\nbegin",
        secret(WRITES)
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = client.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("large"), "{answer}");
}

#[tokio::test]
async fn an_upstream_that_switches_protocols_unasked_is_a_502() {
    let (upstream, _) =
        raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n").await;
    let gate = Gate::before(upstream).await;
    assert_eq!(get(&gate).await.status(), 502);
}

#[tokio::test]
async fn a_mirror_whose_own_credential_is_revoked_goes_on_with_what_it_read_and_is_a_503_for_the_rest() {
    let (upstream, _) = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let gate = Gate::before(upstream).await;
    assert_eq!(get(&gate).await.status(), 200);
    gate.stub.contents().shut_out.push("warden");
    assert_eq!(get(&gate).await.status(), 200, "what was read is known");
    gate.stub.add("users/mary_example.com", token(NEW, "new", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    let response = gate.with_token(NEW, Method::GET, PATH).send().await.unwrap();
    assert_eq!(response.status(), 503, "that the gateway is refused says nothing of the client");
    assert!(is_retried(&response));
    gate.stub.contents().shut_out.clear();
    assert_eq!(gate.with_token(NEW, Method::GET, PATH).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_token_that_nobody_can_tell_of_is_a_503_and_no_401() {
    let (upstream, _) = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let gate = Gate::before(upstream).await;
    gate.stub.contents().failing.insert("/rest/", 503);
    let response = gate.with_token("000000000009", Method::GET, PATH).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(is_retried(&response));
}
