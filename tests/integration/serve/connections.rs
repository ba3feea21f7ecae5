//! Connections of nobody who is known: how many there may be, and how long one may be silent.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream::FuturesUnordered};
use reqwest::Method;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    runtime::Builder,
    sync::oneshot,
};

use tokenwarden::serve::{self, Waits};

use crate::support::{Setup, TOKENS, TestServer, WHOAMI, status};

/// A connection from 127.0.0.`last`.
async fn connect_from(last: u8, server: &TestServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::from([127, 0, 0, last]), 0)).unwrap();
    socket.connect(server.address()).await.unwrap()
}

/// How long a server waits here.
const WAITS: Waits = Waits {
    begin: Duration::from_secs(1),
    head: Duration::from_secs(2),
    ask: Duration::from_secs(3),
    take: Duration::from_secs(3),
};

async fn impatient() -> TestServer {
    TestServer::start(Setup { waits: WAITS, ..Setup::default() }).await
}

/// Whether a request on `stream` is answered.
async fn is_served(stream: &mut TcpStream) -> bool {
    let mut told = [0; 12];
    let request = b"GET /rest/api/latest/application-properties HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.is_ok()
        && stream.read_exact(&mut told).await.is_ok()
        && &told == b"HTTP/1.1 200"
}

#[tokio::test]
async fn a_connection_that_does_not_begin_ends() {
    let (server, begun) = (impatient().await, Instant::now());
    let beginnings: [&[u8]; 5] = [b"", b"P", b"G", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"];
    let ends = beginnings.map(async |beginning| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut told = Vec::new();
        // An error is an end too.
        let _ = stream.read_to_end(&mut told).await;
        assert!(begun.elapsed() >= WAITS.begin, "it had its time");
    });
    let end = tokio::time::timeout(Duration::from_secs(40), futures_util::future::join_all(ends));
    end.await.expect("each of them ends");
}

/// The frame of HTTP/2 of this kind, with these flags, for the connection as a whole (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 0], payload].concat()
}

#[tokio::test]
async fn a_connection_that_only_pings_ends() {
    let (server, begun) = (impatient().await, Instant::now());
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(4, 0, &[])).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let mut told = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let pings = async {
        while writing.write_all(&frame(6, 0, b"are you?")).await.is_ok() {
            pace.tick().await;
        }
    };
    let end = tokio::time::timeout(Duration::from_secs(40), async {
        tokio::join!(reading.read_to_end(&mut told), pings)
    });
    // An error is an end too.
    let (_, ()) = end.await.expect("it ends");
    assert!(begun.elapsed() >= WAITS.ask, "it had its time");
    let answered = told.windows(17).filter(|window| *window == frame(6, 1, b"are you?")).count();
    assert!(answered > 10, "it was a connection in HTTP/2, whose pings were answered");
}

#[tokio::test]
async fn a_client_that_asks_without_end_and_takes_no_answer_loses_its_connection() {
    let (server, begun) = (impatient().await, Instant::now());
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET /rest/tokenwarden/1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let asking = async { while stream.write_all(&request).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(50), asking).await.expect("it cannot go on for ever");
    assert!(begun.elapsed() >= WAITS.take, "it had its time");
}

/// Both ends of all connections are files of the same process.
#[cfg(unix)]
fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn of_more_requests_than_there_may_be_the_further_ones_are_told_to_come_again() {
    let server = TestServer::start(Setup { connections: 4096, ..Setup::default() }).await;
    allow_files();
    let mut tokens = Vec::new();
    for owner in ["root", "toor", "mary", "sam", "bot"] {
        tokens.push(server.make_token(owner, 2).await.secret);
    }
    // Whoever holds the store makes every write wait.
    let file = SqliteConnectOptions::new().filename(server.store_file());
    let mut holder = file.connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    let body = serde_json::json!({"tokenDescription": "waits", "tokenScope": 1});
    let ask = |number: usize| {
        let secret = &tokens[number % tokens.len()];
        let request = server.with_token(secret, Method::POST, &format!("{TOKENS}/token"));
        tokio::spawn(request.json(&body).send())
    };
    let mut requests: FuturesUnordered<_> = (0..300).map(ask).collect();
    for _ in 256..300 {
        let refused = requests.next().await.unwrap().unwrap().unwrap();
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "1");
    }
    // Some may have been refused while others were only looked at: they come again until there is room for nobody.
    let is_full = async || {
        let anybody = server.request(Method::GET, "/rest/api/latest/application-properties");
        status(server.as_operator(Method::GET, WHOAMI)).await == 503 && status(anybody).await == 503
    };
    let mut further = 300..600;
    while !is_full().await {
        requests.push(ask(further.next().expect("there is no room for so many")));
    }
    holder.close().await.unwrap();
    let statuses = requests.map(|answered| answered.unwrap().unwrap().status().as_u16());
    let statuses: Vec<u16> = statuses.collect().await;
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200), "the others have only waited");
}

#[tokio::test]
async fn one_caller_has_a_quarter_of_the_requests_and_keeps_nobody_else_from_being_served() {
    let server = TestServer::new().await;
    let (greedy, other) =
        (server.make_token("sam", 1).await.secret, server.make_token("mary", 1).await.secret);
    let path = "/rest/api/latest/admin/users?filter=nobody&limit=1000";
    let mut lists: FuturesUnordered<_> =
        (0..200).map(|_| server.with_token(&greedy, Method::GET, path).send()).collect();
    let mut statuses = Vec::new();
    while let Some(answered) = lists.next().await {
        let answered = answered.unwrap();
        let busy = answered.status() == 503;
        assert_eq!(busy, answered.headers().contains_key("retry-after"));
        statuses.push(answered.status().as_u16());
        assert_eq!(status(server.with_token(&other, Method::GET, WHOAMI)).await, 200);
    }
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn that_the_system_gives_no_connection_is_told_and_ends_when_it_gives_one_again() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let folder = crate::serve::process::folder();
    let mut process = crate::serve::process::Process::start_at(&folder, "127.0.0.1:0");
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count() as u64;
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    let of_files = |current| Rlimit { current: Some(current), maximum: Some(1024) };
    prlimit(pid, Resource::Nofile, of_files(files)).unwrap();
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    let told = loop {
        let line = process.next_log_line();
        if line.contains("connections are not taken") {
            break line;
        }
    };
    assert!(told.contains("the system gives none") && told.contains("os error 24"), "{told}");
    prlimit(pid, Resource::Nofile, of_files(1024)).unwrap();
    assert!(is_served(&mut stream).await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_address_has_a_quarter_of_the_connections_and_the_others_are_served() {
    let server = TestServer::start(Setup { connections: 8, ..Setup::default() }).await;
    let mut first = connect_from(2, &server).await;
    let mut second = connect_from(2, &server).await;
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    assert!(!is_served(&mut connect_from(2, &server).await).await, "a third one ends at once");
    assert!(is_served(&mut connect_from(3, &server).await).await);
    first.shutdown().await.unwrap();
    assert_eq!(first.read_to_end(&mut Vec::new()).await.ok().map(|_| ()), Some(()));
    // The server ends its half before it gives the place away.
    while !is_served(&mut connect_from(2, &server).await).await {}
}

#[tokio::test]
async fn a_client_that_is_still_sending_learns_why_it_is_refused() {
    let server = TestServer::new().await;
    let path = format!("{TOKENS}/token");
    for _ in 0..100 {
        let large = vec![b' '; 1 << 20];
        assert_eq!(status(server.request(Method::POST, &path).body(large)).await, 401);
    }
}

/// How long the server takes what a client sends after the answer to a request with this `head`, which has this `status`.
async fn takes_more_for(server: &TestServer, head: &str, status: &str) -> Duration {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
    assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
    let ended = Instant::now();
    // An error when nobody takes it any more.
    while stream.write_all(&[b'x'; 1 << 10]).await.is_ok() {}
    ended.elapsed()
}

#[tokio::test]
async fn of_a_request_that_nobody_reads_more_is_taken_for_two_seconds_and_of_no_other() {
    let server = TestServer::new().await;
    let refused = format!("POST {TOKENS}/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n{{");
    let took = takes_more_for(&server, &refused, "401").await;
    assert!((2..10).contains(&took.as_secs()), "{took:?}");
    let answered = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let took = takes_more_for(&server, answered, "200").await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_connection_whose_requests_are_read_goes_on() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let body = r#"{"tokenDescription": "x", "tokenScope": 1}"#;
    for _ in 0..3 {
        let request = format!(
            "POST {TOKENS}/token HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            made.secret,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut told, mut buffer) = (String::new(), [0; 4096]);
        while !told.ends_with('}') {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{told}");
            told.push_str(str::from_utf8(&buffer[..read]).unwrap());
        }
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_while_clients_connect_ends_in_order() {
    for _ in 0..20 {
        let server = TestServer::new().await;
        let address = server.address();
        let (tell, told) = oneshot::channel();
        let connecting = std::thread::spawn(move || {
            let first = std::net::TcpStream::connect(address).unwrap();
            tell.send(()).unwrap();
            // Until nobody listens any more.
            while std::net::TcpStream::connect(address).is_ok() {}
            drop(first);
        });
        told.await.unwrap();
        server.stop().await;
        connecting.join().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_burst_of_connections_waits_until_it_is_taken() {
    let listener = serve::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let burst = (0..500).map(|_| TcpStream::connect(address)).collect::<FuturesUnordered<_>>();
    // Nobody takes any of them meanwhile.
    let connected = tokio::time::timeout(Duration::from_secs(20), burst.try_collect::<Vec<_>>()).await;
    assert_eq!(connected.expect("the system has room for all").unwrap().len(), 500);
}

#[test]
fn a_server_whose_runtime_is_gone_serves_nobody_any_more() {
    let runtime = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (here, there) = (runtime(), runtime());
    let server = there.block_on(TestServer::new());
    here.block_on(async {
        let mut open = TcpStream::connect(server.address()).await.unwrap();
        assert!(is_served(&mut open).await);
        there.shutdown_background();
        // An error is an end too. A connection without a request would end by itself, but later.
        let mut told = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(5), open.read_to_end(&mut told)).await;
        assert!(end.is_ok(), "the connection goes on");
        while TcpStream::connect(server.address()).await.is_ok() {}
    });
}

#[tokio::test]
async fn more_connections_than_there_may_be_wait_for_the_end_of_one() {
    let server = TestServer::start(Setup { connections: 4, ..Setup::default() }).await;
    let mut taken = Vec::new();
    for last in 2..6 {
        taken.push(connect_from(last, &server).await);
    }
    let mut further = connect_from(6, &server).await;
    drop(taken);
    assert!(is_served(&mut further).await);
}

/// A client at 127.0.0.`last`.
fn client_at(last: u8) -> reqwest::Client {
    let address = IpAddr::from([127, 0, 0, last]);
    reqwest::Client::builder().no_proxy().local_address(Some(address)).build().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn requests_of_one_address_leave_the_others_their_share() {
    let server = TestServer::start(Setup { connections: 4096, ..Setup::default() }).await;
    allow_files();
    let made = server.make_token("mary", 1).await.secret;
    let (greedy, calm) = (client_at(2), client_at(3));
    // It takes long to find out that a password is wrong.
    let guess = |number: usize| {
        let wrong = format!("wrong{number}");
        greedy.get(server.url(WHOAMI)).basic_auth("mary", Some(wrong)).send()
    };
    let mut guesses: FuturesUnordered<_> = (0..400).map(guess).collect();
    let mut statuses = Vec::new();
    while let Some(answered) = guesses.next().await {
        let answered = answered.unwrap();
        let status = answered.status().as_u16();
        assert_eq!(status == 503, answered.headers().contains_key("retry-after"), "{status}");
        statuses.push(status);
        if statuses.len() % 20 == 0 {
            for path in [WHOAMI, "/healthz", "/rest/api/latest/application-properties"] {
                let answered = calm.get(server.url(path)).bearer_auth(&made).send().await.unwrap();
                assert_eq!(answered.status(), 200, "{path}");
            }
        }
    }
    let busy = statuses.iter().filter(|status| **status == 503).count();
    assert!(busy >= 100 && statuses.contains(&401), "{busy} of {statuses:?}");
    let again = greedy.get(server.url("/healthz")).send().await.unwrap();
    assert_eq!(again.status(), 200, "it is over with the others");
}
