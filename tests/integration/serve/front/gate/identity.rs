//! The gateway in front of a server that believes a header: tokens and users are the gateway's own, and the server behind
//! is told who sends a request.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenwarden::{
    model::HeaderName,
    serve::front::{Front, UpstreamLimits, classify::Prefixes, forward::Forwarder, judge::Browsers},
};

use super::{
    git::{fails, works},
    upstream::{BELIEVED, Upstream},
};
use crate::{
    serve::process::{Process, folder},
    support::{Made, Setup, TestServer, answer, client, status},
};

const OWN: &str = "/rest/tokenwarden/1/tokens";
const PAGE: &str = "/plugins/servlet/app";

/// A gateway in front of `upstream`.
async fn gate(upstream: &Upstream) -> TestServer {
    let url = format!("http://{}", upstream.address).parse().unwrap();
    let forwarder = Forwarder::new(url, None, UpstreamLimits::default()).unwrap();
    let peers = std::iter::once("127.0.0.1".parse::<tokenwarden::model::network::AddressRange>().unwrap());
    let front = Front::new(forwarder, Prefixes::new("", ""), Browsers::Network, peers.collect());
    let front = front.with_identity_in(&HeaderName::new(BELIEVED).unwrap()).unwrap();
    TestServer::start(Setup { front: Some(front), ..Setup::default() }).await
}

/// A token of `owner` that reaches so far.
async fn made(gate: &TestServer, owner: &str, scope: u8) -> Made {
    let body = json!({"tokenForUserKey": owner, "tokenScope": scope, "tokenDescription": "made"});
    let created = answer(gate.as_operator(Method::POST, OWN).json(&body), StatusCode::OK).await;
    Made {
        id: created["id"].as_i64().unwrap(),
        secret: created["plainTextToken"].as_str().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn the_server_behind_is_told_who_sends_a_request_and_nothing_else_of_the_credentials() {
    let upstream = Upstream::start().await;
    let gate = gate(&upstream).await;
    let token = made(&gate, "mary", 1).await;
    let request = || gate.request(Method::GET, PAGE);
    for request in [
        request().bearer_auth(&token.secret),
        request().basic_auth("MARY", Some(&token.secret)),
        request().basic_auth("Mary", Some("mary")),
    ] {
        let request = request
            .header(BELIEVED, "root")
            .header("x_webauth_user", "root")
            .header("X-WebAuth_User", "root")
            .header("remote-user", "root")
            .header("x-forwarded-user", "root")
            .header("connection", BELIEVED)
            .header("cookie", "session=stolen");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("set-cookie"), "a session would outlive the token");
        let arrived = upstream.only();
        let who: Vec<_> = arrived
            .headers
            .iter()
            .filter(|(_, value)| ["root", "mary"].contains(&value.to_str().unwrap()))
            .collect();
        assert_eq!(who.len(), 1, "{who:?}");
        assert_eq!(arrived.headers[BELIEVED], "mary", "as the directory writes it");
        for gone in ["authorization", "cookie"] {
            assert!(!arrived.headers.contains_key(gone), "{gone}");
        }
    }
    let used = answer(gate.with_password("mary", Method::GET, OWN), StatusCode::OK).await;
    assert!(used.to_string().contains("127.0.0.1"), "the use is recorded: {used}");
}

#[tokio::test]
async fn nobody_passes_whom_the_gateway_does_not_know_or_the_policy_refuses() {
    let upstream = Upstream::start().await;
    let gate = gate(&upstream).await;
    let (reads, writes) = (made(&gate, "mary", 1).await, made(&gate, "mary", 2).await);
    let refused = async |request: reqwest::RequestBuilder, expected: u16, why: &str| {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected, "{why}");
        assert_eq!(response.headers().contains_key("www-authenticate"), expected == 401, "{why}");
        assert_eq!(upstream.arrived().len(), 0, "{why}");
    };
    let get = |path: &str| gate.request(Method::GET, path);
    refused(get(PAGE), 401, "no credentials").await;
    refused(get(PAGE).header("cookie", "session=1"), 401, "a session of the server behind").await;
    refused(get(PAGE).header(BELIEVED, "root"), 401, "the header alone").await;
    refused(get(PAGE).bearer_auth("tw_x"), 401, "no token").await;
    refused(get(PAGE).basic_auth("mary", Some("wrong")), 401, "a wrong password").await;
    refused(get(PAGE).basic_auth("sam", Some(&reads.secret)), 401, "the token of another user").await;
    refused(get("/x?access_token=1").bearer_auth(&reads.secret), 400, "two credentials").await;
    let two = get(PAGE).bearer_auth(&reads.secret).header("authorization", "Basic cm9vdDpyb290");
    refused(two, 400, "two headers").await;
    let other = get(PAGE).bearer_auth(&reads.secret).header("x-http-method-override", "DELETE");
    refused(other, 400, "two methods").await;
    refused(get("/a//b").bearer_auth(&reads.secret), 400, "two paths").await;
    let post = gate.request(Method::POST, PAGE);
    refused(post.bearer_auth(&reads.secret), 403, "a token that reads").await;
    let of_another_site = gate.request(Method::POST, PAGE).header("sec-fetch-site", "cross-site");
    refused(of_another_site.basic_auth("mary", Some("mary")), 403, "a page of another site").await;
    for path in [PAGE, "/rest/access-tokens/latest/users/mary"] {
        let post = gate.request(Method::PUT, path).bearer_auth(&writes.secret);
        assert_eq!(status(post).await, 200, "{path} is no matter of the gateway");
    }
    upstream.arrived();
    gate.change_settings(json!({"permissions": {"use": ["ci-bots"]}})).await;
    refused(get(PAGE).bearer_auth(&writes.secret), 403, "the group").await;
    gate.change_settings(json!({"permissions": {"use": "everyone"}, "network": {"allow": ["10.0.0.0/8"]}}))
        .await;
    refused(get(PAGE).bearer_auth(&writes.secret), 403, "the network").await;
    refused(get(PAGE), 403, "the network, before anything else").await;
    gate.change_settings(json!({"network": {"allow": "anywhere"}, "password_authentication": "disabled"}))
        .await;
    refused(get(PAGE).basic_auth("mary", Some("mary")), 403, "a password").await;
    answer(gate.as_operator(Method::DELETE, &format!("{OWN}/{}", writes.id)), StatusCode::OK).await;
    refused(get(PAGE).bearer_auth(&writes.secret), 401, "revoked").await;
}

#[tokio::test]
async fn a_proxy_that_asks_is_told_who_sends_the_request() {
    let upstream = Upstream::start().await;
    let gate = gate(&upstream).await;
    let token = made(&gate, "mary", 1).await;
    let ask = |uri: &str| {
        gate.request(Method::GET, "/authz/nginx")
            .header("x-original-method", "GET")
            .header("x-original-uri", uri)
            .header("x-forwarded-for", "127.0.0.1")
    };
    let response = ask(PAGE).bearer_auth(&token.secret).send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["x-forwarded-user"], "mary");
    assert_eq!(status(ask(PAGE)).await, 401);
    assert_eq!(status(ask("/a?access_token=1").bearer_auth(&token.secret)).await, 403);
}

#[tokio::test]
async fn git_goes_through_with_a_token_of_the_gateway() {
    let upstream = Upstream::start().await;
    let gate = gate(&upstream).await;
    let (reads, writes) = (made(&gate, "mary", 1).await, made(&gate, "mary", 2).await);
    let folder = TempDir::new().unwrap();
    let bare = upstream.root().join("PLAT/app.git");
    std::fs::create_dir_all(&bare).unwrap();
    works(&bare, &["init", "-q", "--bare", "-b", "main", "."]).await;
    let url = |secret: &str| format!("http://mary:{secret}@{}/scm/PLAT/app.git", gate.address());
    works(folder.path(), &["clone", "-q", &url(&writes.secret), "work"]).await;
    let work = folder.path().join("work");
    works(&work, &["commit", "-q", "--allow-empty", "-m", "first"]).await;
    works(&work, &["push", "-q", "origin", "HEAD:main"]).await;
    works(folder.path(), &["clone", "-q", &url(&reads.secret), "read"]).await;
    let told = fails(&folder.path().join("read"), &["push", "-q", "origin", "HEAD:other"]).await;
    assert!(told.contains("remote: This token only reads"), "{told}");
}

#[tokio::test]
async fn a_gateway_file_puts_it_in_front_of_a_server_that_believes_a_header() {
    let (upstream, folder) = (Upstream::start().await, folder());
    let file = format!(
        "version: 1\nlisten: 127.0.0.1:0\nstore: sqlite:store.db\nupstream:\n  kind: header\n  header: X-WEBAUTH-USER\n  \
         url: http://{}\n",
        upstream.address
    );
    std::fs::write(folder.path().join("gateway.yaml"), file).unwrap();
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_tokenwarden"));
    let process = Process::start_from(command, &folder, "gateway.yaml");
    assert_eq!(status(client().get(process.url("/readyz"))).await, 200);
    let create = client().post(process.url(OWN)).basic_auth("mary", Some("mary"));
    let body = json!({"tokenScope": 1, "tokenDescription": "ci"});
    let created: Value = answer(create.json(&body), StatusCode::OK).await;
    let secret = created["plainTextToken"].as_str().unwrap();
    assert_eq!(status(client().get(process.url(PAGE)).bearer_auth(secret)).await, 200);
    assert_eq!(upstream.only().headers[BELIEVED], "mary");
    let (log, _) = process.stopped();
    assert!(log.contains("\"owner\":\"mary\"") && !log.contains(secret), "{log}");
}
