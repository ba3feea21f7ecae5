//! The calls that the check on lockouts takes a run to make, against those that runs make.

use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::json;
use tokenwarden::{
    inventory::Call,
    model::wildcard,
    targets::{Sight, calls_of},
};

use crate::{
    support::proxy::{Fate, Proxy},
    targets::reconcile::{Repository, server, token},
};

/// Whether one of `calls` is `method` on `path`.
pub(crate) fn lists(calls: &[Call], method: &str, path: &str) -> bool {
    // An identifier is encoded where the client encodes one.
    let pattern = |call: &Call| call.path.replace(Call::ANY, "*").replace("%EF%BF%BC", "*");
    calls.iter().any(|call| call.method == method && wildcard(&pattern(call), path))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_run_on_our_own_server_is_one_that_is_looked_at() {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    for (user, words) in [("mary", "narrow"), ("toor", "expire"), ("sam", "revoke")] {
        token(&server, user, words).await;
    }
    let rule =
        |word: &str| format!("{{name: {word}-it, when: 'token.description == \"{word}\"', message: {word}}}");
    let rules = ["narrow", "expire", "revoke"].map(rule).join(", ");
    let policy = format!(
        "version: 1\npermissions: {{create: [developers]}}\ntokens:\n  rules: [{rules}]\n  enforcement: {{narrow-it: narrow, \
         expire-it: {{action: expire, grace: 1d}}, revoke-it: revoke}}\n"
    );
    let repository = Repository::new(&server, &warden.secret, &policy);
    let proxy =
        Proxy::start(server.address(), Arc::new(|_, _| std::future::ready(Fate::Whole).boxed())).await;
    repository.edit_settings(&server.url(""), &proxy.url());
    let applied = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(applied.code, Some(0), "{}{}", applied.stdout, applied.stderr);
    for more in [&["journal", "show"][..], &["drift"]] {
        let run = repository.run(more).await;
        assert!(run.code.is_some_and(|code| code < 3), "{more:?}: {}", run.stderr);
    }
    let calls = calls_of("gateway", Sight::default()).unwrap();
    // The version is told to anybody, and a run does without knowing who changed the settings last.
    let needless = ["/rest/api/latest/application-properties", "/rest/tokenwarden/1/settings/last-change"];
    let mut made: Vec<(String, String)> = Vec::new();
    for exchange in proxy.exchanges() {
        let path = exchange.path.split('?').next().unwrap_or_default().to_owned();
        let is_known = lists(&calls, &exchange.method, &path) || needless.contains(&path.as_str());
        assert!(is_known, "{} {path}", exchange.method);
        made.push((exchange.method, path));
    }
    for call in &calls {
        let is_made = |(method, path): &(String, String)| lists(std::slice::from_ref(call), method, path);
        assert!(made.iter().any(is_made), "no run made {} {}", call.method, call.path);
    }
    assert_eq!(json!(server.all_tokens().await.len()), json!(3), "one was revoked");
}
