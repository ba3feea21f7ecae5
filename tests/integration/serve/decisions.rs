//! The law that holds the server and `access` together: for whatever settings, sender, address and
//! operation, the server answers what `access::decide` says.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use jiff::Timestamp;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner, contextualize_config},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokenwarden::{
    access::{
        self, Credentials, Decision, Held, Operation, Person, Request, RequestOrigin, TokenOwner,
        TokenOwnership,
    },
    model::{
        GroupName, Restriction, Scope, Settings, TokenId, TokenScope, UserName, settings::SettingsDocument,
    },
};

use crate::support::{
    DIRECTORY, Made, SETTINGS, Setup, TOKENS, TestServer, WHOAMI, lay_over, status, world::cases,
};

const USERS: [(&str, &[&str], bool); 5] = [
    ("root", &["administrators"], true),
    ("mary", &["developers"], true),
    ("sam", &["developers", "token-admins"], true),
    ("bot", &["ci-bots"], true),
    ("gone", &["developers"], false),
];

/// Where tokens belong to no user, with what such a token may have.
const PLACES: [&str; 2] = ["projects/PLAT", "projects/PLAT/repos/app"];

/// What a request carries.
#[derive(Clone, Debug)]
enum Carried {
    Nothing,
    Garbage,
    Operator,
    Token { user: usize, scope: u8, basic: bool },
    TokenOfOther { user: usize },
    TokenOfPlace { place: usize, scope: u8, basic: bool },
    Password { user: usize, right: bool },
    PasswordOfNobody,
}

fn carried() -> impl Strategy<Value = Carried> {
    let user = 0..USERS.len();
    prop_oneof![
        1 => Just(Carried::Nothing),
        1 => Just(Carried::Garbage),
        1 => Just(Carried::Operator),
        8 => (user.clone(), 1u8..=2, any::<bool>())
            .prop_map(|(user, scope, basic)| Carried::Token { user, scope, basic }),
        1 => user.clone().prop_map(|user| Carried::TokenOfOther { user }),
        3 => (0..PLACES.len(), 1u8..=2, prop::bool::weighted(0.2))
            .prop_map(|(place, scope, basic)| Carried::TokenOfPlace { place, scope, basic }),
        4 => (user, prop::bool::weighted(0.8)).prop_map(|(user, right)| Carried::Password { user, right }),
        1 => Just(Carried::PasswordOfNobody),
    ]
}

/// What a request wants, without what depends on who sends it.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    ReadOpen,
    Enter(usize),
    WhoAmI,
    ReadDirectory,
    ListOwn,
    ListAll,
    Create { owner: Option<usize>, scope: u8 },
    Narrow { owner: usize },
    Revoke { owner: usize },
    NarrowOfPlace { place: usize },
    RevokeOfPlace { place: usize },
    NarrowMissing,
    RevokeAllFor,
    ReadSettings,
    WriteSettings,
}

const METHODS: [&str; 6] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "ODD"];

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        Just(Wanted::ReadOpen),
        (0..METHODS.len()).prop_map(Wanted::Enter),
        Just(Wanted::WhoAmI),
        Just(Wanted::ReadDirectory),
        Just(Wanted::ListOwn),
        Just(Wanted::ListAll),
        (proptest::option::of(0..USERS.len() - 1), 1u8..=2)
            .prop_map(|(owner, scope)| Wanted::Create { owner, scope }),
        (0..USERS.len()).prop_map(|owner| Wanted::Narrow { owner }),
        (0..USERS.len() - 1).prop_map(|owner| Wanted::Revoke { owner }),
        (0..PLACES.len()).prop_map(|place| Wanted::NarrowOfPlace { place }),
        (0..PLACES.len()).prop_map(|place| Wanted::RevokeOfPlace { place }),
        Just(Wanted::NarrowMissing),
        Just(Wanted::RevokeAllFor),
        Just(Wanted::ReadSettings),
        Just(Wanted::WriteSettings),
    ]
}

fn holders() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(json!("everyone")),
        1 => Just(json!("nobody")),
        3 => proptest::sample::subsequence(vec!["administrators", "developers", "ci-bots", "unknown"], 1..4)
            .prop_map(|groups| json!(groups)),
    ]
}

fn settings() -> impl Strategy<Value = Value> {
    let managers = prop_oneof![
        Just(json!("nobody")),
        Just(json!(["administrators"])),
        Just(json!(["administrators", "token-admins"])),
        Just(json!(["token-admins"])),
    ];
    let allow = prop_oneof![
        2 => Just(json!("anywhere")),
        2 => Just(json!(["127.0.0.0/8", "192.0.2.0/24"])),
        1 => Just(json!(["192.0.2.0/24"])),
    ];
    let header = |proxy: &str| json!({"header": "X-Client", "trusted_proxies": [proxy]});
    let client_address = prop_oneof![
        2 => Just(json!("peer")),
        2 => Just(header("127.0.0.1")),
        1 => Just(header("10.0.0.1")),
    ];
    let passwords = prop_oneof![
        2 => Just(json!("allowed")),
        1 => Just(json!("disabled")),
        1 => Just(json!({"state": "disabled", "except_users": ["m*"], "except_paths": ["/rest/api/*"]})),
    ];
    (holders(), holders(), holders(), managers, allow, client_address, passwords).prop_map(
        |(r#use, create, read_write, managers, allow, client_address, passwords)| {
            json!({
                "permissions": {
                    "use": r#use, "create": create, "create_read_write": read_write, "manage_others": managers,
                },
                "network": {"allow": allow, "client_address": client_address},
                "password_authentication": passwords,
                "limits": [],
            })
        },
    )
}

fn header_lines() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        3 => Just("192.0.2.7"),
        2 => Just("203.0.113.9"),
        2 => Just("203.0.113.9, 192.0.2.7:80"),
        1 => Just("192.0.2.7, 127.0.0.1"),
        1 => Just("unknown"),
        1 => Just("[2001:db8::1]:443"),
    ];
    proptest::collection::vec(line.prop_map(str::to_owned), 0..3)
}

/// A server, and a token of each scope for each user and place.
struct World {
    server: TestServer,
    tokens: BTreeMap<(usize, u8), Made>,
    of_places: BTreeMap<(usize, u8), Made>,
}

impl World {
    async fn new() -> Self {
        // Everybody is active until everybody has tokens.
        let directory = DIRECTORY.replace(", active: false", "");
        let server = TestServer::start(Setup { directory, ..Setup::default() }).await;
        let mut tokens = BTreeMap::new();
        for (user, (name, ..)) in USERS.iter().enumerate() {
            for scope in [1, 2] {
                tokens.insert((user, scope), server.make_token(name, scope).await);
            }
        }
        let mut of_places = BTreeMap::new();
        for (number, place) in PLACES.iter().enumerate() {
            for (scope, permission) in [(1, "REPO_READ"), (2, "REPO_WRITE")] {
                of_places.insert((number, scope), server.make_for(place, &[permission]).await);
            }
        }
        server.import(DIRECTORY).await.unwrap();
        Self { server, tokens, of_places }
    }

    fn token(&self, user: usize, scope: u8) -> &Made {
        &self.tokens[&(user, scope)]
    }

    /// The request's credentials, and what a decision is to know of them.
    fn carry(&self, request: RequestBuilder, carried: &Carried) -> (RequestBuilder, Credentials) {
        match *carried {
            Carried::Nothing => (request, Credentials::None),
            Carried::Garbage => (request.bearer_auth("garbage"), Credentials::Invalid),
            Carried::Operator => (request.bearer_auth(self.server.operator()), Credentials::Operator),
            Carried::Token { user, scope, basic } => {
                let made = self.token(user, scope);
                let request = if basic {
                    request.basic_auth(USERS[user].0, Some(&made.secret))
                } else {
                    request.bearer_auth(&made.secret)
                };
                (request, held(made.id, person(user).into(), scope))
            }
            Carried::TokenOfOther { user } => {
                let made = self.token(user, 2);
                (request.basic_auth("toor", Some(&made.secret)), Credentials::Invalid)
            }
            Carried::TokenOfPlace { place, scope, basic } => {
                let made = &self.of_places[&(place, scope)];
                if basic {
                    (request.basic_auth("root", Some(&made.secret)), Credentials::Invalid)
                } else {
                    (request.bearer_auth(&made.secret), held(made.id, owner_at(place), scope))
                }
            }
            Carried::Password { user, right } => {
                let name = USERS[user].0;
                let credentials = if right {
                    Credentials::Password(person(user))
                } else {
                    Credentials::UnverifiedPassword { user: UserName::new(name) }
                };
                (request.basic_auth(name, Some(if right { name } else { "wrong" })), credentials)
            }
            Carried::PasswordOfNobody => {
                let user = UserName::new("nobody");
                (request.basic_auth("nobody", Some("x")), Credentials::UnverifiedPassword { user })
            }
        }
    }

    /// The request for what is `wanted`, the operation that it is, and the status when it is permitted.
    async fn want(&self, wanted: Wanted, sender: Option<usize>) -> (Method, String, Value, Operation, u16) {
        let tokens = |rest: &str| format!("{TOKENS}/{rest}");
        let target = |owner: usize| {
            if sender == Some(owner) {
                TokenOwnership::Own
            } else {
                TokenOwnership::Others { owner_is_administrator: owner == 0 }
            }
        };
        let nothing = json!({});
        match wanted {
            Wanted::ReadOpen => {
                let path = "/rest/api/latest/application-properties".to_owned();
                (Method::GET, path, nothing, Operation::ReadOpen, 200)
            }
            Wanted::Enter(method) => {
                let method = Method::from_bytes(METHODS[method].as_bytes()).unwrap();
                (method, "/nothing".to_owned(), nothing, Operation::Enter, 404)
            }
            Wanted::WhoAmI => (Method::GET, WHOAMI.to_owned(), nothing, Operation::WhoAmI, 200),
            Wanted::ReadDirectory => {
                (Method::GET, "/rest/api/1.0/groups".to_owned(), nothing, Operation::ReadDirectory, 200)
            }
            Wanted::ListOwn => (Method::GET, tokens("token"), nothing, Operation::ListOwn, 200),
            Wanted::ListAll => {
                (Method::GET, tokens("tokensByFilter?limit=1&afterId=0"), nothing, Operation::ListAll, 200)
            }
            Wanted::Create { owner, scope } => {
                let scope_asked = if scope == 1 { Scope::ReadOnly } else { Scope::ReadWrite };
                let own = owner.is_none_or(|owner| sender == Some(owner));
                let operation = if own {
                    Operation::CreateOwn { scope: scope_asked }
                } else {
                    Operation::CreateFor {
                        owner: owner.map(person).map(TokenOwner::User),
                        scope: scope_asked,
                    }
                };
                let mut body = json!({"tokenScope": scope});
                if let Some(owner) = owner {
                    body["tokenForUserKey"] = json!(USERS[owner].0);
                }
                (Method::POST, tokens("token"), body, operation, 200)
            }
            Wanted::Narrow { owner } => {
                let path = tokens(&format!("token/{}", self.token(owner, 2).id));
                let body = json!({"tokenDescription": "renamed"});
                (Method::PATCH, path, body, Operation::Narrow(target(owner)), 200)
            }
            Wanted::Revoke { owner } => {
                let spare = self.server.make_token(USERS[owner].0, 1).await;
                let path = tokens(&format!("token/{}", spare.id));
                (Method::DELETE, path, nothing, Operation::Revoke(target(owner)), 200)
            }
            Wanted::NarrowOfPlace { place } => {
                let path = tokens(&format!("token/{}", self.of_places[&(place, 2)].id));
                let target = TokenOwnership::Others { owner_is_administrator: false };
                (Method::PATCH, path, json!({"tokenDescription": "renamed"}), Operation::Narrow(target), 200)
            }
            Wanted::RevokeOfPlace { place } => {
                let spare = self.server.make_for(PLACES[place], &["REPO_READ"]).await;
                let target = TokenOwnership::Others { owner_is_administrator: false };
                let path = tokens(&format!("token/{}", spare.id));
                (Method::DELETE, path, nothing, Operation::Revoke(target), 200)
            }
            Wanted::NarrowMissing => {
                let target = TokenOwnership::Others { owner_is_administrator: false };
                (Method::PATCH, tokens("token/999999999"), nothing, Operation::Narrow(target), 404)
            }
            Wanted::RevokeAllFor => {
                (Method::DELETE, tokens("token/deleteAllFor/nobody"), nothing, Operation::RevokeAllFor, 404)
            }
            Wanted::ReadSettings => (Method::GET, SETTINGS.to_owned(), nothing, Operation::ReadSettings, 200),
            Wanted::WriteSettings => {
                (Method::PUT, SETTINGS.to_owned(), nothing, Operation::WriteSettings, 428)
            }
        }
    }

    /// What the server answers, and what `decide` says.
    async fn compare(
        &self,
        document: Value,
        carried: &Carried,
        wanted: Wanted,
        lines: &[String],
    ) -> (u16, u16, Decision) {
        let (mut whole, _) = self.server.settings().await;
        lay_over(&mut whole, document.clone());
        self.server.change_settings(document).await;
        let read: SettingsDocument = serde_json::from_value(whole).unwrap();
        let settings = Settings::try_from(&read).unwrap();
        let sender = match *carried {
            Carried::Token { user, .. } | Carried::Password { user, .. } => Some(user),
            _ => None,
        };
        let (method, path, body, operation, when_permitted) = self.want(wanted, sender).await;
        let request = lines.iter().fold(self.server.request(method.clone(), &path), |request, line| {
            request.header("x-client", line)
        });
        let (request, credentials) = self.carry(request, carried);
        let request =
            if body == json!({}) && method != Method::PATCH { request } else { request.json(&body) };
        let answered = status(request).await;
        let decision = access::decide(
            &settings,
            &Request {
                origin: RequestOrigin::Connection {
                    peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    header_lines: lines.to_vec(),
                },
                method: method.as_str(),
                path: path.split('?').next().unwrap(),
                credentials,
                operation,
                at: Timestamp::UNIX_EPOCH,
            },
        );
        let expected = match &decision {
            Decision::Permit(_) => when_permitted,
            Decision::Denied(reason) => reason.status(),
        };
        (answered, expected, decision)
    }
}

fn person(user: usize) -> Person {
    let (name, groups, active) = USERS[user];
    Person {
        name: UserName::new(name),
        groups: groups.iter().map(|group| GroupName::new(*group)).collect(),
        active,
        administrator: groups.contains(&"administrators"),
    }
}

fn owner_at(place: usize) -> TokenOwner {
    let project = "PLAT".to_owned();
    match place {
        0 => TokenOwner::Project(project),
        _ => TokenOwner::Repository { project, slug: "app".to_owned() },
    }
}

fn held(id: i64, owner: TokenOwner, scope: u8) -> Credentials {
    let scope = if scope == 1 { Scope::ReadOnly } else { Scope::ReadWrite };
    Credentials::Token(Held {
        id: TokenId::new(id.to_string()),
        owner,
        scope: TokenScope::Set(scope),
        expires: None,
        restriction: Restriction::default(),
    })
}

#[test]
fn the_server_answers_what_access_decides() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let mut runner =
        TestRunner::new(contextualize_config(Config { failure_persistence: None, ..cases(300) }));
    let cases = (settings(), carried(), wanted(), header_lines());
    runner
        .run(&cases, |(document, carried, wanted, lines)| {
            let (answered, expected, decision) =
                runtime.block_on(world.compare(document, &carried, wanted, &lines));
            prop_assert_eq!(answered, expected, "{:?}", decision);
            Ok(())
        })
        .unwrap();
}
