//! The OpenAPI document, as the server hands it out.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{TestServer, answer, status};

/// All values of `$ref` below `value`.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => (),
    }
}

#[tokio::test]
async fn every_path_of_the_document_is_served_and_every_reference_leads_somewhere() {
    let server = TestServer::new().await;
    let request = server.request(Method::GET, "/rest/tokenwarden/1/openapi.json");
    let document = answer(request, StatusCode::OK).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let filled = path
                .replace("{id}", "0")
                .replace("{key}", "PLAT")
                .replace("{userKey}", "x")
                .replace("{slug}", "mary");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let open = operations.get("get").and_then(|get| get.get("security")).is_some();
            let anonymous = status(server.request(method.clone(), &filled)).await;
            assert_eq!(anonymous, if open { 200 } else { 401 }, "{method} {path}");
            let answered = status(server.as_operator(method.clone(), &filled)).await;
            assert_ne!(answered, 405, "{method} {path}");
            assert!(answered < 500, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_document_is_sent_again_only_when_it_has_changed() {
    let server = TestServer::new().await;
    let get = || server.request(Method::GET, "/rest/tokenwarden/1/openapi.json");
    let response = get().send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let etag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.len() > 10, "{etag}");
    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
        let again = get().header("if-none-match", known).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()["etag"], *etag);
        assert!(again.bytes().await.unwrap().is_empty());
    }
    assert_eq!(status(get().header("if-none-match", "\"other\"")).await, 200);
}
