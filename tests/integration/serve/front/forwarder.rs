//! The forwarder before an upstream that is away, hangs, breaks off, answers too early or reads nothing.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Request, Response},
};
use futures_util::{FutureExt, StreamExt, stream};
use tokenwarden::serve::front::{
    UpstreamLimits,
    forward::{Forwarder, Outgoing, UpstreamError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A forwarder to `listener` that waits for `silence`, over as many `connections`.
fn forwarder(listener: &TcpListener, silence: Duration, connections: usize) -> Forwarder {
    forwarder_to(listener.local_addr().unwrap(), silence, connections)
}

/// A forwarder to `upstream`.
pub(super) fn forwarder_to(upstream: SocketAddr, silence: Duration, connections: usize) -> Forwarder {
    let url = format!("http://{upstream}").parse().unwrap();
    Forwarder::new(url, None, UpstreamLimits { silence, connections, ..UpstreamLimits::default() }).unwrap()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Takes one connection, keeps what it sends, and says `answer` once a head has arrived.
fn answering(listener: TcpListener, answer: &'static [u8]) -> Arc<Mutex<Vec<u8>>> {
    let seen = Arc::<Mutex<Vec<u8>>>::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut buffer, mut is_answered) = ([0; 4096], false);
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            kept.lock().unwrap().extend_from_slice(&buffer[..read]);
            if !is_answered {
                is_answered = true;
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    seen
}

pub(super) async fn send(
    forwarder: &Forwarder,
    request: Request<Body>,
) -> Result<Response<Body>, UpstreamError> {
    let authorization = HeaderValue::from_static("Bearer ours");
    let out = Outgoing {
        identity: None,
        authorization: Some(&authorization),
        drops_cookies: true,
        client: Some([192, 0, 2, 7].into()),
        id: "1f",
        is_proxied: false,
        peer: [127, 0, 0, 1].into(),
        held: (),
    };
    forwarder.send(request, out).await
}

pub(super) fn get(target: &str) -> Request<Body> {
    Request::get(target).header("host", "bitbucket.example.com").body(Body::empty()).unwrap()
}

fn post(body: Body) -> Request<Body> {
    Request::post("/scm/PLAT/app.git/git-receive-pack").body(body).unwrap()
}

/// A body that begins and never ends.
fn endless() -> Body {
    let first = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"begin")) });
    Body::from_stream(first.chain(stream::pending()))
}

const SHORT: Duration = Duration::from_millis(200);
pub(super) const LONG: Duration = Duration::from_mins(5);

#[tokio::test]
async fn the_target_passes_byte_for_byte_and_the_head_is_ours() {
    let listener = listener().await;
    let forwarder = forwarder(&listener, LONG, 8);
    let answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Kept: 1\r\n\
                   Content-Length: 2\r\n\r\nok";
    let seen = answering(listener, answer);
    let target = "http://bitbucket.example.com/rest/a%2Fb?x=%32&y=1+2";
    let mut request = get(target);
    for (name, value) in
        [("authorization", "Bearer theirs"), ("x_forwarded_for", "10.0.0.1"), ("cookie", "a=1")]
    {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let response = send(&forwarder, request).await.unwrap();
    let mut names: Vec<_> = response.headers().keys().map(ToString::to_string).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-kept"]);
    assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "ok");
    let head = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /rest/a%2Fb?x=%32&y=1+2 HTTP/1.1");
    lines.sort_unstable();
    let ours = ["authorization: Bearer ours", "host: bitbucket.example.com", "x-forwarded-for: 192.0.2.7"];
    assert_eq!(lines, [&ours[..], &["x-request-id: 1f"]].concat());
}

#[tokio::test]
async fn what_is_no_path_is_not_sent() {
    let listener = listener().await;
    let forwarder = forwarder(&listener, LONG, 8);
    for request in [Request::connect("a:80"), Request::options("*")] {
        let answered = send(&forwarder, request.body(Body::empty()).unwrap()).await;
        assert!(matches!(answered, Err(UpstreamError::NoPath)));
    }
    assert!(listener.accept().now_or_never().is_none(), "no connection was made");
}

#[tokio::test]
async fn an_upstream_that_is_away_hangs_breaks_off_or_switches_is_told_apart() {
    let away = listener().await;
    let to = forwarder(&away, LONG, 8);
    drop(away);
    assert!(matches!(send(&to, get("/x")).await, Err(UpstreamError::Unreachable(_))));

    let hanging = listener().await;
    let to = forwarder(&hanging, SHORT, 8);
    answering(hanging, b"");
    assert!(matches!(send(&to, get("/x")).await, Err(UpstreamError::Silent)));

    let breaking = listener().await;
    let to = forwarder(&breaking, LONG, 8);
    let sent_again = tokio::spawn(async move {
        let (mut stream, _) = breaking.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        drop(stream);
        breaking
    });
    assert!(matches!(send(&to, get("/x")).await, Err(UpstreamError::BrokeOff(_))));
    assert!(
        sent_again.await.unwrap().accept().now_or_never().is_none(),
        "what was written is not sent again"
    );

    let switching = listener().await;
    let to = forwarder(&switching, LONG, 8);
    answering(switching, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    assert!(matches!(send(&to, get("/x")).await, Err(UpstreamError::Switched)));
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_apart_from_an_upstream_that_stops_answering() {
    let hanging = listener().await;
    let to = forwarder(&hanging, SHORT, 8);
    answering(hanging, b"");
    assert!(matches!(send(&to, post(endless())).await, Err(UpstreamError::ClientSilent)));

    let waiting = listener().await;
    let to = forwarder(&waiting, LONG, 8);
    answering(waiting, b"");
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))]);
    assert!(matches!(send(&to, post(Body::from_stream(broken))).await, Err(UpstreamError::ClientBrokeOff)));
}

#[tokio::test]
async fn an_answer_without_its_end_is_never_taken_for_a_whole_one() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let listener = listener().await;
        let forwarder = forwarder(&listener, SHORT, 8);
        answering(listener, answer);
        let response = send(&forwarder, get("/x")).await.unwrap();
        assert!(axum::body::to_bytes(response.into_body(), 1000).await.is_err());
    }
}

#[tokio::test]
async fn a_refusal_that_comes_before_the_body_ends_is_passed_on_whole() {
    let listener = listener().await;
    let forwarder = forwarder(&listener, LONG, 8);
    answering(listener, b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge");
    let response = send(&forwarder, post(endless())).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "large");
}

#[tokio::test]
async fn an_upload_waits_for_the_upstream_and_is_not_kept_in_memory() {
    let listener = listener().await;
    let forwarder = forwarder(&listener, SHORT, 8);
    let taken = Arc::new(Mutex::new(0usize));
    let count = Arc::clone(&taken);
    let chunks = stream::repeat_with(move || {
        *count.lock().unwrap() += 64 * 1024;
        Ok::<_, std::io::Error>(Bytes::from(vec![0; 64 * 1024]))
    });
    // The system takes the connection, and nobody reads from it.
    let answered = send(&forwarder, post(Body::from_stream(chunks))).await;
    assert!(matches!(answered, Err(UpstreamError::Silent)), "nothing passed any more");
    assert!(*taken.lock().unwrap() < 32 << 20, "{} bytes were taken", taken.lock().unwrap());
}

#[tokio::test]
async fn a_connection_is_in_use_until_its_answer_has_ended() {
    let listener = listener().await;
    let forwarder = forwarder(&listener, LONG, 1);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(answer).await.unwrap();
            held.push(stream);
        }
    });
    let first = send(&forwarder, get("/x")).await.unwrap();
    let mut second = Box::pin(send(&forwarder, get("/x")));
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    assert_eq!(second.await.unwrap().status(), 200);
}
