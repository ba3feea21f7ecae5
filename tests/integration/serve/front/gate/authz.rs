//! The questions of proxies that forward by themselves.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokenwarden::model::{AddressSet, network::AddressRange};

use super::{ENDED, Gate, READS, WRITES, With, secret, upstream::Upstream};
use crate::support::status;

const REPOS: &str = "/rest/api/latest/projects/PLAT/repos";

async fn gate() -> (Upstream, Gate) {
    let upstream = Upstream::start().await;
    let peers: AddressSet = ["127.0.0.1".parse::<AddressRange>().unwrap()].into_iter().collect();
    let gate = Gate::with(upstream.address, With { peers, ..With::default() }).await;
    (upstream, gate)
}

#[derive(Clone, Copy, Debug)]
enum Contract {
    Nginx,
    Forward,
    Envoy,
}

const ALL: [Contract; 3] = [Contract::Nginx, Contract::Forward, Contract::Envoy];

impl Contract {
    /// The question about `method` of `path`, for a client at 192.0.2.7 with the token `id`.
    fn ask(self, gate: &Gate, id: &str, method: Method, path: &str) -> RequestBuilder {
        let request = match self {
            Self::Nginx => gate
                .with_token(id, Method::GET, "/authz/nginx")
                .header("x-original-method", method.as_str())
                .header("x-original-uri", path),
            Self::Forward => gate
                .with_token(id, Method::GET, "/authz/forward")
                .header("x-forwarded-method", method.as_str())
                .header("x-forwarded-uri", path)
                .header("x-forwarded-host", "bitbucket.example.com")
                .header("x-forwarded-proto", "https"),
            Self::Envoy => gate.with_token(id, method, &format!("/authz/envoy{path}")),
        };
        request.header("x-forwarded-for", "192.0.2.7")
    }

    fn yes(self) -> u16 {
        if matches!(self, Self::Envoy) { 200 } else { 204 }
    }
}

#[tokio::test]
async fn each_contract_says_yes_and_no_in_its_own_way_and_the_upstream_hears_nothing() {
    let (upstream, gate) = gate().await;
    for contract in ALL {
        let ask = |id, method| contract.ask(&gate, id, method, REPOS);
        let yes = ask(READS, Method::GET).send().await.unwrap();
        assert_eq!(yes.status().as_u16(), contract.yes(), "{contract:?}");
        assert_eq!(yes.headers()["x-tokenwarden-owner"], "mary@example.com");
        assert_eq!(yes.headers()["x-tokenwarden-token"], READS);
        assert_eq!(yes.headers()["x-forwarded-user"], "", "a client's own is always replaced");
        assert_eq!(yes.headers()["cache-control"], "no-store");
        let no = ask(READS, Method::POST).send().await.unwrap();
        assert_eq!(
            (no.status().as_u16(), &no.headers()["x-tokenwarden-reason"]),
            (403, &"scope".parse().unwrap())
        );
        let ended = ask(ENDED, Method::GET).send().await.unwrap();
        assert_eq!(ended.status(), 401);
        assert!(ended.headers().contains_key("www-authenticate"));
    }
    gate.server.change_settings(json!({"network": {"allow": ["192.0.2.0/24"]}})).await;
    for contract in ALL {
        assert_eq!(status(contract.ask(&gate, READS, Method::GET, REPOS)).await, contract.yes());
        let path = "/scm/PLAT/app.git/info/refs?service=git-receive-pack";
        assert_eq!(status(contract.ask(&gate, READS, Method::GET, path)).await, 403, "although it is a GET");
    }
    gate.server.change_settings(json!({"network": {"allow": ["127.0.0.0/8"]}})).await;
    for contract in ALL {
        assert_eq!(
            status(contract.ask(&gate, READS, Method::GET, REPOS)).await,
            403,
            "the client, not the proxy"
        );
    }
    assert_eq!(upstream.arrived().len(), 0);
}

#[tokio::test]
async fn a_header_of_another_contract_or_a_missing_one_is_a_misconfiguration_and_never_a_yes() {
    let (_upstream, gate) = gate().await;
    for (contract, foreign) in [
        (Contract::Nginx, "x-forwarded-uri"),
        (Contract::Nginx, "x-forwarded-method"),
        (Contract::Forward, "x-original-uri"),
        (Contract::Forward, "x-original-method"),
        (Contract::Envoy, "x-forwarded-uri"),
        (Contract::Envoy, "x-original-uri"),
    ] {
        let request = contract.ask(&gate, WRITES, Method::GET, REPOS).header(foreign, "/healthz");
        assert_eq!(status(request).await, 400, "{contract:?} {foreign}");
    }
    let nginx = |lines: &[(&str, &str)]| {
        let request = gate.with_token(WRITES, Method::GET, "/authz/nginx");
        lines.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let (method, uri, from) =
        (("x-original-method", "GET"), ("x-original-uri", REPOS), ("x-forwarded-for", "192.0.2.7"));
    assert_eq!(status(nginx(&[method, uri, from])).await, 204);
    let wrong: [&[(&str, &str)]; 8] = [
        &[uri, from],
        &[method, from],
        &[method, uri],
        &[method, method, uri, from],
        &[method, uri, uri, from],
        &[("x-original-method", "GET /x"), uri, from],
        &[("x-original-method", "get"), uri, from],
        &[method, uri, ("x-forwarded-for", "somewhere")],
    ];
    for lines in wrong {
        assert_eq!(status(nginx(lines)).await, 400, "{lines:?}");
    }
    for target in ["/healthz", "/rest/tokenwarden/1/settings", "/authz/nginx"] {
        assert_eq!(status(nginx(&[method, ("x-original-uri", target), from])).await, 403, "{target}");
    }
    for target in ["/rest/api#/../x", "/rest//x", "/rest/%2e%2e/x", "rest/api"] {
        let asked = nginx(&[method, ("x-original-uri", target), from]).send().await.unwrap();
        let reason = asked.headers()["x-tokenwarden-reason"].to_str().unwrap();
        assert_eq!(
            (asked.status().as_u16(), reason),
            (403, "ambiguous"),
            "a client's fault is no 500: {target}"
        );
    }
}

#[tokio::test]
async fn a_question_stays_one_with_the_query_of_the_client_that_the_proxy_leaves_in_it() {
    let (_upstream, gate) = gate().await;
    let path = "/authz/forward?os_username=mary&os_password=secret";
    let request = gate.with_token(WRITES, Method::GET, path).header("x-forwarded-for", "192.0.2.7");
    let request = request.header("x-forwarded-method", "GET").header("x-forwarded-uri", REPOS);
    assert_eq!(status(request).await, 204, "what is asked about is in the header");
}

#[tokio::test]
async fn only_declared_proxies_are_answered_whatever_they_call_themselves() {
    let upstream = Upstream::start().await;
    let gate = Gate::before(upstream.address).await;
    for contract in ALL {
        let request = contract.ask(&gate, WRITES, Method::GET, REPOS).header("user-agent", "kube-probe/1.30");
        let answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-tokenwarden-reason"]),
            (403, &"authz-peer".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn what_depends_on_a_body_is_judged_as_the_most_that_it_can_be() {
    let (_upstream, gate) = gate().await;
    let batch = "/scm/PLAT/app.git/info/lfs/objects/batch";
    for contract in ALL {
        assert_eq!(status(contract.ask(&gate, READS, Method::POST, batch)).await, 403, "{contract:?}");
        assert_eq!(status(contract.ask(&gate, WRITES, Method::POST, batch)).await, contract.yes());
    }
}

#[tokio::test]
async fn nginx_is_told_nothing_that_it_makes_a_500_of() {
    let (_upstream, gate) = gate().await;
    gate.stub.contents().failing.insert("/rest/", 503);
    let ask = |contract: Contract| contract.ask(&gate, "000000000009", Method::GET, REPOS);
    let nginx = ask(Contract::Nginx).send().await.unwrap();
    assert_eq!(nginx.status(), 403, "a 401 would make Git forget what it has stored");
    assert_eq!(ask(Contract::Forward).send().await.unwrap().status(), 503);
    assert!(!secret(WRITES).is_empty());
}
