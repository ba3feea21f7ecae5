//! Rights that end while a request is under way: no effect is committed whose right had ended before.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    model::{GroupName, LastChange, LastUse, TokenSecret},
    serve::{
        Clock, directory, random_bytes,
        store::{Children, Grounds, KnownOwner, Right, Sender, Store, StoreError, StoreUrl, Use, Whence},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Made, NOW, SETTINGS, Setup, TOKENS, TestServer, WHOAMI, answer, new_token, status};

/// With one password alone: to hash one takes long.
const DIRECTORY: &str = "
users: [{name: root, password_env: root}, {name: toor}, {name: mary}, {name: sam}]
groups: {administrators: [root, toor], token-admins: [sam]}
projects: {PLAT: []}
";

async fn server() -> TestServer {
    TestServer::start(Setup { directory: DIRECTORY.to_owned(), ..Setup::default() }).await
}

/// A request of which the server has seen the head, and five bytes of the body.
struct Open {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Open {
    async fn begin(address: SocketAddr, head: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let more = format!(
            "Host: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}\r\n{more}").as_bytes()).await.unwrap();
        let mut told = [0; 25];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n", "{head}");
        let (first, rest) = body.as_bytes().split_at(5);
        stream.write_all(first).await.unwrap();
        Self { stream, rest: rest.to_vec() }
    }

    /// Sends the rest, and answers the status and everything else.
    async fn finish(mut self) -> (u16, String) {
        self.stream.write_all(&self.rest).await.unwrap();
        let mut told = String::new();
        self.stream.read_to_string(&mut told).await.unwrap();
        (told.split(' ').nth(1).unwrap().parse().unwrap(), told)
    }
}

/// How root's right ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Not,
    Revoked,
    AllRevoked,
    Inactive,
    LeftGroup,
    OtherPassword,
    NetworksClosed,
    UseWithdrawn,
    PasswordsDisabled,
}

impl Ending {
    const OF_TOKEN: [Self; 7] = [
        Self::Not,
        Self::Revoked,
        Self::AllRevoked,
        Self::Inactive,
        Self::LeftGroup,
        Self::NetworksClosed,
        Self::UseWithdrawn,
    ];
    const OF_PASSWORD: [Self; 6] = [
        Self::Not,
        Self::Inactive,
        Self::LeftGroup,
        Self::OtherPassword,
        Self::NetworksClosed,
        Self::PasswordsDisabled,
    ];

    async fn come(self, server: &TestServer, token: &Made) {
        let delete = |path: String| server.as_operator(Method::DELETE, &path);
        match self {
            Self::Not => (),
            Self::Revoked => {
                answer(delete(format!("{TOKENS}/token/{}", token.id)), StatusCode::OK).await;
            }
            Self::AllRevoked => {
                answer(delete(format!("{TOKENS}/token/deleteAllFor/root")), StatusCode::OK).await;
            }
            Self::Inactive => {
                import(
                    server,
                    "{name: root, password_env: root}",
                    "{name: root, password_env: root, active: false}",
                )
                .await;
            }
            Self::LeftGroup => import(server, "[root, toor]", "[toor]").await,
            Self::OtherPassword => import(server, "password_env: root}", "password_env: other}").await,
            Self::NetworksClosed => {
                server.change_settings(json!({"network": {"allow": ["10.0.0.0/8"]}})).await;
            }
            Self::UseWithdrawn => server.change_settings(json!({"permissions": {"use": "nobody"}})).await,
            Self::PasswordsDisabled => {
                server.change_settings(json!({"password_authentication": "disabled"})).await;
            }
        }
    }

    /// The status of Bitbucket's dialect is 401 for whoever is not permitted.
    fn statuses(self) -> &'static [u16] {
        match self {
            Self::Not => &[200, 204],
            Self::Revoked | Self::AllRevoked | Self::OtherPassword => &[401],
            Self::Inactive => &[401, 403],
            Self::LeftGroup => &[403, 401],
            Self::NetworksClosed | Self::UseWithdrawn | Self::PasswordsDisabled => &[403],
        }
    }
}

async fn import(server: &TestServer, from: &str, to: &str) {
    let changed = DIRECTORY.replace(from, to);
    assert_ne!(changed, DIRECTORY);
    server.import(&changed).await.unwrap();
}

/// Everything that a request could have changed.
async fn everything(server: &TestServer) -> Value {
    let runs = answer(server.as_operator(Method::GET, "/rest/tokenwarden/1/runs"), StatusCode::OK).await;
    let beside =
        answer(server.as_operator(Method::GET, "/rest/basicauth/latest/config"), StatusCode::OK).await;
    let mut tokens = server.all_tokens().await;
    for token in &mut tokens {
        token["lastAccessed"].take();
        token["lastAccessedAddress"].take();
    }
    json!([tokens, server.settings().await.0, runs, beside])
}

/// One writing endpoint: method, path, headers and body.
type Writing = (&'static str, String, String, String);

/// All that administrators write with, but for what takes a password; about their `own` token and `others`.
async fn all_writing(server: &TestServer, own: &Made, others: &Made) -> Vec<Writing> {
    let (mut document, etag) = server.settings().await;
    document["permissions"]["manage_others"] = json!("nobody");
    let run = "11111111-2222-3333-4444-555555555555";
    let none = String::new;
    vec![
        (
            "POST",
            format!("{TOKENS}/token"),
            none(),
            json!({"tokenScope": 2, "tokenDescription": "after"}).to_string(),
        ),
        (
            "POST",
            format!("{TOKENS}/token"),
            none(),
            json!({"tokenForUserKey": "mary", "tokenScope": 1, "tokenDescription": "after"}).to_string(),
        ),
        (
            "PATCH",
            format!("{TOKENS}/token/{}", others.id),
            none(),
            json!({"tokenDescription": "other"}).to_string(),
        ),
        ("DELETE", format!("{TOKENS}/token/{}", others.id), none(), json!({}).to_string() + "     "),
        ("DELETE", format!("{TOKENS}/token/deleteAllFor/mary"), none(), json!({}).to_string() + "     "),
        (
            "POST",
            format!("/rest/access-tokens/latest/users/root/{:012}", own.id),
            none(),
            json!({"name": "other"}).to_string(),
        ),
        ("PUT", SETTINGS.to_owned(), format!("If-Match: {etag}"), document.to_string()),
        (
            "PUT",
            "/rest/basicauth/latest/config".to_owned(),
            none(),
            json!({"block-requests": false, "allowed-users": ["mary"]}).to_string(),
        ),
        (
            "PUT",
            "/rest/tokenwarden/1/lease".to_owned(),
            none(),
            json!({"run": run, "holder": "root", "seconds": 1}).to_string(),
        ),
    ]
}

async fn ends_in_time(endings: &[Ending], with_password: bool) {
    let server = server().await;
    server.change_settings(json!({"permissions": {"create": ["administrators"]}})).await;
    for place in 0.. {
        let mut tried = false;
        for ending in endings {
            let (own, others) = (server.make_token("root", 2).await, server.make_token("mary", 2).await);
            let mut all = all_writing(&server, &own, &others).await;
            let credential = if with_password {
                let body = json!({"name": "after", "permissions": ["REPO_READ"]}).to_string();
                all.push((
                    "PUT",
                    "/rest/access-tokens/latest/users/root".to_owned(),
                    String::new(),
                    body.clone(),
                ));
                all.push(("PUT", "/rest/access-tokens/latest/projects/PLAT".to_owned(), String::new(), body));
                format!("Basic {}", STANDARD.encode("root:root"))
            } else {
                format!("Bearer {}", own.secret)
            };
            let Some((method, path, headers, body)) = all.get(place) else { break };
            tried = true;
            if *ending == Ending::LeftGroup && path.contains("/users/root/") {
                // One's own tokens are managed in no group.
                continue;
            }
            let mut head = format!("{method} {path} HTTP/1.1\r\nAuthorization: {credential}");
            if !headers.is_empty() {
                head = format!("{head}\r\n{headers}");
            }
            let open = Open::begin(server.address(), &head, body).await;
            ending.come(&server, &own).await;
            let before = everything(&server).await;
            let (status, told) = open.finish().await;
            assert!(ending.statuses().contains(&status), "{ending:?} {method} {path}: {told}");
            if *ending != Ending::Not {
                assert_eq!(everything(&server).await, before, "{ending:?} {method} {path}");
            }
            let again = json!({
                "network": {"allow": "anywhere"}, "permissions": {"use": "everyone", "manage_others": ["administrators"]},
                "password_authentication": "allowed",
            });
            server.change_settings(again).await;
            if matches!(ending, Ending::Inactive | Ending::LeftGroup | Ending::OtherPassword) {
                server.import(DIRECTORY).await.unwrap();
            }
        }
        if !tried {
            break;
        }
    }
}

#[tokio::test]
async fn a_request_that_is_open_when_the_right_of_its_token_ends_changes_nothing() {
    ends_in_time(&Ending::OF_TOKEN, false).await;
}

#[tokio::test]
async fn a_request_that_is_open_when_the_right_of_its_password_ends_changes_nothing() {
    ends_in_time(&Ending::OF_PASSWORD, true).await;
}

#[tokio::test]
async fn a_body_without_a_byte_that_is_long_in_coming_is_judged_once_it_is_there() {
    let server = server().await;
    let mary = server.make_token("mary", 2).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "GET {TOKENS}/token HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        mary.secret
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    let path = format!("{TOKENS}/token/{}", mary.id);
    answer(server.as_operator(Method::DELETE, &path), StatusCode::OK).await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 401 "), "{told}");
}

#[tokio::test]
async fn what_a_request_asks_for_is_judged_by_the_settings_and_the_owner_of_the_moment_at_which_it_is_done() {
    let server = server().await;
    let sam = server.make_token("sam", 2).await;
    server.change_settings(json!({"permissions": {"manage_others": ["token-admins"]}})).await;
    let head = format!("POST {TOKENS}/token HTTP/1.1\r\nAuthorization: Bearer {}", sam.secret);
    let own = json!({"tokenScope": 2, "tokenDescription": "after"}).to_string();
    let for_mary =
        json!({"tokenForUserKey": "mary", "tokenScope": 1, "tokenDescription": "after"}).to_string();

    let open = Open::begin(server.address(), &head, &for_mary).await;
    import(&server, "[root, toor]", "[root, toor, mary]").await;
    assert_eq!(open.finish().await.0, 403, "mary has become an administrator");

    let open = Open::begin(server.address(), &head, &own).await;
    server.change_settings(json!({"limits": [{"max_scope": "read-only"}]})).await;
    assert_eq!(open.finish().await.0, 400, "a limit has come");

    let open = Open::begin(server.address(), &head, &own).await;
    server.change_settings(json!({"limits": [], "permissions": {"create": ["ci-bots"]}})).await;
    assert_eq!(open.finish().await.0, 403, "the permission to create was withdrawn");

    let open = Open::begin(server.address(), &head, &own).await;
    server.change_settings(json!({"permissions": {"create": "everyone"}})).await;
    assert_eq!(open.finish().await.0, 200, "what is permitted by then is done");
}

#[tokio::test]
async fn a_body_is_asked_for_from_nobody_who_is_refused_and_bounded_for_the_others() {
    let server = server().await;
    let (mary, path) = (server.make_token("mary", 2).await, format!("{TOKENS}/token"));
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(status(server.request(Method::POST, &path).body(large.clone())).await, 401);
    assert_eq!(status(server.with_token(&mary.secret, Method::POST, &path).body(large.clone())).await, 413);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        mary.secret,
        large.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&large).await.unwrap();
    let mut told = [0; 12];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 413");
}

#[tokio::test]
async fn nothing_is_made_with_a_token_once_its_revocation_is_acknowledged() {
    revoke_while_eight_make_tokens_with_it("keep").await;
    revoke_while_eight_make_tokens_with_it("revoke").await;
}

/// Revokes a token with which eight clients make others, which `children` keeps or revokes.
async fn revoke_while_eight_make_tokens_with_it(children: &str) {
    let server = server().await;
    let token = server.make_token("root", 2).await;
    let body = json!({"tokenScope": 2, "tokenDescription": "made"});
    let make = async || {
        let mut made = 0;
        loop {
            let request =
                server.with_token(&token.secret, Method::POST, &format!("{TOKENS}/token")).json(&body);
            match status(request).await {
                200 => made += 1,
                401 => return made,
                other => panic!("{other}"),
            }
        }
    };
    let revoke = async {
        while server.all_tokens().await.len() < 20 {}
        let path = format!("{TOKENS}/token/{}?children={children}", token.id);
        answer(server.as_operator(Method::DELETE, &path), StatusCode::OK).await;
        server.all_tokens().await.len()
    };
    let (acknowledged, at_the_end) =
        tokio::join!(futures_util::future::join_all((0..8).map(|_| make())), revoke);
    let kept = if children == "keep" { acknowledged.iter().sum() } else { 0 };
    assert_eq!(at_the_end, kept, "what was acknowledged is there, or gone with the token");
    assert_eq!(server.all_tokens().await.len(), at_the_end, "nothing came after it");
    assert_eq!(status(server.with_token(&token.secret, Method::GET, WHOAMI)).await, 401);
}

/// What happens between the decision on a request and its commit.
#[derive(Clone, Copy, Debug)]
enum Event {
    RevokeIt,
    RevokeAll,
    RevokeAnother,
    UseIt,
    Deactivate,
    Activate,
    ChangeAnother,
    ChangeSettings,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    use Event::*;
    let one = prop::sample::select(vec![
        RevokeIt,
        RevokeAll,
        RevokeAnother,
        UseIt,
        Deactivate,
        Activate,
        ChangeAnother,
        ChangeSettings,
    ]);
    prop::collection::vec(one, 0..4)
}

/// No password: to hash one takes long.
fn directory_with(mary_is_active: bool, sams_name: &str) -> String {
    format!(
        "users:\n  - {{name: mary, active: {mary_is_active}}}\n  - {{name: sam, display_name: {sams_name}}}\ngroups: {{developers: [mary]}}\n"
    )
}

/// What `sender` was permitted under the settings of this revision.
fn right_of(settings: i64, sender: Sender) -> Right {
    let clock = Clock::Fixed(NOW.parse().unwrap()).into();
    Right::Request(Box::new(Grounds { settings, sender, owner: None, clock, whence: Whence::default() }))
}

async fn holds_to_the_end(events: &[Event]) {
    let folder = TempDir::new().unwrap();
    let store = Store::open_or_create(&StoreUrl { file: folder.path().join("store.db") }).await.unwrap();
    let import = async |text: &str| directory::import(&store, text, |_| None).await.unwrap();
    import(&directory_with(true, "Sam")).await;
    store.begin_settings("{}").await.unwrap();
    let secret = || TokenSecret::from_random(random_bytes().unwrap());
    let its = secret();
    let id = store.create_token(&Right::Host, &new_token("mary", &its), None).await.unwrap().unwrap();
    let another =
        store.create_token(&Right::Host, &new_token("sam", &secret()), None).await.unwrap().unwrap();
    let known = store.token_by_hash(&its.hash()).await.unwrap().unwrap();
    assert!(matches!(known.owner, Some(KnownOwner::User(_))), "mary is known");
    let right = right_of(1, Sender::Token(known));
    let (mut valid, mut active, mut settings) = (true, true, true);
    let change = LastChange { by: "root".to_owned(), at: NOW.parse().unwrap() };
    for event in events {
        match event {
            Event::RevokeIt => {
                store.revoke_token(&Right::Host, id, Children::Revoke, None).await.unwrap();
                valid = false;
            }
            Event::RevokeAll => {
                store.revoke_all_for(&Right::Host, &"mary".into(), Children::Revoke).await.unwrap();
                valid = false;
            }
            Event::RevokeAnother => {
                store.revoke_token(&Right::Host, another, Children::Revoke, None).await.unwrap();
            }
            Event::UseIt => {
                let last_use = LastUse { at: NOW.parse().unwrap(), from: None };
                store.record_uses(&[Use { token: id, last_use }]).await.unwrap();
            }
            Event::Deactivate | Event::Activate => {
                active = matches!(event, Event::Activate);
                import(&directory_with(active, "Sam")).await;
            }
            Event::ChangeAnother => import(&directory_with(active, "Samuel")).await,
            Event::ChangeSettings => {
                store.force_settings("{}", &change).await.unwrap();
                settings = false;
            }
        }
    }
    assert_eq!(store.holds(&right).await.unwrap(), valid && active && settings);
    let before = store.last_token().await.unwrap();
    let outcome = store.create_token(&right, &new_token("mary", &secret()), None).await;
    if valid && active && settings {
        assert!(outcome.unwrap().is_some());
    } else {
        assert!(matches!(outcome, Err(StoreError::RightEnded)), "{outcome:?}");
        assert_eq!(store.last_token().await.unwrap(), before);
        let replaced = store.replace_settings(&right, 1, "{}", &change, None, None).await;
        assert!(matches!(replaced, Err(StoreError::RightEnded)));
    }
    let nobody = right_of(if settings { 1 } else { 2 }, Sender::Nobody);
    assert!(!store.holds(&nobody).await.unwrap());
    assert!(store.has_active_member(&GroupName::new("developers")).await.unwrap() == active);
    store.close().await;
}

proptest! {
    #![proptest_config(crate::support::world::cases(24))]

    #[test]
    fn whatever_is_interleaved_no_effect_is_committed_whose_right_had_ended(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(holds_to_the_end(&events));
    }
}
