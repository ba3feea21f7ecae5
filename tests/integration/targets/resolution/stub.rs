//! A product with the app, as far as the vendor's documentation and answers of live servers show it. Each
//! way in which versions are known to differ, and each that nobody knows, can be chosen. It counts calls and
//! writes, and can lose answers.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokenwarden::{
    http::{HttpClient, HttpCredential},
    model::{MarkKey, Marker, mapping::Product, percent},
    targets::resolution::{Resolution, ResolutionOptions},
};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const KEY: &str = "a key for the marks of the tests";
/// The name of the target.
pub(crate) const TARGET: &str = "prod";
/// Where this server keeps its settings.
pub(crate) const SETTINGS: &str = "/rest/app/1/configuration";
const APP: &str = "/rest/de.resolution.apitokenauth/latest/user/";

/// How the listing of tokens is written and what it heeds.
pub(crate) struct Listing {
    /// A bare list, otherwise an object with `content`.
    pub(crate) bare: bool,
    /// What a token's words are called.
    pub(crate) words: &'static str,
    /// Fields that are left out.
    pub(crate) silent_on: Vec<&'static str>,
    /// The most tokens on a page.
    pub(crate) page: usize,
    /// Whether filters, and pages, are heeded.
    pub(crate) filters: bool,
    pub(crate) pages: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a way in which versions and servers differ")]
pub(crate) struct Contents {
    /// Name, key, whether active.
    pub(crate) users: Vec<(&'static str, &'static str, bool)>,
    /// The user that it takes us for.
    pub(crate) we: &'static str,
    pub(crate) groups: BTreeMap<&'static str, Vec<&'static str>>,
    pub(crate) tokens: Vec<Value>,
    pub(crate) listing: Listing,
    pub(crate) settings: Value,
    /// The settings are behind a page to log in on.
    pub(crate) login_page: bool,
    /// Settings are accepted and not kept.
    pub(crate) forgets_settings: bool,
    /// The settings have a version, which somebody else moves on so many times just before they are written.
    pub(crate) saved_elsewhere: Option<u32>,
    /// A proxy makes the versions weak, as it does when it compresses.
    pub(crate) weak_versions: bool,
    /// `DELETE` answers 204 without a body, otherwise 200 with `true`.
    pub(crate) no_content: bool,
    /// `DELETE` answers 200 with `false`.
    pub(crate) refuses_to_revoke: bool,
    /// Beginnings of `METHOD path` that are answered with 403.
    pub(crate) refused: Vec<&'static str>,
    /// Beginnings of paths that this version does not have.
    pub(crate) unknown: Vec<&'static str>,
    /// Passwords, and whatever is sent as one, are refused.
    pub(crate) passwords_off: bool,
    /// Confluence does not say who is active.
    pub(crate) hides_activity: bool,
    /// What becomes of the answers to reads of this path.
    pub(crate) rewritten: Vec<(&'static str, Rewriting)>,
    /// What happens once a call of this path was answered.
    pub(crate) then: Vec<(&'static str, Happening)>,
    /// So many answers to writes are lost after the write.
    pub(crate) lost_answers: u32,
    pub(crate) calls: Vec<String>,
    pub(crate) writes: Vec<(String, Value)>,
}

/// Something that changes an answer.
pub(crate) type Rewriting = Box<dyn Fn(&mut Value) + Send>;

/// Something that changes the server.
pub(crate) type Happening = Box<dyn FnOnce(&mut Contents) + Send>;

pub(crate) struct Stub {
    contents: Arc<Mutex<Contents>>,
    address: SocketAddr,
}

/// A token of the user with `key`. It was made in March 2024, never used, and never expires.
pub(crate) fn token(id: u64, key: &str, scope: u8, words: &str) -> Value {
    json!({"id": id, "userKey": key, "tokenScope": scope, "words": words,
           "created": 1_709_712_640_000_i64, "lastAccessed": 0, "validUntil": 0})
}

impl Stub {
    pub(crate) async fn start() -> Self {
        let contents = Contents {
            users: vec![("warden", "1", true), ("mary", "2", true), ("gone", "3", false)],
            we: "warden",
            groups: BTreeMap::from([("ci-bots", vec!["gone"]), ("devs", vec!["mary", "warden"])]),
            tokens: Vec::new(),
            listing: Listing {
                bare: false,
                words: "description",
                silent_on: vec!["userKey", "tokenScope"],
                page: 2,
                filters: true,
                pages: true,
            },
            settings: json!({}),
            login_page: false,
            forgets_settings: false,
            saved_elsewhere: None,
            weak_versions: false,
            no_content: false,
            refuses_to_revoke: false,
            refused: Vec::new(),
            unknown: Vec::new(),
            passwords_off: false,
            hides_activity: false,
            rewritten: Vec::new(),
            then: Vec::new(),
            lost_answers: 0,
            calls: Vec::new(),
            writes: Vec::new(),
        };
        let contents = Arc::new(Mutex::new(contents));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&contents));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { contents, address }
    }

    /// With tokens 1 to 5: two of mary, one of somebody who left, one of ours, and one of mary again.
    pub(crate) async fn filled() -> Self {
        let stub = Self::start().await;
        stub.contents().tokens = vec![
            token(1, "2", 2, "Automation token"),
            token(2, "2", 1, "reports"),
            token(3, "3", 2, "left over"),
            token(4, "1", 2, "tokenwarden"),
            token(5, "2", 0, "older than scopes"),
        ];
        stub
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    /// Lets `happening` come to pass once a call of `path` was answered.
    pub(crate) fn after(&self, path: &'static str, happening: impl FnOnce(&mut Contents) + Send + 'static) {
        self.contents().then.push((path, Box::new(happening)));
    }

    /// Lets `rewriting` change what is answered at `path`.
    pub(crate) fn rewrite(&self, path: &'static str, rewriting: impl Fn(&mut Value) + Send + 'static) {
        self.contents().rewritten.push((path, Box::new(rewriting)));
    }

    /// The words of the token `id`.
    pub(crate) fn words(&self, id: u64) -> String {
        let contents = self.contents();
        let token = contents.tokens.iter().find(|token| token["id"] == id).unwrap();
        token["words"].as_str().unwrap().to_owned()
    }

    pub(crate) fn target(&self) -> Resolution {
        self.target_with(ResolutionOptions { marker: Some(marker()), ..ResolutionOptions::default() })
    }

    /// The target, reached with the password of `warden`.
    pub(crate) fn target_with(&self, options: ResolutionOptions) -> Resolution {
        let credential = HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
        self.target_as(credential, ResolutionOptions { password: true, ..options })
    }

    pub(crate) fn target_in(&self, product: Product) -> Resolution {
        self.target_with(ResolutionOptions {
            product,
            marker: Some(marker()),
            ..ResolutionOptions::default()
        })
    }

    pub(crate) fn target_as(&self, credential: HttpCredential, options: ResolutionOptions) -> Resolution {
        Resolution::new(HttpClient::new(&self.url(), credential, None).unwrap(), "app", options)
    }
}

pub(crate) fn marker() -> Marker {
    Resolution::marker(MarkKey::new(KEY).unwrap(), TARGET)
}

/// The user who calls, of whom nobody but `warden` ever does.
fn caller(headers: &HeaderMap) -> Option<&'static str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(secret) = text.strip_prefix("Bearer ") {
        return (secret != "revoked").then_some("warden");
    }
    let decoded = String::from_utf8(STANDARD.decode(text.strip_prefix("Basic ")?).ok()?).ok()?;
    (decoded == format!("warden:{PASSWORD}")).then_some("warden")
}

async fn answer(
    State(contents): State<Arc<Mutex<Contents>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut contents = contents.lock().unwrap();
    let call = format!("{method} {}", uri.path());
    contents.calls.push(call.clone());
    let user = caller(&headers).map(|_| contents.we);
    if user.is_none() && uri.path() == "/rest/api/user/current" {
        return axum::Json(json!({"type": "anonymous", "displayName": "Anonymous"})).into_response();
    }
    let Some(user) = user else {
        let message = json!({"errors": [{"message": "You are not permitted to access this resource"}]});
        return (StatusCode::UNAUTHORIZED, axum::Json(message)).into_response();
    };
    if contents.passwords_off && headers[header::AUTHORIZATION].as_bytes().starts_with(b"Basic ") {
        let message = json!({"message": "Basic Authentication has been disabled on this instance."});
        return (StatusCode::FORBIDDEN, axum::Json(message)).into_response();
    }
    if contents.refused.iter().any(|refused| call.starts_with(refused)) {
        return (StatusCode::FORBIDDEN, axum::Json(json!({"errorMessage": "Not for you."}))).into_response();
    }
    if contents.unknown.iter().any(|path| uri.path().starts_with(path)) {
        let message = json!({"message": "null for uri", "status-code": 404});
        return (StatusCode::NOT_FOUND, axum::Json(message)).into_response();
    }
    if uri.path() == SETTINGS && contents.saved_elsewhere.is_some() {
        return contents.versioned(&method, &headers, &body);
    }
    let mut response = contents.answer(&method, &uri, &body);
    if let Some(next) = contents.then.iter().position(|(path, _)| *path == uri.path()) {
        let (_, happening) = contents.then.remove(next);
        happening(&mut contents);
    }
    if method != Method::GET && response.status().is_success() && contents.lost_answers > 0 {
        contents.lost_answers -= 1;
        return (StatusCode::GATEWAY_TIMEOUT, "<html>a proxy lost it</html>").into_response();
    }
    response.headers_mut().insert("x-ausername", percent::encode(user).parse().unwrap());
    response
}

fn not_found(message: &str) -> Response {
    let body = json!({"errorMessages": [message], "errors": {}});
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}

impl Contents {
    fn answer(&mut self, method: &Method, uri: &Uri, body: &Bytes) -> Response {
        let query = query(uri);
        let path = uri.path().to_owned();
        if let Some(path) = path.strip_prefix(APP) {
            return match (method, path.strip_prefix("token/")) {
                (&Method::GET, _) if path == "tokensByFilter" => self.list(&query),
                (_, Some(id)) => self.token(method, id.parse().unwrap(), body),
                _ => not_found("no such resource"),
            };
        }
        if path == SETTINGS {
            return self.configuration(method, body);
        }
        super::directories::answer(self, &path, &query).unwrap_or_else(|| not_found("no such resource"))
    }

    fn list(&self, query: &[(String, String)]) -> Response {
        let of = |name: &str| -> Vec<&str> {
            query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
        };
        let (keys, scopes) = (of("userFilter"), of("tokenScope"));
        let is_asked_for = |token: &&Value| {
            let key = token["userKey"].as_str().unwrap();
            let scope = token["tokenScope"].to_string();
            !self.listing.filters
                || (keys.is_empty() || keys.contains(&key))
                    && (scopes.is_empty() || scopes.contains(&scope.as_str()))
        };
        let number = |name: &str| of(name).first().map(|value| value.parse::<usize>().unwrap());
        let page = if self.listing.pages { number("page").unwrap_or(0) } else { 0 };
        let limit = number("limit").unwrap_or(usize::MAX).min(self.listing.page);
        let shown = self.tokens.iter().filter(is_asked_for).skip(page * limit).take(limit);
        let items: Vec<Value> = shown.map(|token| self.shown(token)).collect();
        let mut body = if self.listing.bare { json!(items) } else { json!({"content": items}) };
        self.rewrite_answer("tokensByFilter", &mut body);
        let kind = [(header::CONTENT_TYPE, "application/json;charset=UTF-8")];
        (kind, body.to_string()).into_response()
    }

    /// Changes `body`, the answer at `path`, as was asked for.
    pub(super) fn rewrite_answer(&self, path: &str, body: &mut Value) {
        let rewritings = self.rewritten.iter().filter(|(of, _)| *of == path);
        rewritings.for_each(|(_, rewriting)| rewriting(body));
    }

    fn shown(&self, token: &Value) -> Value {
        let mut item = token.as_object().unwrap().clone();
        let words = item.remove("words").unwrap();
        item.insert(self.listing.words.to_owned(), words);
        item.retain(|key, _| !self.listing.silent_on.contains(&key.as_str()));
        Value::Object(item)
    }

    fn token(&mut self, method: &Method, id: u64, body: &Bytes) -> Response {
        let Some(index) = self.tokens.iter().position(|token| token["id"] == id) else {
            return not_found("no such token");
        };
        match *method {
            Method::PATCH => {
                let patch: Value = serde_json::from_slice(body).unwrap();
                let members = patch.as_object().unwrap();
                if members.keys().any(|key| key != "tokenDescription") {
                    let message = json!({"errorMessage": "Only the description can be updated."});
                    return (StatusCode::BAD_REQUEST, axum::Json(message)).into_response();
                }
                self.tokens[index]["words"] = patch["tokenDescription"].clone();
                self.writes.push((format!("PATCH {id}"), patch));
                axum::Json(self.shown(&self.tokens[index])).into_response()
            }
            Method::DELETE if self.refuses_to_revoke => axum::Json(false).into_response(),
            Method::DELETE => {
                self.tokens.remove(index);
                self.writes.push((format!("DELETE {id}"), Value::Null));
                if self.no_content {
                    StatusCode::NO_CONTENT.into_response()
                } else {
                    axum::Json(true).into_response()
                }
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }

    /// The settings with a version, which is how often somebody saved them elsewhere.
    fn versioned(&mut self, method: &Method, headers: &HeaderMap, body: &Bytes) -> Response {
        let saves = self.settings["saves"].as_u64().unwrap_or(0);
        if *method != Method::GET && self.saved_elsewhere.is_some_and(|left| left > 0) {
            self.saved_elsewhere = self.saved_elsewhere.map(|left| left - 1);
            self.settings["saves"] = json!(saves + 1);
        }
        let version = self.settings["saves"].as_u64().unwrap_or(0).to_string();
        let expected = headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap().trim_matches('"'));
        let is_unconditional = self.weak_versions && expected.is_none();
        if *method != Method::GET && !is_unconditional && expected != Some(&*version) {
            return StatusCode::PRECONDITION_FAILED.into_response();
        }
        let mut response = self.configuration(method, body);
        let weak = if self.weak_versions { "W/" } else { "" };
        response.headers_mut().insert(header::ETAG, format!("{weak}\"{version}\"").parse().unwrap());
        response
    }

    fn configuration(&mut self, method: &Method, body: &Bytes) -> Response {
        if self.login_page {
            return ([(header::CONTENT_TYPE, "text/html")], "<html>Log in</html>").into_response();
        }
        if *method == Method::GET {
            return axum::Json(self.settings.clone()).into_response();
        }
        let settings: Value = serde_json::from_slice(body).unwrap();
        self.writes.push((format!("{method} settings"), settings.clone()));
        if !self.forgets_settings {
            self.settings = settings;
        }
        StatusCode::NO_CONTENT.into_response()
    }
}

fn query(uri: &Uri) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://x/?{}", uri.query().unwrap_or_default())).unwrap();
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}
