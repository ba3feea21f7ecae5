//! Answers of Bitbucket's REST as its clients read them: links, filters, permissions, personal projects, names of
//! exceptions, and what they find out of the server before anything else.

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    serve::process::{Process, folder, run},
    support::{DIRECTORY, Setup, TOKENS, TestServer, answer, client, days_ago, status},
};

/// A test server on whose directory mary and sam have personal projects.
async fn server() -> TestServer {
    let directory = DIRECTORY.replace("DOCS: []}", "DOCS: [], \"~mary\": [dotfiles], \"~SAM\": []}");
    TestServer::start(Setup { directory, ..Setup::default() }).await
}

fn get(server: &TestServer, user: &str, path: &str) -> RequestBuilder {
    server.with_password(user, Method::GET, &format!("/rest/api/latest/{path}"))
}

async fn read(server: &TestServer, user: &str, path: &str) -> Value {
    answer(get(server, user, path), StatusCode::OK).await
}

/// What stands at `pointer` in every value of a page.
async fn all(server: &TestServer, user: &str, path: &str, pointer: &str) -> Vec<String> {
    let page = read(server, user, path).await;
    let values = page["values"].as_array().unwrap().iter();
    values.map(|value| value.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
}

async fn names(server: &TestServer, user: &str, path: &str) -> Vec<String> {
    all(server, user, path, "/name").await
}

async fn slugs(server: &TestServer, path: &str) -> Vec<String> {
    all(server, "mary", path, "/slug").await
}

#[tokio::test]
async fn a_link_leads_to_the_thing_itself() {
    let server = server().await;
    let client = |url: &str| server.request(Method::GET, url.strip_prefix(&server.url("")).unwrap());
    for path in [
        "users/mary",
        "projects/PLAT",
        "projects/PLAT/repos/app",
        "projects/~mary",
        "projects/~mary/repos/dotfiles",
    ] {
        let shown = read(&server, "mary", path).await;
        let href = shown["links"]["self"][0]["href"].as_str().unwrap();
        assert_eq!(href, server.url(&format!("/rest/api/latest/{path}")));
        assert_eq!(answer(client(href).basic_auth("mary", Some("mary")), StatusCode::OK).await, shown);
    }
    let named = get(&server, "mary", "users/mary").header(header::HOST, "bitbucket.example:7990");
    let shown = answer(named, StatusCode::OK).await;
    assert_eq!(shown["links"]["self"][0]["href"], "http://bitbucket.example:7990/rest/api/latest/users/mary");
}

#[tokio::test]
async fn a_repository_and_a_user_have_the_fields_of_recorded_answers() {
    let server = server().await;
    let mut app = read(&server, "mary", "projects/PLAT/repos/app").await;
    app.as_object_mut().unwrap().remove("links").unwrap();
    app["project"].as_object_mut().unwrap().remove("links").unwrap();
    let id = app["project"]["id"].clone();
    assert_eq!(
        app,
        json!({
            "slug": "app", "id": app["id"], "name": "app", "scmId": "git", "state": "AVAILABLE", "forkable": false,
            "public": false, "archived": false,
            "project": {"key": "PLAT", "id": id, "name": "PLAT", "public": false, "type": "NORMAL"},
        })
    );
    let detailed = async |name: &str| {
        read(&server, "root", &format!("admin/users?filter={name}")).await["values"][0].clone()
    };
    let sam = detailed("sam").await;
    for (field, value) in [("deletable", false), ("mutableDetails", false), ("mutableGroups", false)] {
        assert_eq!(sam[field], value, "{field}");
    }
    assert!(sam["directoryName"].is_string() && sam.get("lastAuthenticationTimestamp").is_none(), "{sam}");
    let token = server.make_token("sam", 1).await;
    answer(server.with_token(&token.secret, Method::GET, "/rest/api/1.0/users"), StatusCode::OK).await;
    assert_eq!(detailed("sam").await["lastAuthenticationTimestamp"], days_ago(0), "with a token");
    assert_eq!(detailed("root").await["lastAuthenticationTimestamp"], days_ago(0), "with a password");
    status(server.request(Method::GET, "/rest/api/1.0/users").basic_auth("bot", Some("wrong"))).await;
    assert!(detailed("bot").await.get("lastAuthenticationTimestamp").is_none(), "a wrong password is none");
}

#[tokio::test]
async fn personal_projects_have_an_owner_and_are_not_listed_among_the_projects() {
    let server = server().await;
    let mary = read(&server, "sam", "projects/~MARY").await;
    assert_eq!(
        (&mary["key"], &mary["type"], &mary["name"]),
        (&json!("~mary"), &json!("PERSONAL"), &json!("Mary Smith"))
    );
    assert_eq!((&mary["owner"]["name"], &mary["owner"]["slug"]), (&json!("mary"), &json!("mary")));
    assert_eq!(read(&server, "mary", "projects/~sam").await["owner"]["name"], "sam");
    assert_eq!(all(&server, "mary", "projects", "/key").await, ["DOCS", "PLAT"]);
    assert_eq!(slugs(&server, "repos").await, ["app", "lib", "dotfiles"]);
    assert_eq!(all(&server, "mary", "repos?name=dotfiles", "/project/owner/name").await, ["mary"]);
    let nobodys =
        server.import(&DIRECTORY.replace("DOCS: []}", "\"~nobody\": []}")).await.unwrap_err().to_string();
    assert!(nobodys.contains("`~nobody`"), "{nobodys}");
}

#[tokio::test]
async fn filters_of_projects_and_repositories_select_what_they_say() {
    let server = server().await;
    for (path, expected) in [
        ("projects?name=pla", &["PLAT"][..]),
        ("projects?name=Mary", &[]),
        ("projects?name=", &["DOCS", "PLAT"]),
        ("projects?permission=PROJECT_READ", &["DOCS", "PLAT"]),
        ("projects?permission=PROJECT_ADMIN", &[]),
        ("projects?permission=PROJECT_WRITE&name=PLAT", &[]),
    ] {
        assert_eq!(all(&server, "mary", path, "/key").await, expected, "{path}");
    }
    assert_eq!(all(&server, "root", "projects?permission=PROJECT_ADMIN&limit=1", "/key").await, ["DOCS"]);
    for (path, expected) in [
        ("repos?name=LI", &["lib"][..]),
        ("repos?name=%20app%20", &["app"]),
        ("repos?projectkey=plat", &["app", "lib"]),
        ("repos?projectkey=PLA", &[]),
        ("repos?projectname=lat", &["app", "lib"]),
        ("repos?projectname=smith", &["dotfiles"]),
        ("repos?projectname=lat&name=dot", &[]),
        ("repos?permission=REPO_READ", &["app", "lib", "dotfiles"]),
        ("repos?permission=REPO_WRITE", &[]),
        ("repos?archived=ARCHIVED", &[]),
        ("repos?archived=all&visibility=private&state=AVAILABLE", &["app", "lib", "dotfiles"]),
        ("repos?visibility=public", &[]),
        ("repos?state=OFFLINE", &[]),
        ("profile/recent/repos", &[]),
    ] {
        assert_eq!(slugs(&server, path).await, expected, "{path}");
    }
    assert_eq!(
        all(&server, "root", "repos?permission=REPO_ADMIN&projectkey=PLAT", "/slug").await,
        ["app", "lib"]
    );
}

#[tokio::test]
async fn users_are_selected_by_every_permission_and_group_that_is_asked_for() {
    let server = server().await;
    for (path, expected) in [
        ("users?permission=LICENSED_USER", &["root", "toor", "mary", "sam", "bot"][..]),
        ("users?permission=ADMIN", &["root", "toor"]),
        ("users?permission.1=LICENSED_USER&permission.2=ADMIN", &["root", "toor"]),
        ("users?permission.1=SYS_ADMIN&filter=toor", &["toor"]),
        ("users?permission=ADMIN&group=developers", &[]),
        ("users?permission=LICENSED_USER&group=developers&limit=1", &["mary"]),
        ("users?permission=PROJECT_READ&permission.projectKey=plat&filter=sam", &["sam"]),
        ("users?permission.1=PROJECT_ADMIN&permission.1.projectKey=PLAT", &["root", "toor"]),
        (
            "users?permission.1=LICENSED_USER&permission.2=REPO_READ&permission.2.projectKey=PLAT\
             &permission.2.repositorySlug=app&filter=mary",
            &["mary"],
        ),
    ] {
        assert_eq!(names(&server, "mary", path).await, expected, "{path}");
    }
    for (path, expected) in [
        ("users?permission=PROJECT_READ&permission.projectKey=NONE", 404),
        ("users?permission=REPO_READ&permission.projectKey=PLAT&permission.repositorySlug=none", 404),
        ("users?permission=PROJECT_READ", 400),
        ("users?permission=REPO_READ&permission.projectKey=PLAT", 400),
        ("users?permission=ADMIN&permission.projectKey=PLAT", 400),
        ("users?permission.1.projectKey=PLAT", 400),
        ("users?permission=MINE", 400),
        ("users?permission=", 400),
    ] {
        assert_eq!(status(get(&server, "mary", path)).await, expected, "{path}");
    }
    let without = DIRECTORY.replace("  administrators: [root, toor]\n", "");
    server.import(&without).await.unwrap();
    assert_eq!(names(&server, "mary", "users?permission=ADMIN").await, [""; 0], "no group, no administrator");
}

#[tokio::test]
async fn a_parameter_that_a_list_does_not_know_is_refused_by_name() {
    let server = server().await;
    for path in [
        "api/1.0/projects?key=PLAT",
        "api/latest/projects?Name=PLAT",
        "api/latest/projects/PLAT/repos?name=app",
        "api/latest/repos?projectKey=PLAT",
        "api/latest/users?permission.x=ADMIN",
        "api/latest/users?active=true",
        "api/latest/admin/users?group=developers",
        "api/latest/groups?name=developers",
        "api/latest/admin/groups/more-members?group=developers",
        "access-tokens/latest/users/mary?name=x",
        "access-tokens/1.0/projects/PLAT?filter=x",
    ] {
        let request = server.with_password("root", Method::GET, &format!("/rest/{path}"));
        let told = answer(request, StatusCode::BAD_REQUEST).await["errors"][0]["message"].clone();
        let name = path.split_once('?').unwrap().1.split_once('=').unwrap().0;
        assert!(told.as_str().unwrap().starts_with(&format!("Unknown parameter `{name}`")), "{path}: {told}");
        let anonymous = server.request(Method::GET, &format!("/rest/{path}"));
        assert_eq!(status(anonymous).await, 401, "{path}");
    }
    let of_app = server.as_operator(Method::GET, &format!("{TOKENS}/tokensByFilter?userfilter=mary"));
    let told = answer(of_app, StatusCode::BAD_REQUEST).await;
    assert!(told["errorMessage"].as_str().unwrap().starts_with("Unknown parameter `userfilter`"), "{told}");
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let server = server().await;
    for path in [
        "users/",
        "users/mary/",
        "projects/",
        "projects/PLAT/repos/app/",
        "admin/groups/",
        "groups/?limit=1",
        "admin/groups/more-members/?context=developers",
        "admin/permissions/users/",
    ] {
        let without = path.replacen("/?", "?", 1);
        let without = without.strip_suffix('/').unwrap_or(&without);
        assert_eq!(read(&server, "root", path).await, read(&server, "root", without).await, "{path}");
    }
    let open = server.request(Method::GET, "/rest/api/1.0/application-properties/");
    assert_eq!(answer(open, StatusCode::OK).await["version"], "9.4.16");
    assert_eq!(status(server.request(Method::GET, "/healthz/")).await, 200);
    assert_eq!(status(server.request(Method::GET, "/rest/api/1.0/users/")).await, 401);
    let path = "/rest/access-tokens/latest/users/mary/";
    let made = server
        .with_password("mary", Method::PUT, path)
        .json(&json!({"name": "x", "permissions": ["REPO_READ"]}));
    let id = answer(made, StatusCode::OK).await["id"].as_str().unwrap().to_owned();
    assert_eq!(status(server.with_password("mary", Method::DELETE, &format!("{path}{id}/"))).await, 204);
}

#[tokio::test]
async fn who_holds_permissions_is_told_to_administrators_in_person() {
    let server = server().await;
    let granted = async |path: &str, pointer: &str| {
        let page = read(&server, "root", path).await;
        let values = page["values"].as_array().unwrap().iter();
        let shown = values.map(|value| {
            format!(
                "{} {}",
                value.pointer(pointer).unwrap().as_str().unwrap(),
                value["permission"].as_str().unwrap()
            )
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(granted("admin/permissions/groups", "/group/name").await, ["administrators ADMIN"]);
    assert_eq!(
        granted("admin/permissions/users", "/user/name").await,
        ["root ADMIN", "toor ADMIN", "mary LICENSED_USER", "sam LICENSED_USER", "bot LICENSED_USER"]
    );
    assert_eq!(granted("admin/permissions/users?filter=to&limit=1", "/user/name").await, ["toor ADMIN"]);
    assert_eq!(
        granted("admin/permissions/users?start=2&limit=2", "/user/name").await,
        ["toor ADMIN", "mary LICENSED_USER"]
    );
    assert_eq!(names(&server, "root", "admin/permissions/users/none").await, ["gone"]);
    assert_eq!(
        names(&server, "root", "admin/permissions/groups/none").await,
        ["ci-bots", "developers", "token-admins"]
    );
    for place in ["projects/PLAT", "projects/PLAT/repos/app"] {
        for whom in ["users", "groups"] {
            let nobody = read(&server, "root", &format!("{place}/permissions/{whom}?filter=x")).await;
            assert_eq!(
                (&nobody["size"], &nobody["isLastPage"], &nobody["values"]),
                (&json!(0), &json!(true), &json!([]))
            );
        }
        assert_eq!(
            names(&server, "root", &format!("{place}/permissions/users/none?filter=mary")).await,
            ["mary"]
        );
        assert_eq!(
            names(&server, "root", &format!("{place}/permissions/groups/none?filter=bots")).await,
            ["ci-bots"]
        );
    }
    for (permission, permitted) in
        [("PROJECT_READ", true), ("PROJECT_WRITE", false), ("PROJECT_ADMIN", false)]
    {
        let path = format!("projects/PLAT/permissions/{permission}/all");
        assert_eq!(read(&server, "root", &path).await, json!({"permitted": permitted}));
    }
    assert_eq!(
        names(&server, "mary", "admin/groups/more-non-members?context=developers").await,
        ["root", "toor", "bot"]
    );

    let token = server.make_token("root", 2).await;
    for (path, own, of_token) in [
        ("admin/permissions/users", 401, 401),
        ("admin/permissions/groups/none", 401, 401),
        ("projects/PLAT/permissions/users", 401, 200),
        ("projects/PLAT/repos/app/permissions/groups", 401, 200),
        ("projects/NONE/permissions/users", 401, 404),
        ("projects/PLAT/repos/none/permissions/users", 401, 404),
        ("projects/PLAT/permissions/REPO_READ/all", 401, 400),
        ("admin/groups/more-non-members?context=none", 404, 404),
    ] {
        assert_eq!(status(get(&server, "bot", path)).await, own, "{path}");
        let request = server.with_token(&token.secret, Method::GET, &format!("/rest/api/latest/{path}"));
        assert_eq!(status(request).await, of_token, "{path}");
    }
}

#[tokio::test]
async fn refusals_have_the_names_of_bitbuckets_exceptions() {
    const REQUIRED: &str =
        "com.atlassian.plugins.rest.api.security.exception.AuthenticationRequiredException";
    const REFUSED: &str = "com.atlassian.bitbucket.AuthorisationException";
    let server = server().await;
    let root = |path: &str| server.with_password("root", Method::GET, &format!("/rest/{path}"));
    for (request, status, exception, message) in [
        (
            root("api/1.0/users/u001"),
            404,
            "com.atlassian.bitbucket.user.NoSuchUserException",
            "User u001 does not exist.",
        ),
        (
            root("access-tokens/1.0/users/u001"),
            404,
            "com.atlassian.bitbucket.user.NoSuchUserException",
            "User u001 does not exist.",
        ),
        (
            root("api/1.0/projects/X"),
            404,
            "com.atlassian.bitbucket.project.NoSuchProjectException",
            "Project X does not exist.",
        ),
        (
            root("api/1.0/projects/X/repos"),
            404,
            "com.atlassian.bitbucket.project.NoSuchProjectException",
            "Project X does not exist.",
        ),
        (
            root("access-tokens/1.0/projects/X"),
            404,
            "com.atlassian.bitbucket.project.NoSuchProjectException",
            "Project X does not exist.",
        ),
        (
            root("api/1.0/projects/PLAT/repos/x"),
            404,
            "com.atlassian.bitbucket.repository.NoSuchRepositoryException",
            "Repository PLAT/x does not exist.",
        ),
        (
            server.request(Method::GET, "/rest/api/1.0/users"),
            401,
            REQUIRED,
            "You are not permitted to access this resource",
        ),
        (
            server.with_token("none", Method::GET, "/rest/api/1.0/users"),
            401,
            REQUIRED,
            "You are not permitted to access this resource",
        ),
        (
            server.with_password("bot", Method::GET, "/rest/access-tokens/1.0/users/mary"),
            401,
            REFUSED,
            "You are not permitted to access this resource",
        ),
        (
            server.with_password("bot", Method::GET, "/rest/api/1.0/admin/permissions/users"),
            401,
            REFUSED,
            "You are not permitted to access this resource",
        ),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json;charset=UTF-8");
        let told: Value = response.json().await.unwrap();
        let error = &told["errors"][0];
        assert_eq!(
            (error["exceptionName"].as_str(), error["message"].as_str()),
            (Some(exception), Some(message))
        );
        assert_eq!(error.get("context").is_none(), exception == REFUSED, "{error}");
    }
}

#[tokio::test]
async fn json_of_the_dialect_names_its_charset_and_that_of_the_app_does_not() {
    let server = server().await;
    for (path, expected) in [
        ("/rest/api/latest/users", "application/json;charset=UTF-8"),
        ("/rest/access-tokens/1.0/users/root", "application/json;charset=UTF-8"),
        ("/rest/basicauth/latest/config", "application/json;charset=UTF-8"),
        ("/rest/tokenwarden/1/whoami", "application/json"),
        ("/rest/tokenwarden/1/openapi.json", "application/json"),
    ] {
        let response = server.with_password("root", Method::GET, path).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], expected, "{path}");
    }
}

#[tokio::test]
async fn links_lead_to_where_a_trusted_proxy_was_reached_and_nobody_else_says_so() {
    let server = server().await;
    let link = async |lines: &[(&str, &str)]| {
        let mut request = get(&server, "mary", "users/mary");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let shown = answer(request, StatusCode::OK).await;
        let href = shown["links"]["self"][0]["href"].as_str().unwrap();
        href.strip_suffix("/rest/api/latest/users/mary").unwrap().to_owned()
    };
    let here = server.url("");
    let forged: [&[(&str, &str)]; 3] = [
        &[("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example")],
        &[("forwarded", "proto=https;host=evil.example")],
        &[("x-forwarded-proto", "https")],
    ];
    for lines in forged {
        assert_eq!(link(lines).await, here, "no proxy is trusted: {lines:?}");
    }
    let header = |proxy: &str| json!({"network": {"client_address": {"header": "X-Forwarded-For", "trusted_proxies": [proxy]}}});
    server.change_settings(header("10.0.0.9")).await;
    assert_eq!(link(forged[0]).await, here, "another proxy is trusted");
    server.change_settings(header("127.0.0.1")).await;
    let port = server.address().port();
    let cases: [(&[(&str, &str)], String); 8] = [
        (&[], here.clone()),
        (&[("x-forwarded-proto", "https")], format!("https://127.0.0.1:{port}")),
        (
            &[("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "t.example")],
            "https://t.example".to_owned(),
        ),
        (
            &[("x-forwarded-proto", "http, https"), ("x-forwarded-host", "a, t.example:8443")],
            "https://t.example:8443".to_owned(),
        ),
        (&[("forwarded", "for=1.2.3.4;proto=https;host=\"t.example\"")], "https://t.example".to_owned()),
        (&[("forwarded", "host=evil.example, proto=https;Host=t.example")], "https://t.example".to_owned()),
        (&[("x-forwarded-proto", "gopher"), ("x-forwarded-host", "u@t.example")], here.clone()),
        (
            &[("x-forwarded-proto", "http"), ("x-forwarded-proto", "https")],
            format!("https://127.0.0.1:{port}"),
        ),
    ];
    for (lines, expected) in cases {
        let lines = [&[("x-forwarded-for", "10.1.2.3")], lines].concat();
        assert_eq!(link(&lines).await, expected, "{lines:?}");
    }
}

#[tokio::test]
async fn links_lead_to_the_public_address_that_a_server_is_given() {
    let folder = folder();
    let process =
        Process::start_with(&folder, "127.0.0.1:0", &["--public-url", "https://tokens.example.com/"]);
    let request = client()
        .get(process.url("/rest/api/latest/users/mary"))
        .basic_auth("mary", Some("mary"))
        .header("x-forwarded-proto", "http");
    let shown = answer(request, StatusCode::OK).await;
    assert_eq!(shown["links"]["self"][0]["href"], "https://tokens.example.com/rest/api/latest/users/mary");
    let (code, _, stderr) =
        run(&folder, &["serve", "--store", "sqlite:store.db", "--public-url", "tokens"], "");
    assert_eq!(code, 64, "{stderr}");
    assert!(stderr.contains("https://tokens.example.com"), "{stderr}");
}
