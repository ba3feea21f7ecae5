//! The address of the client as the gateway and nginx with its realip module find it in the same headers, behind the same
//! proxies: `127.0.0.1`, `10.0.0.0/8` and `2001:db8:a::/48`.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Request},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokenwarden::serve::front::judge::Browsers;

use super::{behind::Gateway, proxies::Proxy};

/// How the two differ on a header, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Differs {
    /// They do not.
    Not,
    /// Who wrote the entry says nothing of its client: nginx goes by the nearest proxy that it can read, the gateway
    /// refuses, since the client is somebody else.
    Unreadable,
    /// nginx takes blanks for commas and passes over what is empty between them; for the gateway an empty entry is one
    /// that cannot be read.
    Blanks,
    /// A zero in front is decimal for nginx and octal for others: the gateway reads neither.
    Zeros,
    /// Around an entry there may be tabs (RFC 9110, section 5.6.3), which nginx does not know.
    Tabs,
    /// An address of IPv6 in brackets needs a port for nginx.
    Brackets,
    /// Port 0 is none for nginx. The port of a client does not matter.
    Port,
    /// The address of nobody in particular, 255.255.255.255, is a mistake for nginx.
    Nobody,
    /// nginx stops at the comma in front, and goes by the proxy; the gateway has found the client before it.
    Comma,
    /// nginx begins with the first line, which a client may have sent by itself; the gateway with the last one, which
    /// the nearest proxy wrote (RFC 9110, section 5.3).
    Lines,
}

impl Differs {
    /// Whether what each found, is as this says.
    fn explains(self, ours: Option<IpAddr>, theirs: IpAddr) -> bool {
        let is_proxy = |address: IpAddr| ["127.0.0.1", "10.0.0.4"].contains(&address.to_string().as_str());
        match self {
            Not => ours == Some(theirs),
            Unreadable => ours.is_none() && (is_proxy(theirs) || theirs.to_string() == "192.0.2.7"),
            Blanks | Zeros => ours.is_none(),
            Tabs | Brackets | Port | Nobody | Comma => {
                ours.is_some_and(|ours| !is_proxy(ours)) && is_proxy(theirs)
            }
            Lines => ours != Some(theirs),
        }
    }
}

use Differs::{Blanks, Brackets, Comma, Lines, Nobody, Not, Port, Tabs, Unreadable, Zeros};

/// The lines of the header, and how the two differ on them.
const CASES: &[(&[&str], Differs)] = &[
    // One client.
    (&["192.0.2.7"], Not),
    (&[" 192.0.2.7"], Not),
    (&["192.0.2.7 "], Not),
    (&["\t192.0.2.7"], Tabs),
    (&["192.0.2.7\t"], Tabs),
    (&["0.0.0.0"], Not),
    (&["255.255.255.255"], Nobody),
    (&["9.255.255.255"], Not),
    (&["11.0.0.0"], Not),
    (&["2001:db8::7"], Not),
    (&["2001:DB8::7"], Not),
    (&["2001:0db8:0000:0000:0000:0000:0000:0007"], Not),
    (&["::1"], Not),
    (&["::"], Not),
    (&["::ffff:192.0.2.7"], Not),
    (&["::ffff:c000:207"], Not),
    (&["64:ff9b::192.0.2.7"], Not),
    (&["2001:db8:b::1"], Not),
    (&["192.0.2.7:8080"], Not),
    (&["192.0.2.7:1"], Not),
    (&["[2001:db8::7]:8080"], Not),
    (&["[2001:db8::7]"], Brackets),
    (&["[::ffff:192.0.2.7]:80"], Not),
    // Chains.
    (&["192.0.2.7, 10.0.0.4"], Not),
    (&["192.0.2.7,10.0.0.4"], Not),
    (&["192.0.2.7 , 10.0.0.4"], Not),
    (&["192.0.2.7,   10.0.0.4"], Not),
    (&["192.0.2.7, 10.0.0.4, 10.0.0.5, 127.0.0.1"], Not),
    (&["192.0.2.7, 203.0.113.9"], Not),
    (&["192.0.2.7, 203.0.113.9, 10.0.0.4"], Not),
    (&["10.0.0.4"], Not),
    (&["10.0.0.4, 10.0.0.5"], Not),
    (&["127.0.0.1"], Not),
    (&["10.0.0.4, 192.0.2.7"], Not),
    (&["192.0.2.7, 2001:db8:a::1"], Not),
    (&["2001:db8::7, 2001:db8:a::1, 10.0.0.4"], Not),
    (&["2001:db8:a::1"], Not),
    (&["192.0.2.7, ::ffff:10.0.0.4"], Not),
    (&["192.0.2.7, 10.0.0.4:4711"], Not),
    (&["192.0.2.7, [2001:db8:a::1]:4711"], Not),
    (&["192.0.2.7, [2001:db8:a::1]"], Brackets),
    (&["192.0.2.7:1, 10.0.0.4:2, 10.0.0.5:3"], Not),
    (&["garbage, 192.0.2.7"], Not),
    (&["garbage, 192.0.2.7, 10.0.0.4"], Not),
    (&["192.0.2.7, 198.51.100.1, 10.255.255.255"], Not),
    // Several lines are one list.
    (&["192.0.2.7", "10.0.0.4"], Not),
    (&["192.0.2.7", "203.0.113.9"], Lines),
    (&["192.0.2.7, 203.0.113.9", "10.0.0.4"], Not),
    (&["203.0.113.9", "192.0.2.7, 10.0.0.4"], Lines),
    (&["10.0.0.4", "10.0.0.5"], Not),
    (&["garbage", "192.0.2.7"], Lines),
    // Nothing, or nothing to read.
    (&[], Not),
    (&[""], Blanks),
    (&[" "], Blanks),
    (&[","], Blanks),
    (&["192.0.2.7,"], Blanks),
    (&[",192.0.2.7"], Comma),
    (&["192.0.2.7,,10.0.0.4"], Blanks),
    (&["192.0.2.7, , 10.0.0.4"], Blanks),
    (&["192.0.2.7", ""], Blanks),
    (&["unknown"], Unreadable),
    (&["_hidden"], Unreadable),
    (&["localhost"], Unreadable),
    (&["garbage, 10.0.0.4"], Unreadable),
    (&["192.0.2.7, garbage"], Unreadable),
    (&["192.0.2.7, garbage, 10.0.0.4"], Unreadable),
    (&["192.0.2.7", "garbage"], Lines),
    (&["192.0.2"], Unreadable),
    (&["192.0.2.7.1"], Unreadable),
    (&["192.0.2.256"], Unreadable),
    (&["192.0.2.07"], Zeros),
    (&["0300.0.2.7"], Unreadable),
    (&["0xc0.0.2.7"], Unreadable),
    (&["3221226503"], Unreadable),
    (&["192.0.2.7/32"], Unreadable),
    (&["192.0.2.7:"], Unreadable),
    (&["192.0.2.7:0"], Port),
    (&["192.0.2.7:65536"], Unreadable),
    (&["192.0.2.7:port"], Unreadable),
    (&["192.0.2.7 10.0.0.4"], Blanks),
    (&["192.0.2.7;10.0.0.4"], Unreadable),
    (&["\"192.0.2.7\""], Unreadable),
    (&["for=192.0.2.7"], Unreadable),
    (&["[192.0.2.7]"], Unreadable),
    (&["[2001:db8::7"], Unreadable),
    (&["2001:db8::7]"], Unreadable),
    (&["[2001:db8::7]8080"], Unreadable),
    (&["2001:db8::7%eth0"], Unreadable),
    (&["[2001:db8::7%25eth0]"], Unreadable),
    (&["2001:db8:::7"], Unreadable),
    (&["2001:db8::12345"], Unreadable),
    (&["http://192.0.2.7"], Unreadable),
    (&["unix:"], Unreadable),
    (&["-192.0.2.7"], Unreadable),
    (&["+192.0.2.7"], Unreadable),
    (&["192.0.2.7#"], Unreadable),
    (&["1\u{e4}2.0.2.7"], Unreadable),
];

const HEADERS: [&str; 2] = ["x-forwarded-for", "true-client-ip"];

/// A server that answers the address that it is told.
async fn told() -> SocketAddr {
    let answer = async |headers: HeaderMap| headers["x-forwarded-for"].to_str().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

/// The address that is answered at `to`; `None` when that is none.
async fn found(
    client: &Client<HttpConnector, Body>,
    to: SocketAddr,
    header: &'static str,
    lines: &[&str],
) -> Option<IpAddr> {
    let mut request = Request::get(format!("http://{to}/projects")).body(Body::empty()).unwrap();
    for line in lines {
        request.headers_mut().append(header, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    let response = client.request(request).await.unwrap();
    let body = axum::body::to_bytes(Body::new(response.into_body()), 1024).await.unwrap();
    std::str::from_utf8(&body).unwrap().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn nginx_and_the_gateway_find_the_same_client_in_the_same_headers() {
    assert!(CASES.len() >= 80);
    let gateway = Gateway::before(told().await, Browsers::Network).await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut wrong = Vec::new();
    for header in HEADERS {
        let source = json!({"header": header, "trusted_proxies": ["10.0.0.0/8", "2001:db8:a::/48"]});
        gateway.set(&json!({"network": {"client_address": source}}).to_string()).await;
        let nginx = Proxy::nginx(&format!(
            "server {{ listen ADDRESS; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; \
             set_real_ip_from 2001:db8:a::/48; real_ip_header {header}; real_ip_recursive on; \
             location / {{ return 200 $remote_addr; }} }}"
        ))
        .await;
        for (lines, differs) in CASES {
            let theirs = found(&client, nginx.address, header, lines).await.unwrap();
            let ours = found(&client, gateway.server.address(), header, lines).await;
            if !differs.explains(ours, theirs) {
                wrong.push(format!("{header} {lines:?} {differs:?}: {ours:?} here, {theirs} in nginx"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
