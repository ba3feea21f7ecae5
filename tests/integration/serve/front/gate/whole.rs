//! A whole server behind the gateway, as a process meets it at one address: the REST that the mirror reads, Git whose
//! packs are not kept in memory, and an answer for everything else that a good token comes with.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_server::tls_rustls::RustlsConfig;
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{MARY, READS, WRITES, http_backend, secret};
use crate::{
    support::client,
    targets::bitbucket::stub::{Stub, token},
};

/// The server while it runs.
pub(super) struct Whole {
    pub(super) address: SocketAddr,
    pub(super) stub: Arc<Stub>,
    folder: TempDir,
}

struct Shared {
    stub: Arc<Stub>,
    http: reqwest::Client,
    root: PathBuf,
}

impl Whole {
    pub(super) async fn start() -> Self {
        Self::begin(None).await
    }

    /// Over TLS, with this certificate and key in PEM.
    pub(super) async fn with_tls(certificate: String, key: String) -> Self {
        let config = RustlsConfig::from_pem(certificate.into_bytes(), key.into_bytes()).await.unwrap();
        Self::begin(Some(config)).await
    }

    async fn begin(tls: Option<RustlsConfig>) -> Self {
        let (folder, stub) = (TempDir::new().unwrap(), Arc::new(Stub::start().await));
        stub.contents().bearer = MARY;
        for (id, permission) in [(WRITES, "REPO_ADMIN"), (READS, "REPO_READ")] {
            stub.add("users/mary_example.com", token(id, id, "2025-01-01T00:00:00Z", &[permission]));
        }
        let shared = Shared { stub: Arc::clone(&stub), http: client(), root: folder.path().to_owned() };
        let service = Router::new().fallback(answer).with_state(Arc::new(shared)).into_make_service();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        if let Some(config) = tls {
            let server = axum_server::from_tcp_rustls(listener, config).unwrap();
            tokio::spawn(server.serve(service));
        } else {
            let server = axum_server::from_tcp(listener).unwrap();
            tokio::spawn(server.serve(service));
        }
        Self { address, stub, folder }
    }

    /// Where its repositories are.
    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }
}

impl Shared {
    /// Whether the secret in `headers` is one of a token that there is.
    fn is_proved(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(header::AUTHORIZATION).and_then(|line| line.to_str().ok()).unwrap_or_default();
        let contents = self.stub.contents();
        let mut ids = contents.tokens.values().flatten().filter_map(|token| token["id"].as_str());
        ids.any(|id| sent == format!("Bearer {}", secret(id)))
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if path.starts_with("/rest/api/") || path.starts_with("/rest/access-tokens/") {
        let url = format!("{}{}", shared.stub.url(), parts.uri);
        let mut relayed = shared.http.request(parts.method, url);
        if let Some(credential) = parts.headers.get(header::AUTHORIZATION) {
            relayed = relayed.header(header::AUTHORIZATION, credential);
        }
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let answered = relayed.body(body).send().await.unwrap();
        let mut response = Response::builder().status(answered.status());
        for name in ["content-type", "x-ausername"] {
            if let Some(value) = answered.headers().get(name) {
                response = response.header(name, value);
            }
        }
        return response.body(Body::from(answered.bytes().await.unwrap())).unwrap();
    }
    if !shared.is_proved(&parts.headers) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Atlassian Bitbucket\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "no").into_response();
    }
    let mut response = if path.starts_with("/scm/") {
        git(&shared.root, &parts.method, &parts.uri, &parts.headers, body).await
    } else {
        "ok".into_response()
    };
    response.headers_mut().insert("x-ausername", "mary%40example.com".parse().unwrap());
    response
}

/// What `git http-backend` answers, as it answers, to a body as it comes.
async fn git(
    root: &Path,
    method: &Method,
    uri: &axum::http::Uri,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let mut child = http_backend::program(root, method, uri, headers).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (to_git, mut for_git) = mpsc::channel::<Bytes>(4);
    tokio::spawn(async move {
        let mut chunks = body.into_data_stream();
        while let Some(Ok(chunk)) = chunks.next().await {
            if to_git.send(chunk).await.is_err() {
                break;
            }
        }
    });
    tokio::task::spawn_blocking(move || {
        while let Some(chunk) = for_git.blocking_recv() {
            // It may know enough before the end.
            if input.write_all(&chunk).is_err() {
                break;
            }
        }
    });
    let (to_client, mut for_client) = mpsc::channel::<Bytes>(4);
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            if to_client.blocking_send(Bytes::copy_from_slice(&buffer[..read])).is_err() {
                break;
            }
        }
        child.wait().unwrap();
    });
    let mut begun = Vec::new();
    let (response, body_at) = loop {
        if let Some(whole) = http_backend::head(&begun) {
            break whole;
        }
        begun.extend_from_slice(&for_client.recv().await.unwrap());
    };
    let rest = Bytes::copy_from_slice(&begun[body_at..]);
    let rest = futures_util::stream::iter([rest])
        .chain(futures_util::stream::poll_fn(move |context| for_client.poll_recv(context)));
    response.body(Body::from_stream(rest.map(Ok::<_, std::io::Error>))).unwrap()
}
