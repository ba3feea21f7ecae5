//! Guesses at passwords: from how far apart they count together, and whom they do not shut out.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Setup, TestServer, WHOAMI, status};

/// A server behind a proxy, where two guesses a minute may fail from one address.
async fn server() -> TestServer {
    let header = json!({"header": "X-Forwarded-For", "trusted_proxies": ["127.0.0.1"]});
    TestServer::start(Setup {
        password_failures_per_minute: 2,
        settings: json!({"network": {"client_address": header}}),
        ..Setup::default()
    })
    .await
}

fn attempt(server: &TestServer, user: &str, password: &str, from: &str) -> RequestBuilder {
    server.request(Method::GET, WHOAMI).header("x-forwarded-for", from).basic_auth(user, Some(password))
}

/// The statuses of guesses at the passwords of `users`, each from the next of `addresses`.
async fn guesses(server: &TestServer, users: &[&str], addresses: impl Iterator<Item = String>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (address, user) in addresses.zip(users.iter().cycle()) {
        statuses.push(status(attempt(server, user, "wrong", &address)).await);
    }
    statuses
}

fn looked_at(statuses: &[u16]) -> usize {
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    statuses.iter().filter(|status| **status == 401).count()
}

const USERS: &[&str] =
    &["root", "toor", "mary", "sam", "bot", "gone", "nobody", "nobody2", "nobody3", "nobody4"];

#[tokio::test]
async fn whoever_has_a_wide_network_does_not_get_the_guesses_of_all_its_addresses() {
    let server = server().await;
    for (set, (network, expected)) in [
        ("2001:db8:1:1::N", 2),
        ("2001:db8:2:N::1", 4),
        ("2001:db8:3:N00::1", 8),
        ("198.51.100.N", 8),
        ("::ffff:203.0.113.N", 8),
    ]
    .into_iter()
    .enumerate()
    {
        let addresses = (1..=20).map(|number: u8| network.replace('N', &number.to_string()));
        // So many users that none of them is guessed at too often.
        let users: Vec<String> = (0..20).map(|number| format!("user{number}-of-{set}")).collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        assert_eq!(looked_at(&guesses(&server, &users, addresses).await), expected, "{network}");
    }
}

#[tokio::test]
async fn guesses_at_one_account_are_slowed_down_wherever_they_come_from_and_it_is_not_locked() {
    let server = server().await;
    assert_eq!(status(attempt(&server, "mary", "mary", "192.0.2.1")).await, 200);
    for account in ["mary", "nobody"] {
        let everywhere = (1..=20).map(|number| format!("100.{number}.0.1"));
        let statuses = guesses(&server, &[account], everywhere).await;
        assert_eq!(looked_at(&statuses), 4, "whether there is such a user makes no difference: {statuses:?}");
    }
    let refused = attempt(&server, "MARY", "mary", "100.99.0.1").send().await.unwrap();
    let retry_after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(refused.status() == 429 && (1..=60).contains(&retry_after), "{retry_after}");
    assert_eq!(
        status(attempt(&server, "mary", "mary", "192.0.2.1")).await,
        200,
        "she came from there before"
    );
    assert_eq!(status(attempt(&server, "sam", "sam", "100.99.0.1")).await, 200, "another account is free");
    let made = server.make_token("mary", 1).await;
    let token = server.with_token(&made.secret, Method::GET, WHOAMI).header("x-forwarded-for", "100.99.0.1");
    assert_eq!(status(token).await, 200, "a token cannot be guessed");
}

#[tokio::test]
async fn wrong_guesses_behind_one_address_shut_out_nobody_who_came_from_there_before() {
    let server = server().await;
    let again = |place: &str| std::iter::repeat_n(place.to_owned(), 20);
    for place in ["192.0.2.1", "2001:db8:9:9::1"] {
        assert_eq!(status(attempt(&server, "mary", "mary", place)).await, 200);
        let statuses = guesses(&server, USERS, again(place)).await;
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 16, "{statuses:?}");
        assert_eq!(status(attempt(&server, "mary", "mary", place)).await, 200);
        assert_eq!(status(attempt(&server, "sam", "sam", place)).await, 429);
    }
    assert_eq!(status(attempt(&server, "mary", "mary", "2001:db8:9:9:2::7")).await, 200, "the same network");
    let statuses = guesses(&server, &["mary"], again("192.0.2.1")).await;
    assert!(looked_at(&statuses) < 10, "her password cannot be guessed there without end");
}
