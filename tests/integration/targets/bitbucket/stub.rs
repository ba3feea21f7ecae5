//! A server that behaves like Bitbucket Data Center at the places that are known: token endpoints of
//! users, projects and repositories, directory, paging, error bodies, basic authentication. It counts
//! calls and writes, can lose answers, and can change between two calls.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokenwarden::{
    http::{CallLimits, HttpClient, HttpCredential, Retries},
    model::{MarkKey, Marker, percent},
    targets::bitbucket::{Bitbucket, BitbucketOptions},
};

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// The key that marks are made with.
pub(crate) const KEY: &str = "a key for the marks of the tests";
/// Where the settings of rate limits are.
const RATE_LIMITS: &str = "/rest/api/latest/admin/rate-limit/settings";
/// The name of the target.
pub(crate) const TARGET: &str = "prod";

/// What the server has.
pub(crate) struct Contents {
    /// Name, slug, whether active.
    pub(crate) users: Vec<(&'static str, &'static str, bool)>,
    /// Those of them who administer the server.
    pub(crate) administrators: Vec<&'static str>,
    /// Whose the bearer secrets are.
    pub(crate) bearer: &'static str,
    /// Whose each of them is, when they are told apart: others are nobody's.
    pub(crate) bearers: Option<BTreeMap<String, &'static str>>,
    /// Those whose password is another one by now.
    pub(crate) shut_out: Vec<&'static str>,
    pub(crate) groups: BTreeMap<&'static str, Vec<&'static str>>,
    pub(crate) projects: Vec<&'static str>,
    pub(crate) repositories: Vec<(&'static str, &'static str)>,
    /// Those that are shown only to whoever asks for them, too.
    pub(crate) archived: Vec<(&'static str, &'static str)>,
    /// By the path of their owner, such as `users/mary`.
    pub(crate) tokens: BTreeMap<String, Vec<Value>>,
    pub(crate) passwords: Value,
    /// By the end of the path: empty for the settings of all. Without any, this server has no rate limits.
    pub(crate) rate_limits: BTreeMap<&'static str, Value>,
    /// Beginnings of paths that are refused with 401.
    pub(crate) refused: Vec<&'static str>,
    /// As `refused`, from the first write on.
    pub(crate) refused_after_a_write: Vec<&'static str>,
    /// Beginnings of paths that fail with this status, each time with another number for the log.
    pub(crate) failing: BTreeMap<&'static str, u16>,
    /// What becomes of the answers to reads of this path.
    pub(crate) rewritten: Vec<(&'static str, Rewriting)>,
    /// What happens once a call of this path was answered.
    pub(crate) then: Vec<(&'static str, Happening)>,
    /// So many writes never arrive.
    pub(crate) unheard: u32,
    /// So many writes meet another one.
    pub(crate) conflicts: u32,
    /// So many answers to writes are lost after the write.
    pub(crate) lost_answers: u32,
    /// What its answers have for a date; that of this machine when nothing is set.
    pub(crate) date: Option<String>,
    /// Every call, without its query.
    pub(crate) calls: Vec<String>,
    /// Every write with its body.
    pub(crate) writes: Vec<(String, Value)>,
}

/// Something that changes an answer, given where the page begins.
pub(crate) type Rewriting = Box<dyn Fn(&mut Value, u64) + Send>;

/// Something that changes the server.
pub(crate) type Happening = Box<dyn FnOnce(&mut Contents) + Send>;

/// The server while it runs.
pub(crate) struct Stub {
    contents: Arc<Mutex<Contents>>,
    address: SocketAddr,
}

/// A token as the server lists it.
pub(crate) fn token(id: &str, name: &str, created: &str, permissions: &[&str]) -> Value {
    let created: jiff::Timestamp = created.parse().unwrap();
    json!({"id": id, "createdDate": created.as_millisecond(), "name": name, "permissions": permissions})
}

impl Stub {
    /// A server with an administrator, two users one of whom has another slug than name, and no token.
    pub(crate) async fn start() -> Self {
        let contents = Contents {
            users: vec![
                ("warden", "warden", true),
                ("mary@example.com", "mary_example.com", true),
                ("gone", "gone", false),
            ],
            administrators: vec!["warden"],
            bearer: "warden",
            bearers: None,
            shut_out: Vec::new(),
            groups: BTreeMap::from([("ci-bots", vec!["gone"]), ("empty", vec![])]),
            projects: vec!["PLAT", "DOCS"],
            repositories: vec![("PLAT", "app"), ("DOCS", "site"), ("~mary", "dotfiles")],
            archived: Vec::new(),
            tokens: BTreeMap::new(),
            passwords: json!({"block-requests": false, "allowed-paths": [], "allowed-users": [], "show-warning-message": true}),
            rate_limits: BTreeMap::new(),
            refused: Vec::new(),
            refused_after_a_write: Vec::new(),
            failing: BTreeMap::new(),
            rewritten: Vec::new(),
            then: Vec::new(),
            unheard: 0,
            conflicts: 0,
            lost_answers: 0,
            date: None,
            calls: Vec::new(),
            writes: Vec::new(),
        };
        let contents = Arc::new(Mutex::new(contents));
        let dated = middleware::map_response_with_state(Arc::clone(&contents), dated);
        let router = Router::new().fallback(answer).layer(dated).with_state(Arc::clone(&contents));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { contents, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    pub(crate) fn add(&self, owner: &str, token: Value) {
        self.contents().tokens.entry(owner.to_owned()).or_default().push(token);
    }

    /// The only token of `owner`.
    pub(crate) fn only(&self, owner: &str) -> Value {
        let contents = self.contents();
        let [token] = contents.tokens[owner].as_slice() else { panic!("one token of {owner}") };
        token.clone()
    }

    /// Lets `happening` come to pass once a call of `path` was answered.
    pub(crate) fn after(&self, path: &'static str, happening: impl FnOnce(&mut Contents) + Send + 'static) {
        self.contents().then.push((path, Box::new(happening)));
    }

    /// Lets `rewriting` change what is answered at `path`.
    pub(crate) fn rewrite(&self, path: &'static str, rewriting: impl Fn(&mut Value, u64) + Send + 'static) {
        self.contents().rewritten.push((path, Box::new(rewriting)));
    }

    pub(crate) fn rename(&self, owner: &str, name: &str) {
        self.contents().tokens.get_mut(owner).unwrap()[0]["name"] = json!(name);
    }

    /// The target, reached with the password of `warden`.
    pub(crate) fn target(&self) -> Bitbucket {
        self.target_with(BitbucketOptions { marker: Some(marker()), ..BitbucketOptions::default() })
    }

    pub(crate) fn target_with(&self, options: BitbucketOptions) -> Bitbucket {
        let credential = HttpCredential::Basic { user: "warden".to_owned(), secret: PASSWORD.into() };
        self.target_as(credential, BitbucketOptions { password: true, ..options })
    }

    pub(crate) fn target_as(&self, credential: HttpCredential, options: BitbucketOptions) -> Bitbucket {
        let retries = Retries {
            first_wait: Duration::from_millis(20),
            longest_wait: Duration::from_millis(160),
            ..Retries::default()
        };
        let limits = CallLimits { retries, ..CallLimits::default() };
        let client = HttpClient::with_limits(&self.url(), credential, None, limits).unwrap();
        Bitbucket::new(client, "bitbucket", options)
    }
}

pub(crate) fn marker() -> Marker {
    Bitbucket::marker(MarkKey::new(KEY).unwrap(), TARGET)
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let errors = json!({"errors": [{"context": null, "message": message, "exceptionName": null}]});
    (status, axum::Json(errors)).into_response()
}

/// Who calls: the user, and whether it is by `Basic`.
fn caller(headers: &HeaderMap, contents: &Contents) -> Option<(String, bool)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(secret) = text.strip_prefix("Bearer ") {
        let owner = match &contents.bearers {
            Some(owners) => owners.get(secret).copied(),
            // Of every bearer secret the server knows the owner; those of nobody are anonymous.
            None => (!secret.contains("revoked")).then_some(contents.bearer),
        };
        return owner.map(|owner| (owner.to_owned(), false));
    }
    let decoded = String::from_utf8(STANDARD.decode(text.strip_prefix("Basic ")?).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    (password == PASSWORD && !contents.shut_out.contains(&user)).then(|| (user.to_owned(), true))
}

async fn dated(State(contents): State<Arc<Mutex<Contents>>>, mut response: Response) -> Response {
    if let Some(date) = &contents.lock().unwrap().date {
        response.headers_mut().insert(header::DATE, date.parse().unwrap());
    }
    response
}

async fn answer(
    State(contents): State<Arc<Mutex<Contents>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut contents = contents.lock().unwrap();
    contents.calls.push(format!("{method} {}", uri.path()));
    if uri.path() == "/rest/api/latest/application-properties" {
        return axum::Json(json!({"version": "9.4.2", "buildNumber": 9_004_002, "displayName": "Bitbucket"}))
            .into_response();
    }
    let anonymous = "You are not permitted to access this resource";
    let Some((user, basic)) = caller(&headers, &contents) else {
        return refusal(StatusCode::UNAUTHORIZED, anonymous);
    };
    let excepted = contents.passwords["allowed-users"].as_array().unwrap().contains(&json!(user))
        || contents.passwords["allowed-paths"].as_array().unwrap().contains(&json!("*"));
    if basic && contents.passwords["block-requests"] == true && !excepted {
        let message = json!({"message": "Basic Authentication has been disabled on this instance."});
        return (StatusCode::FORBIDDEN, axum::Json(message)).into_response();
    }
    let written = !contents.writes.is_empty() && method == Method::GET;
    let refused_now = contents.refused_after_a_write.iter().filter(|_| written);
    if contents.refused.iter().chain(refused_now).any(|path| uri.path().starts_with(path)) {
        return refusal(StatusCode::UNAUTHORIZED, anonymous);
    }
    let failing = contents.failing.iter().find(|(path, _)| uri.path().starts_with(**path));
    if let Some((_, &status)) = failing {
        let message = format!("An error has occurred, see the log for {}", contents.calls.len());
        return refusal(StatusCode::from_u16(status).unwrap(), &message);
    }
    let is_write = method != Method::GET;
    if is_write && contents.unheard > 0 {
        contents.unheard -= 1;
        return (StatusCode::GATEWAY_TIMEOUT, "<html>a proxy waited in vain</html>").into_response();
    }
    if is_write && contents.conflicts > 0 {
        contents.conflicts -= 1;
        let message = json!({"message": "Another update is running."});
        return (StatusCode::CONFLICT, axum::Json(message)).into_response();
    }
    let mut response = contents.answer(&method, &uri, &body);
    if let Some(next) = contents.then.iter().position(|(path, _)| *path == uri.path()) {
        let (_, happening) = contents.then.remove(next);
        happening(&mut contents);
    }
    let is_lost = is_write && response.status().is_success() && contents.lost_answers > 0;
    if is_lost {
        contents.lost_answers -= 1;
        return (StatusCode::GATEWAY_TIMEOUT, "<html>a proxy lost it</html>").into_response();
    }
    response.headers_mut().insert("x-ausername", percent::encode(&user).parse().unwrap());
    response
}

impl Contents {
    fn answer(&mut self, method: &Method, uri: &Uri, body: &Bytes) -> Response {
        let query: BTreeMap<String, String> = url_query(uri.query().unwrap_or_default()).collect();
        let user = |(name, slug, active): &(&str, &str, bool)| json!({"name": name, "slug": slug, "active": active, "id": 52, "type": "NORMAL", "displayName": name});
        let values = match uri.path() {
            "/rest/api/1.0/users" | "/rest/api/latest/admin/users" => self.users.iter().map(user).collect(),
            "/rest/api/latest/users" => {
                // Not every account has a licence, whatever its permissions are.
                assert_eq!((&*query["permission.1"], &*query["permission.2"]), ("LICENSED_USER", "ADMIN"));
                let is_one = |user: &&(&str, &str, bool)| self.administrators.contains(&user.0);
                self.users.iter().filter(is_one).map(user).collect()
            }
            "/rest/api/latest/projects" => {
                self.projects.iter().map(|key| json!({"key": key, "id": 1})).collect()
            }
            "/rest/api/latest/repos" => {
                let repository = |(key, slug): &(&str, &str)| json!({"slug": slug, "project": {"key": key}});
                let archived = if query.get("archived").is_some_and(|asked| asked == "ALL") {
                    self.archived.as_slice()
                } else {
                    &[]
                };
                self.repositories.iter().chain(archived).map(repository).collect()
            }
            "/rest/api/latest/admin/groups" => {
                let fits = |name: &&&str| name.contains(&query["filter"]);
                self.groups.keys().filter(fits).map(|name| json!({"name": name, "deletable": true})).collect()
            }
            "/rest/api/latest/admin/groups/more-members" => {
                // A group that nobody knows looks like one without members.
                let members = self.groups.get(&*query["context"]).cloned().unwrap_or_default();
                let is_member = |user: &&(&str, &str, bool)| members.contains(&user.0);
                self.users.iter().filter(is_member).map(user).collect()
            }
            "/rest/api/latest/admin/users/more-members" => {
                let has = |members: &[&'static str]| members.contains(&&*query["context"]);
                let groups = self.groups.iter().filter(|(_, members)| has(members));
                groups.map(|(name, _)| json!({"name": name, "deletable": true})).collect()
            }
            "/rest/basicauth/latest/config" if *method == Method::GET => {
                return axum::Json(self.passwords.clone()).into_response();
            }
            "/rest/basicauth/latest/config" => {
                self.passwords = serde_json::from_slice(body).unwrap();
                self.writes.push((format!("{method} {}", uri.path()), self.passwords.clone()));
                return StatusCode::NO_CONTENT.into_response();
            }
            path if path.starts_with(RATE_LIMITS) => {
                return match self.rate_limits.get(&path[RATE_LIMITS.len()..]) {
                    Some(found) => axum::Json(found.clone()).into_response(),
                    None => refusal(StatusCode::NOT_FOUND, "no such settings"),
                };
            }
            path => match path.strip_prefix("/rest/access-tokens/latest/") {
                Some(path) if self.is_owner(path) => self.tokens.get(path).cloned().unwrap_or_default(),
                Some(path) => return self.token(method, path, body),
                None => return refusal(StatusCode::NOT_FOUND, "no such resource"),
            },
        };
        self.page(&query, &values, uri.path())
    }

    /// At most two values, whatever is asked for; the next page begins behind a gap.
    fn page(&self, query: &BTreeMap<String, String>, values: &[Value], path: &str) -> Response {
        let start: usize = query.get("start").map_or(0, |start| start.parse().unwrap());
        let shown: Vec<_> = values.iter().skip(start / 10 * 2).take(2).cloned().collect();
        let is_last = start / 10 * 2 + shown.len() >= values.len();
        let next = (!is_last).then_some(start + 10);
        let mut body = json!({"size": shown.len(), "limit": 2, "isLastPage": is_last, "values": shown,
                              "start": start, "nextPageStart": next});
        let rewritings = self.rewritten.iter().filter(|(of, _)| *of == path);
        rewritings.for_each(|(_, rewriting)| rewriting(&mut body, start as u64));
        axum::Json(body).into_response()
    }

    /// Whether `path` is that of a user, a project or a repository that exists.
    fn is_owner(&self, path: &str) -> bool {
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["users", slug] => self.users.iter().any(|user| user.1 == *slug),
            ["projects", key] => self.projects.contains(key),
            ["projects", key, "repos", slug] => {
                self.repositories.iter().chain(&self.archived).any(|of| *of == (*key, *slug))
            }
            _ => false,
        }
    }

    fn token(&mut self, method: &Method, path: &str, body: &Bytes) -> Response {
        let (owner, id) = path.rsplit_once('/').unwrap();
        let tokens = self.tokens.entry(owner.to_owned()).or_default();
        let Some(index) = tokens.iter().position(|token| token["id"] == id) else {
            return refusal(StatusCode::NOT_FOUND, "The access token does not exist");
        };
        match *method {
            Method::GET => axum::Json(tokens[index].clone()).into_response(),
            Method::DELETE => {
                tokens.remove(index);
                self.writes.push((format!("DELETE {path}"), Value::Null));
                StatusCode::NO_CONTENT.into_response()
            }
            Method::POST => {
                let update: Value = serde_json::from_slice(body).unwrap();
                if let Some(problem) = problem(&update) {
                    return refusal(StatusCode::BAD_REQUEST, problem);
                }
                // What is left out stays.
                for (key, value) in update.as_object().unwrap() {
                    tokens[index][key] = value.clone();
                }
                let answer = tokens[index].clone();
                self.writes.push((format!("POST {path}"), update));
                axum::Json(answer).into_response()
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }
}

/// What is wrong with an update, as the documentation says.
fn problem(update: &Value) -> Option<&'static str> {
    let permissions: Vec<&str> =
        update["permissions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let level = |object: &str| {
        let of = permissions.iter().filter_map(|permission| permission.strip_prefix(object));
        of.filter_map(|level| ["_READ", "_WRITE", "_ADMIN"].iter().position(|known| *known == level)).max()
    };
    if update.get("expiryDays").is_some() {
        Some("the expiry of a token cannot be modified")
    } else if permissions.is_empty() {
        Some("permissions are required")
    } else if level("PROJECT") > level("REPO") {
        Some("a permission on repositories must not be lower than the one on projects")
    } else {
        let units =
            update.get("name").map(|name| name.as_str().map_or(0, |name| name.encode_utf16().count()));
        units
            .is_some_and(|units| !(1..=255).contains(&units))
            .then_some("the name must have 1 to 255 characters")
    }
}

fn url_query(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
    url.query_pairs()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect::<Vec<_>>()
        .into_iter()
}
