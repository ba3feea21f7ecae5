//! The `Authorization` header, on the server itself: it lets in exactly whom another reading of the header lets
//! in, says so with 401 otherwise, and never repeats a secret. Each line is a header of its own; `{secret}`
//! stands for the secret of a token of `root`, `{basic}` for `root:` and it in Base64.
#![no_main]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{LazyLock, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tokenwarden::{
    model::{GroupName, TokenSecret},
    serve::{
        self, ServerOptions, directory,
        store::{Store, StoreUrl},
    },
};

struct Server {
    address: SocketAddr,
    secret: String,
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

fuzz_target!(|bytes: &[u8]| {
    let server = &*SERVER;
    let basic = STANDARD.encode(format!("root:{}", server.secret));
    // Anything else than a line of its own would be another header, or another request.
    let text = String::from_utf8_lossy(bytes).replace(['\r', '\0'], "");
    let text = text.replace("{secret}", &server.secret).replace("{basic}", &basic);
    let lines: Vec<&str> = text.lines().collect();
    let headers: String = lines.iter().map(|line| format!("Authorization: {line}\r\n")).collect();
    let (status, answer) = server.ask("GET", "/rest/tokenwarden/1/whoami", &headers, "");
    let expected = match lines.as_slice() {
        [line] => lets_in(line, &server.secret),
        _ => false,
    };
    match status {
        200 => assert!(expected, "let in with {text:?}"),
        // A head that is no HTTP, or too long.
        400 | 431 => {}
        status => assert!(!expected && matches!(status, 401 | 403), "{status} for {text:?}: {answer}"),
    }
    assert!(!answer.contains(&server.secret), "the secret is repeated: {answer}");
});

/// Whether `line` is the one right credential, read in another way than the server does.
fn lets_in(line: &str, secret: &str) -> bool {
    let line = line.trim_matches([' ', '\t']);
    let (scheme, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
    let given = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => given == secret,
        "basic" => STANDARD.decode(given).is_ok_and(|decoded| {
            let colon = decoded.iter().position(|byte| *byte == b':').unwrap_or(decoded.len());
            let (user, password) = decoded.split_at(colon);
            user.eq_ignore_ascii_case(b"root") && password.get(1..) == Some(secret.as_bytes())
        }),
        _ => false,
    }
}

impl Server {
    /// A server with one user, who has one token, and on which no password is right.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let operator = TokenSecret::from_random([7; 32]);
        let operator_secret = operator.expose().to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let address = runtime.block_on(async {
            let url = StoreUrl { file: folder.join("store.db") };
            let store = Store::open_or_create(&url).await.expect("a store");
            let users = "users: [{name: root}]\ngroups: {administrators: [root]}\n";
            directory::import(&store, users, |_| None).await.expect("a directory");
            let options = ServerOptions {
                operator: Some(operator),
                ..ServerOptions::new(GroupName::new("administrators"))
            };
            let listener = serve::listen(([127, 0, 0, 1], 0).into()).await.expect("a port");
            let running = serve::start(store, listener, options).await.expect("a server");
            let address = running.address();
            tokio::spawn(running.run_until(std::future::pending()));
            address
        });
        // It serves as long as the process lives.
        std::mem::forget(runtime);
        let mut server = Self { address, secret: String::new(), connection: Mutex::default() };
        server.prepare(&operator_secret);
        server
    }

    fn prepare(&mut self, operator: &str) {
        let headers = format!("Authorization: Bearer {operator}\r\nContent-Type: application/json\r\n");
        let settings = "/rest/tokenwarden/1/settings";
        let (_, text) = self.ask("GET", settings, &headers, "");
        let mut document: Value = serde_json::from_str(&text).expect("the settings");
        document["password_authentication"] = json!("disabled");
        let overwriting = format!("{headers}If-Match: *\r\n");
        let (status, text) = self.ask("PUT", settings, &overwriting, &document.to_string());
        assert_eq!(status, 200, "{text}");
        let token = "/rest/de.resolution.apitokenauth/latest/user/token";
        let body = json!({"tokenForUserKey": "root", "tokenScope": 1, "tokenDescription": "fuzzed"});
        let (status, text) = self.ask("POST", token, &headers, &body.to_string());
        assert_eq!(status, 200, "{text}");
        let made: Value = serde_json::from_str(&text).expect("a token");
        self.secret = made["plainTextToken"].as_str().expect("a secret").to_owned();
    }

    /// The status of the answer, and the answer with its head.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\r\n{body}",
            self.address
        );
        let mut kept = self.connection.lock().expect("one at a time");
        let mut connection = kept.take().unwrap_or_else(|| {
            BufReader::new(TcpStream::connect(self.address).expect("the server takes connections"))
        });
        connection.get_mut().write_all(request.as_bytes()).expect("the server reads");
        let (mut length, mut status, mut head, mut closes) = (0, 0, String::new(), false);
        loop {
            let mut line = String::new();
            assert_ne!(
                connection.read_line(&mut line).expect("the server answers"),
                0,
                "no answer to {request:?}"
            );
            let lower = line.to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).expect("a status");
            }
            if let Some(rest) = lower.strip_prefix("content-length:") {
                length = rest.trim().parse().expect("a length");
            }
            closes |= lower.starts_with("connection: close");
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let mut answer = vec![0; length];
        connection.read_exact(&mut answer).expect("a whole answer");
        if !closes {
            *kept = Some(connection);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (status, if status == 200 { answer } else { head + &answer })
    }
}
