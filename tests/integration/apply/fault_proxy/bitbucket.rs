//! The same network before the server's own endpoints of Bitbucket, which the target `bitbucket` reads and
//! changes with the password of an administrator.

use serde_json::{Value, json};
use tokenwarden::{
    http::{HttpClient, HttpCredential},
    model::{MarkKey, Marker, OwnerKind, PasswordAuthentication, Scope, SettingValue, Token, TokenScope},
    plan::{Change, PlannedChange, TokenStep},
    targets::{
        Target,
        bitbucket::{Bitbucket, BitbucketOptions},
    },
};

use super::{Ending, Exchange, PEOPLE, State, TestServer, Way, endings, limits, seeds};

const POLICY: &str = "version: 1
password_authentication: {state: disabled, except_users: [root]}
tokens:
  limits: [{max_scope: read-only, max_lifetime: 30d}]
  enforcement: {scope: narrow, lifetime: expire, owner-inactive: revoke}
";

const PASSWORDS: &str = "/rest/basicauth/latest/config";

const BITBUCKET: Way = Way { policy: POLICY, target: bitbucket, is_planned, together: false };

fn bitbucket(url: &str, _server: &TestServer) -> Target {
    let credential = HttpCredential::Basic { user: "root".to_owned(), secret: "root".into() };
    let client = HttpClient::with_limits(url, credential, None, limits()).unwrap();
    let options = BitbucketOptions {
        areas: vec![OwnerKind::User],
        marker: Some(marker()),
        password: true,
        ..BitbucketOptions::default()
    };
    Target::Bitbucket(Bitbucket::new(client, "the server", options))
}

fn marker() -> Marker {
    Bitbucket::marker(MarkKey::new("a key for the marks of the tests").unwrap(), "server")
}

fn is_planned(changes: &[PlannedChange], _before: &State, write: &Exchange) -> bool {
    let sent = (write.method.as_str(), write.path.as_str(), &write.body);
    changes.iter().any(|planned| {
        let (method, path, body) = expected(&planned.change, changes);
        sent == (method, path.as_str(), &body)
    })
}

/// Method, path and body of the call that makes `change`, one of `changes`.
fn expected(change: &Change, changes: &[PlannedChange]) -> (&'static str, String, Value) {
    let (token, step) = match change {
        Change::Setting { after, .. } => match &**after {
            SettingValue::PasswordAuthentication(after) => {
                return ("PUT", PASSWORDS.to_owned(), configuration(after));
            }
            _ => panic!("{change:?} is none of this target's"),
        },
        Change::Token { token, step } => (token, *step),
    };
    let path = format!("/rest/access-tokens/latest/users/{}/{}", token.owner, token.id);
    match step {
        TokenStep::Mark { .. } => ("POST", path, update(token, changes, token.scope)),
        TokenStep::Narrow { to } => ("POST", path, update(token, changes, TokenScope::Set(to))),
        TokenStep::Revoke => ("DELETE", path, Value::Null),
        TokenStep::Expire { .. } | TokenStep::Unmark => panic!("{change:?} is none of this target's"),
    }
}

fn configuration(passwords: &PasswordAuthentication) -> Value {
    let PasswordAuthentication::Disabled(except) = passwords else { panic!("they are disabled") };
    json!({"block-requests": true, "allowed-users": except.users, "allowed-paths": except.paths,
           "show-warning-message": true})
}

/// What is written of `token` with `scope` once it is marked, when one of `changes` marks it: that comes
/// first. An empty name is not written.
fn update(token: &Token, changes: &[PlannedChange], scope: TokenScope) -> Value {
    let until = changes.iter().find_map(|planned| match planned.change.token_step()? {
        (marked, TokenStep::Mark { until }) if marked.id == token.id => Some(until),
        _ => None,
    });
    let marked = until.map(|until| marker().write(&token.description, &token.id, until));
    let name = marked.unwrap_or_else(|| token.description.clone());
    let mut update = json!({"permissions": permissions(scope)});
    if !name.is_empty() {
        update["name"] = name.into();
    }
    update
}

/// What the server shows of a token that was given nothing but a scope.
fn permissions(scope: TokenScope) -> Value {
    match scope.effective() {
        Scope::ReadOnly => json!(["REPO_READ", "PROJECT_READ"]),
        Scope::ReadWrite => json!(["REPO_ADMIN", "PROJECT_ADMIN"]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_such_a_network_the_outcomes_on_bitbucket_are_exact_and_nothing_takes_effect_twice() {
    let people = PEOPLE.replace("{name: root}", "{name: root, password_env: root}");
    let endings = endings(&BITBUCKET, &people, (seeds() / 6).max(10)).await;
    assert!(endings.contains(&Ending::Whole), "{endings:?}");
    assert!(endings.iter().any(|ending| *ending != Ending::Whole), "{endings:?}");
}
