//! A server behind the gateway that proves tokens in the form of Bitbucket's, serves Git with `git http-backend`, and
//! remembers what it was sent.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ENDED, READS, WRITES, http_backend, lfs, secret};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The upstream while it runs.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    folder: Arc<TempDir>,
}

struct Shared {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    root: PathBuf,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let (folder, arrived) = (Arc::new(TempDir::new().unwrap()), Arc::<Mutex<Vec<Arrived>>>::default());
        let shared = Shared { arrived: Arc::clone(&arrived), root: folder.path().to_owned() };
        let router =
            Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::new(shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, arrived, folder }
    }

    /// What arrived since the last time.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut self.arrived.lock().unwrap())
    }

    /// The one request that arrived.
    pub(super) fn only(&self) -> Arrived {
        let arrived = self.arrived();
        let [one] = arrived.as_slice() else { panic!("one request: {arrived:?}") };
        one.clone()
    }

    /// Where its repositories are.
    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }
}

/// The header that this server believes, if there is one.
pub(super) const BELIEVED: &str = "x-webauth-user";

/// Whether the secret in `headers` is one of a token that still holds here: the upstream does not know of restrictions.
pub(super) fn is_proved(headers: &HeaderMap) -> bool {
    if headers.get(BELIEVED).is_some_and(|who| who == "mary") {
        return true;
    }
    let Some(text) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let found = match text.split_once(' ') {
        Some(("Basic", encoded)) => {
            let decoded = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
            decoded.split_once(':').unwrap().1.to_owned()
        }
        Some((_, bearer)) => bearer.to_owned(),
        None => return false,
    };
    [WRITES, READS, ENDED].iter().any(|id| found == secret(id))
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    let (arrived, root) = (Arc::clone(&shared.arrived), shared.root.clone());
    arrived.lock().unwrap().push(Arrived {
        method: method.clone(),
        path,
        headers: headers.clone(),
        body: body.clone(),
    });
    if let Some(response) = lfs::answer(&root, &method, &uri, &headers, &body) {
        return response;
    }
    let is_git = uri.path().starts_with("/scm/");
    if (is_git || headers.contains_key(header::AUTHORIZATION)) && !is_proved(&headers) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Atlassian Bitbucket\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "no").into_response();
    }
    if is_git {
        return tokio::task::spawn_blocking(move || git(&root, &method, &uri, &headers, &body))
            .await
            .unwrap();
    }
    let mut response = format!("{method} {} {}", uri.path(), body.len()).into_response();
    let added = response.headers_mut();
    if headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE) {
        added.insert("x-ausername", "mary%40example.com".parse().unwrap());
    }
    added.insert(header::SET_COOKIE, "BITBUCKETSESSIONID=1".parse().unwrap());
    added.insert("x-upstream", "yes".parse().unwrap());
    added.insert(header::CACHE_CONTROL, "max-age=60".parse().unwrap());
    response
}

/// What `git http-backend` answers.
fn git(root: &Path, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    let mut child = http_backend::program(root, method, uri, headers)
        .env("CONTENT_LENGTH", body.len().to_string())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let body = body.clone();
    let writing = std::thread::spawn(move || {
        // It may know enough before the end.
        let _ = input.write_all(&body);
    });
    let output = child.wait_with_output().unwrap().stdout;
    writing.join().unwrap();
    let (response, body_at) = http_backend::head(&output).unwrap();
    let response = response.header("x-ausername", "mary%40example.com");
    response.body(Body::from(output[body_at..].to_vec())).unwrap()
}

/// An upstream that takes one connection after another, keeps what it reads, and says `answer` to each head.
pub(super) async fn raw(answer: &'static [u8]) -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (mut buffer, mut here, mut answered) = ([0; 4096], Vec::new(), 0);
                while let Ok(read) = stream.read(&mut buffer).await {
                    if read == 0 {
                        break;
                    }
                    here.extend_from_slice(&buffer[..read]);
                    kept.lock().unwrap().push(buffer[..read].to_vec());
                    let heads = here.windows(4).filter(|window| *window == b"\r\n\r\n").count();
                    while answered < heads {
                        answered += 1;
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}
