//! Who gets in: credentials, networks, proxies, passwords and scopes, each over real HTTP.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenwarden::{
    model::TokenSecret,
    serve::store::{Store, StoreUrl},
};

use crate::support::{DIRECTORY, NOW, SETTINGS, Setup, TOKENS, TestServer, WHOAMI, answer, status};

#[tokio::test]
async fn a_token_works_as_basic_and_as_bearer_and_tells_who_its_owner_is() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let expected = json!({
        "user": "mary", "groups": ["developers"], "administrator": false, "administrators": "administrators",
        "credential": "token", "token_id": made.id, "scope": "read-write", "expires": null,
        "client_address": "127.0.0.1", "peer": "127.0.0.1",
    });
    let bearer = server.with_token(&made.secret, Method::GET, WHOAMI);
    assert_eq!(answer(bearer, StatusCode::OK).await, expected);
    let basic = server.request(Method::GET, WHOAMI).basic_auth("MARY", Some(&made.secret));
    assert_eq!(answer(basic, StatusCode::OK).await, expected);
}

#[tokio::test]
async fn a_token_with_somebody_elses_name_is_refused() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    for user in ["sam", "nobody", ""] {
        let request = server.request(Method::GET, WHOAMI).basic_auth(user, Some(&made.secret));
        assert_eq!(status(request).await, 401, "{user}");
    }
}

#[tokio::test]
async fn what_is_no_credential_is_refused_with_a_challenge_and_a_request_id() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let of_nobody = TokenSecret::from_random([7; 32]);
    for value in [
        format!("Bearer {}", of_nobody.expose()),
        format!("Bearer {}", &made.secret[..51]),
        "Bearer ".to_owned(),
        "Basic %%%".to_owned(),
        "Basic bm9jb2xvbg==".to_owned(),
        "Digest x".to_owned(),
    ] {
        let request = server.request(Method::GET, WHOAMI).header("authorization", &value);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{value}");
        assert!(response.headers().contains_key("www-authenticate"));
        assert!(response.headers().contains_key("x-request-id"));
    }
    let twice = server.with_token(&made.secret, Method::GET, WHOAMI);
    assert_eq!(status(twice.header("authorization", "Bearer x")).await, 401);
}

#[tokio::test]
async fn a_read_only_token_reads_and_does_nothing_else() {
    let server = TestServer::new().await;
    let made = server.make_token("root", 1).await;
    let path = format!("{TOKENS}/token/{}", made.id);
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(status(server.with_token(&made.secret, method, WHOAMI)).await, 200);
    }
    for method in
        [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::from_bytes(b"ODD").unwrap()]
    {
        for path in [&*path, WHOAMI, "/nothing"] {
            let request = server.with_token(&made.secret, method.clone(), path).json(&json!({}));
            assert_eq!(status(request).await, 403, "{method} {path}");
        }
    }
    assert!(server.token(made.id).await.is_some());
}

#[tokio::test]
async fn an_expired_token_is_refused_and_stays_listed() {
    let seed = "
tokens:
  - {owner: mary, scope: read-only, created: 90d, expires: 1h ago, last_used: never}
";
    let server = TestServer::start(Setup { seed: Some(seed.to_owned()), ..Setup::default() }).await;
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let expires = now.as_millisecond() + 60_000;
    let made = server
        .make(json!({"tokenForUserKey": "mary", "tokenScope": 2, "tokenExpirationDateTimeMillis": expires}))
        .await;
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 200);
    let path = format!("{TOKENS}/token/{}", made.id);
    let at_once = json!({"tokenExpirationDateTimeMillis": now.as_millisecond()});
    answer(server.as_operator(Method::PATCH, &path).json(&at_once), StatusCode::OK).await;
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 401);
    let ids: Vec<_> = server.all_tokens().await.iter().map(|token| token["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(made.id)]);
}

#[tokio::test]
async fn an_inactive_owner_and_one_outside_use_are_refused() {
    let server = TestServer::new().await;
    let (mary, bot) = (server.make_token("mary", 2).await, server.make_token("bot", 2).await);
    server.change_settings(json!({"permissions": {"use": ["ci-bots"]}})).await;
    assert_eq!(status(server.with_token(&mary.secret, Method::GET, WHOAMI)).await, 403);
    assert_eq!(status(server.with_token(&bot.secret, Method::GET, WHOAMI)).await, 200);
    assert_eq!(status(server.with_password("mary", Method::GET, WHOAMI)).await, 200, "use is about tokens");
}

#[tokio::test]
async fn the_password_of_an_inactive_user_counts_as_wrong_and_a_token_of_one_is_refused() {
    let directory = DIRECTORY.replace(", active: false", "");
    let server =
        TestServer::start(Setup { directory, password_failures_per_minute: 2, ..Setup::default() }).await;
    let made = server.make_token("gone", 1).await;
    assert_eq!(status(server.with_password("gone", Method::GET, WHOAMI)).await, 200);
    server.import(DIRECTORY).await.unwrap();
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 403);
    let wrong = server.request(Method::GET, WHOAMI).basic_auth("gone", Some("wrong"));
    assert_eq!(status(wrong).await, 401);
    assert_eq!(status(server.with_password("gone", Method::GET, WHOAMI)).await, 401);
    assert_eq!(status(server.with_password("gone", Method::GET, WHOAMI)).await, 429, "it counts as failed");
}

#[tokio::test]
async fn outside_the_allowed_networks_everything_is_refused_but_the_operator() {
    let server = TestServer::new().await;
    let made = server.make_token("root", 2).await;
    server.change_settings(json!({"network": {"allow": ["10.0.0.0/8"]}})).await;
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 403);
    assert_eq!(status(server.with_token("garbage", Method::GET, WHOAMI)).await, 403);
    assert_eq!(status(server.with_password("root", Method::GET, WHOAMI)).await, 403);
    let open = server.request(Method::GET, "/rest/api/latest/application-properties");
    assert_eq!(status(open).await, 403);
    assert_eq!(status(server.request(Method::GET, "/healthz")).await, 200);
    assert_eq!(status(server.as_operator(Method::GET, SETTINGS)).await, 200);
    let unused = server.token(made.id).await.unwrap();
    assert_eq!(unused["lastAccessed"], 0, "the credentials were not looked at");
}

#[tokio::test]
async fn a_declared_header_decides_when_a_trusted_proxy_sends_it_and_not_otherwise() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let from = |lines: &[&str]| {
        let request = server.with_token(&made.secret, Method::GET, WHOAMI);
        lines.iter().fold(request, |request, line| request.header("x-forwarded-for", *line))
    };
    let behind = |proxy: &str| {
        json!({"network": {
            "allow": ["192.0.2.0/24"],
            "client_address": {"header": "X-Forwarded-For", "trusted_proxies": [proxy]},
        }})
    };
    server.change_settings(behind("127.0.0.1")).await;
    let seen = answer(from(&["203.0.113.9, 192.0.2.7:4711"]), StatusCode::OK).await;
    assert_eq!(seen["client_address"], "192.0.2.7");
    assert_eq!(status(from(&["203.0.113.9", "192.0.2.7, 127.0.0.1"])).await, 200);
    for refused in [&["192.0.2.7, 203.0.113.9"][..], &[], &["unknown"], &["fe80::1%eth0"]] {
        assert_eq!(status(from(refused)).await, 403, "{refused:?}");
    }
    server.change_settings(behind("10.0.0.1")).await;
    assert_eq!(status(from(&["192.0.2.7"])).await, 403, "the peer is no trusted proxy");
}

#[tokio::test]
async fn with_passwords_disabled_a_password_is_refused_whether_right_or_wrong() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    assert_eq!(status(server.with_password("mary", Method::GET, WHOAMI)).await, 200);
    let wrong = |user: &str| server.request(Method::GET, WHOAMI).basic_auth(user, Some("wrong"));
    assert_eq!(status(wrong("mary")).await, 401);
    assert_eq!(status(wrong("nobody")).await, 401);
    server.change_settings(json!({"password_authentication": "disabled"})).await;
    assert_eq!(status(server.with_password("mary", Method::GET, WHOAMI)).await, 403);
    assert_eq!(status(wrong("mary")).await, 403);
    assert_eq!(status(wrong("nobody")).await, 403);
    let basic = server.request(Method::GET, WHOAMI).basic_auth("mary", Some(&made.secret));
    assert_eq!(status(basic).await, 200, "a token still works as Basic");
    let except = json!({"state": "disabled", "except_users": ["ma*"], "except_paths": ["/rest/api/*"]});
    server.change_settings(json!({"password_authentication": except})).await;
    assert_eq!(status(server.with_password("mary", Method::GET, WHOAMI)).await, 200);
    assert_eq!(status(server.with_password("sam", Method::GET, WHOAMI)).await, 403);
    assert_eq!(status(server.with_password("sam", Method::GET, "/rest/api/latest/groups")).await, 200);
}

#[tokio::test]
async fn too_many_wrong_passwords_from_one_address_are_refused_unseen() {
    let server = TestServer::start(Setup { password_failures_per_minute: 2, ..Setup::default() }).await;
    let wrong = || server.request(Method::GET, WHOAMI).basic_auth("mary", Some("wrong"));
    assert_eq!([status(wrong()).await, status(wrong()).await], [401, 401]);
    let right = server.with_password("mary", Method::GET, WHOAMI).send().await.unwrap();
    assert_eq!(right.status(), 429);
    assert_eq!(right.headers()["retry-after"], "60");
    let made = server.make_token("mary", 1).await;
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 200);
}

#[tokio::test]
async fn right_passwords_are_all_let_in_however_many_come_at_once() {
    let server = TestServer::start(Setup { password_failures_per_minute: 10, ..Setup::default() }).await;
    let attempts = (0..40).map(|_| status(server.with_password("mary", Method::GET, WHOAMI)));
    assert_eq!(join_all(attempts).await, [200; 40]);
}

#[tokio::test]
async fn wrong_passwords_that_come_at_once_fail_no_more_often_than_one_after_the_other() {
    let server = TestServer::start(Setup { password_failures_per_minute: 3, ..Setup::default() }).await;
    let wrong = |_| status(server.request(Method::GET, WHOAMI).basic_auth("mary", Some("wrong")));
    let mut statuses = join_all((0..20).map(wrong)).await;
    statuses.sort_unstable();
    assert_eq!(statuses[..4], [401, 401, 401, 429]);
}

#[tokio::test]
async fn a_use_is_recorded_with_its_time_and_address() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    assert_eq!(server.token(made.id).await.unwrap()["lastAccessed"], 0);
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 200);
    let used = server.token(made.id).await.unwrap();
    let now: jiff::Timestamp = NOW.parse().unwrap();
    assert_eq!(used["lastAccessed"], now.as_millisecond());
    assert_eq!(used["lastAccessedAddress"], "127.0.0.1");
}

#[tokio::test]
async fn a_server_that_stops_has_written_every_use() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 200);
    let file = server.store_file();
    let _folder = server.stop().await;
    let store = Store::open(&StoreUrl { file }).await.unwrap();
    let used = store.token(made.id).await.unwrap().unwrap().last_used.unwrap();
    assert_eq!((used.at.to_string().as_str(), used.from), (NOW, Some(IpAddr::V4(Ipv4Addr::LOCALHOST))));
    store.close().await;
}

#[tokio::test]
async fn a_refusal_tells_the_client_nothing_but_a_request_id() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 1).await;
    let request = server.with_token(&made.secret, Method::GET, SETTINGS);
    let response = request.send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let expected = format!("You are not permitted to do this. The request is {id} in the server's log.");
    assert_eq!(response.status(), 403);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body, json!({"errorMessage": expected}));
}

#[tokio::test]
async fn what_nobody_serves_is_not_found_for_those_who_are_let_in_alone() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    assert_eq!(status(server.request(Method::GET, "/nothing")).await, 401);
    assert_eq!(status(server.with_token(&made.secret, Method::GET, "/nothing")).await, 404);
    assert_eq!(status(server.request(Method::PUT, WHOAMI)).await, 401);
    assert_eq!(status(server.with_token(&made.secret, Method::PUT, WHOAMI)).await, 405);
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused() {
    let server = TestServer::new().await;
    let large = format!("{{\"tokenDescription\": \"{}\"}}", "x".repeat(1 << 20));
    let request = server.with_password("mary", Method::POST, &format!("{TOKENS}/token")).body(large);
    assert_eq!(status(request).await, 413);
}
