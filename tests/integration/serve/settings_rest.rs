//! The settings: read, replaced with entity tags, and imported behind the server's back.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenwarden::serve::{
    settings,
    store::{Store, StoreUrl},
};

use crate::support::{NOW, SETTINGS, TestServer, WHOAMI, answer, status};

#[tokio::test]
async fn a_new_server_lets_everyone_use_and_create_and_administrators_manage() {
    let server = TestServer::new().await;
    let (document, _) = server.settings().await;
    assert_eq!(
        document,
        json!({
            "permissions": {
                "use": "everyone", "create": "everyone", "create_read_write": "everyone",
                "manage_others": ["administrators"],
            },
            "network": {"allow": "anywhere", "client_address": "peer"},
            "password_authentication": "allowed",
            "limits": [],
        })
    );
}

#[tokio::test]
async fn settings_are_replaced_with_the_tag_that_was_read_and_with_no_other() {
    let server = TestServer::new().await;
    let (mut document, etag) = server.settings().await;
    document["network"]["allow"] = json!(["127.0.0.0/9", "127.128.0.0/9"]);
    let put = || server.with_password("root", Method::PUT, SETTINGS).json(&document);
    assert_eq!(status(put()).await, 428);
    assert_eq!(status(put().header("if-match", "\"other\"")).await, 412);
    assert_eq!(status(put().header("if-match", format!("W/{etag}"))).await, 412, "a weak tag never matches");
    let response = put().header("if-match", &etag).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let new_etag = response.headers()["etag"].to_str().unwrap().to_owned();
    let answered: serde_json::Value = response.json().await.unwrap();
    assert_eq!(answered["network"]["allow"], json!(["127.0.0.0/8"]), "equal settings have one form");
    assert_eq!(server.settings().await, (answered, new_etag.clone()));
    assert_eq!(status(put().header("if-match", &etag)).await, 412, "the first tag is spent");
    assert_eq!(status(put().header("if-match", format!("\"x\", {new_etag}"))).await, 200);
}

#[tokio::test]
async fn a_document_that_cannot_be_enforced_is_refused_with_the_place_of_the_mistake() {
    let server = TestServer::new().await;
    let (document, etag) = server.settings().await;
    for (pointer, value, expected) in [
        ("/network/allow", json!([]), "`network.allow`: the list of networks is empty; write `anywhere`"),
        ("/permissions/manage_others", json!("everyone"), "`permissions.manage_others`: `everyone` cannot"),
        ("/limits", json!([{"max_lifetime": "90"}]), "`limits[0].max_lifetime`: `90` is not a duration"),
        ("/password_authentication", json!("maybe"), "`password_authentication`: `maybe` is neither"),
        (
            "/network/client_address",
            json!({"header": "X-Forwarded-For", "trusted_proxies": ["10.0.0.5", "::/0"]}),
            "`network.client_address`: `trusted_proxies` trusts all of IPv4 or IPv6",
        ),
        ("/permissions/use", json!(7), "The body cannot be read"),
    ] {
        let mut wrong = document.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let request = server.as_operator(Method::PUT, SETTINGS).header("if-match", &etag).json(&wrong);
        let told = answer(request, StatusCode::BAD_REQUEST).await;
        assert!(told["errorMessage"].as_str().unwrap().starts_with(expected), "{told}");
    }
    assert_eq!(server.settings().await, (document, etag));
}

#[tokio::test]
async fn settings_are_for_administrators_alone() {
    let server = TestServer::new().await;
    assert_eq!(status(server.with_password("mary", Method::GET, SETTINGS)).await, 403);
    assert_eq!(status(server.with_password("mary", Method::PUT, SETTINGS)).await, 403);
    assert_eq!(status(server.with_password("root", Method::GET, SETTINGS)).await, 200);
    assert_eq!(status(server.request(Method::GET, SETTINGS)).await, 401);
}

#[tokio::test]
async fn who_changed_the_settings_last_is_told_beside_them_to_administrators() {
    const LAST_CHANGE: &str = "/rest/tokenwarden/1/settings/last-change";
    let server = TestServer::new().await;
    assert_eq!(status(server.as_operator(Method::GET, LAST_CHANGE)).await, 404, "nobody did");
    let (document, etag) = server.settings().await;
    let put = server.with_password("toor", Method::PUT, SETTINGS).header("if-match", &etag).json(&document);
    assert_eq!(status(put).await, 200);
    let read = || answer(server.with_password("root", Method::GET, LAST_CHANGE), StatusCode::OK);
    assert_eq!(read().await, json!({"by": "toor", "at": NOW}));
    let config = json!({"block-requests": false});
    let put = server.as_operator(Method::PUT, "/rest/basicauth/1.0/config").json(&config);
    assert_eq!(status(put).await, 204);
    assert_eq!(read().await["by"], "(operator)");
    let other = Store::open(&StoreUrl { file: server.store_file() }).await.unwrap();
    settings::import(&other, &document.to_string(), "2026-06-02T00:00:00Z".parse().unwrap()).await.unwrap();
    other.close().await;
    assert_eq!(read().await, json!({"by": "(settings import)", "at": "2026-06-02T00:00:00Z"}));
    assert_eq!(status(server.with_password("mary", Method::GET, LAST_CHANGE)).await, 403);
}

#[tokio::test]
async fn many_writers_at_once_lose_no_change() {
    let server = TestServer::new().await;
    let (document, etag) = server.settings().await;
    let writers = (0..8)
        .map(|_| status(server.as_operator(Method::PUT, SETTINGS).header("if-match", &etag).json(&document)));
    let statuses = futures_util::future::join_all(writers).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7);
}

#[tokio::test]
async fn settings_imported_by_another_process_hold_from_the_next_request_on() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let other = Store::open(&StoreUrl { file: server.store_file() }).await.unwrap();
    let mut document: serde_json::Value =
        serde_json::from_str(&settings::export(&other).await.unwrap()).unwrap();
    document["permissions"]["use"] = json!("nobody");
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 200);
    settings::import(&other, &document.to_string(), NOW.parse().unwrap()).await.unwrap();
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 403);
    assert!(settings::import(&other, "{}", NOW.parse().unwrap()).await.is_err());
    other.close().await;
}

#[tokio::test]
async fn with_settings_that_cannot_be_read_everything_is_refused_and_healthz_says_so() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(server.store_file());
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE settings SET document = '{}', revision = revision + 1").execute(&pool).await.unwrap();
    for path in [WHOAMI, "/rest/api/latest/application-properties", "/healthz", "/readyz"] {
        assert_eq!(status(server.with_token(&made.secret, Method::GET, path)).await, 503, "{path}");
    }
    sqlx::query("DROP TABLE settings").execute(&pool).await.unwrap();
    assert_eq!(status(server.request(Method::GET, "/healthz")).await, 503);
    pool.close().await;
}
