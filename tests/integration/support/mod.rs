//! What the tests stand on: the real server on a port of the system's choice, over a SQLite file in a
//! folder of its own, reached over HTTP.

mod passwords;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod pull_request;
pub(crate) mod world;

use std::{net::SocketAddr, path::PathBuf};

use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    model::{GroupName, Owner, Scope, TokenScope, TokenSecret},
    serve::{
        self, Clock, Running, ServerOptions, Waits,
        directory::{self, DirectoryError},
        front::{Front, mirror::MirrorOptions},
        random_bytes, seed,
        store::{NewToken, Store, StoreUrl},
    },
};

/// Path of the token REST.
pub(crate) const TOKENS: &str = "/rest/de.resolution.apitokenauth/latest/user";
/// Path of the settings.
pub(crate) const SETTINGS: &str = "/rest/tokenwarden/1/settings";
/// Path of `whoami`.
pub(crate) const WHOAMI: &str = "/rest/tokenwarden/1/whoami";

/// The moment at which the clock of a test server stands still.
pub(crate) const NOW: &str = "2026-06-01T12:00:00Z";

/// Two administrators, developers, a bot and somebody who left; the password of each is the name. Two projects.
pub(crate) const DIRECTORY: &str = "
users:
  - {name: root, password_env: root}
  - {name: toor, password_env: toor}
  - {name: mary, password_env: mary, display_name: Mary Smith, email: mary@example.com}
  - {name: sam, password_env: sam}
  - {name: bot, password_env: bot}
  - {name: gone, password_env: gone, active: false}
groups:
  administrators: [root, toor]
  developers: [mary, sam, gone]
  ci-bots: [bot]
  token-admins: [sam]
projects: {PLAT: [app, lib], DOCS: []}
";

/// What a test server starts with.
pub(crate) struct Setup {
    /// The directory file.
    pub(crate) directory: String,
    /// The seed file.
    pub(crate) seed: Option<String>,
    /// A store to begin with a copy of, in the place of directory and seed file.
    pub(crate) store: Option<PathBuf>,
    /// A part of a settings document; the rest is as in a new store.
    pub(crate) settings: Value,
    /// What time it is.
    pub(crate) clock: Clock,
    /// Attempts with a password that may fail in a minute.
    pub(crate) password_failures_per_minute: u32,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// How long the other end of a connection is waited for.
    pub(crate) waits: Waits,
    /// What the mirror of the server behind is filled from; `None` without one.
    pub(crate) mirror: Option<MirrorOptions>,
    /// What requests to the server behind go through; `None` without one.
    pub(crate) front: Option<Front>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            directory: DIRECTORY.to_owned(),
            seed: None,
            store: None,
            settings: json!({}),
            clock: Clock::Fixed(NOW.parse().unwrap()),
            password_failures_per_minute: u32::MAX,
            connections: ServerOptions::CONNECTIONS,
            waits: Waits::default(),
            mirror: None,
            front: None,
        }
    }
}

/// A server that runs, with a credential that may do everything.
pub(crate) struct TestServer {
    running: Running,
    operator: String,
    client: Client,
    /// Holds the store; deleted when the server is dropped.
    folder: TempDir,
}

/// A token that was made, with its secret.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) id: i64,
    pub(crate) secret: String,
}

impl TestServer {
    /// A server with [`DIRECTORY`] and the settings of a new store.
    pub(crate) async fn new() -> Self {
        Self::start(Setup::default()).await
    }

    /// A server that starts with `setup`.
    pub(crate) async fn start(setup: Setup) -> Self {
        let folder = TempDir::new().unwrap();
        let administrators = GroupName::new("administrators");
        if let Some(file) = &setup.store {
            std::fs::copy(file, store_url(&folder).file).unwrap();
        }
        let store = Store::open_or_create(&store_url(&folder)).await.unwrap();
        if setup.store.is_none() {
            import(&store, &passwords::hashed(&setup.directory)).await.unwrap();
        }
        let now = setup.clock.now();
        if let Some(text) = &setup.seed {
            seed::plant(&store, text, administrators.clone(), now).await.unwrap();
        }
        let secret = TokenSecret::from_random(random_bytes().unwrap());
        let operator = secret.expose().to_owned();
        let options = ServerOptions {
            clock: setup.clock,
            operator: Some(secret),
            password_failures_per_minute: setup.password_failures_per_minute,
            connections: setup.connections,
            waits: setup.waits,
            mirror: setup.mirror,
            front: setup.front,
            ..ServerOptions::new(administrators)
        };
        let listener = serve::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let running = serve::start(store, listener, options).await.unwrap();
        let server = Self { running, operator, client: client(), folder };
        if setup.settings != json!({}) {
            server.change_settings(setup.settings).await;
        }
        server
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The address of `path` on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address())
    }

    /// The credential that may do everything, sent as `Bearer`.
    pub(crate) fn operator(&self) -> &str {
        &self.operator
    }

    /// Where the store lies.
    pub(crate) fn store_file(&self) -> PathBuf {
        store_url(&self.folder).file
    }

    /// A request without credentials.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// A request with a token.
    pub(crate) fn with_token(&self, secret: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(secret)
    }

    /// A request of the operator.
    pub(crate) fn as_operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.with_token(&self.operator, method, path)
    }

    /// A request with a password, which is the user's name.
    pub(crate) fn with_password(&self, user: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).basic_auth(user, Some(user))
    }

    /// A token of `owner`, with scope 1 (read-only) or 2 (read-write).
    pub(crate) async fn make_token(&self, owner: &str, scope: u8) -> Made {
        self.make(json!({"tokenForUserKey": owner, "tokenScope": scope, "tokenDescription": "made"})).await
    }

    /// A token made by the operator.
    pub(crate) async fn make(&self, body: Value) -> Made {
        let request = self.as_operator(Method::POST, &format!("{TOKENS}/token")).json(&body);
        let created = answer(request, StatusCode::OK).await;
        Made {
            id: created["id"].as_i64().unwrap(),
            secret: created["plainTextToken"].as_str().unwrap().to_owned(),
        }
    }

    /// A token of a project or repository, such as `projects/PLAT`, made by the operator.
    pub(crate) async fn make_for(&self, place: &str, permissions: &[&str]) -> Made {
        let path = format!("/rest/access-tokens/latest/{place}");
        let body = json!({"name": "made", "permissions": permissions});
        let created = answer(self.as_operator(Method::PUT, &path).json(&body), StatusCode::OK).await;
        Made {
            id: created["id"].as_str().unwrap().parse().unwrap(),
            secret: created["token"].as_str().unwrap().to_owned(),
        }
    }

    /// The settings document and its entity tag.
    pub(crate) async fn settings(&self) -> (Value, String) {
        let response = self.as_operator(Method::GET, SETTINGS).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        (response.json().await.unwrap(), etag)
    }

    /// Lays `part` over the settings, mapping by mapping.
    pub(crate) async fn change_settings(&self, part: Value) {
        let (mut document, etag) = self.settings().await;
        lay_over(&mut document, part);
        let request = self.as_operator(Method::PUT, SETTINGS).header("if-match", etag).json(&document);
        answer(request, StatusCode::OK).await;
    }

    /// Imports a directory file, as another process does.
    pub(crate) async fn import(&self, directory: &str) -> Result<(), DirectoryError> {
        let store = Store::open(&store_url(&self.folder)).await.unwrap();
        let done = import(&store, directory).await;
        store.close().await;
        done
    }

    /// All tokens, by id.
    pub(crate) async fn all_tokens(&self) -> Vec<Value> {
        let kinds = "ownerKind=user&ownerKind=project&ownerKind=repository";
        let path = format!("{TOKENS}/tokensByFilter?limit=1000&{kinds}");
        let list = answer(self.as_operator(Method::GET, &path), StatusCode::OK).await;
        list["content"].as_array().unwrap().clone()
    }

    /// The token `id`, as the server lists it.
    pub(crate) async fn token(&self, id: i64) -> Option<Value> {
        self.all_tokens().await.into_iter().find(|token| token["id"] == id)
    }

    /// Stops the server and answers the folder with its store.
    pub(crate) async fn stop(self) -> TempDir {
        self.running.stop().await.unwrap();
        self.folder
    }
}

/// Imports a directory file; each password is the name of the variable that it comes from.
async fn import(store: &Store, text: &str) -> Result<(), DirectoryError> {
    directory::import(store, text, |variable| Some(variable.to_owned())).await
}

fn store_url(folder: &TempDir) -> StoreUrl {
    StoreUrl { file: folder.path().join("store.db") }
}

/// An HTTP client that asks no proxy.
pub(crate) fn client() -> Client {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// The JSON that `request` is answered with, and with `status`.
pub(crate) async fn answer(request: RequestBuilder, status: StatusCode) -> Value {
    let response = request.send().await.unwrap();
    let (given, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(given, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The status that `request` is answered with.
pub(crate) async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// Lays `part` over `whole`: mappings key by key, everything else as a whole.
pub(crate) fn lay_over(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                lay_over(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, part) => *whole = part,
    }
}

/// `days` days before the moment at which the clock stands still (after it, when negative), in
/// milliseconds since 1970.
pub(crate) fn days_ago(days: i64) -> i64 {
    let now: Timestamp = NOW.parse().unwrap();
    now.as_millisecond() - days * 24 * 3_600_000
}

/// A token of the user `owner` that may write, made at [`NOW`], with this secret.
pub(crate) fn new_token(owner: &str, secret: &TokenSecret) -> NewToken {
    NewToken {
        owner: Owner::User(owner.into()),
        description: "made".to_owned(),
        scope: TokenScope::Set(Scope::ReadWrite),
        created: NOW.parse().unwrap(),
        created_by: None,
        parent: None,
        last_used: None,
        expires: None,
        secret_hash: secret.hash(),
        permissions: None,
    }
}
