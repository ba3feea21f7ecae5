//! Connections to an upstream, which are kept for the next request as long as nothing is wrong with them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::Request,
};
use futures_util::{StreamExt, stream};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use super::forwarder::{LONG, forwarder_to, get, send};

/// What an upstream does with a request: bytes that it says, and whether it closes the connection then.
type Script = fn(connection: usize, request: usize) -> (Vec<u8>, bool);

/// An upstream that acts by `script`. It tells of each request on which connection it came, and then that a connection
/// is closed with `None`.
fn upstream(script: Script) -> (SocketAddr, mpsc::UnboundedReceiver<Option<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let (stream, tell) = (stream.unwrap(), tell.clone());
            thread::spawn(move || serve(stream, connection, script, &tell));
        }
    });
    (address, told)
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Script,
    tell: &mpsc::UnboundedSender<Option<usize>>,
) {
    let (mut buffer, mut head) = ([0; 4096], Vec::new());
    let mut request = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        head.extend_from_slice(&buffer[..read]);
        if !head.windows(4).any(|end| end == b"\r\n\r\n") {
            continue;
        }
        head.clear();
        // Nobody may listen any more.
        let _ = tell.send(Some(connection));
        let (answer, closes) = script(connection, request);
        request += 1;
        if stream.write_all(&answer).is_err() || closes {
            break;
        }
    }
    drop(stream);
    let _ = tell.send(None);
}

fn answer(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// The connections on which requests came until now.
fn used(told: &mut mpsc::UnboundedReceiver<Option<usize>>) -> Vec<usize> {
    std::iter::from_fn(|| told.try_recv().ok()).flatten().collect()
}

#[tokio::test]
async fn an_answer_that_has_ended_leaves_its_connection_to_the_next_request() {
    let (address, mut told) = upstream(|_, request| {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        match request % 4 {
            0 => (answer(b"short"), false),
            1 => (answer(&vec![b'x'; 1 << 20]), false),
            2 => (chunked.to_vec(), false),
            _ => (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), false),
        }
    });
    let forwarder = forwarder_to(address, LONG, 8);
    for round in 0..4 {
        for length in [5, 1 << 20, 2, 0] {
            let response = send(&forwarder, get("/x")).await.unwrap();
            assert_eq!(to_bytes(response.into_body(), 2 << 20).await.unwrap().len(), length);
            // A connection with a task of its own is there again in a moment.
            tokio::task::yield_now().await;
        }
        assert!(used(&mut told).iter().all(|connection| *connection <= 2), "round {round}");
    }
}

#[test]
fn a_runtime_keeps_to_its_own_connections_until_there_are_as_many_as_there_may_be() {
    let (address, mut told) = upstream(|_, _| (answer(b"ok"), false));
    let forwarder = Arc::new(forwarder_to(address, LONG, 2));
    let runtimes =
        [(); 3].map(|()| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
    let mut request_in = |runtime: &Runtime| {
        let forwarder = Arc::clone(&forwarder);
        let sending = runtime.spawn(async move {
            let response = send(&forwarder, get("/x")).await.unwrap();
            assert_eq!(to_bytes(response.into_body(), 10).await.unwrap(), "ok");
        });
        runtime.block_on(sending).unwrap();
        used(&mut told)
    };
    let [first, second, third] = &runtimes;
    for _ in 0..2 {
        assert_eq!((request_in(first), request_in(second)), (vec![0], vec![1]));
    }
    for _ in 0..2 {
        let [of_another] = request_in(third)[..] else { panic!("one request on one connection") };
        assert!(of_another <= 1, "no further connection is made");
    }
    assert_eq!((request_in(first), request_in(second)), (vec![0], vec![1]), "each is back where it was made");
}

#[tokio::test]
async fn a_connection_that_the_upstream_has_closed_gets_no_request() {
    let (address, mut told) = upstream(|connection, _| (answer(b"ok"), connection == 0));
    let forwarder = forwarder_to(address, LONG, 8);
    let first = send(&forwarder, get("/x")).await.unwrap();
    assert_eq!(to_bytes(first.into_body(), 10).await.unwrap(), "ok");
    assert_eq!((told.recv().await, told.recv().await), (Some(Some(0)), Some(None)), "it is closed");
    // The runtime looks at what has arrived before it goes on.
    tokio::task::yield_now().await;
    let second = send(&forwarder, get("/x")).await.unwrap();
    assert_eq!(to_bytes(second.into_body(), 10).await.unwrap(), "ok");
    assert_eq!(used(&mut told), [1]);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_never_that_of_the_next_request() {
    let (address, mut told) = upstream(|connection, _| {
        let stray = if connection == 0 { answer(b"stray") } else { Vec::new() };
        ([answer(b"ok"), stray].concat(), false)
    });
    let forwarder = forwarder_to(address, LONG, 8);
    for _ in 0..3 {
        let response = send(&forwarder, get("/x")).await.unwrap();
        assert_eq!(to_bytes(response.into_body(), 10).await.unwrap(), "ok");
    }
    assert_eq!(used(&mut told), [0, 1, 1]);
}

#[tokio::test]
async fn a_connection_whose_answer_nobody_read_to_its_end_gets_no_other_request() {
    let (address, mut told) = upstream(|_, _| (answer(&vec![b'x'; 1 << 20]), false));
    let forwarder = forwarder_to(address, LONG, 8);
    for _ in 0..3 {
        let response = send(&forwarder, get("/x")).await.unwrap();
        let mut body = response.into_body().into_data_stream();
        assert!(!body.next().await.unwrap().unwrap().is_empty());
    }
    assert_eq!(used(&mut told), [0, 1, 2]);
}

#[tokio::test]
async fn an_upload_goes_on_while_nobody_reads_the_answer_that_has_begun() {
    let (address, _told) =
        upstream(|_, _| (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun".to_vec(), false));
    let forwarder = forwarder_to(address, LONG, 8);
    let (sent, mut sending) = mpsc::channel::<usize>(1);
    let pieces = stream::iter(0..64).then(move |piece| {
        let sent = sent.clone();
        async move {
            sent.send(piece).await.unwrap();
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1 << 10]))
        }
    });
    let request = Request::post("/x").header("host", "x").body(Body::from_stream(pieces)).unwrap();
    let (first, response) = tokio::join!(sending.recv(), send(&forwarder, request));
    assert_eq!(first, Some(0));
    let mut last = first;
    while let Some(piece) = sending.recv().await {
        last = Some(piece);
    }
    assert_eq!(last, Some(63), "all pieces were asked for");
    drop(response.unwrap());
}
