//! What operators see of the gateway: figures, readiness, confirmed uses, and the file that it is started with.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Gate, MARY, READS, secret, upstream::Upstream};
use crate::{
    serve::process::{Process, folder, run},
    support::{
        answer, client,
        program::{Run, program},
        status,
    },
};

#[tokio::test]
async fn figures_tell_requests_by_class_and_reason_without_a_word_of_a_client() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    let path = "/rest/api/latest/projects/sekrit";
    assert_eq!(status(gate.with_token(READS, Method::GET, path)).await, 200);
    assert_eq!(status(gate.with_token(READS, Method::POST, path)).await, 403);
    assert_eq!(status(gate.server.request(Method::GET, "/a//b")).await, 400);
    let text = gate.server.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "tokenwarden_requests_total{class=\"rest\",decision=\"permit\",reason=\"permit\",status=\"200\"} 1",
        "tokenwarden_requests_total{class=\"rest\",decision=\"refuse\",reason=\"scope\",status=\"403\"} 1",
        "tokenwarden_requests_total{class=\"ambiguous\",decision=\"refuse\",reason=\"ambiguous\",status=\"400\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    assert!(!text.contains("sekrit") && !text.contains(&secret(READS)) && !text.contains(MARY));
}

#[tokio::test]
async fn a_use_is_recorded_once_the_upstream_confirmed_it_with_where_it_came_from() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    let wrong = format!("BBDC-{}", STANDARD.encode(format!("{READS}:tsrqponmlkjihgfedcba")));
    let guessed = gate.server.request(Method::GET, "/rest/api/latest/projects").bearer_auth(wrong);
    assert_eq!(status(guessed).await, 401);
    let uses = || async {
        let request = gate.server.as_operator(Method::GET, "/rest/tokenwarden/1/uses");
        answer(request, StatusCode::OK).await["values"].clone()
    };
    assert_eq!(uses().await, json!([]), "whoever knows an id does not keep a token in use");
    assert_eq!(status(gate.with_token(READS, Method::GET, "/rest/api/latest/projects")).await, 200);
    let Value::Array(listed) = uses().await else { panic!("a list") };
    assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["from"]), (1, &json!(READS), &json!("127.0.0.1")));
}

#[tokio::test]
async fn a_token_of_the_gateway_is_made_used_and_revoked_while_it_stands_in_front_of_another_server() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    let tokens = "/rest/tokenwarden/1/tokens";
    let body = json!({"tokenScope": 2, "tokenDescription": "WARDEN_TOKEN"});
    let create = gate.server.with_password("root", Method::POST, tokens).json(&body);
    let made = answer(create, StatusCode::OK).await;
    let secret = made["plainTextToken"].as_str().unwrap();
    let settings = || gate.server.with_token(secret, Method::GET, "/rest/tokenwarden/1/settings");
    assert_eq!(status(settings()).await, 200);
    let listed = answer(gate.server.with_password("root", Method::GET, tokens), StatusCode::OK).await;
    assert_eq!(listed["content"][0]["id"], made["id"]);
    assert_eq!(upstream.arrived().len(), 0, "it is not a token of the server behind");
    let by_another = gate.server.with_password("mary", Method::POST, tokens).json(&body);
    let of_mary = answer(by_another, StatusCode::OK).await["plainTextToken"].as_str().unwrap().to_owned();
    let read = gate.server.with_token(&of_mary, Method::GET, "/rest/tokenwarden/1/restrictions");
    assert_eq!(status(read).await, 403, "a token is worth what its owner is");
    let revoke = gate.server.with_password("root", Method::DELETE, &format!("{tokens}/{}", made["id"]));
    assert_eq!(status(revoke).await, 200);
    assert_eq!(status(settings()).await, 401);
    let of_the_app = "/rest/de.resolution.apitokenauth/latest/user/token";
    let forwarded = gate.server.with_password("root", Method::POST, of_the_app).json(&body);
    assert_eq!(status(forwarded).await, 401);
    assert_eq!(upstream.arrived().len(), 1, "the paths of the app belong to the server behind");
}

#[tokio::test]
async fn a_process_stands_in_front_of_another_and_logs_what_it_decided_alone() {
    let (folder_behind, folder) = (folder(), folder());
    let behind = Process::start(&folder_behind);
    let upstream = behind.url("");
    let flags = ["--upstream", &upstream, "--upstream-user", "root", "--upstream-password-env", "root"];
    let mut gate = Process::start_with(&folder, "127.0.0.1:0", &flags);
    let tokens = "/rest/access-tokens/latest/users/mary";
    let body = json!({"name": "nightly", "permissions": ["REPO_READ"]});
    // Whoever makes a token is looked up behind.
    let create = client().put(gate.url(tokens)).basic_auth("mary", Some("mary")).json(&body);
    answer(create, StatusCode::OK).await;
    let listed = client().get(behind.url(tokens)).basic_auth("mary", Some("mary"));
    assert_eq!(answer(listed, StatusCode::OK).await["values"][0]["name"], "nightly");
    let line: Value = serde_json::from_str(&gate.next_log_line()).unwrap();
    assert_eq!(
        (&line["message"], &line["class"], &line["reason"]),
        (&json!("decision"), &json!("tokens"), &json!("permit"))
    );
    behind.stop();
    let away = client().get(gate.url(tokens)).basic_auth("mary", Some("mary"));
    assert_eq!(status(away).await, 502);
    let (log, code) = gate.stopped();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("nightly"), "{log}");
}

#[test]
fn a_gateway_file_with_mistakes_is_told_of_all_of_them_and_flags_cannot_say_the_same() {
    let folder = folder();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, "version: 1\nlisten: here\nupstream:\n  url: bitbucket\n  refresh: 5\n").unwrap();
    let (code, _, told) = run(&folder, &["serve", "--config", "gateway.yaml"], "");
    assert_eq!(code, 3, "{told}");
    for place in ["gateway.yaml:2", "gateway.yaml:4", "gateway.yaml:5", "`store`", "`auth`"] {
        assert!(told.contains(place), "{place} in {told}");
    }
    let (code, _, told) = run(&folder, &["serve", "--config", "gateway.yaml", "--store", "sqlite:a.db"], "");
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("`--store` cannot be used with `--config`"), "{told}");
    let (code, _, told) = run(&folder, &["serve"], "");
    assert_eq!(code, 64, "{told}");
    let (code, _, told) =
        run(&folder, &["serve", "--store", "sqlite:a.db", "--upstream", "http://127.0.0.1:1"], "");
    assert_eq!(code, 64, "{told}");
}

#[test]
fn the_gateway_file_of_the_examples_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/front/gateway.yaml");
    let reading = tokenwarden::config::gateway::read(&path.into(), &std::fs::read(path).unwrap());
    assert!(reading.config.is_some(), "{:?}", reading.diagnostics);
}

#[test]
fn the_config_file_of_the_examples_before_a_gateway_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/front");
    let validated = Run::of(program().args(["-C", folder, "validate"]));
    assert_eq!(validated.code, Some(0), "{}{}", validated.stdout, validated.stderr);
}
