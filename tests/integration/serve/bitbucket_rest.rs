//! Bitbucket's own token REST and its switch for passwords, as the server answers them: what real
//! Bitbucket is known to answer is pinned here.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{DIRECTORY, SETTINGS, Setup, TOKENS, TestServer, WHOAMI, answer, days_ago, status};

const MARY: &str = "/rest/access-tokens/1.0/users/mary";
const CONFIG: &str = "/rest/basicauth/latest/config";
const DAY: i64 = 24 * 3_600_000;

/// A token of `user`, made as Bitbucket's clients make one.
async fn make(server: &TestServer, user: &str, body: Value) -> Value {
    let path = format!("/rest/access-tokens/latest/users/{user}");
    answer(server.with_password(user, Method::PUT, &path).json(&body), StatusCode::OK).await
}

fn path_of(token: &Value) -> String {
    format!("{MARY}/{}", token["id"].as_str().unwrap())
}

fn body(permissions: &[&str]) -> Value {
    json!({"name": "OPS-1 backup", "permissions": permissions})
}

fn ids(page: &Value) -> Vec<&str> {
    page["values"].as_array().unwrap().iter().filter_map(|token| token["id"].as_str()).collect()
}

#[tokio::test]
async fn a_token_has_the_form_of_bitbuckets_and_its_secret_is_shown_once() {
    let server = TestServer::new().await;
    let asked =
        json!({"name": "access token name", "permissions": ["REPO_ADMIN", "PROJECT_READ"], "expiryDays": 2});
    let mut made = make(&server, "mary", asked).await;
    let secret = made.as_object_mut().unwrap().remove("token").unwrap();
    assert_eq!(
        made,
        json!({
            "id": "000000000001", "createdDate": days_ago(0), "expiryDate": days_ago(0) + 2 * DAY,
            "name": "access token name", "permissions": ["REPO_ADMIN", "PROJECT_READ"],
            "user": {
                "name": "mary", "emailAddress": "mary@example.com", "id": 3, "displayName": "Mary Smith",
                "active": true, "slug": "mary", "type": "NORMAL",
                "links": {"self": [{"href": server.url("/rest/api/latest/users/mary")}]},
            },
        }),
        "nothing is said of a use that never was"
    );
    assert_eq!(
        answer(server.with_password("mary", Method::GET, &path_of(&made)), StatusCode::OK).await,
        made
    );
    let mine = server.with_token(secret.as_str().unwrap(), Method::GET, MARY);
    let page = answer(mine, StatusCode::OK).await;
    made["lastAuthenticated"] = days_ago(0).into();
    assert_eq!(
        page,
        json!({"size": 1, "limit": 25, "isLastPage": true, "values": [made], "start": 0}),
        "a page without a next one does not name it"
    );
}

#[tokio::test]
async fn pages_of_two_hold_every_token_of_the_user_once() {
    let server = TestServer::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(make(&server, "mary", body(&["REPO_READ"])).await["id"].as_str().unwrap().to_owned());
        make(&server, "sam", body(&["REPO_READ"])).await;
    }
    let (mut seen, mut start) = (Vec::new(), Some(0));
    while let Some(from) = start {
        let path = format!("{MARY}?limit=2&start={from}");
        let page = answer(server.with_password("root", Method::GET, &path), StatusCode::OK).await;
        assert_eq!(page["limit"], 2);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        start = page.get("nextPageStart").and_then(Value::as_i64);
        assert_eq!(page["isLastPage"], start.is_none());
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_token_made_in_one_rest_is_the_same_token_in_the_other() {
    let server = TestServer::new().await;
    let made = make(&server, "mary", body(&["REPO_WRITE", "PROJECT_READ"])).await;
    let secret = made["token"].as_str().unwrap();
    assert_eq!(
        answer(server.with_token(secret, Method::GET, WHOAMI), StatusCode::OK).await["scope"],
        "read-write"
    );
    let narrowed = server.with_password("mary", Method::PATCH, &format!("{TOKENS}/token/1"));
    answer(narrowed.json(&json!({"tokenScope": 1})), StatusCode::OK).await;
    let read = answer(server.with_password("mary", Method::GET, &path_of(&made)), StatusCode::OK).await;
    assert_eq!(read["permissions"], json!(["REPO_READ", "PROJECT_READ"]), "narrowed there, narrowed here");

    let other = server.make_token("mary", 2).await;
    let path = format!("{MARY}/{:012}", other.id);
    let read = answer(server.with_password("mary", Method::GET, &path), StatusCode::OK).await;
    assert_eq!(read["permissions"], json!(["REPO_ADMIN", "PROJECT_ADMIN"]), "whatever its scope allows");
    let update = server.with_password("mary", Method::POST, &path).json(&body(&["REPO_READ"]));
    assert_eq!(answer(update, StatusCode::OK).await["permissions"], json!(["REPO_READ"]));
    let whoami = answer(server.with_token(&other.secret, Method::GET, WHOAMI), StatusCode::OK).await;
    assert_eq!(whoami["scope"], "read-only", "narrowed here, narrowed there");
}

#[tokio::test]
async fn an_update_renames_and_narrows_and_never_widens_or_moves_the_expiry() {
    let server = TestServer::new().await;
    let made = make(&server, "mary", body(&["REPO_WRITE"])).await;
    let post = |body: Value| server.with_password("mary", Method::POST, &path_of(&made)).json(&body);
    let renamed = answer(post(json!({"name": "OPS-2"})), StatusCode::OK).await;
    assert_eq!((&renamed["name"], &renamed["permissions"]), (&json!("OPS-2"), &json!(["REPO_WRITE"])));
    for (wrong, told) in [
        (json!({"permissions": ["REPO_ADMIN"]}), "The permissions of a token can only be lowered."),
        (json!({"permissions": ["PROJECT_READ"]}), "The permissions of a token can only be lowered."),
        (json!({"expiryDays": 5}), "The expiry of a token cannot be changed; create another token."),
        (json!({"permissions": []}), "A token must have at least one permission."),
        (json!({"name": ""}), "The name of a token must have 1 to 255 characters."),
    ] {
        let answered = answer(post(wrong), StatusCode::BAD_REQUEST).await;
        assert_eq!(answered, json!({"errors": [{"context": null, "message": told, "exceptionName": null}]}));
    }
    let unchanged = answer(server.with_password("mary", Method::GET, &path_of(&made)), StatusCode::OK).await;
    assert_eq!(unchanged, renamed);
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_400() {
    let server = TestServer::start(Setup {
        settings: json!({"limits": [{"max_lifetime": "30d", "max_per_owner": 1}]}),
        ..Setup::default()
    })
    .await;
    let put = |body: Value| server.with_password("mary", Method::PUT, MARY).json(&body);
    for (wrong, told) in [
        (json!({"permissions": ["REPO_READ"]}), "A token must have a name."),
        (json!({"name": "x"}), "A token must have at least one permission."),
        (body(&["REPO_READ", "ADMIN"]), "Tokens may not have the following permission: ADMIN"),
        (body(&["PROJECT_WRITE", "REPO_READ"]), "The permission on repositories cannot be lower"),
        (json!({"name": "x", "permissions": ["REPO_READ"], "expiryDays": 0}), "`expiryDays` takes"),
        (json!({"name": "x", "permissions": ["REPO_READ"], "expiryDays": 31}), "The custom expiration"),
    ] {
        let answered = answer(put(wrong), StatusCode::BAD_REQUEST).await;
        assert!(answered["errors"][0]["message"].as_str().unwrap().starts_with(told), "{answered}");
        assert_eq!(answered["errors"][0]["context"], Value::Null);
    }
    let made = make(&server, "mary", body(&["REPO_READ"])).await;
    assert_eq!(made["expiryDate"], days_ago(-30), "who asks for no expiry gets the latest allowed");
    assert_eq!(status(put(body(&["REPO_READ"]))).await, 400, "one token is the limit");
}

#[tokio::test]
async fn an_administrator_lists_edits_and_revokes_the_tokens_of_others_and_creates_none() {
    let server = TestServer::new().await;
    let made = make(&server, "mary", body(&["REPO_WRITE"])).await;
    let as_root = |method, path: &str| server.with_password("root", method, path);
    assert_eq!(ids(&answer(as_root(Method::GET, MARY), StatusCode::OK).await), ["000000000001"]);
    assert_eq!(status(as_root(Method::POST, &path_of(&made)).json(&body(&["REPO_READ"]))).await, 200);
    assert_eq!(status(as_root(Method::PUT, MARY).json(&body(&["REPO_READ"]))).await, 401);
    let gone = as_root(Method::DELETE, &path_of(&made)).send().await.unwrap();
    assert_eq!((gone.status().as_u16(), gone.text().await.unwrap().as_str()), (204, ""));
    assert_eq!(status(as_root(Method::DELETE, &path_of(&made))).await, 404);
}

#[tokio::test]
async fn who_is_unknown_or_lacks_a_permission_gets_401_in_bitbuckets_words() {
    let server = TestServer::new().await;
    let made = make(&server, "mary", body(&["REPO_READ"])).await;
    let expected = json!({"errors": [{
        "context": null,
        "message": "You are not permitted to access this resource",
        "exceptionName": "com.atlassian.plugins.rest.api.security.exception.AuthenticationRequiredException",
    }]});
    for request in [
        server.request(Method::GET, MARY),
        server.with_token("no-token", Method::GET, MARY),
        server.request(Method::GET, MARY).basic_auth("mary", Some("wrong")),
    ] {
        assert_eq!(answer(request, StatusCode::UNAUTHORIZED).await, expected);
    }
    let expected = json!({"errors": [{
        "message": "You are not permitted to access this resource",
        "exceptionName": "com.atlassian.bitbucket.AuthorisationException",
    }]});
    for request in [
        server.with_password("bot", Method::GET, MARY),
        server.with_password("bot", Method::GET, &path_of(&made)),
        server.with_password("bot", Method::GET, &format!("{MARY}/000000000099")),
        server.with_password("bot", Method::DELETE, &path_of(&made)),
        server.with_password("bot", Method::GET, "/rest/access-tokens/latest/users/nobody"),
        server.with_password("bot", Method::GET, "/rest/access-tokens/latest/projects/PLAT"),
    ] {
        assert_eq!(answer(request, StatusCode::UNAUTHORIZED).await, expected);
    }
}

#[tokio::test]
async fn a_token_creates_none_and_manages_none_of_others() {
    let server = TestServer::new().await;
    let token = make(&server, "root", body(&["REPO_ADMIN"])).await;
    let others = make(&server, "mary", body(&["REPO_READ"])).await;
    let with = |method, path: &str| server.with_token(token["token"].as_str().unwrap(), method, path);
    let own = "/rest/access-tokens/latest/users/root";
    assert_eq!(status(with(Method::PUT, own).json(&body(&["REPO_READ"]))).await, 401);
    assert_eq!(status(with(Method::GET, own)).await, 200);
    for (method, path) in
        [(Method::GET, MARY.to_owned()), (Method::GET, path_of(&others)), (Method::DELETE, path_of(&others))]
    {
        let told = answer(with(method, &path), StatusCode::UNAUTHORIZED).await;
        assert_eq!(told["errors"][0]["message"], "Tokens may not have the following permission: ADMIN");
    }
    let listed = answer(server.with_password("mary", Method::GET, MARY), StatusCode::OK).await;
    assert_eq!(ids(&listed), [others["id"].as_str().unwrap()], "nothing was revoked");
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let server = TestServer::new().await;
    let mary = make(&server, "mary", body(&["REPO_READ"])).await;
    make(&server, "sam", body(&["REPO_READ"])).await;
    for path in [
        "users/nobody",
        "users/nobody/000000000001",
        "users/mary/000000000002",
        "users/mary/1",
        "users/mary/x",
        "users/mary/999999999999",
        "projects/NONE",
        "projects/NONE/repos/app",
        "projects/NONE/000000000001",
    ] {
        let path = format!("/rest/access-tokens/latest/{path}");
        let told = answer(server.with_password("root", Method::GET, &path), StatusCode::NOT_FOUND).await;
        assert!(told["errors"][0]["message"].is_string(), "{path}");
        assert_eq!(status(server.with_password("root", Method::DELETE, &format!("{path}/0"))).await, 404);
    }
    assert_eq!(status(server.with_password("mary", Method::GET, &path_of(&mary))).await, 200);
}

#[tokio::test]
async fn the_rules_that_hold_elsewhere_hold_here() {
    let server = TestServer::new().await;
    let token = make(&server, "mary", body(&["REPO_READ"])).await;
    let secret = token["token"].as_str().unwrap();
    let delete = server.with_token(secret, Method::DELETE, &path_of(&token));
    assert_eq!(status(delete).await, 403, "a read-only token does not write");
    server
        .change_settings(json!({"permissions": {"create": ["ci-bots"], "create_read_write": "nobody"}}))
        .await;
    let put = |user: &str, permission| {
        let path = format!("/rest/access-tokens/latest/users/{user}");
        server.with_password(user, Method::PUT, &path).json(&body(&[permission]))
    };
    assert_eq!(status(put("mary", "REPO_READ")).await, 401);
    assert_eq!(status(put("bot", "REPO_WRITE")).await, 401);
    assert_eq!(status(put("bot", "REPO_READ")).await, 200);
    server.change_settings(json!({"network": {"allow": ["192.0.2.0/24"]}})).await;
    assert_eq!(status(put("bot", "REPO_READ")).await, 403);
    assert_eq!(status(server.with_token(secret, Method::GET, MARY)).await, 403);
}

#[tokio::test]
async fn projects_and_repositories_are_those_of_the_directory_file() {
    let server = TestServer::new().await;
    let read = |path: &str| answer(server.with_password("root", Method::GET, path), StatusCode::OK);
    let keys = |page: &Value, pointer: &str| -> Vec<String> {
        let values = page["values"].as_array().unwrap().iter();
        values.map(|value| value.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&read("/rest/api/latest/projects").await, "/key"), ["DOCS", "PLAT"]);
    assert_eq!(keys(&read("/rest/api/1.0/projects/PLAT/repos").await, "/slug"), ["app", "lib"]);
    assert_eq!(keys(&read("/rest/api/latest/repos?limit=1").await, "/project/key"), ["PLAT"]);
    assert_eq!(read("/rest/api/latest/projects/plat/repos/app").await["project"]["key"], "PLAT");
    for path in ["/rest/access-tokens/1.0/projects/PLAT/repos/none", "/rest/api/1.0/projects/NONE/repos"] {
        assert_eq!(status(server.with_password("root", Method::GET, path)).await, 404, "{path}");
    }
    let with = |projects: &str| DIRECTORY.replace("{PLAT: [app, lib], DOCS: []}", projects);
    server.import(&with("{plat: [lib]}")).await.unwrap();
    assert_eq!(keys(&read("/rest/api/latest/repos").await, "/slug"), ["lib"]);
    assert_eq!(keys(&read("/rest/api/latest/projects").await, "/key"), ["plat"]);
    assert!(server.import(&with("{PLAT: [], plat: []}")).await.is_err());
}

const PROJECT: &str = "/rest/access-tokens/latest/projects/PLAT";
const REPOSITORY: &str = "/rest/access-tokens/1.0/projects/PLAT/repos/app";

#[tokio::test]
async fn projects_and_repositories_have_tokens_of_their_own() {
    let server = TestServer::new().await;
    let as_root = |method, path: &str| server.with_password("root", method, path);
    let asked = json!({"name": "deploy", "permissions": ["REPO_WRITE", "PROJECT_READ"], "expiryDays": 2});
    let mut of_project = answer(as_root(Method::PUT, PROJECT).json(&asked), StatusCode::OK).await;
    let secret = of_project.as_object_mut().unwrap().remove("token").unwrap();
    assert_eq!(
        of_project,
        json!({
            "id": "000000000001", "createdDate": days_ago(0), "expiryDate": days_ago(0) + 2 * DAY,
            "name": "deploy", "permissions": ["REPO_WRITE", "PROJECT_READ"],
        }),
        "no user stands behind it"
    );
    let of_repository =
        answer(as_root(Method::PUT, REPOSITORY).json(&body(&["REPO_READ"])), StatusCode::OK).await;
    let own = make(&server, "mary", body(&["REPO_READ"])).await;

    for (path, token) in [(PROJECT, &of_project), (REPOSITORY, &of_repository), (MARY, &own)] {
        let listed = answer(as_root(Method::GET, path), StatusCode::OK).await;
        assert_eq!(ids(&listed), [token["id"].as_str().unwrap()], "{path}");
        for (elsewhere, other) in [(PROJECT, &of_project), (REPOSITORY, &of_repository), (MARY, &own)] {
            let one = format!("{path}/{}", other["id"].as_str().unwrap());
            let expected = if path == elsewhere { 200 } else { 404 };
            assert_eq!(status(as_root(Method::GET, &one)).await, expected, "{one}");
            if path != elsewhere {
                assert_eq!(status(as_root(Method::DELETE, &one)).await, 404, "{one}");
            }
        }
    }

    let one = format!("{PROJECT}/000000000001");
    let update = as_root(Method::POST, &one).json(&body(&["REPO_READ", "PROJECT_READ"]));
    assert_eq!(answer(update, StatusCode::OK).await["permissions"], json!(["REPO_READ", "PROJECT_READ"]));
    let whoami = server.with_token(secret.as_str().unwrap(), Method::GET, WHOAMI);
    let told = answer(whoami, StatusCode::OK).await;
    assert_eq!((&told["user"], &told["scope"]), (&json!("(project PLAT)"), &json!("read-only")));
    assert_eq!(status(as_root(Method::DELETE, &one)).await, 204);
    assert_eq!(status(server.with_token(secret.as_str().unwrap(), Method::GET, WHOAMI)).await, 401);
    assert_eq!(ids(&answer(as_root(Method::GET, PROJECT), StatusCode::OK).await), [""; 0]);
}

#[tokio::test]
async fn a_token_of_a_project_is_a_bearer_credential_of_no_user_and_manages_nothing() {
    let server = TestServer::new().await;
    let made = server.make_for("projects/PLAT", &["PROJECT_ADMIN", "REPO_ADMIN"]).await;
    let with = |method, path: &str| server.with_token(&made.secret, method, path);
    let answered = with(Method::GET, "/rest/api/latest/projects/PLAT").send().await.unwrap();
    assert_eq!(answered.status(), StatusCode::OK);
    assert!(answered.headers().get("x-ausername").is_none());
    let as_password = server.request(Method::GET, WHOAMI).basic_auth("root", Some(&made.secret));
    assert_eq!(status(as_password).await, 401, "never a password");
    for (request, expected) in [
        (with(Method::PUT, PROJECT).json(&body(&["REPO_READ"])), 401),
        (with(Method::GET, PROJECT), 401),
        (with(Method::DELETE, &format!("{PROJECT}/{:012}", made.id)), 401),
        (with(Method::GET, MARY), 401),
        (with(Method::GET, &format!("{TOKENS}/token")), 403),
        (with(Method::POST, &format!("{TOKENS}/token")).json(&json!({"tokenDescription": "x"})), 403),
        (with(Method::DELETE, &format!("{TOKENS}/token/{}", made.id)), 403),
        (with(Method::GET, SETTINGS), 403),
    ] {
        assert_eq!(status(request).await, expected);
    }
    assert!(server.token(made.id).await.is_some());
    let without = DIRECTORY.replace("{PLAT: [app, lib], DOCS: []}", "{DOCS: []}");
    server.import(&without).await.unwrap();
    assert_eq!(status(with(Method::GET, WHOAMI)).await, 401, "nor anything once its project is gone");
}

#[tokio::test]
async fn what_a_token_of_a_project_may_be_is_limited_as_the_settings_say() {
    let limits = json!([
        {"owner_kind": ["repository"], "max_scope": "read-only"},
        {"projects": ["PL*"], "max_lifetime": "30d", "max_per_owner": 1},
    ]);
    let settings = json!({"limits": limits, "permissions": {"manage_others": ["token-admins"]}});
    let server = TestServer::start(Setup { settings, ..Setup::default() }).await;
    let put = |user: &str, path: &str, permissions: &[&str]| {
        server.with_password(user, Method::PUT, path).json(&body(permissions))
    };
    assert_eq!(status(put("root", PROJECT, &["REPO_READ"])).await, 401, "who may not manage those of others");
    assert_eq!(status(put("mary", PROJECT, &["REPO_READ"])).await, 401);
    for (path, permissions, told) in [
        (REPOSITORY, &["REPO_WRITE"][..], "The scope you've asked for is wider than the maximum"),
        (REPOSITORY, &["REPO_READ", "PROJECT_READ"], "A token of a repository can only have permissions on"),
        (PROJECT, &["ADMIN"], "Tokens may not have the following permission: ADMIN"),
    ] {
        let answered = answer(put("sam", path, permissions), StatusCode::BAD_REQUEST).await;
        assert!(answered["errors"][0]["message"].as_str().unwrap().starts_with(told), "{answered}");
    }
    let made = answer(put("sam", PROJECT, &["REPO_WRITE"]), StatusCode::OK).await;
    assert_eq!(made["expiryDate"], days_ago(-30), "who asks for no expiry gets the latest allowed");
    assert_eq!(status(put("sam", PROJECT, &["REPO_READ"])).await, 400, "one token is the limit");
    assert_eq!(status(put("sam", "/rest/access-tokens/latest/projects/DOCS", &["REPO_READ"])).await, 200);
}

#[tokio::test]
async fn scripts_for_the_app_see_tokens_of_projects_only_when_they_ask_for_them() {
    let server = TestServer::new().await;
    let own = server.make_token("mary", 1).await;
    let of_project = server.make_for("projects/PLAT", &["REPO_READ"]).await;
    let of_repository = server.make_for("projects/plat/repos/APP", &["REPO_READ"]).await;
    let listed = async |query: &str| {
        let path = format!("{TOKENS}/tokensByFilter?{query}");
        answer(server.as_operator(Method::GET, &path), StatusCode::OK).await
    };
    let users = listed("").await;
    assert_eq!((&users["totalElements"], &users["content"][0]["id"]), (&json!(1), &json!(own.id)));
    let kinds = listed("ownerKind=project&ownerKind=repository").await;
    let shown = |number: usize, key: &str| kinds["content"][number][key].clone();
    assert_eq!((shown(0, "id"), shown(0, "projectKey")), (json!(of_project.id), json!("PLAT")));
    assert_eq!((shown(0, "repositorySlug"), shown(0, "userName")), (Value::Null, Value::Null));
    assert_eq!((shown(1, "id"), shown(1, "repositorySlug")), (json!(of_repository.id), json!("app")));
    let wrong = server.as_operator(Method::GET, &format!("{TOKENS}/tokensByFilter?ownerKind=team"));
    assert_eq!(status(wrong).await, 400);
    let all = server.as_operator(Method::DELETE, &format!("{TOKENS}/token/deleteAllFor/PLAT"));
    answer(all, StatusCode::NOT_FOUND).await;
    assert!(server.token(of_project.id).await.is_some(), "a project is no user");
}

#[tokio::test]
async fn the_configuration_of_basic_authentication_is_the_setting_for_passwords() {
    let server = TestServer::new().await;
    let read = || answer(server.as_operator(Method::GET, CONFIG), StatusCode::OK);
    assert_eq!(
        read().await,
        json!({"block-requests": false, "allowed-paths": [], "allowed-users": [], "show-warning-message": true})
    );
    let blocked = json!({
        "block-requests": true, "allowed-paths": ["/rest/x/*"], "allowed-users": ["root"],
        "show-warning-message": false,
    });
    let put = |body: &Value| server.as_operator(Method::PUT, CONFIG).json(body);
    assert_eq!(status(put(&blocked)).await, 204);
    assert_eq!(read().await, blocked);
    assert_eq!(
        server.settings().await.0["password_authentication"],
        json!({"state": "disabled", "except_users": ["root"], "except_paths": ["/rest/x/*"]})
    );
    assert_eq!(status(server.with_password("root", Method::GET, CONFIG)).await, 200, "is excepted");

    let open = json!({
        "block-requests": false, "allowed-paths": ["/rest/x/*"], "allowed-users": ["root"],
        "show-warning-message": false,
    });
    assert_eq!(status(put(&open)).await, 204);
    assert_eq!(server.settings().await.0["password_authentication"], "allowed");
    assert_eq!(read().await, open, "the exceptions are kept while nothing is made of them");

    server.change_settings(json!({"password_authentication": "disabled"})).await;
    let both = read().await;
    assert_eq!((&both["block-requests"], &both["allowed-users"]), (&json!(true), &json!([])));
    assert_eq!(both["show-warning-message"], false);
}

#[tokio::test]
async fn a_password_is_refused_in_the_words_of_bitbucket_while_passwords_are_disabled() {
    let server = TestServer::start(Setup {
        settings: json!({"password_authentication": "disabled"}),
        ..Setup::default()
    })
    .await;
    let expected = json!({"message": "Basic Authentication has been disabled on this instance."});
    for path in [MARY, CONFIG, "/rest/api/latest/users"] {
        let request = server.with_password("mary", Method::GET, path);
        assert_eq!(answer(request, StatusCode::FORBIDDEN).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_password_does_not_tell_who_or_which_path_is_excepted_while_passwords_are_disabled() {
    const EXCEPTED: &str = "/rest/api/1.0/groups";
    let disabled = json!({"state": "disabled", "except_users": ["root", "gone"], "except_paths": [EXCEPTED]});
    let server = TestServer::start(Setup {
        settings: json!({"password_authentication": disabled}),
        ..Setup::default()
    })
    .await;
    assert_eq!(status(server.with_password("root", Method::GET, WHOAMI)).await, 200);
    assert_eq!(status(server.with_password("mary", Method::GET, EXCEPTED)).await, 200);
    let mut told = Vec::new();
    for (user, password, path) in [
        ("root", "wrong", WHOAMI),
        ("gone", "gone", WHOAMI),
        ("mary", "wrong", WHOAMI),
        ("mary", "mary", WHOAMI),
        ("nobody", "wrong", WHOAMI),
        ("mary", "wrong", "/rest/tokenwarden/1/settings"),
        ("root", "wrong", EXCEPTED),
        ("mary", "wrong", EXCEPTED),
        ("nobody", "wrong", "/rest/api/1.0/users"),
        ("root", "wrong", "/rest/api/1.0/application-properties"),
        ("mary", "mary", "/rest/api/1.0/application-properties"),
    ] {
        let answered =
            server.request(Method::GET, path).basic_auth(user, Some(password)).send().await.unwrap();
        let headers: Vec<_> = answered.headers().keys().map(ToString::to_string).collect();
        let status = answered.status().as_u16();
        let words = answered.text().await.unwrap().split(" The request is ").next().unwrap().to_owned();
        told.push((path.starts_with("/rest/api/"), status, headers, words));
    }
    for alike in told.chunk_by(|one, other| one.0 == other.0) {
        assert!(alike.iter().all(|one| one == &alike[0] && one.1 == 403), "{alike:#?}");
    }
    let mut guesses = Vec::new();
    for user in ["root", "mary", "nobody"] {
        let settings = json!({"password_authentication": {"state": "disabled", "except_users": ["root"]}});
        let setup = Setup { settings, password_failures_per_minute: 2, ..Setup::default() };
        let server = TestServer::start(setup).await;
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let request = server.request(Method::GET, WHOAMI).basic_auth(user, Some("wrong"));
            statuses.push(status(request).await);
        }
        guesses.push(statuses);
    }
    assert!(guesses.iter().all(|of_user| *of_user == guesses[0] && of_user[3] == 429), "{guesses:?}");
}

#[tokio::test]
async fn the_configuration_of_basic_authentication_is_for_administrators_alone() {
    let server = TestServer::new().await;
    let config = json!({"block-requests": true});
    for version in ["1.0", "latest"] {
        let path = format!("/rest/basicauth/{version}/config");
        for request in [
            server.with_password("mary", Method::GET, &path),
            server.with_password("mary", Method::PUT, &path).json(&config),
            server.request(Method::GET, &path),
        ] {
            let told = answer(request, StatusCode::UNAUTHORIZED).await;
            assert!(told["message"].is_string(), "{told}");
        }
        assert_eq!(status(server.with_password("root", Method::GET, &path)).await, 200);
    }
    let wrong = server.with_password("root", Method::PUT, CONFIG).json(&json!({"allowed-users": []}));
    assert_eq!(status(wrong).await, 400);
    assert_eq!(server.settings().await.0["password_authentication"], "allowed");
}

#[tokio::test]
async fn a_token_that_is_not_there_is_refused_alike_whatever_is_asked_of_it() {
    let server = TestServer::new().await;
    let (own, of_sam) = (server.make_token("mary", 2).await, server.make_token("sam", 2).await);
    let of_project = server.make_for("projects/PLAT", &["PROJECT_READ"]).await;
    let id = |number: i64| format!("{number:012}");
    let unknown = id(999_999);
    for (user, place, token, expected) in [
        ("mary", "users/mary", &unknown, 404),
        ("mary", "users/mary", &"nonsense".to_owned(), 404),
        ("mary", "users/mary", &id(of_sam.id), 404),
        ("mary", "users/mary", &id(of_project.id), 404),
        ("mary", "users/sam", &unknown, 401),
        ("mary", "users/sam", &id(of_sam.id), 401),
        ("mary", "users/nobody", &unknown, 401),
        ("mary", "projects/PLAT", &unknown, 401),
        ("mary", "projects/PLAT", &id(of_project.id), 401),
        ("mary", "projects/PLAT/repos/app", &unknown, 401),
        ("root", "users/mary", &unknown, 404),
        ("root", "users/nobody", &unknown, 404),
        ("root", "users/mary", &id(of_sam.id), 404),
        ("root", "projects/PLAT", &id(own.id), 404),
        ("root", "projects/NONE", &unknown, 404),
        ("root", "projects/PLAT/repos/app", &id(of_project.id), 404),
    ] {
        for version in ["1.0", "latest"] {
            let path = format!("/rest/access-tokens/{version}/{place}/{token}");
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let mut request = server.with_password(user, method.clone(), &path);
                if method == Method::POST {
                    request = request.json(&json!({"name": "x"}));
                }
                assert_eq!(status(request).await, expected, "{user} {method} {path}");
            }
        }
    }
    for made in [&own, &of_sam, &of_project] {
        assert!(server.token(made.id).await.is_some());
    }
}
