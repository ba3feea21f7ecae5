//! A gateway whose list of users lacks somebody whom its other answers name.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokenwarden::{
    http::{HttpClient, HttpCredential},
    inventory::InventoryReader,
    plan::Plan,
    targets::gateway::Gateway,
};

use crate::support::{
    NOW, Setup, TestServer,
    world::{policy, terms, time},
};

/// Made long ago, of two owners.
const SEED: &str = "
tokens:
  - {owner: mary, scope: read-only, created: 90d, expires: never, last_used: never}
  - {owner: sam, scope: read-only, created: 90d, expires: never, last_used: never}
";

/// What the tokens of everybody who is not in the directory come to.
const HARSH: &str = "version: 1\ntokens: {limits: [{groups: [developers]}, {max_lifetime: 30d}], enforcement: {owner-unknown: revoke, lifetime: revoke}}\n";

/// A proxy before `server` that takes the user `hidden` out of its list of users.
async fn hiding(server: Arc<TestServer>, hidden: &'static str) -> String {
    let relay = move |request: Request<Body>| {
        let server = Arc::clone(&server);
        async move {
            let target = request.uri().path_and_query().unwrap().as_str();
            let mut onward = server.request(Method::GET, target);
            for (name, value) in request.headers().iter().filter(|(name, _)| *name == "authorization") {
                onward = onward.header(name, value);
            }
            let answer = onward.send().await.unwrap();
            let status = answer.status();
            let mut body: Value = answer.json().await.unwrap();
            if request.uri().path() == "/rest/api/latest/admin/users" {
                let users = body["values"].as_array_mut().unwrap();
                users.retain(|user| user["name"] != hidden);
                body["size"] = json!(users.len());
            }
            let answer = Response::builder().status(status).header("content-type", "application/json");
            answer.body(Body::from(body.to_string())).unwrap()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(relay)).await });
    url
}

async fn planned(hidden: &'static str) -> (Vec<String>, Vec<String>) {
    let server = TestServer::start(Setup { seed: Some(SEED.to_owned()), ..Setup::default() }).await;
    let url = hiding(Arc::new(server), hidden).await;
    let root = HttpCredential::Basic { user: "root".to_owned(), secret: "root".into() };
    let gateway = Gateway::new(HttpClient::new(&url, root, None).unwrap(), "gateway");
    assert_eq!(gateway.overview().await.unwrap().server.caller.user, Some("root".into()));
    let policy = policy(HARSH);
    let plan = Plan::make(&terms(&policy, time(NOW)), &gateway).await.unwrap();
    let tokens = plan.changes.iter().filter_map(|planned| planned.change.token());
    let revoked = tokens.map(|token| token.owner.to_string()).collect();
    (revoked, plan.coverage.unseen().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_list_of_users_without_somebody_whom_other_answers_name_removes_nothing() {
    for (hidden, said) in [
        (
            "root",
            "it lacks `root`, whom the server takes this run for; and `root`, whom groups have as members",
        ),
        ("gone", "it lacks `gone`, whom groups have as members"),
        ("mary", "it lacks `mary`, whom groups have as members"),
    ] {
        let (revoked, missing) = planned(hidden).await;
        assert_eq!(revoked, Vec::<String>::new(), "{hidden}");
        assert_eq!(missing, [format!("the list of users is not whole: {said}")], "{hidden}");
    }
    assert_eq!(planned("nobody").await, (vec![], vec![]));
}
