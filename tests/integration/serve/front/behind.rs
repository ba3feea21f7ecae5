//! The server behind the table of requests, by itself and with a gateway before it: a directory with the people and
//! tokens of the table, and what that server makes of each request without the gateway.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokenwarden::{
    model::{AddressSet, network::AddressRange, percent},
    serve::front::{
        Front, UpstreamLimits,
        classify::Prefixes,
        forward::Forwarder,
        judge::Browsers,
        mirror::{MirrorOptions, UnknownTokens},
    },
    targets::bitbucket::BitbucketOptions,
};

use super::{
    decoder,
    table::{Row, Sent},
    world::{AT, TOKENS, TokenRow, USERS},
};
use crate::{
    support::{SETTINGS, Setup, TestServer, answer, lay_over},
    targets::bitbucket::stub::{self, Stub},
};

/// Its own rules on what it is sent, as the status of its answer. Only what it refuses matters here.
pub(super) fn alone(headers: &HeaderMap, method: &str, target: &str) -> u16 {
    found(headers, method, target, &TOKENS).0
}

/// The status of its answer when it has these `tokens`, and whom it took the sender for.
pub(super) fn found(
    headers: &HeaderMap,
    method: &str,
    target: &str,
    tokens: &[TokenRow],
) -> (u16, Option<String>) {
    let lines: Vec<&HeaderValue> = headers.get_all(header::AUTHORIZATION).iter().collect();
    let writes = !["GET", "HEAD", "OPTIONS"].contains(&method);
    let pushes = target.contains("git-receive-pack") || (writes && !target.ends_with("git-upload-pack"));
    let cookie = headers.get(header::COOKIE).and_then(|cookie| cookie.to_str().ok());
    let user_of_session = cookie.and_then(|cookie| cookie.strip_prefix("BITBUCKETSESSIONID="));
    let may = |user: &str| (may(user, pushes), Some(user.to_owned()));
    let [line] = lines[..] else {
        return if lines.is_empty() { user_of_session.map_or((401, None), may) } else { (400, None) };
    };
    let line = line.to_str().unwrap();
    let ids = decoder::ids(line.as_bytes());
    if let Some(token) = tokens.iter().find(|token| ids.contains(token.id)) {
        // The whole secret is compared.
        let is_right = line.ends_with(&token.secret())
            || line.split(' ').next_back().and_then(|encoded| STANDARD.decode(encoded).ok()).is_some_and(
                |pair| String::from_utf8_lossy(&pair).ends_with(&format!(":{}", token.secret())),
            );
        let has_expired = token
            .expires
            .is_some_and(|expires| expires.parse::<Timestamp>().unwrap() <= AT.parse::<Timestamp>().unwrap());
        return match (is_right && !has_expired, token.scope) {
            (false, _) => (401, None),
            (true, 1) if pushes => (403, Some(token.owner.to_owned())),
            (true, _) => may(token.owner),
        };
    }
    match line.split_once(' ') {
        Some(("Basic", encoded)) => {
            let pair = String::from_utf8(STANDARD.decode(encoded).unwrap_or_default()).unwrap_or_default();
            match pair.split_once(':') {
                Some((user, password)) if password == format!("pw-{user}") => may(user),
                _ => (401, None),
            }
        }
        Some(("Bearer", secret)) => secret.strip_prefix("oauth2.").map_or((401, None), may),
        Some(("JWT" | "OAuth", _)) => (200, None),
        _ => (401, None),
    }
}

/// Whether `user` is one, and may push: contractors may not.
fn may(user: &str, pushes: bool) -> u16 {
    let known = USERS.iter().find(|(name, ..)| *name == user);
    match known {
        Some((.., false)) => 401,
        Some((name, ..)) if pushes && *name == "bob" => 403,
        Some(_) => 200,
        None if user.contains(' ') => 200,
        None => 401,
    }
}

/// That server over HTTP. Its answers show that they are its own.
pub(super) async fn server() -> SocketAddr {
    let answer = async |method: Method, uri: Uri, headers: HeaderMap| -> Response {
        let target = uri.path_and_query().unwrap().as_str();
        let (status, user) = found(&headers, method.as_str(), target, &TOKENS);
        let mut response = StatusCode::from_u16(status).unwrap().into_response();
        response.headers_mut().insert("x-upstream", HeaderValue::from_static("yes"));
        if let Some(user) = user.filter(|_| status != 401) {
            response.headers_mut().insert("x-ausername", percent::encode(&user).parse().unwrap());
        }
        response
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

/// A gateway before that server, which reads people and tokens from a directory of the same.
pub(super) struct Gateway {
    pub(super) server: TestServer,
    _directory: Stub,
    initial: Value,
}

impl Gateway {
    /// One that proxies at 127.0.0.1 are before, before the server at `behind`.
    pub(super) async fn before(behind: SocketAddr, browsers: Browsers) -> Self {
        let directory = directory().await;
        let source = MirrorOptions {
            bitbucket: directory.target_with(BitbucketOptions::default()),
            refresh: Duration::from_mins(5),
            max_age: Duration::from_mins(15),
            unknown_tokens: UnknownTokens::Ask,
        };
        let forwarder =
            Forwarder::new(format!("http://{behind}").parse().unwrap(), None, UpstreamLimits::default())
                .unwrap();
        let peers: AddressSet = ["127.0.0.1", "10.0.0.0/8"]
            .map(|text| text.parse::<AddressRange>().unwrap())
            .into_iter()
            .collect();
        let front = Front::new(forwarder, Prefixes::new("", "/scm"), browsers, peers);
        let server =
            TestServer::start(Setup { mirror: Some(source), front: Some(front), ..Setup::default() }).await;
        while server.request(Method::GET, "/readyz").send().await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
        for token in &TOKENS {
            let mut restriction = json!({});
            if let Some(end) = token.not_after {
                restriction["not_after"] = json!(end);
            }
            if token.narrowed {
                restriction["max_scope"] = json!("read-only");
            }
            if restriction != json!({}) {
                let path = format!("/rest/tokenwarden/1/restrictions/{}", token.id);
                let put = server.as_operator(Method::PUT, &path).header("if-none-match", "*");
                answer(put.json(&restriction), StatusCode::OK).await;
            }
        }
        let (initial, _) = server.settings().await;
        Self { server, _directory: directory, initial }
    }

    /// Makes `part`, laid over the settings of a new server, the settings, with one more proxy: the one that the test
    /// is.
    pub(super) async fn set(&self, part: &str) {
        let mut document = self.initial.clone();
        lay_over(&mut document, serde_json::from_str(part).unwrap());
        let source = &document["network"]["client_address"];
        let mut trusted = source["trusted_proxies"].as_array().cloned().unwrap_or_default();
        trusted.push(json!("127.0.0.1"));
        document["network"]["client_address"] = json!({"header": source["header"].as_str().unwrap_or("X-Forwarded-For"), "trusted_proxies": trusted});
        let (_, etag) = self.server.settings().await;
        let put = self.server.as_operator(Method::PUT, SETTINGS).header("if-match", etag);
        answer(put.json(&document), StatusCode::OK).await;
    }

    /// How many requests it decided on for each reason, those of proxies that asked or all others.
    pub(super) async fn reasons(&self, asked: bool) -> BTreeMap<String, u64> {
        let text =
            self.server.as_operator(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        let mut counts = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("tokenwarden_requests_total{")) {
            let of = |label: &str| {
                let rest = line.split_once(&format!("{label}=\"")).unwrap().1;
                rest.split_once('"').unwrap().0.to_owned()
            };
            if of("class").starts_with("authz-") == asked {
                *counts.entry(of("reason")).or_default() +=
                    line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
            }
        }
        counts
    }
}

/// A Bitbucket with the users, groups and tokens of the table.
async fn directory() -> Stub {
    let stub = Stub::start().await;
    {
        let mut contents = stub.contents();
        contents.users = [("warden", "warden", true)]
            .into_iter()
            .chain(USERS.iter().map(|(name, _, active)| (*name, *name, *active)))
            .collect();
        contents.administrators = vec!["warden", "root"];
        let groups: BTreeSet<&str> = USERS.iter().flat_map(|(_, groups, _)| groups.iter().copied()).collect();
        let members = |group| USERS.iter().filter(move |user| user.1.contains(&group)).map(|user| user.0);
        contents.groups = groups.into_iter().map(|group| (group, members(group).collect())).collect();
        let owners = USERS.iter().map(|(name, ..)| (format!("oauth2.{name}"), *name));
        contents.bearers = Some(owners.collect());
    }
    for token in &TOKENS {
        let path = match token.owner.split_once(' ') {
            Some(("project", key)) => format!("projects/{key}"),
            Some((_, place)) => format!("projects/{}", place.replace('/', "/repos/")),
            None => format!("users/{}", token.owner),
        };
        let permissions: &[&str] = match token.scope {
            1 => &["REPO_READ", "PROJECT_READ"],
            2 => &["REPO_ADMIN"],
            _ => &["SOMETHING_ELSE"],
        };
        let mut listed = stub::token(token.id, token.name, "2020-06-01T00:00:00Z", permissions);
        if let Some(expires) = token.expires {
            listed["expiryDate"] = json!(expires.parse::<Timestamp>().unwrap().as_millisecond());
        }
        stub.add(&path, listed);
    }
    stub
}

/// A client that sends targets as they are.
#[derive(Clone)]
pub(super) struct Sender(Client<HttpConnector, Body>);

/// How a request was answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// Whether the server behind answered it.
    pub(super) passed: bool,
    pub(super) body: String,
}

impl Sender {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends the request of `row` to `address`, through the proxies that it comes through.
    pub(super) async fn send(&self, address: SocketAddr, row: &Row) -> Answered {
        let (method, target) = row.request;
        let mut request = Request::builder().method(method).uri(format!("http://{address}{target}"));
        let headers = request.headers_mut().unwrap();
        headers.extend(row.sent.headers());
        let hops: Vec<&str> = [row.forwarded, row.peer].into_iter().filter(|hop| !hop.is_empty()).collect();
        headers.insert("x-forwarded-for", hops.join(", ").parse().unwrap());
        if !row.body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let response = self.0.request(request.body(Body::from(row.body)).unwrap()).await;
        let (parts, body) = response.unwrap_or_else(|error| panic!("{error:?}: {row:?}")).into_parts();
        let body = axum::body::to_bytes(Body::new(body), 1 << 20).await.unwrap();
        Answered {
            status: parts.status.as_u16(),
            passed: parts.headers.contains_key("x-upstream"),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

/// Whether what is sent is one request for LFS with two credentials, of which the server behind by itself takes its own.
pub(super) fn is_pair(sent: Sent) -> bool {
    matches!(sent, Sent::Two(..))
}
