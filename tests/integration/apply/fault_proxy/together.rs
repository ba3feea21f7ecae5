//! The same network before a server that takes changes of tokens together: whatever is lost and sent again, each change
//! takes effect once.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokenwarden::plan::{Change, PlannedChange, TokenStep};

use crate::{
    apply::batches::audited,
    serve::token_changes::CHANGES,
    support::{TestServer, answer},
};

use super::{Ending, Exchange, GATEWAY, PEOPLE, State, Way, endings, seeds};

const TOGETHER: Way = Way { is_planned, together: true, ..GATEWAY };

/// Every effect that the policy has on tokens, by action and token.
pub(super) const ONCE: [(&str, i64); 7] = [
    ("token-revoke", 6),
    ("token-revoke", 7),
    ("token-update", 1),
    ("token-update", 2),
    ("token-update", 3),
    ("token-update", 4),
    ("token-update", 4),
];

/// What took effect on tokens of `server`, in the order of [`ONCE`].
pub(super) async fn effects(server: &TestServer) -> Vec<(&'static str, i64)> {
    let known = ["token-revoke", "token-update"];
    let word = |action: String| *known.iter().find(|known| **known == action).unwrap();
    audited(server).await.into_iter().map(|(action, token)| (word(action), token)).collect()
}

fn is_planned(changes: &[PlannedChange], before: &State, write: &Exchange) -> bool {
    if write.path != CHANGES {
        return super::is_planned(changes, before, write);
    }
    let planned: Vec<Value> = changes.iter().filter_map(|planned| wanted(&planned.change)).collect();
    let sent = write.body["changes"].as_array().unwrap();
    sent.iter().all(|sent| planned.contains(&json!({"token": sent["token"], "change": sent["change"]})))
}

/// How `change` is written among others.
fn wanted(change: &Change) -> Option<Value> {
    let (token, step) = change.token_step()?;
    let step = match step {
        TokenStep::Narrow { to } => json!({"narrow": {"to": to}}),
        TokenStep::Expire { at } => json!({"expire": {"at": at}}),
        TokenStep::Revoke => json!({"revoke": {}}),
        TokenStep::Mark { .. } | TokenStep::Unmark => return None,
    };
    let id: i64 = token.id.as_str().parse().unwrap();
    Some(json!({"token": id, "change": step}))
}

#[tokio::test(flavor = "multi_thread")]
async fn over_such_a_network_changes_made_together_have_exact_outcomes_and_take_effect_once() {
    let endings = endings(&TOGETHER, PEOPLE, seeds()).await;
    for ending in [Ending::Whole, Ending::Partly, Ending::Unknown] {
        assert!(endings.contains(&ending), "every ending is met: {endings:?}");
    }
}

#[tokio::test]
async fn who_counts_effects_sees_each() {
    let server = TestServer::new().await;
    let token = server.make_token("mary", 2).await;
    let body = json!({"changes": [{"token": token.id, "change": {"narrow": {"to": "read-only"}}}]});
    answer(server.as_operator(Method::POST, CHANGES).json(&body), StatusCode::OK).await;
    assert_eq!(effects(&server).await, [("token-update", token.id)]);
}
