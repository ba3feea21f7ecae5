//! The same network before the server's token REST, which has the paths of the app: the target `resolution`
//! lists, marks and revokes tokens there.

use serde_json::{Value, json};
use tokenwarden::{
    http::{HttpClient, HttpCredential},
    model::{MarkKey, Marker},
    plan::{Change, PlannedChange, TokenStep},
    targets::{
        Target,
        resolution::{Resolution, ResolutionOptions},
    },
};

use super::{Ending, Exchange, PEOPLE, State, TOKENS, TestServer, Way, endings, limits, seeds};

/// Half of the tokens are to end, the others go at once.
const POLICY: &str = "version: 1
tokens:
  limits: [{max_scope: read-only, max_lifetime: 30d}]
  enforcement: {lifetime: expire, owner-inactive: revoke, scope-unset: revoke}
";

const RESOLUTION: Way = Way { policy: POLICY, target: resolution, is_planned, together: false };

fn resolution(url: &str, _server: &TestServer) -> Target {
    let credential = HttpCredential::Basic { user: "root".to_owned(), secret: "root".into() };
    let client = HttpClient::with_limits(url, credential, None, limits()).unwrap();
    let options =
        ResolutionOptions { marker: Some(marker()), password: true, ..ResolutionOptions::default() };
    Target::Resolution(Resolution::new(client, "the server", options))
}

fn marker() -> Marker {
    Resolution::marker(MarkKey::new("a key for the marks of the tests").unwrap(), "server")
}

fn is_planned(changes: &[PlannedChange], _before: &State, write: &Exchange) -> bool {
    let sent = (write.method.as_str(), write.path.as_str(), &write.body);
    changes.iter().any(|planned| {
        let (method, path, body) = expected(&planned.change);
        sent == (method, path.as_str(), &body)
    })
}

/// Method, path and body of the call that makes `change`.
fn expected(change: &Change) -> (&'static str, String, Value) {
    let (token, step) = change.token_step().expect("none of its settings is changed");
    let path = format!("{TOKENS}/token/{}", token.id);
    match step {
        TokenStep::Mark { until } => {
            let words = marker().write(&token.description, &token.id, until);
            ("PATCH", path, json!({ "tokenDescription": words }))
        }
        TokenStep::Revoke => ("DELETE", path, Value::Null),
        TokenStep::Narrow { .. } | TokenStep::Expire { .. } | TokenStep::Unmark => {
            panic!("{change:?} is none of this target's")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_such_a_network_the_outcomes_on_the_app_are_exact_and_nothing_takes_effect_twice() {
    let people = PEOPLE.replace("{name: root}", "{name: root, password_env: root}");
    let endings = endings(&RESOLUTION, &people, (seeds() / 6).max(10)).await;
    assert!(endings.contains(&Ending::Whole), "{endings:?}");
    assert!(endings.iter().any(|ending| *ending != Ending::Whole), "{endings:?}");
}
