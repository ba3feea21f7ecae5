//! The table of requests through real proxies that ask the gateway and forward by themselves, set up as the examples
//! say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command},
};

use tempfile::TempDir;
use tokenwarden::serve::front::judge::Browsers;

use super::{
    behind::{Gateway, Sender, alone, server},
    served::status_of,
    table::{Asked, PASS, ROWS, Row},
};

/// A proxy that runs until it is dropped.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of `examples/front/`.
fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/front");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// `text` with each of `changes` made once at least.
fn changed(mut text: String, changes: &[(&str, &str)]) -> String {
    for (from, to) in changes {
        assert!(text.contains(from), "{from} in {text}");
        text = text.replace(from, to);
    }
    text
}

impl Proxy {
    /// Waits until it takes connections.
    async fn started(mut command: Command, address: SocketAddr, folder: TempDir) -> Self {
        let child = command.spawn().unwrap();
        let proxy = Self { child, address, _folder: folder };
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
        proxy
    }

    /// nginx with these `servers`, in which `ADDRESS` stands for where it listens.
    pub(crate) async fn nginx(servers: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let address = free();
        let servers = servers.replace("ADDRESS", &address.to_string());
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr crit;\nevents {{}}\nhttp {{\n\
             access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; \
             scgi_temp_path e;\n{servers}\n}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        Self::started(command, address, folder).await
    }

    /// nginx as the example says, that asks `gateway` and forwards to `behind`. It takes who is at 127.0.0.1 or in
    /// 10.0.0.0/8 for a proxy before it.
    pub(crate) async fn asking_nginx(gateway: SocketAddr, behind: SocketAddr) -> Self {
        let servers = changed(
            example("nginx-auth-request.conf"),
            &[
                ("listen 443 ssl;", "listen ADDRESS;"),
                ("    ssl_certificate     /etc/nginx/tls/bitbucket.pem;\n", ""),
                ("    ssl_certificate_key /etc/nginx/tls/bitbucket.key;\n", ""),
                ("server 127.0.0.1:7991", &format!("server {gateway}")),
                ("server 127.0.0.1:7990", &format!("server {behind}")),
                // Its port is another one than that of HTTPS.
                ("Host $host;", "Host $http_host;"),
            ],
        );
        let before = "set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For; \
                      real_ip_recursive on;";
        Self::nginx(&format!("{before}\n{servers}")).await
    }

    /// Caddy in the same way.
    async fn asking_caddy(gateway: SocketAddr, behind: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let address = free();
        let config = changed(
            example("Caddyfile.forward-auth"),
            &[
                ("bitbucket.example.com {", &format!("http://{address} {{")),
                ("uri /authz/forward", "uri /authz/forward\n\t\t\ttrusted_proxies 127.0.0.1/32"),
                ("127.0.0.1:7991", &gateway.to_string()),
                ("127.0.0.1:7990", &behind.to_string()),
            ],
        );
        let global = "{\n\tadmin off\n\tauto_https off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n";
        std::fs::write(folder.path().join("Caddyfile"), format!("{global}{config}")).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(folder.path());
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, folder.path());
        }
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        Self::started(command, address, folder).await
    }
}

/// An address that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Which proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Nginx,
    Caddy,
}

/// What is to become of `row` through a proxy, and whether the gateway is asked about it.
fn expected(row: &Row, asking: Asking) -> (&'static str, bool) {
    match (row.asked, asking) {
        (Asked::Alike, _) | (Asked::Own, Asking::Caddy) => (row.expected, true),
        (Asked::Blind(told), _)
        | (Asked::Addressed(told, _), Asking::Nginx)
        | (Asked::Addressed(_, told), Asking::Caddy) => (told, true),
        (Asked::Own, Asking::Nginx) => ("ambiguous", false),
    }
}

/// The status that clients get for this code through a proxy that asked.
fn status(code: &str, was_asked: bool, asking: Asking) -> u16 {
    match (code, asking) {
        // nginx passes a 401 and a 403 on, and makes a 500 of others: it is told 403 in their place.
        ("authz-contract", Asking::Nginx) => 500,
        ("authz-contract", Asking::Caddy) => 400,
        (_, Asking::Nginx) if was_asked && status_of(code) != 401 => 403,
        _ => status_of(code),
    }
}

/// What is wrong with what became of `row` through a proxy at `proxy` that asks `gateway`.
async fn wrong(
    sender: &Sender,
    gateway: &Gateway,
    proxy: SocketAddr,
    row: &Row,
    asking: Asking,
) -> Option<String> {
    let (code, was_asked) = expected(row, asking);
    let before = gateway.reasons(true).await;
    let answered = sender.send(proxy, row).await;
    let after = gateway.reasons(true).await;
    let told: Vec<&str> = after
        .iter()
        .filter(|(reason, count)| before.get(*reason) != Some(count))
        .map(|(reason, _)| reason.as_str())
        .collect();
    let is_told = match told.as_slice() {
        [] => !was_asked,
        [reason] => was_asked && *reason == if code == PASS { "permit" } else { code },
        _ => false,
    };
    let by_itself = alone(&row.sent.headers(), row.request.0, row.request.1);
    let status = if code == PASS { by_itself } else { status(code, was_asked, asking) };
    let has_words = asking == Asking::Nginx && was_asked && status == 403 && row.request.0 != "HEAD";
    let says = code == PASS || !has_words || answered.body == format!("refused by policy: {code}\n");
    let is_right = answered.passed == (code == PASS) && answered.status == status && is_told && says;
    (!is_right).then(|| format!("{code}, but {told:?} and {answered:?}: {row:?}"))
}

async fn differences(asking: Asking) -> Vec<String> {
    let behind = server().await;
    let sender = Sender::new();
    let mut wrong_ones = Vec::new();
    for browsers in [Browsers::Pass, Browsers::Network] {
        let rows: Vec<&Row> =
            ROWS.iter().filter(|row| row.browsers_by_network == (browsers == Browsers::Network)).collect();
        let gateway = Gateway::before(behind, browsers).await;
        let proxy = match asking {
            Asking::Nginx => Proxy::asking_nginx(gateway.server.address(), behind).await,
            Asking::Caddy => Proxy::asking_caddy(gateway.server.address(), behind).await,
        };
        let settings: BTreeSet<&str> = rows.iter().map(|row| row.settings).collect();
        for part in settings {
            gateway.set(part).await;
            for row in rows.iter().filter(|row| row.settings == part) {
                wrong_ones.extend(wrong(&sender, &gateway, proxy.address, row, asking).await);
            }
        }
    }
    wrong_ones
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn the_table_of_requests_holds_through_nginx_that_asks() {
    let wrong = differences(Asking::Nginx).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Caddy"]
async fn the_table_of_requests_holds_through_caddy_that_asks() {
    let wrong = differences(Asking::Caddy).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn few_rows_of_the_table_are_otherwise_for_a_proxy_that_asks() {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for row in ROWS {
        let kind = match row.asked {
            Asked::Alike => "alike",
            Asked::Blind(_) => "blind",
            Asked::Addressed(..) => "addressed",
            Asked::Own => "own",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert!(kinds["alike"] >= 150, "{kinds:?}");
}
