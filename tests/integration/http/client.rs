//! The HTTP client against servers that say anything: what is an answer, what is an error and how it
//! reads, what is repeated and what never is.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Redirect},
};
use futures_util::{FutureExt, future};
use reqwest::Method;
use serde_json::{Value, json};
use tokenwarden::{
    apply::one_line,
    http::{CallLimits, CallStatistics, HttpClient, HttpCredential, HttpError, Retries},
    inventory::InventoryReader,
    targets::gateway::Gateway,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Barrier,
};

use crate::support::proxy::{Fate, Proxy, answer, stub};

const SECRET: &str = "tw_hush";
const JSON: &str = "content-type: application/json";

fn limits() -> CallLimits {
    let retries = Retries {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(2),
        ..Retries::default()
    };
    CallLimits { answer: 1 << 20, retries, ..CallLimits::default() }
}

fn client(server: &Proxy, limits: CallLimits) -> HttpClient {
    HttpClient::with_limits(&server.url(), HttpCredential::Bearer(SECRET.into()), None, limits).unwrap()
}

/// A server that gives these answers, one after the other, and then always the last one.
async fn scripted(answers: Vec<Vec<u8>>) -> Proxy {
    let given = AtomicUsize::new(0);
    stub(move |_, _| {
        let next = given.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        answers[next].clone()
    })
    .await
}

async fn get(server: &Proxy) -> Result<Value, HttpError> {
    client(server, limits())
        .get::<Value>("/rest/x", &[("filter", "secret-of-a-query")])
        .await
        .map(|got| got.body)
}

fn counted(calls: u64, retries: u64) -> impl Fn(CallStatistics) -> bool {
    move |seen| (seen.calls, seen.retries) == (calls, retries)
}

#[tokio::test]
async fn whatever_is_no_answer_is_an_error_that_names_the_call_and_no_secret() {
    let bomb = include_bytes!("../fixtures/four-mebibytes.json.gz");
    let gzip = [JSON, "content-encoding: gzip"];
    let login = format!("location: https://me:{SECRET}@sso.example.com/in;id={SECRET}?ticket={SECRET}");
    let answers = [
        answer("200 OK", &["content-type: text/html"], "<html>Log in</html>"),
        answer("200 OK", &[JSON], ""),
        answer("200 OK", &[JSON], "{\"values\": [1, 2"),
        answer("200 OK", &[JSON], "Welcome"),
        answer("200 OK", &gzip, bomb),
        answer("302 Found", &[&login], ""),
        answer("301 Moved Permanently", &["location: https://127.0.0.1/ctx/rest/x"], ""),
        answer("307 Temporary Redirect", &["location: https://bitbucket.example.com/rest/x?filter=x"], ""),
        answer("302 Found", &["location: /rest/x?filter=secret-of-a-query"], ""),
        answer("303 See Other", &["location: /rest/y"], ""),
        answer("401 Unauthorized", &[JSON], r#"{"errors":[{"context":null,"message":"Who are you?"}]}"#),
        answer(
            "403 Forbidden",
            &[JSON],
            r#"{"message":"Basic Authentication has been disabled on this instance."}"#,
        ),
        answer("404 Not Found", &[JSON], r#"{"errorMessage":"There is no such token."}"#),
        answer("404 Not Found", &["content-type: text/html"], "<html>Oops</html>"),
        answer("405 Method Not Allowed", &[], ""),
        answer("429 Too Many Requests", &["retry-after: 3600"], ""),
        answer("503 Service Unavailable", &["retry-after: 0"], ""),
    ];
    let mut said = String::new();
    for answer in answers {
        let server = scripted(vec![answer]).await;
        let error = one_line(&get(&server).await.unwrap_err());
        said.push_str(&error.replace(&server.url(), "http://server"));
        said.push('\n');
    }
    assert!(!said.contains(SECRET) && !said.contains("secret-of-a-query"), "{said}");
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_read_is_repeated_until_the_server_is_there_again() {
    let busy = |status| answer(status, &["retry-after: 0"], "");
    let server = scripted(vec![
        busy("503 Service Unavailable"),
        busy("502 Bad Gateway"),
        busy("504 Gateway Timeout"),
        busy("429 Too Many Requests"),
        answer("200 OK", &[JSON], "[7]"),
    ])
    .await;
    let client = client(&server, limits());
    assert_eq!(client.get::<Value>("/rest/x", &[]).await.unwrap().body, json!([7]));
    assert!(counted(5, 4)(client.statistics()), "{:?}", client.statistics());
}

#[tokio::test]
async fn a_read_is_repeated_when_its_answer_breaks_off() {
    let fates =
        Mutex::new(vec![answer("200 OK", &[JSON], "[7]"), b"HTTP/1.1 200 OK\r\n".to_vec(), Vec::new()]);
    let server = stub(move |_, _| fates.lock().unwrap().pop().unwrap()).await;
    let client = client(&server, limits());
    assert_eq!(client.get::<Value>("/rest/x", &[]).await.unwrap().body, json!([7]));
    assert!(counted(3, 2)(client.statistics()), "{:?}", client.statistics());
}

#[tokio::test]
async fn a_write_is_repeated_only_when_it_was_one_call_too_many() {
    let good = || answer("200 OK", &[JSON], "{}");
    let too_many = scripted(vec![answer("429 Too Many Requests", &["retry-after: 0"], ""), good()]).await;
    let patient = client(&too_many, limits());
    patient.send(Method::PUT, "/rest/x", &[], Some(&json!({}))).await.unwrap();
    assert!(counted(2, 1)(patient.statistics()));
    for status in
        ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"]
    {
        let server = scripted(vec![answer(status, &["retry-after: 0"], ""), good()]).await;
        let client = client(&server, limits());
        let error = client.send(Method::PUT, "/rest/x", &[], Some(&json!({}))).await.unwrap_err();
        assert!(error.is_lost_answer() && counted(1, 0)(client.statistics()), "{error}");
    }
    for (status, kind) in [("200 OK", "content-type: text/html"), ("303 See Other", "location: /done")] {
        let server = scripted(vec![answer(status, &[kind], "<html>")]).await;
        let error =
            client(&server, limits()).send(Method::PUT, "/rest/x", &[], None::<&()>).await.unwrap_err();
        assert!(error.is_lost_answer(), "{error}: somebody else answered");
    }
    for status in
        ["400 Bad Request", "403 Forbidden", "404 Not Found", "409 Conflict", "412 Precondition Failed"]
    {
        let server = scripted(vec![answer(status, &[], "")]).await;
        let error =
            client(&server, limits()).send(Method::PUT, "/rest/x", &[], None::<&()>).await.unwrap_err();
        assert!(!error.is_lost_answer(), "{error}: the server said no");
    }
}

#[tokio::test]
async fn a_read_is_sent_on_within_its_server_with_the_credential_and_what_is_there_is_judged_as_ever() {
    let server = stub(|_, path| match path {
        "/rest/x?filter=secret-of-a-query" => {
            answer("301 Moved Permanently", &["location: /ctx/rest/x?page=1"], "")
        }
        "/ctx/rest/x?page=1" => answer("307 Temporary Redirect", &["location: y"], "<html>there</html>"),
        "/ctx/rest/y" => answer("200 OK", &[JSON], "[7]"),
        "/rest/in" => answer("302 Found", &["location: /login;id=tw_hush?back=%2Frest%2Fin"], ""),
        "/login;id=tw_hush?back=%2Frest%2Fin" => {
            answer("200 OK", &["content-type: text/html"], "<html>Log in</html>")
        }
        _ => answer("500 Internal Server Error", &[], ""),
    })
    .await;
    assert_eq!(get(&server).await.unwrap(), json!([7]));
    let client = client(&server, limits());
    let login = client.get::<Value>("/rest/in", &[]).await.err().unwrap();
    insta::assert_snapshot!(one_line(&login).replace(&server.url(), "http://server"), @"GET http://server/rest/in, sent on to `http://server/login`: answered `text/html` where JSON was expected; is this the right URL? It may be a login page, or a context path such as `/bitbucket` is missing");
    assert!(counted(2, 0)(client.statistics()), "every request counts: {:?}", client.statistics());
}

/// A server that has moved to `/ctx`, and the header `Authorization` of each request that it got.
async fn listener() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let answer = move |headers: HeaderMap, uri: Uri| {
        let credential = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        log.lock().unwrap().push(credential.unwrap_or_default());
        let moved = uri.path() != "/ctx/rest/x";
        future::ready(if moved {
            Redirect::permanent("/ctx/rest/x").into_response()
        } else {
            Json(json!([7])).into_response()
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, seen)
}

#[tokio::test]
async fn a_credential_goes_on_within_its_origin_and_nothing_is_sent_to_another() {
    let (address, seen) = listener().await;
    let here = format!("http://{address}");
    let client =
        HttpClient::with_limits(&here, HttpCredential::Bearer(SECRET.into()), None, limits()).unwrap();
    client.get::<Value>("/rest/x", &[]).await.unwrap();
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(*seen.lock().unwrap(), [bearer.as_str(), bearer.as_str()]);
    // The same machine by another port is another origin.
    let elsewhere = format!("location: {here}/rest/x");
    let server = scripted(vec![answer("302 Found", &[&elsewhere], "")]).await;
    let error = get(&server).await.unwrap_err().to_string();
    assert_eq!(seen.lock().unwrap().len(), 2, "{error}");
    assert!(error.contains(&server.url()) && error.contains(&here), "{error}");
}

#[tokio::test]
async fn a_write_that_is_sent_on_is_made_nowhere_and_the_error_says_what_to_write() {
    let mut said = String::new();
    for (status, location) in [
        ("301 Moved Permanently", "/ctx/rest/x"),
        ("302 Found", "/login?back=%2Frest%2Fx"),
        ("307 Temporary Redirect", "https://bitbucket.example.com/rest/x"),
        ("308 Permanent Redirect", "/ctx/rest/x"),
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let server = scripted(vec![
                answer(status, &[&format!("location: {location}")], ""),
                answer("200 OK", &[JSON], "{}"),
            ])
            .await;
            let client = client(&server, limits());
            let error = client.send(method, "/rest/x", &[], Some(&json!({}))).await.unwrap_err();
            // 301 and 302 are also what comes after the deed.
            assert_eq!(error.is_lost_answer(), status.starts_with("301") || status.starts_with("302"));
            assert!(counted(1, 0)(client.statistics()), "{error}");
            said.push_str(&one_line(&error).replace(&server.url(), "http://server"));
            said.push('\n');
        }
    }
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_write_for_which_no_connection_is_made_is_tried_again_and_is_not_lost() {
    let nobody =
        HttpClient::with_limits("http://127.0.0.1:9", HttpCredential::Bearer(SECRET.into()), None, limits())
            .unwrap();
    let error = nobody.send(Method::DELETE, "/rest/x", &[], None::<&()>).await.unwrap_err();
    assert!(!error.is_lost_answer());
    assert!(error.to_string().contains("(4 tries)"), "{error}");
    assert!(counted(4, 3)(nobody.statistics()));
}

#[tokio::test]
async fn a_list_is_read_to_its_end_page_by_page() {
    let server = stub(|_, path| {
        let page = match path.rsplit_once("start=").unwrap().1 {
            "0" => json!({"values": ["a", "b"], "start": 0, "size": 2, "limit": 2, "isLastPage": false, "nextPageStart": 7}),
            "7" => json!({"values": ["c"], "start": 7, "size": 1, "limit": 2, "isLastPage": false, "nextPageStart": 8}),
            _ => json!({"values": ["d"], "start": 8, "size": 1, "limit": 2, "isLastPage": true, "nextPageStart": null}),
        };
        answer("200 OK", &[JSON], page.to_string())
    })
    .await;
    let values: Vec<String> = client(&server, limits()).pages("/rest/x", &[], "2").await.unwrap();
    assert_eq!(values, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn pages_that_repeat_or_never_end_are_errors() {
    let pages = [
        json!({"values": ["a"], "isLastPage": false, "nextPageStart": 0}),
        json!({"values": ["a"], "isLastPage": false}),
        json!({"values": [], "isLastPage": false, "nextPageStart": 1000}),
        json!({"values": ["a"], "isLastPage": false, "nextPageStart": 1}),
        json!({"values": ["a"]}),
    ];
    let once = |page: Value| -> Box<dyn Fn(u64) -> Value + Send + Sync> { Box::new(move |_| page.clone()) };
    let turns = |start: u64| {
        let value = if start.is_multiple_of(2) { "a" } else { "b" };
        json!({"values": [value], "isLastPage": false, "nextPageStart": start + 1})
    };
    let grows =
        |start: u64| json!({"values": [start.to_string()], "isLastPage": false, "nextPageStart": start + 1});
    let mut said = String::new();
    for page in pages.map(once).into_iter().chain([Box::new(turns) as _, Box::new(grows) as _]) {
        let server = stub(move |_, path| {
            let start: u64 = path.rsplit_once("start=").unwrap().1.parse().unwrap();
            let mut page = page(start);
            let size = page["values"].as_array().unwrap().len();
            for (key, value) in [("start", json!(start)), ("size", json!(size)), ("limit", json!(1))] {
                page[key] = value;
            }
            answer("200 OK", &[JSON], page.to_string())
        })
        .await;
        let limits = CallLimits { pages: 30, ..limits() };
        let error = client(&server, limits).pages::<String>("/rest/x", &[], "1").await.unwrap_err();
        said.push_str(&one_line(&error).replace(&server.url(), "http://server"));
        said.push('\n');
    }
    insta::assert_snapshot!(said);
}

/// A server that answers only once `together` calls are under way at once, and remembers the most.
async fn crowd(together: usize) -> (Proxy, Arc<AtomicUsize>) {
    let (barrier, most) = (Arc::new(Barrier::new(together)), Arc::new(AtomicUsize::new(0)));
    let (under_way, seen) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&most));
    let nobody = ([127, 0, 0, 1], 9).into();
    let server = Proxy::start(
        nobody,
        Arc::new(move |_, _| {
            let (barrier, under_way, seen) =
                (Arc::clone(&barrier), Arc::clone(&under_way), Arc::clone(&seen));
            async move {
                seen.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                Fate::Instead(answer("200 OK", &[JSON], "{}"))
            }
            .boxed()
        }),
    )
    .await;
    (server, most)
}

#[tokio::test]
async fn so_many_calls_are_under_way_at_once_and_no_more() {
    let (server, most) = crowd(3).await;
    let client = client(&server, CallLimits { at_once: 3, ..limits() });
    let calls = (0..12).map(|_| client.get::<Value>("/rest/x", &[]));
    assert!(future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_server_that_swallows_everything_is_given_up_when_the_time_for_a_connection_is_over() {
    // The queue of connections that nobody accepts has room for one; the system drops what comes then.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _first = TcpStream::connect(address).await.unwrap();
    let limits = CallLimits { connect: Duration::from_millis(50), ..limits() };
    let client = HttpClient::with_limits(
        &format!("http://{address}"),
        HttpCredential::Bearer(SECRET.into()),
        None,
        limits,
    )
    .unwrap();
    let error = client.get::<Value>("/rest/x", &[]).await.err().unwrap();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{}", one_line(&error));
    assert!(counted(1, 0)(client.statistics()), "{:?}", client.statistics());
}

#[tokio::test]
async fn compressed_answers_are_read_and_counted_as_they_were_before() {
    let server = stub(|_, _| {
        let compressed = include_bytes!("../fixtures/four-mebibytes.json.gz");
        answer("200 OK", &[JSON, "content-encoding: gzip"], compressed)
    })
    .await;
    let client = client(&server, CallLimits { answer: 8 << 20, ..limits() });
    let text = client.get::<String>("/rest/x", &[]).await.unwrap().body;
    assert_eq!(text.len(), 4 << 20);
    assert_eq!(client.statistics().bytes, (4 << 20) + 2);
}

#[tokio::test]
async fn tokens_that_were_listed_before_are_an_error() {
    let item = |id: u64| {
        json!({"id": id, "userName": "mary", "tokenDescription": "", "tokenScope": 1, "created": 1, "createdBy": "mary",
               "lastAccessed": 0, "lastAccessedAddress": null, "validUntil": 0})
    };
    let page = json!({"content": [item(1), item(2)], "lastId": 5000});
    let server = scripted(vec![answer("200 OK", &[JSON], page.to_string())]).await;
    let gateway = Gateway::new(client(&server, limits()), "the server");
    let mut seen = 0;
    let error = gateway.tokens(&mut |_| seen += 1).await.unwrap_err();
    assert!(one_line(&error).ends_with("holds the same as an earlier one"), "{}", one_line(&error));
    assert_eq!(seen, 2, "each token is seen once");
}
