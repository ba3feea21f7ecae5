//! Restrictions of tokens of the server behind a gateway, over REST.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokenwarden::{
    serve::front::mirror::{MirrorOptions, UnknownTokens},
    targets::bitbucket::BitbucketOptions,
};

use crate::{
    support::{NOW, Setup, TestServer, answer, status},
    targets::bitbucket::stub::Stub,
};

const RESTRICTIONS: &str = "/rest/tokenwarden/1/restrictions";
const NIGHTLY: &str = "/rest/tokenwarden/1/restrictions/075905477751";

/// What a gateway in front of `stub` is filled from.
pub(crate) fn source(stub: &Stub) -> MirrorOptions {
    MirrorOptions {
        bitbucket: stub.target_with(BitbucketOptions::default()),
        refresh: Duration::from_mins(5),
        max_age: Duration::from_mins(15),
        unknown_tokens: UnknownTokens::Ask,
    }
}

async fn server() -> TestServer {
    let stub = Stub::start().await;
    TestServer::start(Setup { mirror: Some(source(&stub)), ..Setup::default() }).await
}

fn put(server: &TestServer, body: &Value) -> RequestBuilder {
    server.as_operator(Method::PUT, NIGHTLY).json(body)
}

async fn etag(server: &TestServer) -> String {
    let response = server.as_operator(Method::GET, NIGHTLY).send().await.unwrap();
    response.headers()["etag"].to_str().unwrap().to_owned()
}

async fn audited(server: &TestServer, action: &str) -> Vec<Value> {
    let path = format!("/rest/tokenwarden/1/audit?action={action}&limit=1000");
    answer(server.as_operator(Method::GET, &path), StatusCode::OK).await["values"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_server_that_stands_in_front_of_no_other_has_no_restrictions() {
    let server = TestServer::new().await;
    for request in [
        server.as_operator(Method::GET, RESTRICTIONS),
        put(&server, &json!({"max_scope": "read-only"})).header("if-none-match", "*"),
        server.as_operator(Method::GET, "/rest/tokenwarden/1/uses"),
        server.as_operator(Method::GET, "/rest/tokenwarden/1/mirror"),
        server.as_operator(Method::DELETE, "/rest/tokenwarden/1/mirror/tokens/075905477751"),
    ] {
        assert_eq!(status(request).await, 404);
    }
}

#[tokio::test]
async fn only_an_administrator_restricts_and_reads_restrictions() {
    let server = server().await;
    for (user, code) in [("mary", 403), ("root", 200)] {
        assert_eq!(status(server.with_password(user, Method::GET, RESTRICTIONS)).await, code, "{user}");
        let put = server.with_password(user, Method::PUT, NIGHTLY).header("if-none-match", "*");
        assert_eq!(status(put.json(&json!({"max_scope": "read-only"}))).await, code, "{user}");
        let forget = server.with_password(user, Method::DELETE, "/rest/tokenwarden/1/mirror/tokens/1");
        assert_eq!(status(forget).await, code, "{user}");
    }
    assert_eq!(status(server.request(Method::GET, RESTRICTIONS)).await, 401);
}

#[tokio::test]
async fn a_restriction_is_set_changed_and_taken_off_each_under_its_precondition_and_on_the_record() {
    let server = server().await;
    let low = json!({"max_scope": "read-only"});
    assert_eq!(status(put(&server, &low)).await, 428);
    for wrong in ["\"1-0\"", "*"] {
        assert_eq!(status(put(&server, &low).header("if-match", wrong)).await, 412, "there is none yet");
    }
    let made = answer(put(&server, &low).header("if-none-match", "*"), StatusCode::OK).await;
    assert_eq!(
        made,
        json!({"id": "075905477751", "not_after": null, "max_scope": "read-only",
               "last_change": {"by": "(operator)", "at": NOW}})
    );
    assert_eq!(status(put(&server, &low).header("if-none-match", "*")).await, 412);
    let first = etag(&server).await;
    let both = json!({"max_scope": "read-only", "not_after": "2026-12-07T00:00:00Z"});
    let changed = answer(put(&server, &both).header("if-match", &first), StatusCode::OK).await;
    assert_eq!(changed["not_after"], "2026-12-07T00:00:00Z");
    assert_eq!(status(put(&server, &low).header("if-match", &first)).await, 412, "it has moved");
    let second = etag(&server).await;
    // The same again is no effect.
    answer(put(&server, &both).header("if-match", &second), StatusCode::OK).await;
    assert_eq!(etag(&server).await, second);
    let remove = || server.as_operator(Method::DELETE, NIGHTLY);
    assert_eq!(status(remove()).await, 428);
    assert_eq!(status(remove().header("if-match", &first)).await, 412);
    assert_eq!(status(remove().header("if-match", &second)).await, 200);
    assert_eq!(status(server.as_operator(Method::GET, NIGHTLY)).await, 404);
    // One that comes again is another one.
    answer(put(&server, &both).header("if-none-match", "*"), StatusCode::OK).await;
    assert_ne!(etag(&server).await, second);

    let set = audited(&server, "restriction-set").await;
    assert_eq!(set.len(), 3);
    assert_eq!(set[0]["details"]["upstream_token"], "075905477751");
    assert_eq!(
        set[1]["details"]["restriction"],
        json!({"not_after": {"after": "2026-12-07T00:00:00Z"}}),
        "{}",
        set[1]
    );
    assert_eq!(audited(&server, "restriction-remove").await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_enforced_is_refused_with_what_to_write() {
    let server = server().await;
    for body in [
        json!({}),
        json!({"max_scope": null, "not_after": null}),
        json!({"max_scope": "none"}),
        json!({"not_after": "soon"}),
        json!({"not_after": "1969-01-01T00:00:00Z"}),
        json!({"max_scope": "read-only", "min_scope": "read-only"}),
    ] {
        assert_eq!(status(put(&server, &body).header("if-none-match", "*")).await, 400, "{body}");
    }
    for id in ["x", "-1", "99999999999999999999"] {
        let request = server.as_operator(Method::PUT, &format!("{RESTRICTIONS}/{id}"));
        let request = request.header("if-none-match", "*").json(&json!({"max_scope": "read-only"}));
        assert_eq!(status(request).await, 400, "{id}");
    }
}

#[tokio::test]
async fn restrictions_are_listed_page_by_page_in_the_order_of_the_tokens() {
    let server = server().await;
    for id in ["000000000009", "000000000002", "075905477751"] {
        let request = server.as_operator(Method::PUT, &format!("{RESTRICTIONS}/{id}"));
        let request = request.header("if-none-match", "*").json(&json!({"max_scope": "read-only"}));
        answer(request, StatusCode::OK).await;
    }
    let page = |query: &str| {
        let request = server.as_operator(Method::GET, &format!("{RESTRICTIONS}?{query}"));
        async { answer(request, StatusCode::OK).await }
    };
    let first = page("limit=2").await;
    let ids = |page: &Value| {
        let values = page["values"].as_array().unwrap().iter();
        values.map(|value| value["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ["000000000002", "000000000009"]);
    let start = &first["nextPageStart"];
    assert_eq!(ids(&page(&format!("limit=2&start={start}")).await), ["075905477751"]);
}

#[tokio::test]
async fn a_run_restricts_only_under_its_lease_and_it_stands_in_the_ledger() {
    let server = server().await;
    let runs = ["20260601T120000Z-3f9a2c1d", "20260601T120001Z-3f9a2c1d"];
    let lease = async |run: &str| {
        let body = json!({"run": run, "holder": "ci@host", "seconds": 60});
        let request = server.as_operator(Method::PUT, "/rest/tokenwarden/1/lease").json(&body);
        answer(request, StatusCode::OK).await["number"].as_i64().unwrap()
    };
    let first = lease(runs[0]).await;
    let body = json!({"run": runs[0], "target": "prod", "begun": NOW, "by": "ci@host", "policy_sha256": ""});
    answer(server.as_operator(Method::POST, "/rest/tokenwarden/1/runs").json(&body), StatusCode::OK).await;
    let under = |request: RequestBuilder, action: &str| {
        let note = json!({"address": "token/075905477751", "action": action, "counts": {"narrowings": 1}});
        request
            .header("tokenwarden-run", runs[0])
            .header("tokenwarden-lease", first.to_string())
            .header("tokenwarden-change", note.to_string())
    };
    let low = json!({"max_scope": "read-only"});
    answer(under(put(&server, &low), "narrow").header("if-none-match", "*"), StatusCode::OK).await;
    let forget = || server.as_operator(Method::DELETE, "/rest/tokenwarden/1/mirror/tokens/000000000002");
    answer(under(forget(), "revoke"), StatusCode::OK).await;
    let told = answer(server.as_operator(Method::GET, "/rest/tokenwarden/1/runs"), StatusCode::OK).await;
    let changes = told["runs"][0]["changes"].as_array().unwrap();
    let actions: Vec<_> = changes.iter().map(|change| change["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["narrow", "revoke"], "{told}");
    assert_eq!(audited(&server, "restriction-set").await[0]["run"], runs[0]);
    assert_eq!(audited(&server, "upstream-revoke").await[0]["details"]["upstream_token"], "000000000002");

    let given_back = server.as_operator(Method::DELETE, &format!("/rest/tokenwarden/1/lease/{}", runs[0]));
    answer(given_back, StatusCode::OK).await;
    lease(runs[1]).await;
    let tag = etag(&server).await;
    let lost = under(server.as_operator(Method::DELETE, NIGHTLY), "narrow").header("if-match", tag);
    assert_eq!(status(lost).await, 409);
    assert_eq!(status(server.as_operator(Method::GET, NIGHTLY)).await, 200, "it stays");
}
