//! Bodies of requests: what is not understood is refused, with its name, at every endpoint that takes one.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{SETTINGS, TOKENS, TestServer, answer};

/// Every operation of the server that takes a body.
async fn operations(server: &TestServer) -> Vec<(Method, String)> {
    let request = server.request(Method::GET, "/rest/tokenwarden/1/openapi.json");
    let document = answer(request, StatusCode::OK).await;
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation.get("requestBody").is_some() {
                found.push((Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), path.clone()));
            }
        }
    }
    found
}

/// `path` with what there is on the server: tokens of root, of a project and of a repository.
fn filled(path: &str) -> String {
    let id = match path {
        path if path.starts_with(TOKENS) => "1",
        path if path.contains("{slug}") => "000000000003",
        path if path.contains("{key}") => "000000000002",
        _ => "000000000001",
    };
    path.replace("{id}", id).replace("{user}", "root").replace("{key}", "PLAT").replace("{slug}", "app")
}

#[tokio::test]
async fn a_field_that_is_not_known_or_there_twice_is_refused_by_name_wherever_there_is_a_body() {
    let server = TestServer::new().await;
    server.make_token("root", 1).await;
    server.make_for("projects/PLAT", &["REPO_READ"]).await;
    server.make_for("projects/PLAT/repos/app", &["REPO_READ"]).await;
    let (settings, etag) = server.settings().await;
    let tokens = server.all_tokens().await;
    let operations = operations(&server).await;
    assert!(operations.len() > 12, "{operations:?}");
    for (method, path) in operations {
        for body in [
            r#"{"userKey": "mary"}"#,
            r#"{"userKey": "mary", "userKey": "sam"}"#,
            r#"{"name": "x", "permissions": ["REPO_READ"], "tokenDescription": "x", "userKey": {"a": 1}}"#,
            r#"{"name": {"userKey": 1, "b": 2, "userKey": 1}}"#,
        ] {
            let request = server
                .with_password("root", method.clone(), &filled(&path))
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::IF_MATCH, &etag)
                .body(body);
            let told = answer(request, StatusCode::BAD_REQUEST).await.to_string();
            let named = told.contains("`userKey`") || told.contains("`name`");
            assert!(named || told.contains("unknown field"), "{method} {path} {body}: {told}");
        }
        let request = server
            .with_password("root", method.clone(), &filled(&path))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, &etag)
            .body(r#"{"userKey": "mary"}"#);
        let told = answer(request, StatusCode::BAD_REQUEST).await.to_string();
        assert!(told.contains("`userKey`"), "{method} {path}: {told}");
    }
    assert_eq!(server.all_tokens().await, tokens, "nothing was made and nothing was changed");
    assert_eq!(server.settings().await.0, settings);
}

#[tokio::test]
async fn a_name_of_the_owner_in_a_field_of_another_api_makes_no_token_for_the_sender() {
    let server = TestServer::new().await;
    for body in [
        json!({"userKey": "mary"}),
        json!({"tokenDescription": "x", "user": "mary"}),
        json!({"tokenDescription": "x", "tokenforuserkey": "mary"}),
    ] {
        let post = server.with_password("root", Method::POST, &format!("{TOKENS}/token")).json(&body);
        let told = answer(post, StatusCode::BAD_REQUEST).await;
        let field = body.as_object().unwrap().keys().find(|name| *name != "tokenDescription").unwrap();
        assert!(told["errorMessage"].as_str().unwrap().contains(&format!("`{field}`")), "{told}");
    }
    assert_eq!(server.all_tokens().await, [Value::Null; 0]);
}

#[tokio::test]
async fn settings_in_which_a_key_is_there_twice_are_refused() {
    let server = TestServer::new().await;
    let (settings, etag) = server.settings().await;
    let twice = settings.to_string().replacen('{', r#"{"password_authentication": "disabled", "#, 1);
    let put = server.as_operator(Method::PUT, SETTINGS).header(header::IF_MATCH, etag);
    let told =
        answer(put.header(header::CONTENT_TYPE, "application/json").body(twice), StatusCode::BAD_REQUEST)
            .await;
    assert!(
        told["errorMessage"].as_str().unwrap().contains("`password_authentication` is there twice"),
        "{told}"
    );
    assert_eq!(server.settings().await.0, settings);
}
