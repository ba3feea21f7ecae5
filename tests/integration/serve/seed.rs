//! Seeding a store for a demonstration: once, as a whole, and never over what is there.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokenwarden::{
    model::GroupName,
    serve::{
        seed::{self, SeedError},
        settings,
        store::{Children, Right, Store, StoreUrl, TokenFilter, TokenPage},
    },
};

use crate::support::{NOW, Setup, TOKENS, TestServer, answer};

const EVERYTHING: TokenPage = TokenPage::Offset { skip: 0, limit: 100 };

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

async fn new_store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let url = StoreUrl { file: folder.path().join("store.db") };
    let store = Store::open_or_create(&url).await.unwrap();
    (folder, store)
}

async fn plant(store: &Store, text: &str) -> Result<bool, SeedError> {
    seed::plant(store, text, GroupName::new("administrators"), now()).await
}

const ONE: &str = "tokens: [{owner: mary, scope: unset, created: 1mo, expires: in 1mo, last_used: never}]";

#[tokio::test]
async fn a_store_is_seeded_once_and_not_again_when_its_tokens_are_revoked() {
    let (_folder, store) = new_store().await;
    assert!(plant(&store, ONE).await.unwrap());
    assert!(!plant(&store, ONE).await.unwrap());
    let tokens = store.tokens(&TokenFilter::default(), EVERYTHING).await.unwrap();
    let token = &tokens[0];
    assert_eq!(tokens.len(), 1);
    assert_eq!(token.created.to_string(), "2026-05-01T12:00:00Z");
    assert_eq!(token.expires.unwrap().to_string(), "2026-07-01T12:00:00Z");
    assert!(store.revoke_token(&Right::Host, token.id, Children::Revoke, None).await.unwrap());
    assert!(!plant(&store, ONE).await.unwrap());
    assert_eq!(store.last_token().await.unwrap(), 0);
}

#[tokio::test]
async fn tokens_of_every_kind_of_owner_are_planted() {
    let (_folder, store) = new_store().await;
    let owners = ["mary", "project PLAT", "repository PLAT/app"];
    let token = |owner: &str| {
        format!("  - {{owner: {owner}, scope: read-only, created: 1mo, expires: never, last_used: never}}\n")
    };
    plant(&store, &format!("tokens:\n{}", owners.map(token).concat())).await.unwrap();
    let tokens = store.tokens(&TokenFilter::default(), EVERYTHING).await.unwrap();
    assert_eq!(tokens.iter().map(|token| token.owner.to_string()).collect::<Vec<_>>(), owners);
    let creators: Vec<_> = tokens.iter().map(|token| token.created_by.clone()).collect();
    assert_eq!(creators, [Some("mary".into()), None, None]);
}

#[tokio::test]
async fn a_store_that_is_in_use_is_not_seeded() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 1).await;
    let store = Store::open(&StoreUrl { file: server.store_file() }).await.unwrap();
    assert!(!plant(&store, ONE).await.unwrap());
    store.close().await;
    let list = answer(server.as_operator(Method::GET, &format!("{TOKENS}/tokensByFilter")), StatusCode::OK);
    assert_eq!(list.await["lastId"], made.id);
}

#[tokio::test]
async fn settings_of_a_seed_lie_over_those_of_a_new_store() {
    let seed = "
settings:
  permissions: {create: [developers]}
  network: {allow: [127.0.0.0/8]}
";
    let server = TestServer::start(Setup { seed: Some(seed.to_owned()), ..Setup::default() }).await;
    let (document, _) = server.settings().await;
    assert_eq!(document["permissions"]["create"], json!(["developers"]));
    assert_eq!(document["permissions"]["manage_others"], json!(["administrators"]));
    assert_eq!(document["network"], json!({"allow": ["127.0.0.0/8"], "client_address": "peer"}));
}

#[tokio::test]
async fn a_seed_with_a_mistake_plants_nothing_and_says_what_is_wrong() {
    let (_folder, store) = new_store().await;
    let token = |rest: &str| format!("tokens:\n  - {{owner: mary, scope: unset, created: 1d, {rest}}}\n");
    let mut told = Vec::new();
    for text in [
        token("expires: soon, last_used: never"),
        token("expires: in 3 days, last_used: never"),
        token("expires: never, last_used: sometimes"),
        token("expires: never, last_used: never, owners: x"),
        token("expires: never, last_used: never").replace("mary", "repository PLAT"),
        format!("{}settings: {{network: {{allow: []}}}}\n", token("expires: never, last_used: never")),
    ] {
        let error = plant(&store, &text).await.unwrap_err();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        told.push(format!("{error}{}", cause.unwrap_or_default()));
    }
    assert_eq!(store.last_token().await.unwrap(), 0);
    assert!(settings::export(&store).await.unwrap().contains("anywhere"));
    insta::assert_snapshot!(told.join("\n"), @"
    the seed file cannot be read: line 2, column 55: write `never`, `in 30d` or `10d ago`
    the seed file cannot be read: line 2, column 55: use a number and a unit (h, d, w, mo, y), e.g. `90d`
    the seed file cannot be read: line 2, column 73: `last_used` takes `never`, or a mapping with `ago` and `from`
    the seed file cannot be read: line 2, column 80: unknown key; the keys here are `owner`, `description`, `scope`, `created`, `expires`, `last_used`, `created_by`
    the seed file has a token without a valid owner: `repository PLAT` is not an owner; write it as plans show it: `mary`, `project PLAT` or `repository PLAT/app`; `user NAME` is always the user
    the settings in the seed file cannot be enforced: `network.allow`: the list of networks is empty; write `anywhere`
    ");
}
