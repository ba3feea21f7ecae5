//! Connections of nobody who is known: how many there may be, and how long one may be silent.

use std::net::{IpAddr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Setup, TestServer};

/// A connection from 127.0.0.`last`.
async fn connect_from(last: u8, server: &TestServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::from([127, 0, 0, last]), 0)).unwrap();
    socket.connect(server.address()).await.unwrap()
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
    let server = TestServer::new().await;
    let beginnings: [&[u8]; 5] = [b"", b"P", b"G", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"];
    let ends = beginnings.map(async |beginning| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut told = Vec::new();
        // An error is an end too.
        let _ = stream.read_to_end(&mut told).await;
    });
    let end = tokio::time::timeout(std::time::Duration::from_secs(40), futures_util::future::join_all(ends));
    end.await.expect("each of them ends");
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

#[cfg(target_os = "linux")]
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
