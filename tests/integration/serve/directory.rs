//! The directory: what its file says, what importing it again changes, and how it reads in Bitbucket's
//! REST.

use crate::support::{DIRECTORY, Setup, TOKENS, TestServer, WHOAMI, answer, status};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn read(server: &TestServer, path: &str) -> Value {
    answer(server.with_password("mary", Method::GET, &format!("/rest/api/latest/{path}")), StatusCode::OK)
        .await
}

fn names(page: &Value) -> Vec<&str> {
    page["values"].as_array().unwrap().iter().filter_map(|value| value["name"].as_str()).collect()
}

#[tokio::test]
async fn users_groups_and_members_read_as_bitbucket_shows_them() {
    let server = TestServer::new().await;
    let mary = json!({
        "name": "mary", "emailAddress": "mary@example.com", "id": 3, "displayName": "Mary Smith",
        "active": true, "slug": "mary", "type": "NORMAL",
        "links": {"self": [{"href": server.url("/rest/api/latest/users/mary")}]},
    });
    assert_eq!(read(&server, "users/mary").await, mary);
    let page = read(&server, "users?filter=SMITH").await;
    let expected = json!({"size": 1, "limit": 25, "isLastPage": true, "values": [mary], "start": 0});
    assert_eq!(page, expected);
    let everybody = read(&server, "admin/users").await;
    assert_eq!(names(&everybody), ["root", "toor", "mary", "sam", "bot", "gone"]);
    assert_eq!(everybody["values"][5]["active"], false);
    assert_eq!(names(&read(&server, "users?group=Developers").await), ["mary", "sam", "gone"]);
    assert_eq!(
        names(&read(&server, "admin/groups/more-members?context=developers&filter=sam").await),
        ["sam"]
    );
    assert_eq!(
        names(&read(&server, "admin/users/more-members?context=SAM").await),
        ["developers", "token-admins"]
    );
    assert_eq!(
        read(&server, "groups?filter=admin").await["values"],
        json!(["administrators", "token-admins"])
    );
    let groups = read(&server, "admin/groups?limit=1").await;
    assert_eq!(groups["values"], json!([{"name": "administrators", "deletable": false}]));
}

#[tokio::test]
async fn following_next_page_start_gives_every_value_once() {
    let users: Vec<_> = (0..57).map(|number| format!("{{name: user{number}}}")).collect();
    let members: Vec<_> = (0..57).step_by(2).map(|number| format!("user{number}")).collect();
    let directory = format!(
        "users: [{{name: mary, password_env: mary}}, {}]\ngroups: {{even: [{}]}}\n",
        users.join(", "),
        members.join(", ")
    );
    let server = TestServer::start(Setup { directory, ..Setup::default() }).await;
    for (path, count) in
        [("admin/users?limit=10", 58), ("admin/groups/more-members?context=even&limit=7", 29)]
    {
        let (mut found, mut start) = (Vec::new(), Some(0));
        while let Some(from) = start {
            let page = read(&server, &format!("{path}&start={from}")).await;
            assert_eq!(page["start"], from);
            assert_eq!(page["size"], names(&page).len());
            start = page.get("nextPageStart").and_then(Value::as_i64);
            assert_eq!(page["isLastPage"], start.is_none());
            found.extend(names(&page).into_iter().map(str::to_owned));
        }
        assert_eq!(found.len(), count, "{path}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), count, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_an_error_in_bitbuckets_form() {
    let server = TestServer::new().await;
    for (path, expected) in [
        ("admin/groups/more-members?context=nobodys", 404),
        ("users?group=nobodys", 404),
        ("users?group=", 404),
        ("admin/users/more-members?context=nobody", 404),
        ("users/nobody", 404),
        ("admin/groups/more-members", 400),
        ("users?limit=x", 400),
        ("users?permission.1=LICENSED", 400),
    ] {
        for version in ["1.0", "latest"] {
            let request = server.with_password("mary", Method::GET, &format!("/rest/api/{version}/{path}"));
            let told = answer(request, StatusCode::from_u16(expected).unwrap()).await;
            assert!(told["errors"][0]["message"].is_string(), "{path}: {told}");
        }
    }
    let anonymous =
        answer(server.request(Method::GET, "/rest/api/1.0/users"), StatusCode::UNAUTHORIZED).await;
    assert!(anonymous["errors"][0]["message"].is_string());
}

#[tokio::test]
async fn application_properties_are_open() {
    let server = TestServer::new().await;
    let told =
        answer(server.request(Method::GET, "/rest/api/1.0/application-properties"), StatusCode::OK).await;
    assert_eq!(told["displayName"], "tokenwarden");
    assert_eq!((&told["version"], &told["buildNumber"]), (&json!("9.4.16"), &json!("9004016")));
}

#[tokio::test]
async fn what_is_open_names_the_user_whose_token_comes_along_and_refuses_wrong_credentials() {
    const OPEN: [&str; 3] = [
        "/rest/api/1.0/application-properties",
        "/rest/api/latest/application-properties/",
        "/rest/tokenwarden/1/openapi.json",
    ];
    let server = TestServer::new().await;
    let made = server.make_token("mary", 1).await;
    let revoked = server.make_token("mary", 1).await;
    let path = format!("{TOKENS}/token/{}", revoked.id);
    assert_eq!(status(server.as_operator(Method::DELETE, &path)).await, 200);
    let of_gone = server.make_token("sam", 1).await;
    let directory = DIRECTORY.replace("{name: sam,", "{name: sam, active: false,");
    server.import(&directory).await.unwrap();
    for path in OPEN {
        let asked = async |request: reqwest::RequestBuilder| {
            let response = request.send().await.unwrap();
            let name = response.headers().get("x-ausername").map(|name| name.to_str().unwrap().to_owned());
            (response.status().as_u16(), name)
        };
        assert_eq!(asked(server.request(Method::GET, path)).await, (200, None), "{path}");
        let own = server.with_token(&made.secret, Method::GET, path);
        assert_eq!(asked(own).await, (200, Some("mary".to_owned())), "{path}");
        let header = |value: &str| server.request(Method::GET, path).header("authorization", value);
        for wrong in [
            server.with_token("no-token", Method::GET, path),
            server.with_token(&revoked.secret, Method::GET, path),
            server.request(Method::GET, path).basic_auth("sam", Some(&made.secret)),
            header("Bearer"),
            header("Negotiate abc"),
            header("Basic %%%"),
            header("Bearer a").header("authorization", "Bearer b"),
        ] {
            assert_eq!(asked(wrong).await, (401, None), "{path}");
        }
        let inactive = asked(server.with_token(&of_gone.secret, Method::GET, path)).await;
        let elsewhere = asked(server.with_token(&of_gone.secret, Method::GET, WHOAMI)).await;
        assert_eq!(inactive, elsewhere, "as anywhere else: {path}");
    }
}

#[tokio::test]
async fn a_password_is_looked_at_where_clients_ask_who_they_are() {
    let server = TestServer::new().await;
    for version in ["1.0", "latest"] {
        let open = format!("/rest/api/{version}/application-properties");
        let right = server.with_password("mary", Method::GET, &open).send().await.unwrap();
        assert_eq!(
            (right.status(), &right.headers()["x-ausername"]),
            (StatusCode::OK, &"mary".parse().unwrap())
        );
        for (user, password) in [("mary", "wrong"), ("nobody", "x"), ("gone", "gone")] {
            let wrong =
                server.request(Method::GET, &open).basic_auth(user, Some(password)).send().await.unwrap();
            assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{user}");
            assert!(wrong.headers().get("x-ausername").is_none());
        }
    }
}

#[tokio::test]
async fn importing_makes_users_groups_and_passwords_equal_to_the_file_and_keeps_tokens() {
    let server = TestServer::new().await;
    let (mary, sam) = (server.make_token("mary", 2).await, server.make_token("sam", 2).await);
    let text = "
users:
  - {name: Mary, password_env: new_secret}
  - {name: eve}
groups: {developers: [mary, eve]}
";
    server.import(text).await.unwrap();
    assert_eq!(status(server.with_password("mary", Method::GET, WHOAMI)).await, 401, "the old password");
    let whoami = server.request(Method::GET, WHOAMI).basic_auth("mary", Some("new_secret"));
    let whoami = answer(whoami, StatusCode::OK).await;
    assert_eq!((&whoami["user"], &whoami["groups"]), (&json!("Mary"), &json!(["developers"])));
    assert_eq!(status(server.with_token(&mary.secret, Method::GET, WHOAMI)).await, 200);
    assert_eq!(status(server.with_token(&sam.secret, Method::GET, WHOAMI)).await, 403, "sam is inactive");
    assert_eq!(server.all_tokens().await.len(), 2);
    let path = "/rest/api/latest/admin/groups";
    let groups = answer(server.as_operator(Method::GET, path), StatusCode::OK).await;
    assert_eq!(names(&groups), ["developers"]);
    let path = "/rest/api/latest/admin/users";
    let before = answer(server.as_operator(Method::GET, path), StatusCode::OK).await;
    server.import(text).await.unwrap();
    assert_eq!(answer(server.as_operator(Method::GET, path), StatusCode::OK).await, before);
}

#[tokio::test]
async fn the_header_has_the_name_of_the_user_encoded_as_bitbucket_sends_it() {
    let server = TestServer::new().await;
    let name = "Ann+J\u{fc}rgen Lee@example.com";
    server.import(&format!("users: [{{name: '{name}', active: true}}]\n")).await.unwrap();
    let made = server.make_token(name, 1).await;
    let response = server.with_token(&made.secret, Method::GET, WHOAMI).send().await.unwrap();
    assert_eq!(response.headers()["x-ausername"], "Ann%2BJ%C3%BCrgen%20Lee%40example.com");
}

#[tokio::test]
async fn a_file_with_a_mistake_changes_nothing_and_says_what_is_wrong() {
    let server = TestServer::new().await;
    let mut told = Vec::new();
    for text in [
        "users: []\nteams: {}\n",
        "users:\n  - {name: a}\n  - {name: b, password: hunter2}\n",
        "users: [{name: a}, {name: A}]\n",
        "users: [{name: a}]\ngroups: {g: [a, b]}\n",
        "users: [{name: a}]\ngroups: {g: [a], G: []}\n",
        "users: [{name: 'a:b'}]\n",
        "users: [{name: a, password_env: X, password_hash: y}]\n",
        "users: [{name: a, password_hash: secret}]\n",
        "users: [{name: a, password_env: 'hunter2!'}]\n",
        "users:\n  - name: a\n    active: hunter2\n",
        "users: [{name: a, password_hash: '$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}]\n",
        "users: [{name: a, password_hash: '$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}]\n",
        "",
    ] {
        told.push(server.import(text).await.unwrap_err().to_string());
    }
    assert_eq!(names(&read(&server, "users").await).len(), 6);
    let told = told.join("\n");
    assert!(!told.contains("secret") && !told.contains("hunter2"), "what could be a password is not shown");
    insta::assert_snapshot!(told, @"
    the directory file cannot be read: line 2, column 1: unknown key; the keys here are `users`, `groups`, `projects`
    the directory file cannot be read: line 3, column 15: unknown key; the keys here are `name`, `id`, `display_name`, `email`, `active`, `password_env`, `password_hash`
    duplicate name `A`; names are not case-sensitive
    group `g` has the member `b`, who is not among the users
    duplicate name `G`; names are not case-sensitive
    invalid name `a:b`: it is empty, has a colon, a slash, a control character or surrounding space, or begins with `(`
    user `a` has both `password_env` and `password_hash`; write one of them
    `password_hash` of `a` is not an argon2 hash, e.g. `$argon2id$v=19$m=19456,t=2,p=1$..`
    `password_env` of `a` is not the name of an environment variable; write the name of the one that holds the password, such as `MARYS_PASSWORD`
    the directory file cannot be read: line 3, column 13, in `active`: this value cannot be used here, or is not valid YAML
    `password_hash` of `a` must begin with `$argon2id$v=19$m=19456,t=2,p=1$`: how long another one takes would tell who has it; hash the password with these costs, or write `password_env`
    `password_hash` of `a` must begin with `$argon2id$v=19$m=19456,t=2,p=1$`: how long another one takes would tell who has it; hash the password with these costs, or write `password_env`
    the directory file cannot be read: line 1, column 1: the file is empty
    ");
}

#[tokio::test]
async fn a_filter_by_text_finds_what_was_made_changed_and_left_however_short_or_odd_it_is() {
    let server = TestServer::new().await;
    let users = "{name: root}, {name: Ann.Smith, display_name: Änne the Hammer, email: a.s@one.example}, \
        {name: bo, display_name: \"100% Bo_B\"}";
    let import = async |users: &str| {
        let directory = format!("users: [{users}]\ngroups: {{administrators: [root]}}\n");
        server.import(&directory).await.unwrap();
    };
    import(users).await;
    let found = async |path: &str, key: &str, text: &str| {
        let request = server.as_operator(Method::GET, path).query(&[(key, text), ("limit", "1000")]);
        let page = answer(request, StatusCode::OK).await;
        let list = page.get("values").or_else(|| page.get("content")).unwrap().as_array().unwrap().clone();
        list.len()
    };
    let users = "/rest/api/latest/admin/users";
    for (text, count) in [
        ("ann.smith", 1),
        ("ANN.S", 1),
        ("n.s", 1),
        ("bo", 2), // and bot of the first directory
        ("one.example", 1),
        ("nne", 1),
        ("100% Bo_B", 1),
        ("%", 1),
        ("o_b", 1),
        ("oxb", 0),
        ("the hammer", 1),
        ("\"", 0),
        ("\" OR \"root", 0),
        ("smith\n", 0),
        ("root*", 0),
        ("zzz", 0),
    ] {
        assert_eq!(found(users, "filter", text).await, count, "{text}");
    }
    import("{name: root}, {name: Ann.Smith, display_name: Anna Berg, email: berg@two.example}").await;
    for (text, count) in
        [("hammer", 0), ("one.example", 0), ("anna berg", 1), ("two.example", 1), ("ann.smith", 1)]
    {
        assert_eq!(found(users, "filter", text).await, count, "{text}");
    }

    let tokens = format!("{TOKENS}/tokensByFilter");
    let made = async |text: &str| {
        server
            .make(json!({"tokenForUserKey": "Ann.Smith", "tokenScope": 1, "tokenDescription": text}))
            .await
            .id
    };
    let (deploy, build) = (made("Deploy to \"prod\"").await, made("nightly build").await);
    let of = async |text: &str| found(&tokens, "descriptionFilter", text).await;
    for (text, count) in [("deploy", 1), ("\"PROD\"", 1), ("y", 2), ("ly bu", 1), ("deploys", 0)] {
        assert_eq!(of(text).await, count, "{text}");
    }
    let rename = server.as_operator(Method::PATCH, &format!("{TOKENS}/token/{build}"));
    answer(rename.json(&json!({"tokenDescription": "weekly deploy"})), StatusCode::OK).await;
    assert_eq!((of("nightly").await, of("deploy").await), (0, 2));
    answer(server.as_operator(Method::DELETE, &format!("{TOKENS}/token/{deploy}")), StatusCode::OK).await;
    assert_eq!((of("prod").await, of("deploy").await), (0, 1));
}

#[tokio::test]
async fn tokens_that_a_directory_file_without_their_places_sets_aside_are_told_with_what_to_write() {
    use crate::serve::process::{Process, folder, run};

    let folder = folder();
    let process = Process::start(&folder);
    let project = json!({"name": "x", "permissions": ["PROJECT_READ"]});
    let repository = json!({"name": "x", "permissions": ["REPO_READ"]});
    for (place, body) in [
        ("projects/PLAT", &project),
        ("projects/PLAT", &project),
        ("projects/PLAT/repos/app", &repository),
        ("projects/DOCS", &project),
    ] {
        let path = process.url(&format!("/rest/access-tokens/latest/{place}"));
        let made = crate::support::client().put(path).basic_auth("root", Some("root")).json(body);
        answer(made, StatusCode::OK).await;
    }
    process.stop();
    let import = |text: &str| {
        std::fs::write(folder.path().join("directory.yaml"), text).unwrap();
        run(&folder, &["directory", "import", "directory.yaml", "--store", "sqlite:store.db"], "")
    };
    let (code, _, stderr) = import(DIRECTORY);
    assert_eq!((code, stderr.contains("WARN")), (0, false), "{stderr}");
    let (code, _, stderr) = import(&DIRECTORY.replace(", DOCS: []", ""));
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("tokens=1") && stderr.contains(r#"projects: {\"DOCS\":[]}"#), "{stderr}");
    let without = DIRECTORY.lines().filter(|line| !line.starts_with("projects:"));
    let without = without.collect::<Vec<_>>().join("\n");
    let (_, _, stderr) = import(&without);
    assert!(stderr.contains("tokens=3") && stderr.contains(r#"projects: {\"PLAT\":[\"app\"]}"#), "{stderr}");
    assert!(stderr.contains("name these below `projects:`"), "{stderr}");
    let (_, _, stderr) = import(&without);
    assert!(!stderr.contains("WARN"), "they are told once: {stderr}");
}
