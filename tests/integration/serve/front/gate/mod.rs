//! The gateway in front of an upstream, over real HTTP: what passes, what the upstream sees of it, and what clients get.

mod authz;
mod creation;
mod faults;
mod forwarding;
mod git;
mod http_backend;
mod identity;
mod lfs;
mod meanwhile;
mod operation;
mod smuggling;
mod spawned;
mod upstream;
mod whole;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokenwarden::{
    model::AddressSet,
    serve::front::{
        Front, UpstreamLimits,
        classify::Prefixes,
        forward::Forwarder,
        judge::Browsers,
        mirror::{MirrorOptions, UnknownTokens},
    },
    targets::bitbucket::BitbucketOptions,
};

use crate::{
    support::{Setup, TestServer},
    targets::bitbucket::stub::{Stub, token},
};

/// A token of mary that may do everything she may.
const WRITES: &str = "075905477751";
/// One that only reads.
const READS: &str = "075905477752";
/// One that ended.
const ENDED: &str = "075905477753";
/// Whose they are.
const MARY: &str = "mary@example.com";

/// The secret of the token `id`.
fn secret(id: &str) -> String {
    format!("BBDC-{}", STANDARD.encode(format!("{id}:abcdefghijklmnopqrst")))
}

/// A gateway, the Bitbucket that it knows tokens from, and what else it was started with.
struct Gate {
    server: TestServer,
    stub: Arc<Stub>,
}

/// What a gateway is started with.
struct With {
    settings: Value,
    limits: UpstreamLimits,
    peers: AddressSet,
    browsers: Browsers,
}

impl Default for With {
    fn default() -> Self {
        let limits = UpstreamLimits { silence: Duration::from_secs(20), ..UpstreamLimits::default() };
        Self { settings: json!({}), limits, peers: AddressSet::default(), browsers: Browsers::Pass }
    }
}

impl Gate {
    /// A gateway in front of the upstream at this address.
    async fn before(upstream: SocketAddr) -> Self {
        Self::with(upstream, With::default()).await
    }

    async fn with(upstream: SocketAddr, with: With) -> Self {
        let stub = Arc::new(Stub::start().await);
        stub.contents().bearer = MARY;
        let path = "users/mary_example.com";
        let made = "2025-01-01T00:00:00Z";
        stub.add(path, token(WRITES, "writes", made, &["REPO_ADMIN"]));
        stub.add(path, token(READS, "reads", made, &["REPO_READ", "PROJECT_READ"]));
        let mut ended = token(ENDED, "ended", made, &["REPO_ADMIN"]);
        ended["expiryDays"] = json!(1);
        ended["expiryDate"] = json!(1_740_000_000_000_i64);
        stub.add(path, ended);
        let source = MirrorOptions {
            bitbucket: stub.target_with(BitbucketOptions::default()),
            refresh: Duration::from_mins(5),
            max_age: Duration::from_mins(15),
            unknown_tokens: UnknownTokens::Ask,
        };
        let url = format!("http://{upstream}").parse().unwrap();
        let forwarder = Forwarder::new(url, None, with.limits).unwrap();
        let front = Front::new(forwarder, Prefixes::new("", "/scm"), with.browsers, with.peers);
        let setup =
            Setup { mirror: Some(source), front: Some(front), settings: with.settings, ..Setup::default() };
        Self { server: TestServer::start(setup).await, stub }
    }

    /// A request with the secret of the token `id`.
    fn with_token(&self, id: &str, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(secret(id))
    }
}
