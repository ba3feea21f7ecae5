//! Plans on answers as Bitbucket gives them.

use serde_json::{Value, json};
use tokenwarden::plan::History;

use super::{actions, plan, stub::Stub};
use crate::support::world::{NOW, policy, time};

const JOHN: &str = "users/john.doe";

/// The token that the knowledge base article 1044088271 shows, with `more` members.
fn sample(more: Value) -> Value {
    let mut token = json!({
        "id": "075905477751", "createdDate": 1_610_525_968_583_i64, "name": "access token name",
        "permissions": ["REPO_ADMIN", "PROJECT_READ"],
        "user": {"name": "john.doe", "emailAddress": "test@email.com", "id": 52, "displayName": "John Doe",
                 "active": true, "slug": "john.doe", "type": "NORMAL",
                 "links": {"self": [{"href": "http://localhost:7994/users/john.doe"}]}},
    });
    if let Value::Object(more) = more {
        token.as_object_mut().unwrap().extend(more);
    }
    token
}

fn at(moment: &str) -> i64 {
    time(moment).as_millisecond()
}

/// The sample, and what it would be had it been used or given an end.
async fn server() -> Stub {
    let stub = Stub::start().await;
    stub.contents().users.push(("john.doe", "john.doe", true));
    stub.add(JOHN, sample(json!({})));
    let recent = at("2026-11-01T00:00:00Z");
    for more in [
        json!({"id": "000000000001", "lastAuthenticated": at("2026-06-01T00:00:00Z")}),
        json!({"id": "000000000002", "lastAuthenticated": at("2026-11-22T00:00:00Z"),
               "expiryDate": at("2027-01-01T00:00:00Z")}),
        json!({"id": "000000000003", "createdDate": recent, "expiryDate": at("2028-11-01T00:00:00Z")}),
        json!({"id": "000000000004", "createdDate": recent, "expiryDate": at("2027-06-01T00:00:00Z")}),
        json!({"id": "000000000005", "createdDate": recent, "expiryDays": 500, "lastAuthenticated": null}),
        json!({"id": "000000000006", "expiryDate": at("2022-01-13T00:00:00Z")}),
    ] {
        stub.add(JOHN, sample(more));
    }
    stub
}

#[tokio::test]
async fn the_sample_of_the_knowledge_base_breaks_what_its_dates_say() {
    let stub = server().await;
    let reporting =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 1y, max_idle: 90d, max_unused: 30d}]}\n");
    let plan = plan(&stub.target(), &reporting, &History::default(), NOW).await;
    let lines = plan.reported.iter().flat_map(|found| {
        let line = move |finding: &tokenwarden::compliance::Finding| {
            format!("{} {}: {}", found.token.id, finding.rule, finding.message)
        };
        found.findings.iter().map(line)
    });
    let lines: Vec<_> = lines.collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!((plan.tokens.seen, plan.tokens.complying), (7, 1));
}

#[tokio::test]
async fn what_its_dates_break_is_remedied() {
    let stub = server().await;
    let acting = policy(
        "version: 1\ntokens:\n  limits: [{max_lifetime: 1y, max_idle: 90d, max_unused: 30d}]\n  \
         enforcement: {lifetime: {action: expire, grace: 14d}, idle: revoke, never-used: revoke, expired: revoke}\n",
    );
    let (before, outcome, after) = super::apply(&stub.target(), &acting, NOW).await;
    let marked = ["000000000002", "000000000003", "000000000005"].map(|id| format!("mark {id}"));
    let revoked = ["000000000001", "000000000006", "075905477751"].map(|id| format!("revoke {id}"));
    assert_eq!(actions(&before), [marked, revoked].concat());
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
}
