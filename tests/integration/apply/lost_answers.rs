//! Writes whose answers do not come, one by one: what is read back decides.

use std::sync::Arc;

use futures_util::FutureExt;
use tokenwarden::{
    apply::{ChangeResult, Outcome, execute},
    http::{CallLimits, HttpClient, HttpCredential},
    model::rails::{Lockout, Unsupported},
    plan::{History, Plan, Terms},
    targets::gateway::Gateway,
};

use crate::support::{
    NOW, SETTINGS, TOKENS, TestServer,
    proxy::{Fate, Proxy, answer},
    world::{approve, policy},
};

fn page() -> Vec<u8> {
    answer("200 OK", &["content-type: text/html"], "<html>Log in</html>")
}

fn no_such_page() -> Vec<u8> {
    answer("404 Not Found", &["content-type: text/html"], "<html>Oops</html>")
}

/// Applies the policy `yaml` over a network that does `fate` to the write of this method; once it was
/// sent, `afterwards` to every read.
async fn apply(
    server: &TestServer,
    yaml: &str,
    method: &'static str,
    fate: Fate,
    afterwards: Option<Fate>,
) -> (Outcome, Proxy) {
    let written = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let decide = move |seen: &str, _: &str| {
        let sent = written.fetch_or(seen == method, std::sync::atomic::Ordering::SeqCst);
        let now = match &afterwards {
            _ if seen == method => fate.clone(),
            Some(afterwards) if sent => afterwards.clone(),
            _ => Fate::Whole,
        };
        std::future::ready(now).boxed()
    };
    let proxy = Proxy::start(server.address(), Arc::new(decide)).await;
    let credential = HttpCredential::Bearer(server.operator().into());
    let client = HttpClient::with_limits(&proxy.url(), credential, None, CallLimits::default()).unwrap();
    let gateway = Gateway::new(client, "the server");
    let (policy, lockout, history) = (policy(yaml), Lockout::default(), History::default());
    let now = NOW.parse().unwrap();
    let terms = Terms {
        target: "server",
        policy: &policy,
        lockout: &lockout,
        unsupported: Unsupported::Error,
        history: &history,
        now,
    };
    let approved = approve(Plan::make(&terms, &gateway).await.unwrap());
    let outcome = execute(&approved, &gateway, &gateway.writer(&approved, None), &|_| {}).await;
    (outcome, proxy)
}

/// What became of the only change.
fn only(outcome: &Outcome) -> &ChangeResult {
    assert_eq!(outcome.changes.len(), 1, "{outcome:#?}");
    &outcome.changes[0].result
}

fn writes(proxy: &Proxy) -> usize {
    proxy.exchanges().iter().filter(|exchange| exchange.method != "GET").count()
}

const PASSWORDS: &str = "version: 1\npassword_authentication: disabled\n";
const GONE: &str = "version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n";

/// A server with a token of somebody who left.
async fn with_a_token_to_revoke() -> TestServer {
    let server = TestServer::new().await;
    server.import(&crate::support::DIRECTORY.replace("active: false", "active: true")).await.unwrap();
    server.make_token("gone", 1).await;
    server.import(crate::support::DIRECTORY).await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_page_answers_in_the_place_of_the_server_is_read_back_and_done_once() {
    for fate in [Fate::AnswerReplaced(page()), Fate::AnswerLost, Fate::AnswerCut] {
        let server = TestServer::new().await;
        let (outcome, proxy) = apply(&server, PASSWORDS, "PUT", fate.clone(), None).await;
        assert!(matches!(only(&outcome), ChangeResult::Done(_)), "{outcome:#?}");
        assert_eq!(writes(&proxy), 1);
        assert_eq!(server.settings().await.0["password_authentication"], "disabled");

        let server = with_a_token_to_revoke().await;
        let (outcome, proxy) = apply(&server, GONE, "DELETE", fate, None).await;
        assert!(matches!(only(&outcome), ChangeResult::Done(_)), "{outcome:#?}");
        assert_eq!(writes(&proxy), 1);
        assert!(server.all_tokens().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_knows_no_such_token_does_not_make_it_gone() {
    let server = with_a_token_to_revoke().await;
    let (outcome, proxy) = apply(&server, GONE, "DELETE", Fate::Instead(no_such_page()), None).await;
    let ChangeResult::Failed(why) = only(&outcome) else { panic!("{outcome:#?}") };
    assert!(why.contains("404"), "{why}");
    assert_eq!((writes(&proxy), server.all_tokens().await.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_never_arrives_is_sent_again_and_has_failed_in_the_end() {
    for (yaml, method, path) in [(PASSWORDS, "PUT", SETTINGS), (GONE, "DELETE", TOKENS)] {
        let server = with_a_token_to_revoke().await;
        let (outcome, proxy) = apply(&server, yaml, method, Fate::Instead(page()), None).await;
        let ChangeResult::Failed(why) = only(&outcome) else { panic!("{outcome:#?}") };
        assert!(why.contains("the server did not do it") && why.contains(path), "{why}");
        assert_eq!((writes(&proxy), server.all_tokens().await.len()), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_back_is_not_known_whether_it_was_done_or_not() {
    for fate in [Fate::AnswerLost, Fate::Instead(page())] {
        for (yaml, method) in [(PASSWORDS, "PUT"), (GONE, "DELETE")] {
            let server = with_a_token_to_revoke().await;
            let (outcome, _) = apply(&server, yaml, method, fate.clone(), Some(Fate::Instead(page()))).await;
            let ChangeResult::Failed(why) = only(&outcome) else { panic!("{outcome:#?}") };
            assert!(why.contains("whether it was done is not known"), "{why}");
        }
    }
}
