//! The target over the gateway, whose token REST has the paths and fields of the app.

use tokenwarden::{
    http::{HttpClient, HttpCredential},
    targets::resolution::{Resolution, ResolutionOptions},
};

use super::{actions, apply, missing, plan, stub::marker};
use crate::support::{Setup, TestServer, world::policy};

const NOW: &str = crate::support::NOW;

fn target(server: &TestServer) -> Resolution {
    let root = HttpCredential::Basic { user: "root".to_owned(), secret: "root".into() };
    let client = HttpClient::new(&server.url(""), root, None).unwrap();
    Resolution::new(
        client,
        "gateway",
        ResolutionOptions { marker: Some(marker()), password: true, ..ResolutionOptions::default() },
    )
}

#[tokio::test]
async fn tokens_of_the_gateway_are_seen_marked_and_revoked() {
    let server = TestServer::start(Setup::default()).await;
    let made = server.make_token("mary", 2).await;
    let bot = server.make_token("bot", 1).await;
    let target = target(&server);
    let marking = policy(
        "version: 1\ntokens:\n  limits: [{groups: [ci-bots], max_lifetime: 30d}, {max_scope: read-write}]\n  \
         enforcement: {lifetime: expire}\n",
    );
    let (before, outcome, after) = apply(&target, &marking, NOW).await;
    assert_eq!(missing(&before), Vec::<String>::new());
    assert_eq!((actions(&before), outcome.is_whole()), (vec![format!("mark {}", bot.id)], true));
    assert!(after.is_converged());
    let token = server.token(bot.id).await.unwrap();
    assert!(token["description"].as_str().unwrap().contains("[tokenwarden: ends "), "{token}");
    let revoking =
        policy("version: 1\ntokens: {limits: [{max_scope: read-only}], enforcement: {scope: revoke}}\n");
    let (before, outcome, _) = apply(&target, &revoking, NOW).await;
    assert!(actions(&before).contains(&format!("revoke {}", made.id)) && outcome.is_whole(), "{before:?}");
    assert_eq!(server.token(made.id).await, None);
    assert_eq!(plan(&target, &revoking, NOW).await.tokens.seen, 1);
}
