//! How long forty targets take beside the slowest one of them: the real program plans targets over TLS,
//! each behind a network on which every answer is late by the same time. What is shown are ratios within
//! one run, so that they mean the same on every machine: 1 is "as if they were one".
//!
//! `cargo bench --bench fleet`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking and prints its result"
)]

use std::{
    fmt::Write,
    fs,
    net::{SocketAddr, TcpListener as Listener},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokenwarden::{
    model::TokenSecret,
    serve::{
        self, Running, ServerOptions, Tls, directory, random_bytes, seed,
        store::{Store, StoreUrl},
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// Targets in all.
const TARGETS: usize = 40;
/// How many of them are down, when some are.
const DOWN: usize = 3;
/// How late every answer is.
const LATE: Duration = Duration::from_millis(50);
/// Tokens of each target.
const TOKENS: usize = 500;

const POLICY: &str = "version: 1\npermissions: {create: [administrators]}\n\
                      tokens: {limits: [{max_lifetime: 30d}], enforcement: {lifetime: expire}}\n";

/// A server over TLS, its certificate in `folder`, and the credential for it.
async fn server(folder: &Path) -> (Running, String) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();

    let store = Store::open_or_create(&StoreUrl { file: folder.join("bench.db") }).await.unwrap();
    let people = "users: [{name: mary}]\ngroups: {administrators: []}\n";
    directory::import(&store, people, |_| None).await.unwrap();
    let mut tokens = "tokens:\n".to_owned();
    for index in 0..TOKENS {
        writeln!(
            tokens,
            "  - {{owner: mary, description: 'OPS-{index}', scope: read-only, created: 1d, expires: in 90d, last_used: never}}"
        )
        .unwrap();
    }
    let options = ServerOptions::new("administrators".into());
    seed::plant(&store, &tokens, options.administrators.clone(), options.clock.now()).await.unwrap();
    let operator = TokenSecret::from_random(random_bytes().unwrap());
    let secret = operator.expose().to_owned();
    let options = ServerOptions { operator: Some(operator), tls: Some(Tls { certificate, key }), ..options };
    (
        serve::start(store, serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap(), options).await.unwrap(),
        secret,
    )
}

/// A way to `server` on which every answer is late.
async fn way(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let ((client_reads, client_writes), (server_reads, server_writes)) =
                (client.into_split(), server.into_split());
            tokio::spawn(carry(client_reads, server_writes, Duration::ZERO));
            tokio::spawn(carry(server_reads, client_writes, LATE));
        }
    });
    address
}

/// Carries what comes, each part of it late, until one side is gone.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, late: Duration) {
    let mut part = vec![0; 1 << 20];
    while let Ok(length @ 1..) = from.read(&mut part).await {
        tokio::time::sleep(late).await;
        if to.write_all(part.split_at(length).0).await.is_err() {
            return;
        }
    }
}

/// Where nobody listens.
fn refusing() -> SocketAddr {
    Listener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Where packets vanish: nobody accepts connections, and one fills the queue of them.
struct Hole {
    listener: TcpListener,
    _first: TcpStream,
}

impl Hole {
    async fn dig() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let first = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        Self { listener, _first: first }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// A folder with a config file of targets at `addresses`, named by their numbers.
fn folder(addresses: &[SocketAddr], certificate: &Path) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut settings = "version: 1\ntargets:\n".to_owned();
    for (number, address) in addresses.iter().enumerate() {
        writeln!(
            settings,
            "  t{number}: {{kind: gateway, url: 'https://{address}', auth: {{bearer_env: WARDEN}}, \
             policy: [policy.yaml], tls_ca: ca.pem}}"
        )
        .unwrap();
    }
    fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    fs::copy(certificate, folder.path().join("ca.pem")).unwrap();
    folder
}

/// How long `tokenwarden plan` takes, at the shortest of `times`, for all targets or for one alone.
fn plan(folder: &TempDir, secret: &str, times: u32, only: Option<usize>, code: i32) -> Duration {
    let time = |_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwarden"));
        command.arg("-C").arg(folder.path()).arg("plan").env("WARDEN", secret);
        command.args(only.map(|number| format!("--target=t{number}")));
        let begun = Instant::now();
        let output = command.output().unwrap();
        let took = begun.elapsed();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        took
    };
    (0..times).map(time).min().unwrap()
}

fn beside(what: &str, slowest: Duration, all: Duration) {
    println!("{what:<52} x{:<6.2} {slowest:>8.2?} -> {all:.2?}", all.as_secs_f64() / slowest.as_secs_f64());
}

#[tokio::main]
async fn main() {
    let home = TempDir::new().unwrap();
    let (server, secret) = server(home.path()).await;
    let certificate = home.path().join("certificate.pem");
    let mut up = Vec::new();
    for _ in 0..TARGETS {
        up.push(way(server.address()).await);
    }
    let some_down = |down: [SocketAddr; DOWN]| {
        let addresses: Vec<_> = down.into_iter().chain(up.iter().copied().skip(DOWN)).collect();
        folder(&addresses, &certificate)
    };
    let all_up = folder(&up, &certificate);
    let refused = some_down([refusing(), refusing(), refusing()]);
    let holes = [Hole::dig().await, Hole::dig().await, Hole::dig().await];
    let swallowed = some_down(holes.each_ref().map(Hole::address));
    tokio::task::spawn_blocking(move || {
        let run = |folder: &TempDir, times, only, code| plan(folder, &secret, times, only, code);
        beside("40 targets, all up, beside one", run(&all_up, 5, Some(0), 0), run(&all_up, 5, None, 0));
        let slowest = run(&refused, 5, Some(0), 1);
        beside("37 up and 3 that refuse, beside one that refuses", slowest, run(&refused, 5, None, 1));
        let slowest = run(&swallowed, 1, Some(0), 1);
        beside("37 up and 3 that swallow, beside one that swallows", slowest, run(&swallowed, 1, None, 1));
    })
    .await
    .unwrap();
    server.stop().await.unwrap();
}
