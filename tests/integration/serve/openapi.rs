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
                .replace("{user}", "mary")
                .replace("{permission}", "PROJECT_READ")
                .replace("{run}", "20261123T120000Z-3f9a2c1d")
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

/// Every operation of the document, with its method and its path.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        })
        .collect()
}

async fn document(server: &TestServer) -> Value {
    answer(server.request(Method::GET, "/rest/tokenwarden/1/openapi.json"), StatusCode::OK).await
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_says_what_its_parameters_can_be() {
    let server = TestServer::new().await;
    let document = document(&server).await;
    let mut names = std::collections::BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(name.starts_with(method) && name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        assert!(names.insert(name), "{name} is there twice");
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path: Vec<_> = parameters.iter().filter(|given| given["in"] == "path").collect();
        assert_eq!(in_path.len(), path.matches('{').count(), "{path}");
        for given in parameters {
            let (what, schema) = (format!("{method} {path} {}", given["name"]), &given["schema"]);
            if given["in"] == "path" {
                assert_eq!(given["required"], true, "{what}");
                let says = ["pattern", "minLength", "minimum"].iter().any(|key| schema.get(key).is_some());
                assert!(says, "{what}");
            } else {
                assert!(given["description"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
            }
            if ["start", "page", "afterId", "untilId"].iter().any(|name| given["name"] == *name) {
                assert_eq!(schema["minimum"], 0, "{what}");
            }
            if given["name"] == "limit" {
                assert_eq!(schema["minimum"], 1, "{what}");
            }
        }
        let responses = operation["responses"].as_object().unwrap();
        let can_be_wrong =
            parameters.iter().any(|given| given["in"] != "path") || operation.get("requestBody").is_some();
        assert!(!can_be_wrong || responses.contains_key("400"), "{method} {path}");
    }
    assert_eq!(
        document["paths"]["/rest/access-tokens/latest/users/{user}"]["put"]["requestBody"]["content"]["application/json"]
            ["schema"]["required"],
        serde_json::json!(["name", "permissions"])
    );
    let asked = &document["components"]["schemas"]["AccessTokenRequest"];
    assert_eq!(
        (&asked["properties"]["expiryDays"]["minimum"], &asked["additionalProperties"]),
        (&1.into(), &false.into())
    );
}

#[tokio::test]
async fn every_answer_to_right_and_wrong_requests_is_one_that_the_document_names() {
    let server = TestServer::new().await;
    let document = document(&server).await;
    for (method, path, operation) in operations(&document) {
        // What a token may do changes when it is revoked here.
        let bot = server.make_token("bot", 2).await;
        let responses = operation["responses"].as_object().unwrap();
        for id in ["000000000001", "x"] {
            let filled = path
                .replace("{id}", id)
                .replace("{key}", if id == "x" { "NONE" } else { "PLAT" })
                .replace("{userKey}", "x")
                .replace("{user}", if id == "x" { "nobody" } else { "root" })
                .replace("{permission}", if id == "x" { "ADMIN" } else { "PROJECT_READ" })
                .replace("{run}", if id == "x" { "no run" } else { "20261123T120000Z-3f9a2c1d" })
                .replace("{slug}", "app");
            for (query, body) in
                [("", None), ("?limit=x", None), ("?limit=1", Some("{")), ("", Some("{\"x\": 1}"))]
            {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let target = format!("{filled}{query}");
                for request in [
                    server.as_operator(method.clone(), &target),
                    server.with_token(&bot.secret, method.clone(), &target),
                    server.request(method.clone(), &target),
                ] {
                    let request = match body {
                        Some(body) => request.header("content-type", "application/json").body(body),
                        None => request,
                    };
                    let given = status(request).await.to_string();
                    assert!(responses.contains_key(&given), "{method} {target} {body:?}: {given}");
                }
            }
        }
    }
}
