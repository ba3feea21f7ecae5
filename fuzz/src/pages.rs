//! A server on this machine that answers the listing of tokens with the bytes of the fuzzer, and the same to
//! everything else every time.

use std::{
    collections::{BTreeSet, VecDeque},
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::Value;
use tokenwarden::{
    http::{CallLimits, HttpClient, HttpCredential, Retries},
    inventory::{
        Coverage, InventoryReader,
        snapshot::{self, About, GroupSelection, Snapshot},
    },
    targets::{self, Sight},
};

/// What stands between two pages in the bytes of the fuzzer: a line of its own in a seed.
const BETWEEN: &[u8] = b"\n--\n";

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
});

/// What the server answers to a path with its query: the bytes of the fuzzer where it is `Tokens`.
pub enum Answer {
    /// The next page of the fuzzer; the empty page behind the last one.
    Tokens,
    /// This JSON.
    Json(String),
    /// There is no such thing.
    Absent,
}

/// The server.
pub struct Pages {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: fn(&str) -> Answer,
    empty: &'static str,
    left: Mutex<VecDeque<Vec<u8>>>,
    served: Mutex<Vec<Vec<u8>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pages {
    /// A server that gives `answer`; `empty` is a page of tokens without one.
    pub fn start(answer: fn(&str) -> Answer, empty: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { answer, empty, left: Mutex::default(), served: Mutex::default() });
        let for_connections = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&for_connections);
                thread::spawn(move || shared.serve(connection));
            }
        });
        Self { address, shared }
    }

    /// A client of the server, which tries every call once.
    pub fn client(&self) -> HttpClient {
        let retries = Retries { tries_when_broken: 1, tries_when_busy: 1, ..Retries::default() };
        let limits = CallLimits { call: Duration::from_secs(5), retries, ..CallLimits::default() };
        let credential =
            HttpCredential::Basic { user: "warden".to_owned(), secret: "the password of warden".into() };
        HttpClient::with_limits(&format!("http://{}", self.address), credential, None, limits)
            .expect("a client")
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream) {
        // A client that goes away is none of our business.
        let _ = self.serve_until_it_ends(connection);
    }

    fn serve_until_it_ends(&self, mut connection: TcpStream) -> io::Result<()> {
        connection.set_nodelay(true)?;
        let mut lines = BufReader::new(connection.try_clone()?).lines();
        while let Some(request) = lines.next().transpose()? {
            while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
            let path = request.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match (self.answer)(path) {
                Answer::Tokens => ("200 OK", self.next_page()),
                Answer::Json(body) => ("200 OK", body.into_bytes()),
                Answer::Absent => ("404 Not Found", b"{}".to_vec()),
            };
            let mut answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-AUSERNAME: warden\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes();
            answer.extend(body);
            connection.write_all(&answer)?;
        }
        Ok(())
    }

    fn next_page(&self) -> Vec<u8> {
        let page = lock(&self.left).pop_front().unwrap_or_else(|| self.empty.as_bytes().to_vec());
        lock(&self.served).push(page.clone());
        page
    }
}

fn split(mut bytes: &[u8]) -> VecDeque<Vec<u8>> {
    let mut pages = VecDeque::new();
    while let Some(at) = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        pages.push_back(bytes[..at].to_vec());
        bytes = &bytes[at + BETWEEN.len()..];
    }
    pages.push_back(bytes.to_vec());
    pages
}

/// Reads the target `reader` of `kind` while `pages` lists the tokens in `bytes`. What is read can be written as
/// a snapshot and read again; and where everything is said to have been seen, every token that a page has was.
pub fn tokens_are_whole(pages: &Pages, kind: &'static str, reader: &impl InventoryReader, bytes: &[u8]) {
    *lock(&pages.shared.left) = split(bytes);
    lock(&pages.shared.served).clear();
    let about = About { target: "prod", kind, seen_at: jiff::Timestamp::UNIX_EPOCH, budget: None };
    let mut written = Vec::new();
    let taken = RUNTIME.block_on(snapshot::write(
        &about,
        &GroupSelection::Named(BTreeSet::new()),
        reader,
        &mut written,
    ));
    if let Err(error) = taken {
        assert!(!error.to_string().is_empty());
        return;
    }
    let calls = |_: &str, kind: &str| targets::calls_of(kind, Sight::default());
    let snapshot = Snapshot::open("snapshot", io::Cursor::new(written), calls).expect("what was written");
    let mut seen = BTreeSet::new();
    let mut each = |token: tokenwarden::model::Token| {
        let id = token.id.as_str().to_owned();
        assert!(seen.insert(id), "a token was read twice");
    };
    let coverage = RUNTIME.block_on(snapshot.tokens(&mut each)).expect("what was written");
    if coverage == Coverage::Complete {
        let served = lock(&pages.shared.served);
        for id in served.iter().flat_map(|page| ids(page)) {
            assert!(seen.contains(&id), "the token {id} was passed over without a word");
        }
    }
}

/// The identifiers on a page, read in another way than the targets read them.
fn ids(page: &[u8]) -> Vec<String> {
    let page: Value = serde_json::from_slice(page).expect("a page of a whole listing is JSON");
    let tokens = page.as_array().or(page["content"].as_array()).or(page["values"].as_array());
    let id = |token: &Value| match &token["id"] {
        Value::String(id) => id.clone(),
        id => id.to_string(),
    };
    tokens.expect("a page of a whole listing has tokens").iter().map(id).collect()
}

/// A page of Bitbucket with `values`, the only one.
pub fn one_page(values: &str) -> String {
    let size = usize::from(!values.is_empty());
    format!(r#"{{"size": {size}, "limit": 25, "isLastPage": true, "values": [{values}], "start": 0}}"#)
}

/// What a Bitbucket with the one user `mary` and no groups answers beside tokens.
pub fn answer_of_bitbucket(path: &str) -> Answer {
    Answer::Json(match path {
        "/rest/api/latest/application-properties" => r#"{"version": "9.4.2", "buildNumber": 9004002}"#.to_owned(),
        "/rest/basicauth/latest/config" => {
            r#"{"block-requests": false, "allowed-paths": [], "allowed-users": [], "show-warning-message": true}"#
                .to_owned()
        }
        "/rest/api/1.0/users" | "/rest/api/latest/admin/users" => {
            one_page(r#"{"name": "mary", "slug": "mary", "active": true, "id": 52, "type": "NORMAL"}"#)
        }
        path if path.starts_with("/rest/api/latest/admin/rate-limit/") => return Answer::Absent,
        _ => one_page(""),
    })
}
