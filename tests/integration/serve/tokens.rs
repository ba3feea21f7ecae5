//! The token REST: every operation, what it refuses, and the limits that new tokens are under.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{Setup, TOKENS, TestServer, WHOAMI, answer, days_ago, status};

const MONTH_LIMIT: &str = "The custom expiration you've provided is greater than the maximum defined by your \
    administrator. You need to provide a date within the next 12 months.";

fn create(server: &TestServer, user: &str, body: &Value) -> RequestBuilder {
    server.with_password(user, Method::POST, &format!("{TOKENS}/token")).json(body)
}

fn token_path(id: i64) -> String {
    format!("{TOKENS}/token/{id}")
}

fn ids(list: &Value) -> Vec<i64> {
    list["content"].as_array().unwrap().iter().map(|token| token["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_vendors_own_payload_makes_a_token() {
    let server = TestServer::new().await;
    let body = json!({"tokenDescription": "JMeter Token", "tokenScope": 2});
    let made = answer(create(&server, "mary", &body), StatusCode::OK).await;
    let secret = made["plainTextToken"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 52);
    assert!(secret.starts_with("tw_"));
    let mut told = made.clone();
    told["plainTextToken"] = json!("..");
    assert_eq!(
        told,
        json!({
            "id": 1, "plainTextToken": "..", "tokenDescription": "JMeter Token", "tokenScope": 2,
            "userKey": "mary", "userName": "mary", "tokenValidityTimeInMonths": 0,
            "tokenExpirationDateTime": null, "tokenExpirationDateTimeMillis": 0,
        })
    );
    let list = server.with_password("mary", Method::GET, &format!("{TOKENS}/token"));
    let listed = answer(list, StatusCode::OK).await;
    assert!(!listed.to_string().contains(&secret), "the secret is shown once");
    assert_eq!(
        listed,
        json!({
            "content": [{
                "id": 1, "userKey": "mary", "userName": "mary", "tokenDescription": "JMeter Token",
                "description": "JMeter Token", "tokenScope": 2, "created": days_ago(0), "createdBy": "mary",
                "lastAccessed": 0, "lastAccessedAddress": null, "validUntil": 0,
            }],
            "page": 0, "limit": 50, "totalElements": 1, "lastId": 1,
        })
    );
}

#[tokio::test]
async fn an_expiry_can_be_asked_for_in_three_ways_of_which_the_date_wins() {
    let server = TestServer::new().await;
    let date = "2026-10-19T10:29:00.000+02:00";
    let date_millis = date.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    for (body, millis, text) in [
        (json!({"tokenValidityTimeInMonths": 3}), days_ago(-92), "2026-09-01T12:00:00.000+00:00"),
        (
            json!({"tokenValidityTimeInMonths": 3, "tokenExpirationDateTimeMillis": days_ago(-1)}),
            days_ago(-1),
            "2026-06-02T12:00:00.000+00:00",
        ),
        (
            json!({"tokenExpirationDateTime": date, "tokenExpirationDateTimeMillis": days_ago(-1)}),
            date_millis,
            "2026-10-19T08:29:00.000+00:00",
        ),
    ] {
        let made = answer(create(&server, "mary", &body), StatusCode::OK).await;
        assert_eq!(made["tokenExpirationDateTimeMillis"], millis, "{body}");
        assert_eq!(made["tokenExpirationDateTime"], text);
        let listed = server.token(made["id"].as_i64().unwrap()).await.unwrap();
        assert_eq!(listed["validUntil"], millis);
        assert_eq!(listed["tokenScope"], 1, "read-only when no scope is asked for");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_understood_says_so_and_makes_nothing() {
    let server = TestServer::new().await;
    for body in [
        json!({"tokenScope": 0}),
        json!({"tokenScope": 3}),
        json!({"tokenScope": "2"}),
        json!({"tokenDescription": 7}),
        json!({"tokenDescription": "x".repeat(1001)}),
        json!({"tokenValidityTimeInMonths": 0}),
        json!({"tokenValidityTimeInMonths": 1_000_000}),
        json!({"tokenExpirationDateTime": "tomorrow"}),
        json!({"tokenExpirationDateTimeMillis": days_ago(1)}),
        json!({"tokenExpirationDateTimeMillis": i64::MAX}),
        json!([]),
        json!("text"),
    ] {
        let told = answer(create(&server, "mary", &body), StatusCode::BAD_REQUEST).await;
        let message = told["errorMessage"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("CreateToken"), "{body}: {message}");
    }
    assert_eq!(server.all_tokens().await, Vec::<Value>::new());
}

#[tokio::test]
async fn who_may_not_create_gets_a_refusal_and_who_may_not_create_read_write_a_read_only_token() {
    let server = TestServer::new().await;
    let permissions = json!({"create": ["developers"], "create_read_write": ["ci-bots"]});
    server.change_settings(json!({"permissions": permissions})).await;
    assert_eq!(status(create(&server, "mary", &json!({"tokenScope": 1}))).await, 200);
    assert_eq!(status(create(&server, "mary", &json!({"tokenScope": 2}))).await, 403);
    assert_eq!(status(create(&server, "bot", &json!({"tokenScope": 1}))).await, 403);
    assert_eq!(status(create(&server, "root", &json!({"tokenScope": 1}))).await, 403);
}

#[tokio::test]
async fn who_manages_others_creates_and_revokes_for_them_but_not_for_administrators() {
    let server = TestServer::new().await;
    server.change_settings(json!({"permissions": {"manage_others": ["token-admins"]}})).await;
    let for_user = |user: &str| json!({"tokenForUserKey": user, "tokenScope": 2});
    let made = answer(create(&server, "sam", &for_user("Mary")), StatusCode::OK).await;
    let listed = server.token(made["id"].as_i64().unwrap()).await.unwrap();
    assert_eq!((&listed["userName"], &listed["createdBy"]), (&json!("mary"), &json!("sam")));
    assert_eq!(status(create(&server, "sam", &for_user("root"))).await, 403);
    assert_eq!(status(create(&server, "root", &for_user("mary"))).await, 403, "root does not manage others");
    assert_eq!(status(create(&server, "mary", &for_user("sam"))).await, 403);
    assert_eq!(status(create(&server, "sam", &for_user("nobody"))).await, 400);
    assert_eq!(status(create(&server, "sam", &for_user("gone"))).await, 400);

    server.change_settings(json!({"permissions": {"create_read_write": ["ci-bots"]}})).await;
    assert_eq!(
        status(create(&server, "sam", &for_user("mary"))).await,
        403,
        "mary may not have such a token"
    );
    assert_eq!(status(create(&server, "sam", &for_user("bot"))).await, 200);

    let of_root = server.make_token("root", 1).await;
    let revoke = |user: &str, id| status(server.with_password(user, Method::DELETE, &token_path(id)));
    assert_eq!(revoke("sam", of_root.id).await, 403);
    assert_eq!(revoke("mary", of_root.id).await, 403);
    assert_eq!(revoke("mary", 999).await, 403, "who manages nobody does not learn which ids exist");
    assert_eq!(revoke("sam", 999).await, 404);
    assert_eq!(revoke("sam", listed["id"].as_i64().unwrap()).await, 200);
    assert_eq!(revoke("toor", of_root.id).await, 200, "an administrator may always revoke");
}

#[tokio::test]
async fn a_revoked_token_is_gone_and_its_id_is_never_given_again() {
    let server = TestServer::new().await;
    let made = server.make_token("mary", 2).await;
    let request = server.with_token(&made.secret, Method::DELETE, &token_path(made.id));
    assert_eq!(answer(request, StatusCode::OK).await, json!(true));
    assert_eq!(status(server.with_token(&made.secret, Method::GET, WHOAMI)).await, 401);
    assert_eq!(status(server.as_operator(Method::DELETE, &token_path(made.id))).await, 404);
    assert!(server.make_token("mary", 2).await.id > made.id);
}

#[tokio::test]
async fn all_tokens_of_a_user_are_revoked_by_administrators_alone() {
    let server = TestServer::new().await;
    let (kept, _) = (server.make_token("sam", 1).await, server.make_token("mary", 1).await);
    server.make_token("mary", 2).await;
    let path = format!("{TOKENS}/token/deleteAllFor/MARY");
    server.change_settings(json!({"permissions": {"manage_others": ["token-admins"]}})).await;
    assert_eq!(status(server.with_password("sam", Method::DELETE, &path)).await, 403);
    let done = answer(server.with_password("root", Method::DELETE, &path), StatusCode::OK).await;
    assert_eq!(done, json!(true));
    let left: Vec<_> = server.all_tokens().await.iter().map(|token| token["id"].clone()).collect();
    assert_eq!(left, [json!(kept.id)]);
    let again = answer(server.with_password("root", Method::DELETE, &path), StatusCode::OK).await;
    assert_eq!(again, json!(true), "a user without tokens is there all the same");
}

#[tokio::test]
async fn a_user_whom_nobody_knows_has_no_tokens_to_be_revoked() {
    let server = TestServer::new().await;
    for typo in ["typo", "PLAT", "ma%20ry", "(operator)"] {
        let path = format!("{TOKENS}/token/deleteAllFor/{typo}");
        let told = answer(server.with_password("root", Method::DELETE, &path), StatusCode::NOT_FOUND).await;
        assert_eq!(told, json!({"errorMessage": "There is no such user."}), "{typo}");
    }
    let gone = format!("{TOKENS}/token/deleteAllFor/gone");
    answer(server.with_password("root", Method::DELETE, &gone), StatusCode::OK).await;
    let seed = "tokens: [{owner: stranger, description: x, scope: read-only, created: 1d, expires: never, last_used: never}]\n";
    let server = TestServer::start(Setup { seed: Some(seed.to_owned()), ..Setup::default() }).await;
    let strangers = format!("{TOKENS}/token/deleteAllFor/stranger");
    answer(server.as_operator(Method::DELETE, &strangers), StatusCode::OK).await;
    assert_eq!(server.all_tokens().await, [Value::Null; 0], "who is in no directory can have tokens");
    assert_eq!(status(server.as_operator(Method::DELETE, &strangers)).await, 404);
}

#[tokio::test]
async fn a_token_can_be_renamed_and_narrowed_again_and_again_and_never_widened() {
    let server = TestServer::new().await;
    let body =
        json!({"tokenForUserKey": "mary", "tokenScope": 2, "tokenExpirationDateTimeMillis": days_ago(-9)});
    let made = server.make(body).await;
    let patch = |body: Value| server.with_password("mary", Method::PATCH, &token_path(made.id)).json(&body);
    let narrowed = json!({
        "tokenDescription": "renamed", "tokenScope": 1, "tokenExpirationDateTimeMillis": days_ago(-3),
    });
    for _ in 0..2 {
        let token = answer(patch(narrowed.clone()), StatusCode::OK).await;
        assert_eq!(Some(token.clone()), server.token(made.id).await);
        assert_eq!(
            (&token["description"], &token["tokenScope"], &token["validUntil"]),
            (&json!("renamed"), &json!(1), &json!(days_ago(-3)))
        );
    }
    let before = server.token(made.id).await;
    for widening in [
        json!({"tokenScope": 2}),
        json!({"tokenScope": 0}),
        json!({"tokenExpirationDateTimeMillis": days_ago(-4)}),
        json!({"tokenExpirationDateTimeMillis": 0}),
        json!({"tokenExpirationDateTime": "2026-06-05T12:00:00Z"}),
        json!({"tokenExpirationDateTime": "tomorrow"}),
        json!({"tokenValidityTimeInMonths": 1}),
        json!({"tokenDescription": "half", "tokenScope": 2}),
    ] {
        let told = answer(patch(widening.clone()), StatusCode::BAD_REQUEST).await;
        assert!(told["errorMessage"].is_string(), "{widening}");
    }
    assert_eq!(server.token(made.id).await, before);
    assert_eq!(
        status(server.with_password("sam", Method::PATCH, &token_path(made.id)).json(&json!({}))).await,
        403
    );
    assert_eq!(status(server.as_operator(Method::PATCH, &token_path(999)).json(&json!({}))).await, 404);
    assert_eq!(
        status(server.as_operator(Method::PATCH, &format!("{TOKENS}/token/x")).json(&json!({}))).await,
        404
    );
}

#[tokio::test]
async fn a_token_made_with_a_token_reaches_and_lives_no_farther() {
    let server = TestServer::new().await;
    let parent =
        json!({"tokenForUserKey": "mary", "tokenScope": 2, "tokenExpirationDateTimeMillis": days_ago(-9)});
    let parent = server.make(parent).await;
    let path = format!("{TOKENS}/token");
    let child = |body: Value| server.with_token(&parent.secret, Method::POST, &path).json(&body);
    let made = answer(child(json!({"tokenScope": 2})), StatusCode::OK).await;
    assert_eq!(made["tokenExpirationDateTimeMillis"], days_ago(-9));
    assert_eq!(status(child(json!({"tokenExpirationDateTimeMillis": days_ago(-8)}))).await, 200);
    assert_eq!(status(child(json!({"tokenExpirationDateTimeMillis": days_ago(-10)}))).await, 400);
    let read_only = server.make_token("mary", 1).await;
    let minted = server.with_token(&read_only.secret, Method::POST, &path).json(&json!({"tokenScope": 1}));
    assert_eq!(status(minted).await, 403, "a read-only token mints nothing");
}

#[tokio::test]
async fn the_first_limit_that_matches_the_owner_holds_for_a_new_token() {
    let limits = json!([
        {"groups": ["ci-bots"], "max_scope": "read-write", "max_lifetime": "1y"},
        {"max_scope": "read-only", "max_lifetime": "90d", "max_per_owner": 2, "description": "^[A-Z]+-[0-9]+ "},
    ]);
    let server = TestServer::start(Setup { settings: json!({"limits": limits}), ..Setup::default() }).await;
    let far = |days: i64| json!({"tokenScope": 2, "tokenExpirationDateTimeMillis": days_ago(-days)});
    let told = answer(create(&server, "bot", &far(366)), StatusCode::BAD_REQUEST).await;
    assert_eq!(told, json!({"errorMessage": MONTH_LIMIT}));
    assert_eq!(status(create(&server, "bot", &far(365))).await, 200);
    assert_eq!(status(create(&server, "bot", &json!({"tokenValidityTimeInMonths": 12}))).await, 200);

    let of_mary = |extra: Value| {
        let mut body = json!({"tokenDescription": "OPS-1 backup", "tokenScope": 1});
        crate::support::lay_over(&mut body, extra);
        create(&server, "mary", &body)
    };
    for broken in [
        json!({"tokenScope": 2}),
        json!({"tokenDescription": "backup"}),
        json!({"tokenValidityTimeInMonths": 4}),
    ] {
        assert_eq!(status(of_mary(broken.clone())).await, 400, "{broken}");
    }
    let made = answer(of_mary(json!({})), StatusCode::OK).await;
    assert_eq!(made["tokenExpirationDateTimeMillis"], days_ago(-90), "the longest lifetime that is allowed");
    assert_eq!(status(of_mary(json!({}))).await, 200);
    let told = answer(of_mary(json!({})), StatusCode::BAD_REQUEST).await;
    assert!(told["errorMessage"].as_str().unwrap().contains("already has 2 tokens"), "{told}");
}

#[tokio::test]
async fn a_token_takes_no_new_description_that_its_owner_could_not_give_to_a_new_one() {
    let limits = json!([{"groups": ["ci-bots"]}, {"description": "^[A-Z]+-[0-9]+ "}]);
    let server = TestServer::new().await;
    let (of_mary, of_bot) = (server.make_token("mary", 1).await, server.make_token("bot", 1).await);
    server.change_settings(json!({"limits": limits})).await;
    let rename = |user: &str, id, name: &str| {
        server.with_password(user, Method::PATCH, &token_path(id)).json(&json!({"tokenDescription": name}))
    };
    let told = answer(rename("mary", of_mary.id, "laptop"), StatusCode::BAD_REQUEST).await;
    assert!(told["errorMessage"].as_str().unwrap().ends_with(": ^[A-Z]+-[0-9]+ "), "{told}");
    assert_eq!(status(rename("root", of_mary.id, "laptop")).await, 400, "whoever renames it");
    assert_eq!(server.token(of_mary.id).await.unwrap()["description"], "made");
    assert_eq!(status(rename("mary", of_mary.id, "made")).await, 200, "what is there already may stay");
    assert_eq!(status(rename("mary", of_mary.id, "OPS-1 laptop")).await, 200);
    assert_eq!(status(rename("root", of_bot.id, "laptop")).await, 200, "the limits of the owner count");
}

#[tokio::test]
async fn an_expiry_is_brought_nearer_with_a_date_too_which_wins() {
    let server = TestServer::new().await;
    let made =
        server.make(json!({"tokenForUserKey": "mary", "tokenExpirationDateTimeMillis": days_ago(-9)})).await;
    let patch = json!({"tokenExpirationDateTime": "2026-06-04T14:00:00+02:00", "tokenExpirationDateTimeMillis": days_ago(-5)});
    let request = server.with_password("mary", Method::PATCH, &token_path(made.id)).json(&patch);
    assert_eq!(answer(request, StatusCode::OK).await["validUntil"], days_ago(-3));
}

#[tokio::test]
async fn many_at_once_make_no_more_tokens_than_the_limit() {
    let limits = json!([{"max_per_owner": 3}]);
    let server = TestServer::start(Setup { settings: json!({"limits": limits}), ..Setup::default() }).await;
    let made = server.make_token("mary", 2).await;
    let path = format!("{TOKENS}/token");
    let attempts =
        (0..12).map(|_| status(server.with_token(&made.secret, Method::POST, &path).json(&json!({}))));
    let statuses = futures_util::future::join_all(attempts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2);
    assert_eq!(server.all_tokens().await.len(), 3);
}

/// Tokens in every state that a filter can tell apart: ids 1 to 5.
const SEED: &str = "
tokens:
  - {owner: mary, description: Nightly Build, scope: read-only, created: 100d, expires: in 10d, last_used: {ago: 3d, from: 10.0.0.9}}
  - {owner: mary, description: laptop, scope: read-write, created: 50d, expires: never, last_used: never}
  - {owner: sam, description: old, scope: unset, created: 900d, expires: never, last_used: {ago: 300d, from: '2001:db8::1'}}
  - {owner: bot, description: gone, scope: read-write, created: 60d, expires: 10d ago, last_used: {ago: 20d}, created_by: sam}
  - {owner: left-long-ago, description: orphan, scope: read-only, created: 10d, expires: in 100d, last_used: never}
";

async fn seeded() -> TestServer {
    TestServer::start(Setup { seed: Some(SEED.to_owned()), ..Setup::default() }).await
}

#[tokio::test]
async fn every_filter_selects_what_it_says() {
    let server = seeded().await;
    for (query, expected) in [
        (String::new(), vec![1, 2, 3, 4, 5]),
        ("userFilter=MARY".to_owned(), vec![1, 2]),
        ("userFilter=sam&userFilter=bot".to_owned(), vec![3, 4]),
        ("userFilter=".to_owned(), vec![]),
        ("descriptionFilter=BUILD".to_owned(), vec![1]),
        ("descriptionFilter=%25".to_owned(), vec![]),
        (format!("notValidAfter={}", days_ago(0)), vec![4]),
        (format!("notValidAfter={}", days_ago(-10)), vec![1, 4]),
        ("tokenScope=0".to_owned(), vec![3]),
        ("tokenScope=1".to_owned(), vec![1, 5]),
        ("tokenScope=2".to_owned(), vec![2, 4]),
        (format!("fromCreated={}&untilCreated={}", days_ago(60), days_ago(50)), vec![2, 4]),
        (format!("fromLastUsed={}", days_ago(20)), vec![1, 4]),
        (format!("untilLastUsed={}", days_ago(20)), vec![3, 4]),
        (format!("fromExpiresDuring={}", days_ago(0)), vec![1, 5]),
        (format!("untilExpiresDuring={}", days_ago(-10)), vec![1, 4]),
        (format!("userFilter=mary&fromExpiresDuring={}", days_ago(0)), vec![1]),
    ] {
        let request = server.with_password("root", Method::GET, &format!("{TOKENS}/tokensByFilter?{query}"));
        let list = answer(request, StatusCode::OK).await;
        assert_eq!(ids(&list), expected, "{query}");
        assert_eq!(list["totalElements"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_an_error_and_not_everything() {
    let server = seeded().await;
    for query in [
        "tokenScope=read-only",
        "notValidAfter=tomorrow",
        "page=-1",
        "limit=0",
        "fromCreated=1&fromCreated=2",
        "page=0&afterId=3",
    ] {
        let request = server.as_operator(Method::GET, &format!("{TOKENS}/tokensByFilter?{query}"));
        answer(request, StatusCode::BAD_REQUEST).await;
    }
}

#[tokio::test]
async fn pages_by_number_and_by_id_give_every_token_once() {
    let server = seeded().await;
    let list = |query: String| {
        answer(server.as_operator(Method::GET, &format!("{TOKENS}/tokensByFilter?{query}")), StatusCode::OK)
    };
    let mut by_number = Vec::new();
    for page in 0..3 {
        let answered = list(format!("page={page}&limit=2")).await;
        assert_eq!((&answered["totalElements"], &answered["page"]), (&json!(5), &json!(page)));
        by_number.extend(ids(&answered));
    }
    assert_eq!(by_number, [1, 2, 3, 4, 5]);
    assert_eq!(ids(&list("page=3&limit=2".to_owned()).await), Vec::<i64>::new());

    let first = list("afterId=0&limit=2".to_owned()).await;
    assert_eq!((ids(&first), &first["lastId"]), (vec![1, 2], &json!(5)));
    assert!(first.get("totalElements").is_none(), "nothing is counted");
    assert_eq!(ids(&list("afterId=2&untilId=4&limit=2".to_owned()).await), [3, 4]);
    assert_eq!(ids(&list("afterId=4&untilId=4".to_owned()).await), Vec::<i64>::new());
    assert_eq!(list("limit=5000".to_owned()).await["limit"], 1000);
}

#[tokio::test]
async fn the_tokens_of_all_are_listed_for_administrators_and_managers_alone() {
    let server = seeded().await;
    let path = format!("{TOKENS}/tokensByFilter");
    server.change_settings(json!({"permissions": {"manage_others": ["token-admins"]}})).await;
    for (user, expected) in [("root", 200), ("sam", 200), ("mary", 403), ("bot", 403)] {
        assert_eq!(status(server.with_password(user, Method::GET, &path)).await, expected, "{user}");
    }
    let own = server.with_password("mary", Method::GET, &format!("{TOKENS}/token/?limit=1"));
    let own = answer(own, StatusCode::OK).await;
    assert_eq!((ids(&own), &own["totalElements"]), (vec![1], &json!(2)));
}

#[tokio::test]
async fn a_seeded_token_is_listed_as_the_file_says() {
    let server = seeded().await;
    let expected = json!({
        "id": 4, "userKey": "bot", "userName": "bot", "tokenDescription": "gone", "description": "gone",
        "tokenScope": 2, "created": days_ago(60), "createdBy": "sam", "lastAccessed": days_ago(20),
        "lastAccessedAddress": null, "validUntil": days_ago(10),
    });
    assert_eq!(server.token(4).await, Some(expected));
    assert_eq!(server.token(3).await.unwrap()["lastAccessedAddress"], "2001:db8::1");
}
