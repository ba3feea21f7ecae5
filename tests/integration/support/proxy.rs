//! A network that fails: stands between a client and a real server, hands requests on or does not, and
//! treats the answers as it is told to. Keeps what it handed on.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value;
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What becomes of a request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is handed on, and so is the answer.
    Whole,
    /// The connection is cut before it is read.
    Reset,
    /// It is not handed on; this is said in the place of the server.
    Instead(Vec<u8>),
    /// It is handed on, and nobody hears of the answer: the connection is cut.
    AnswerLost,
    /// It is handed on, and the client waits for the answer until it has enough.
    AnswerWithheld,
    /// It is handed on, and the answer is cut half way.
    AnswerCut,
    /// It is handed on, and the answer comes byte by byte.
    AnswerInBytes,
    /// It is handed on, and this is said in the place of the server.
    AnswerReplaced(Vec<u8>),
    /// It is handed on, and where the answer says the first it says the second, which is as long.
    AnswerSaying(&'static str, &'static str),
}

/// A request that was handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// The path, with its query.
    pub(crate) path: String,
    /// The body; null without one.
    pub(crate) body: Value,
    /// What the server answered.
    pub(crate) status: u16,
}

/// Decides on a request, of which it sees method and path.
pub(crate) type Decide = dyn Fn(&str, &str) -> BoxFuture<'static, Fate> + Send + Sync;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Proxy {
    /// A proxy before `upstream` that runs as long as the test.
    pub(crate) async fn start(upstream: SocketAddr, decide: Arc<Decide>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&exchanges);
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let (decide, log) = (Arc::clone(&decide), Arc::clone(&log));
                tokio::spawn(async move {
                    // A client that went away is its own business.
                    let _ = carry(client, upstream, &*decide, &log).await;
                });
            }
        });
        Self { address, exchanges }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was handed on so far.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }
}

/// Carries one request on a connection of its own.
async fn carry(
    mut client: TcpStream,
    upstream: SocketAddr,
    decide: &Decide,
    log: &Mutex<Vec<Exchange>>,
) -> io::Result<()> {
    let mut begun = [0; 4096];
    let peeked = client.peek(&mut begun).await?;
    let line = String::from_utf8_lossy(&begun[..peeked]).lines().next().unwrap_or_default().to_owned();
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let fate = decide(&method, &path).await;
    if fate == Fate::Reset {
        // What was not read makes it a reset and not an orderly end.
        return Ok(());
    }
    let (head, body) = request(&mut client).await?;
    if let Fate::Instead(answer) = fate {
        return client.write_all(&answer).await;
    }
    let answer = ask(upstream, &head, &body).await?;
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = serde_json::from_slice(&body).unwrap_or_default();
    log.lock().unwrap().push(Exchange { method, path, body, status: status.unwrap_or_default() });
    match fate {
        Fate::AnswerLost => Ok(()),
        Fate::AnswerWithheld => client.read(&mut begun).await.map(|_| ()),
        Fate::AnswerCut => client.write_all(&answer[..answer.len() - 1 - answer.len() / 4]).await,
        Fate::AnswerReplaced(answer) => client.write_all(&answer).await,
        Fate::AnswerSaying(first, second) => {
            assert_eq!(first.len(), second.len());
            client.write_all(String::from_utf8(answer).unwrap().replace(first, second).as_bytes()).await
        }
        Fate::AnswerInBytes => {
            for byte in answer {
                client.write_all(&[byte]).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        _ => client.write_all(&answer).await,
    }
}

/// Head and body of a request; the head says that the connection ends with it.
async fn request(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8(read).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((head.trim_end().to_owned() + "\r\nconnection: close\r\n\r\n", body))
}

/// The server's answer, as it comes.
async fn ask(upstream: SocketAddr, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(head.as_bytes()).await?;
    server.write_all(body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// An answer in HTTP/1.1, with `headers` as lines.
pub(crate) fn answer(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let headers = headers.iter().flat_map(|line| [*line, "\r\n"]).collect::<String>();
    let (body, length) = (body.as_ref(), body.as_ref().len());
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// A server of whose answers each is what `decide` makes of method and path.
pub(crate) async fn stub(decide: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Proxy {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let decide = move |method: &str, path: &str| {
        let fate = Fate::Instead(decide(method, path));
        std::future::ready(fate).boxed()
    };
    Proxy::start(nobody, Arc::new(decide)).await
}
