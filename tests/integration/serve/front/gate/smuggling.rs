//! Requests that two servers could read differently: the upstream sees one request at the most, and it is ours.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Gate, WRITES, secret, upstream::raw};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn the_upstream_sees_exactly_one_request_and_it_is_ours() {
    let (upstream, seen) = raw(ANSWER).await;
    let gate = Gate::before(upstream).await;
    let inner = "GET /rest/api/latest/admin HTTP/1.1\r\nHost: evil\r\nX-Smuggled: 1\r\n\r\n";
    let authorized = format!("Authorization: Bearer {}", secret(WRITES));
    let path = "/rest/api/latest/x";
    let post = |rest: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\n{authorized}\r\nConnection: close\r\n{rest}")
    };
    let get = |target: &str, rest: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n{authorized}\r\nConnection: close\r\n{rest}\r\n")
    };
    let cases = [
        post(&format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}")),
        post(&format!(
            "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n{inner}",
            inner.len() + 5
        )),
        post(&format!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{inner}")),
        post(&format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{inner}")),
        post(&format!("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{inner}")),
        post(&format!("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}")),
        post(&format!("Content-Length: 0\r\nContent-Length: 44\r\n\r\n{inner}")),
        post(&format!("Content-Length: +0\r\n\r\n{inner}")),
        post(&format!("Content-Length: 0\r\n\r\n{inner}")),
        post(&format!("X-Folded: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{inner}")),
        post(&format!("X-Bare: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{inner}")),
        post(&format!("X-Line: a\nContent-Length: 0\n\n{inner}")),
        get(path, "Host: b\r\n"),
        get(path, "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        get(path, "Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n"),
        get("http://b/rest/api/latest/x", ""),
        get("http://a/rest/api/latest/x", ""),
        get("/rest/api/latest/x#/../../admin", ""),
        get("/rest/api%2flatest/x", ""),
        get("/rest/api/latest/%2e%2e/admin", ""),
        get("/rest/api/latest//x", ""),
        get("/rest/api/latest/x;y=1/../z", ""),
        get("/rest/api/latest/x\\..\\admin", ""),
        get("/rest/api/latest/x%00", ""),
        get("*", ""),
        format!("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n{authorized}\r\n\r\n{inner}"),
    ];
    for case in cases {
        seen.lock().unwrap().clear();
        let mut client = TcpStream::connect(gate.server.address()).await.unwrap();
        client.write_all(case.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The end may be a reset, as what was not read is thrown away.
        let _ = client.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{case:?}: {answer}");
        let sent: Vec<String> =
            seen.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        let sent = sent.concat();
        let heads = sent.matches(" HTTP/1.1\r\n").count();
        assert!(heads <= 1, "{case:?}: {sent}");
        let passed = answer.starts_with("HTTP/1.1 200");
        assert_eq!(heads == 1, passed, "{case:?}: {answer} {sent}");
        assert!(!sent.to_lowercase().contains("x-smuggled"), "{case:?}: {sent}");
        if passed {
            assert!(
                sent.starts_with("POST /rest/api/latest/x HTTP/1.1\r\n")
                    || sent.starts_with("GET /rest/api/latest/x HTTP/1.1\r\n"),
                "{sent}"
            );
            assert_eq!(sent.to_lowercase().matches("\r\nhost: ").count(), 1, "{sent}");
            assert!(!sent.to_lowercase().contains("upgrade"), "{sent}");
        }
    }
}
