//! Who is behind a name of the directory file: people who leave, come back and are renamed, and their tokens.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Made, TOKENS, TestServer, WHOAMI, answer,
    program::{Run, program},
    status,
};

async fn lets_in(server: &TestServer, token: &Made) -> u16 {
    status(server.with_token(&token.secret, Method::GET, WHOAMI)).await
}

async fn owner(server: &TestServer, token: &Made) -> Value {
    server.token(token.id).await.unwrap()["userName"].clone()
}

/// The ids of the tokens that Bitbucket's REST lists for the user with this slug.
async fn of_slug(server: &TestServer, slug: &str) -> Vec<Value> {
    let path = format!("/rest/access-tokens/latest/users/{slug}");
    let page = answer(server.as_operator(Method::GET, &path), StatusCode::OK).await;
    page["values"].as_array().unwrap().iter().map(|token| token["id"].clone()).collect()
}

/// A directory with root and the users `others`.
fn directory(others: &str) -> String {
    format!("users: [{{name: root}}, {others}]\ngroups: {{administrators: [root]}}\n")
}

#[tokio::test]
async fn a_name_that_left_and_came_back_has_none_of_the_tokens_of_before() {
    let server = TestServer::new().await;
    let (with, without) = (directory("{name: sam}"), directory("{name: mary}"));
    server.import(&with).await.unwrap();
    let old = server.make_token("sam", 2).await;
    assert_eq!(lets_in(&server, &old).await, 200);
    server.import(&without).await.unwrap();
    assert_eq!(lets_in(&server, &old).await, 403);
    assert_eq!(owner(&server, &old).await, "sam", "nobody else has the name yet");
    for _ in 0..2 {
        server.import(&directory("{name: SAM, display_name: Another Sam}")).await.unwrap();
        assert_eq!(lets_in(&server, &old).await, 403, "the name is another person's");
        assert_eq!(of_slug(&server, "sam").await, [Value::Null; 0]);
    }
    let new = server.make_token("sam", 2).await;
    assert_eq!((lets_in(&server, &new).await, owner(&server, &new).await), (200, json!("SAM")));
    let left = owner(&server, &old).await;
    assert!(left.as_str().unwrap().starts_with("(left "), "{left}");
    let all = format!("{TOKENS}/token/deleteAllFor/sam");
    answer(server.as_operator(Method::DELETE, &all), StatusCode::OK).await;
    assert!(server.token(new.id).await.is_none() && server.token(old.id).await.is_some());
    let path = "/rest/api/latest/admin/users?filter=sam";
    let users = answer(server.as_operator(Method::GET, path), StatusCode::OK).await;
    let active: Vec<_> =
        users["values"].as_array().unwrap().iter().map(|user| user["active"].clone()).collect();
    assert_eq!(active, [json!(false), json!(true)], "who left can still be seen: {users}");
    assert!(server.import(&directory(&format!("{{name: '{}'}}", left.as_str().unwrap()))).await.is_err());
}

#[tokio::test]
async fn who_is_only_inactive_for_a_while_keeps_the_tokens() {
    let server = TestServer::new().await;
    server.import(&directory("{name: sam}")).await.unwrap();
    let token = server.make_token("sam", 2).await;
    server.import(&directory("{name: sam, active: false}")).await.unwrap();
    assert_eq!(lets_in(&server, &token).await, 403);
    server.import(&directory("{name: sam}")).await.unwrap();
    assert_eq!(lets_in(&server, &token).await, 200);
}

#[tokio::test]
async fn an_id_in_the_directory_file_says_who_is_the_same_person() {
    let server = TestServer::new().await;
    let import = async |users: &str| server.import(&directory(users)).await.unwrap();
    import("{name: sam}, {name: ann, id: a}, {name: bea, id: b}").await;
    let made = async |name| server.make_token(name, 2).await;
    let (sam, ann, bea) = (made("sam").await, made("ann").await, made("bea").await);

    import("{name: sam, id: s}").await;
    assert_eq!(lets_in(&server, &sam).await, 200, "an id that is new for somebody who never left");
    import("{name: sam, id: s}, {name: ann, id: a}, {name: bea, id: x}").await;
    assert_eq!(lets_in(&server, &ann).await, 200, "the same person is back");
    assert_eq!(lets_in(&server, &bea).await, 403, "another one has the name");
    import("{name: ann, id: s}, {name: sam, id: a}, {name: beatrix, id: b}").await;
    for (token, name) in [(&sam, "ann"), (&ann, "sam"), (&bea, "beatrix")] {
        assert_eq!(lets_in(&server, token).await, 200, "{name}");
        assert_eq!(owner(&server, token).await, name, "names change, people do not");
        assert_eq!(of_slug(&server, name).await, [json!(format!("{:012}", token.id))]);
    }
    import("{name: ann, id: n}, {name: sam}").await;
    assert_eq!((lets_in(&server, &sam).await, lets_in(&server, &ann).await), (403, 200));
    import("{name: sam, id: s}").await;
    assert_eq!(
        (lets_in(&server, &sam).await, lets_in(&server, &ann).await),
        (200, 403),
        "sam is who ann was at first"
    );
}

#[tokio::test]
async fn the_audit_says_of_whoever_is_renamed_both_the_names_and_the_id() {
    let server = TestServer::new().await;
    let audit = async |query: &str| {
        let path = format!("/rest/tokenwarden/1/audit?limit=1000&{query}");
        let page = answer(server.as_operator(Method::GET, &path), StatusCode::OK).await;
        page["values"].as_array().unwrap().clone()
    };
    server.import(&directory("{name: Sam, id: s}, {name: bob}")).await.unwrap();
    let sam = server.make_token("sam", 2).await;
    let own = server.with_token(&sam.secret, Method::POST, &format!("{TOKENS}/token"));
    answer(own.json(&json!({"tokenDescription": "x", "tokenScope": 1})), StatusCode::OK).await;
    let bob = server.make_token("bob", 2).await;
    server.import(&directory("{name: samuel, id: s}, {name: sam, id: t}")).await.unwrap();
    server.import(&directory("{name: samuel, id: s}, {name: sam, id: t}, {name: bob, id: b}")).await.unwrap();
    for token in [&sam, &bob] {
        let path = format!("{TOKENS}/token/{}?children=keep", token.id);
        assert_eq!(status(server.as_operator(Method::DELETE, &path)).await, 200);
    }

    let imports = audit("action=directory-import").await;
    let renamed: Vec<&Value> = imports.iter().map(|entry| &entry["details"]["renamed"]).collect();
    let of_bob = renamed[3][0]["after"].as_str().unwrap();
    assert!(of_bob.starts_with("(left ") && of_bob.ends_with(") bob"), "{renamed:?}");
    assert_eq!(
        renamed[1..],
        [
            &json!([{"id": "s", "before": "sam", "after": "Sam"}]),
            &json!([{"id": "s", "before": "Sam", "after": "samuel"}]),
            &json!([{"id": null, "before": "bob", "after": of_bob}]),
        ]
    );
    let by_sam = &audit("who=sam").await[0];
    assert_eq!(
        (&by_sam["who_id"], &by_sam["owner"], &by_sam["owner_id"]),
        (&json!("s"), &json!("Sam"), &json!("s"))
    );
    let told = audit(&format!("token={}", sam.id)).await;
    let names = |entry: &Value| (entry["owner"].clone(), entry["owner_id"].clone());
    assert_eq!(names(&told[0]), (json!("Sam"), json!("s")));
    assert_eq!(names(told.last().unwrap()), (json!("samuel"), json!("s")));
    let told = audit(&format!("token={}", bob.id)).await;
    assert_eq!(names(told.last().unwrap()), (json!(of_bob), Value::Null), "nobody knows who that was");
    assert!(told.iter().all(|entry| entry.get("who_id").is_none()), "the operator is no person");

    let store = format!("sqlite:{}", server.store_file().display());
    let table = Run::of(program().args(["audit", "--store", &store, "--who", "sam"])).stdout;
    assert!(table.contains("Sam [id s] (token 1)") && table.contains("of Sam [id s]"), "{table}");
}

#[tokio::test]
async fn users_whom_paths_or_ids_could_not_tell_apart_are_refused_by_name() {
    let server = TestServer::new().await;
    let told = async |users: &str| server.import(&directory(users)).await.unwrap_err().to_string();
    let slug = told("{name: 'a@b.example'}, {name: A_b.example}").await;
    assert!(["a@b.example", "A_b.example", "`a_b.example`"].iter().all(|part| slug.contains(part)), "{slug}");
    let id = told("{name: a, id: '7'}, {name: b, id: '7'}").await;
    assert!(id.contains("`a`") && id.contains("`b`") && id.contains("`id`"), "{id}");
}

#[tokio::test]
async fn the_slug_of_who_left_is_free_for_somebody_else() {
    let server = TestServer::new().await;
    server.import(&directory("{name: 'a@b'}")).await.unwrap();
    let old = server.make_token("a@b", 1).await;
    server.import(&directory("{name: a_b}")).await.unwrap();
    let new = server.make_token("a_b", 1).await;
    assert_eq!(of_slug(&server, "a_b").await, [json!(format!("{:012}", new.id))]);
    let path = "/rest/api/latest/admin/users?filter=a@b";
    let users = answer(server.as_operator(Method::GET, path), StatusCode::OK).await;
    let slug = users["values"][0]["slug"].as_str().unwrap().to_owned();
    assert_eq!(of_slug(&server, &slug).await, [json!(format!("{:012}", old.id))], "{users}");
}

#[tokio::test]
async fn a_project_or_repository_that_is_made_again_begins_without_tokens() {
    let server = TestServer::new().await;
    let projects = |projects: &str| format!("{}projects: {projects}\n", directory("{name: mary}"));
    server.import(&projects("{PLAT: [app, lib], DOCS: []}")).await.unwrap();
    let project = server.make_for("projects/PLAT", &["REPO_READ"]).await;
    let repository = server.make_for("projects/PLAT/repos/app", &["REPO_READ"]).await;
    let kept = server.make_for("projects/PLAT/repos/lib", &["REPO_READ"]).await;
    let docs = server.make_for("projects/DOCS", &["REPO_READ"]).await;
    server.import(&projects("{plat: [lib]}")).await.unwrap();
    server.import(&projects("{PLAT: [app, lib], DOCS: []}")).await.unwrap();
    for (token, expected) in [(&project, 200), (&repository, 401), (&kept, 200), (&docs, 401)] {
        assert_eq!(lets_in(&server, token).await, expected);
    }
    for place in ["projects/PLAT/repos/app", "projects/DOCS"] {
        let path = format!("/rest/access-tokens/latest/{place}");
        let page = answer(server.as_operator(Method::GET, &path), StatusCode::OK).await;
        assert_eq!(page["size"], 0, "{place}");
    }
}
