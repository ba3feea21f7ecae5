//! Tokens that are created through the gateway, as many as the policy allows for each owner.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::put};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Gate, WRITES, With};
use crate::{
    support::status,
    targets::bitbucket::stub::{Stub, token},
};

const MINE: &str = "/rest/access-tokens/latest/users/mary_example.com";

/// A server that creates a token a while after it was asked for one, whoever waits for that.
#[derive(Clone)]
struct Slow(Arc<Creations>);

struct Creations {
    /// Where the tokens are listed.
    directory: OnceLock<Arc<Stub>>,
    /// How many may go on.
    go_on: Semaphore,
    begun: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Slow {
    async fn before(limits: Value, go_on: usize) -> (Self, Gate) {
        let slow = Self(Arc::new(Creations {
            directory: OnceLock::new(),
            go_on: Semaphore::new(go_on),
            begun: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route(MINE, put(create)).with_state(slow.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let settings = json!({"limits": limits});
        let gate = Gate::with(address, With { settings, ..With::default() }).await;
        while status(gate.server.request(Method::GET, "/readyz")).await != 200 {
            tokio::task::yield_now().await;
        }
        slow.0.directory.set(Arc::clone(&gate.stub)).ok().unwrap();
        (slow, gate)
    }
}

async fn create(State(Slow(creations)): State<Slow>) -> StatusCode {
    let creating = tokio::spawn(async move {
        let number = creations.begun.fetch_add(1, Ordering::SeqCst);
        let now = creations.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        creations.most_under_way.fetch_max(now, Ordering::SeqCst);
        creations.go_on.acquire().await.unwrap().forget();
        let id = format!("{:012}", 600_000_000 + number);
        let made = token(&id, "ci", "2026-11-01T00:00:00Z", &["REPO_READ"]);
        creations.directory.get().unwrap().add("users/mary_example.com", made);
        creations.under_way.fetch_sub(1, Ordering::SeqCst);
    });
    creating.await.unwrap();
    StatusCode::OK
}

fn creation(gate: &Gate) -> reqwest::RequestBuilder {
    let body = json!({"name": "ci", "permissions": ["REPO_READ"]});
    gate.with_token(WRITES, Method::PUT, MINE).json(&body)
}

#[tokio::test]
async fn of_many_who_create_a_token_of_one_owner_at_once_as_many_get_one_as_the_policy_allows() {
    let (slow, gate) = Slow::before(json!([{"max_per_owner": 4}]), 10).await;
    let created: Vec<_> =
        futures_util::future::join_all((0..6).map(|_| creation(&gate).send())).await.into_iter().collect();
    let (mut passed, mut refused) = (0, 0);
    for response in created {
        let response = response.unwrap();
        if response.status() == 200 {
            passed += 1;
            continue;
        }
        refused += 1;
        assert_eq!(response.status(), 400);
        let told = response.text().await.unwrap();
        let message = "The owner already has 4 tokens, the maximum defined by your administrator.";
        assert!(told.contains(message), "{told}");
    }
    assert_eq!((passed, refused), (2, 4), "one that has expired is none of the four");
    assert_eq!(slow.0.most_under_way.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_breaks_off_brings_the_next_token_of_the_owner_no_further() {
    let (slow, gate) = Slow::before(json!([{"max_per_owner": 3}]), 0).await;
    let first = tokio::spawn(creation(&gate).send());
    while slow.0.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = tokio::spawn(creation(&gate).send());
    assert_eq!(status(gate.server.request(Method::GET, "/healthz")).await, 200);
    slow.0.go_on.add_permits(2);
    assert_eq!(second.await.unwrap().unwrap().status(), 400);
    assert_eq!(slow.0.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn where_the_tokens_of_the_owner_cannot_be_counted_none_is_created() {
    let (slow, gate) = Slow::before(json!([{"max_per_owner": 3}]), 10).await;
    assert_eq!(status(gate.with_token(WRITES, Method::GET, MINE)).await, 405, "that one forwards");
    gate.stub.contents().refused = vec![MINE];
    let response = creation(&gate).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(slow.0.begun.load(Ordering::SeqCst), 0);
}
