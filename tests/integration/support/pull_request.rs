//! A server with what Bitbucket Data Center has for pull requests: comments, Code Insights, build status,
//! as its OpenAPI documents say.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// The user that the server takes every caller for.
/// Who reviews. The header of every answer has the name URL-encoded, as Bitbucket sends it.
pub(crate) const WE: &str = "Warden+Bot@example.com";
/// The commit at the head of the pull request.
pub(crate) const HEAD: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567";
const REPOSITORY: &str = "/projects/OPS/repos/policies";

/// What the server keeps.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) comments: BTreeMap<u64, Value>,
    /// Reports by key, each with its annotations.
    pub(crate) reports: BTreeMap<String, (Value, Vec<Value>)>,
    pub(crate) builds: Vec<Value>,
    /// How many updates of a comment are answered with 409, since somebody was faster.
    pub(crate) conflicts: u32,
    pub(crate) authorizations: Vec<String>,
    next: u64,
}

impl Kept {
    /// Adds a comment of `author`.
    pub(crate) fn comment(&mut self, author: &str, text: &str) -> u64 {
        self.next += 1;
        let comment = json!({"id": self.next, "version": 0, "text": text, "author": {"name": author}});
        self.comments.insert(self.next, comment);
        self.next
    }
}

/// The server, while it runs.
pub(crate) struct PullRequests {
    address: SocketAddr,
    pub(crate) kept: Arc<Mutex<Kept>>,
}

impl PullRequests {
    pub(crate) async fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&kept));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, kept }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn comments(&self) -> Vec<Value> {
        self.kept.lock().unwrap().comments.values().cloned().collect()
    }
}

type Parameters = BTreeMap<String, String>;

async fn answer(
    State(kept): State<Arc<Mutex<Kept>>>,
    Query(query): Query<Parameters>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut kept = kept.lock().unwrap();
    let authorization = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    kept.authorizations.push(authorization.unwrap_or_default());
    let (status, answer) = handle(&mut kept, &parts.method, parts.uri.path(), &query, body);
    let mut response = if status == StatusCode::NO_CONTENT {
        status.into_response()
    } else {
        (status, Json(answer)).into_response()
    };
    response.headers_mut().insert("x-ausername", "warden%2Bbot%40example.com".parse().unwrap());
    response
}

fn error(message: &str) -> Value {
    json!({"errors": [{"context": null, "message": message, "exceptionName": null}]})
}

fn handle(
    kept: &mut Kept,
    method: &Method,
    path: &str,
    query: &Parameters,
    body: Value,
) -> (StatusCode, Value) {
    let pull_request = format!("/rest/api/latest{REPOSITORY}/pull-requests/7");
    let report = format!("/rest/insights/latest{REPOSITORY}/commits/{HEAD}/reports/");
    if let Some(rest) = path.strip_prefix(&report) {
        return insights(kept, method, rest, body);
    }
    if path == format!("/rest/api/latest{REPOSITORY}/commits/{HEAD}/builds") && method == Method::POST {
        assert!(["key", "state", "url"].iter().all(|key| body[key].is_string()), "{body}");
        kept.builds.push(body);
        return (StatusCode::NO_CONTENT, Value::Null);
    }
    match (method.as_str(), path.strip_prefix(&pull_request)) {
        ("GET", Some("")) => {
            (StatusCode::OK, json!({"id": 7, "fromRef": {"id": "refs/heads/edit", "latestCommit": HEAD}}))
        }
        ("GET", Some("/activities")) => (StatusCode::OK, activities(kept, query)),
        ("POST", Some("/comments")) => {
            let id = kept.comment(WE, body["text"].as_str().unwrap());
            (StatusCode::CREATED, kept.comments[&id].clone())
        }
        (_, Some(rest)) if rest.starts_with("/comments/") => {
            let id: u64 = rest.trim_start_matches("/comments/").parse().unwrap();
            change_comment(kept, method, id, query, &body)
        }
        _ => (StatusCode::NOT_FOUND, error("there is no such thing")),
    }
}

/// Pages of two, with entries of other kinds between the comments, the newest first.
fn activities(kept: &Kept, query: &Parameters) -> Value {
    let comments =
        kept.comments.values().rev().map(|comment| json!({"action": "COMMENTED", "comment": comment}));
    let all: Vec<Value> = comments.chain([json!({"action": "OPENED"})]).collect();
    let start: usize = query.get("start").map_or(0, |start| start.parse().unwrap());
    let end = (start + 2).min(all.len());
    let last = end == all.len();
    let mut page = json!({"size": end - start, "limit": 2, "isLastPage": last, "start": start, "values": all[start..end]});
    if !last {
        page["nextPageStart"] = json!(end);
    }
    page
}

fn change_comment(
    kept: &mut Kept,
    method: &Method,
    id: u64,
    query: &Parameters,
    body: &Value,
) -> (StatusCode, Value) {
    let Some(comment) = kept.comments.get_mut(&id) else {
        return (StatusCode::NOT_FOUND, error("no such comment"));
    };
    assert_eq!(comment["author"]["name"], WE, "nobody changes what others wrote");
    if *method == Method::DELETE {
        assert_eq!(query["version"], comment["version"].to_string());
        kept.comments.remove(&id);
        return (StatusCode::NO_CONTENT, Value::Null);
    }
    if kept.conflicts > 0 {
        kept.conflicts -= 1;
        comment["version"] = json!(comment["version"].as_u64().unwrap() + 1);
    }
    if body["version"] != comment["version"] {
        return (StatusCode::CONFLICT, error("the comment is out of date"));
    }
    comment["text"] = body["text"].clone();
    comment["version"] = json!(body["version"].as_u64().unwrap() + 1);
    (StatusCode::OK, comment.clone())
}

fn insights(kept: &mut Kept, method: &Method, rest: &str, body: Value) -> (StatusCode, Value) {
    match (method.as_str(), rest.strip_suffix("/annotations")) {
        ("DELETE", None) => {
            kept.reports.remove(rest);
            (StatusCode::NO_CONTENT, Value::Null)
        }
        ("PUT", None) => {
            assert!(body["data"].as_array().unwrap().len() <= 6, "{body}");
            assert!(body["title"].is_string(), "{body}");
            kept.reports.insert(rest.to_owned(), (body.clone(), Vec::new()));
            (StatusCode::OK, body)
        }
        ("POST", Some(key)) => {
            let Some((_, annotations)) = kept.reports.get_mut(key) else {
                return (StatusCode::NOT_FOUND, error("no such report"));
            };
            annotations.extend(body["annotations"].as_array().unwrap().iter().cloned());
            assert!(annotations.len() <= 1000, "Bitbucket refuses more");
            (StatusCode::NO_CONTENT, Value::Null)
        }
        _ => (StatusCode::NOT_FOUND, error("there is no such thing")),
    }
}
