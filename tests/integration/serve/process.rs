//! The program itself as a process: how it starts, what it logs, and how it ends, asked or killed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use futures_util::StreamExt;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{DIRECTORY, TOKENS, WHOAMI, answer, client, status};

fn program(folder: &Path) -> Command {
    in_folder(Command::new(env!("CARGO_BIN_EXE_tokenwarden")), folder)
}

/// `command`, run in `folder` with the passwords of the directory.
fn in_folder(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).env("NO_COLOR", "1");
    for user in ["root", "toor", "mary", "sam", "bot", "gone"] {
        command.env(user, user);
    }
    command
}

/// A folder with a directory file.
pub(crate) fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("directory.yaml"), DIRECTORY).unwrap();
    folder
}

/// What a command that ends by itself answers: exit code, standard output and standard error.
pub(crate) fn run(folder: &TempDir, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = program(folder.path())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The server as a process of its own; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    log: BufReader<ChildStderr>,
}

impl Process {
    pub(crate) fn start(folder: &TempDir) -> Self {
        Self::start_at(folder, "127.0.0.1:0")
    }

    pub(crate) fn start_at(folder: &TempDir, address: &str) -> Self {
        Self::start_with(folder, address, &[])
    }

    /// With further arguments of `serve`.
    pub(crate) fn start_with(folder: &TempDir, address: &str, further: &[&str]) -> Self {
        Self::start_as(Command::new(env!("CARGO_BIN_EXE_tokenwarden")), folder, address, further)
    }

    /// The same, where `command` is what runs the program.
    pub(crate) fn start_as(command: Command, folder: &TempDir, address: &str, further: &[&str]) -> Self {
        let place = ["serve", "--store", "sqlite:store.db", "--listen", address];
        Self::begin(command, folder, &[&place, further].concat())
    }

    /// With a gateway file in place of flags.
    pub(crate) fn start_from(command: Command, folder: &TempDir, file: &str) -> Self {
        Self::begin(command, folder, &["serve", "--config", file])
    }

    fn begin(command: Command, folder: &TempDir, arguments: &[&str]) -> Self {
        let create: &[&str] = if folder.path().join("store.db").exists() { &[] } else { &["--create"] };
        let mut child = in_folder(command, folder.path())
            .args(arguments)
            .args(create)
            .args(["--directory", "directory.yaml", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let line: Value = serde_json::from_str(&next_line(&mut log)).unwrap();
        let url = line["url"].as_str().unwrap_or_else(|| panic!("no address in {line}"));
        let address = url.split_once("://").unwrap().1.parse().unwrap();
        Self { child, address, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it at once, whatever it is doing.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self) {
        self.terminate();
        self.end();
    }

    /// Asks it to stop, and answers the rest of the log and the exit code.
    pub(crate) fn stopped(self) -> (String, Option<i32>) {
        self.terminate();
        self.end()
    }

    /// Asks it to stop, as whoever runs services does.
    fn terminate(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.child.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    /// The next line of the log; empty at its end.
    pub(crate) fn next_log_line(&mut self) -> String {
        next_line(&mut self.log)
    }

    /// Asks it to stop, and answers the rest of the log and the exit code.
    pub(crate) fn stop_and_read(self) -> (String, Option<i32>) {
        self.terminate();
        self.end()
    }

    /// The rest of the log, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(log: &mut impl BufRead) -> String {
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    line
}

async fn make(client: &Client, url: &str) -> Option<(i64, String)> {
    let body = json!({"tokenScope": 2, "tokenDescription": "made"});
    let response = client.post(url).basic_auth("root", Some("root")).json(&body).send().await.ok()?;
    assert_eq!(response.status(), 200);
    let made: Value = response.json().await.ok()?;
    Some((made["id"].as_i64()?, made["plainTextToken"].as_str()?.to_owned()))
}

#[tokio::test]
async fn a_request_in_flight_finishes_after_the_server_is_asked_to_stop() {
    let folder = folder();
    let mut process = Process::start(&folder);
    let body = br#"{"tokenDescription": "in flight", "tokenScope": 1}"#;
    let mut stream = TcpStream::connect(process.address).unwrap();
    write!(
        stream,
        "POST {TOKENS}/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic cm9vdDpyb290\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut answered = BufReader::new(stream.try_clone().unwrap());
    assert_eq!(next_line(&mut answered), "HTTP/1.1 100 Continue\r\n", "the handler waits for the body");
    process.terminate();
    while !next_line(&mut process.log).contains("stopping") {}
    stream.write_all(body).unwrap();
    let mut rest = String::new();
    answered.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 200 OK") && rest.contains("plainTextToken"), "{rest}");
    let (log, code) = process.end();
    assert_eq!(code, Some(0), "{log}");

    let again = Process::start(&folder);
    let request = client().get(again.url(&format!("{TOKENS}/token"))).basic_auth("root", Some("root"));
    assert_eq!(answer(request, StatusCode::OK).await["totalElements"], 1);
}

#[test]
fn a_server_that_is_asked_to_stop_ends_within_20_seconds_whatever_is_open() {
    let folder = folder();
    let mut process = Process::start(&folder);
    let open: Vec<TcpStream> = ["", "GET /x HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
        .into_iter()
        .map(|beginning| {
            let mut stream = TcpStream::connect(process.address).unwrap();
            stream.write_all(beginning.as_bytes()).unwrap();
            stream
        })
        .collect();
    let mut slow = TcpStream::connect(process.address).unwrap();
    write!(
        slow,
        "POST {TOKENS}/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic cm9vdDpyb290\r\n\
         Content-Length: 99\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    assert_eq!(next_line(&mut BufReader::new(slow.try_clone().unwrap())), "HTTP/1.1 100 Continue\r\n");
    process.terminate();
    while !next_line(&mut process.log).contains("stopping") {}
    let asked = std::time::Instant::now();
    let (log, code) = process.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(asked.elapsed() < std::time::Duration::from_secs(20));
    drop((open, slow));
}

#[tokio::test]
async fn a_terminal_that_closes_does_not_take_the_server_with_it_and_a_second_signal_ends_it_at_once() {
    let folder = folder();
    let mut process = Process::start(&folder);
    process.signal("HUP");
    while !next_line(&mut process.log).contains("SIGHUP is ignored") {}
    let whoami = client().get(process.url(WHOAMI)).basic_auth("root", Some("root"));
    assert_eq!(answer(whoami, StatusCode::OK).await["user"], "root");
    // A request that never ends keeps the server from stopping in order.
    let mut stream = TcpStream::connect(process.address).unwrap();
    write!(
        stream,
        "POST {TOKENS}/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic cm9vdDpyb290\r\n\
         Content-Length: 99\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    assert_eq!(next_line(&mut BufReader::new(stream.try_clone().unwrap())), "HTTP/1.1 100 Continue\r\n");
    process.signal("INT");
    while !next_line(&mut process.log).contains("stopping") {}
    process.signal("TERM");
    assert_eq!(process.end().1, Some(128 + 15));
}

#[tokio::test]
async fn a_killed_server_has_lost_no_token_that_it_acknowledged() {
    let folder = folder();
    let client = client();
    let mut acknowledged = Vec::new();
    for round in 1..=4 {
        let mut process = Process::start(&folder);
        let url = process.url(&format!("{TOKENS}/token"));
        let (sender, mut made) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..4 {
            let (client, url, sender) = (client.clone(), url.clone(), sender.clone());
            tokio::spawn(async move {
                while let Some(token) = make(&client, &url).await {
                    if sender.send(token).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for _ in 0..round * 3 {
            acknowledged.extend(made.recv().await);
        }
        process.child.kill().unwrap();
        while let Some(token) = made.recv().await {
            acknowledged.push(token);
        }
    }
    assert!(acknowledged.len() >= 30);
    let process = Process::start(&folder);
    for (id, secret) in acknowledged {
        let told = answer(client.get(process.url(WHOAMI)).bearer_auth(secret), StatusCode::OK).await;
        assert_eq!(told["token_id"], id);
    }
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_and_no_secret() {
    let folder = folder();
    let process = Process::start(&folder);
    let client = client();
    let (id, secret) = make(&client, &process.url(&format!("{TOKENS}/token"))).await.unwrap();
    let query = format!("{TOKENS}/tokensByFilter?descriptionFilter={secret}");
    assert_eq!(status(client.get(process.url(&query)).bearer_auth(&secret)).await, 200);
    assert_eq!(status(client.get(process.url(WHOAMI)).basic_auth("root", Some("wrong-password"))).await, 401);
    let refused = client.request(Method::DELETE, process.url(&format!("{TOKENS}/token/{id}")));
    assert_eq!(status(refused.basic_auth("mary", Some("mary"))).await, 403);
    process.terminate();
    let (log, code) = process.end();
    assert_eq!(code, Some(0));
    let requests: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "request")
        .collect();
    let told: Vec<String> = requests
        .iter()
        .map(|line| format!("{} {} {} {}", line["method"], line["status"], line["user"], line["reason"]))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    "POST" 200 "root" "permit"
    "GET" 200 "root" "permit"
    "GET" 401 null "invalid-credentials"
    "DELETE" 403 "mary" "manage-others"
    "#);
    for hidden in [&*secret, "wrong-password", "cm9vdDp", "descriptionFilter"] {
        assert!(!log.contains(hidden), "{hidden}");
    }
}

#[test]
fn a_server_that_others_could_listen_in_on_does_not_start() {
    let folder = folder();
    let serve = ["serve", "--store", "sqlite:store.db", "--listen", "0.0.0.0:0"];
    let (code, _, told) = run(&folder, &serve, "");
    assert_eq!(code, 64);
    assert!(told.contains("--insecure-http") && told.contains("--tls-cert"), "{told}");
    assert!(!folder.path().join("store.db").exists());
}

#[test]
fn settings_go_out_and_in_without_a_server() {
    let folder = folder();
    let store = ["--store", "sqlite:store.db"];
    let (code, _, told) = run(&folder, &["settings", "export", store[0], store[1]], "");
    assert_eq!((code, told.contains("there is no store")), (1, true), "{told}");
    drop(Process::start(&folder));
    let (code, exported, _) = run(&folder, &["settings", "export", store[0], store[1]], "");
    assert_eq!(code, 0);
    let changed = exported.replace("\"anywhere\"", "[\n      \"10.0.0.0/8\"\n    ]");
    assert_ne!(changed, exported);
    assert_eq!(run(&folder, &["settings", "import", store[0], store[1]], &changed).0, 0);
    assert_eq!(run(&folder, &["settings", "export", store[0], store[1]], "").1, changed);
    let wrong = exported.replace("\"anywhere\"", "[]");
    let (code, _, told) = run(&folder, &["settings", "import", "-", store[0], store[1]], &wrong);
    assert_eq!(code, 3);
    assert_eq!(told, "error: `network.allow`: the list of networks is empty; write `anywhere`\n");
    assert_eq!(run(&folder, &["settings", "export", store[0], store[1]], "").1, changed);
}

#[test]
fn settings_for_a_reader_that_went_away_are_no_error() {
    let folder = folder();
    drop(Process::start(&folder));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut export = program(folder.path());
    let output =
        export.args(["settings", "export", "--store", "sqlite:store.db"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn a_directory_is_imported_without_a_server_and_its_mistakes_exit_with_3() {
    let folder = folder();
    let import = ["directory", "import", "directory.yaml", "--store", "sqlite:store.db"];
    assert_eq!(run(&folder, &import, "").0, 0);
    std::fs::write(folder.path().join("directory.yaml"), "users: [{name: x, password_env: NOT_SET}]")
        .unwrap();
    let (code, _, told) = run(&folder, &import, "");
    assert_eq!(code, 3);
    let expected = "error: `directory.yaml` cannot be imported\n  because: the environment variable `NOT_SET` \
        with the password of `x` is not set\n";
    assert_eq!(told.replace("./", ""), expected);
    for (secret, said) in [
        ("hunter2", "the environment variable named in `password_env` with the password of `x` is not set"),
        ("hunter2!", "`password_env` of `x` is not the name of an environment variable"),
    ] {
        let text = format!("users: [{{name: x, password_env: {secret}}}]");
        std::fs::write(folder.path().join("directory.yaml"), text).unwrap();
        let (code, _, told) = run(&folder, &import, "");
        assert_eq!((code, told.contains(said), told.contains("hunter2")), (3, true, false), "{told}");
    }
    let elsewhere = ["directory", "import", "directory.yaml", "--store", "postgres://x"];
    let (code, _, told) = run(&folder, &elsewhere, "");
    assert_eq!((code, told.contains("sqlite:")), (64, true), "{told}");
}

/// So many requests of `secret`, a few at a time; all are answered.
async fn ask(client: &Client, process: &Process, secret: &str, requests: usize) {
    let asking = futures_util::stream::iter(0..requests)
        .map(|_| status(client.get(process.url(WHOAMI)).bearer_auth(secret)));
    let answered: Vec<u16> = asking.buffer_unordered(8).collect().await;
    assert!(answered.iter().all(|status| *status == 200));
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_requests_nor_the_end_and_lost_lines_are_counted() {
    let folder = folder();
    let mut process = Process::start(&folder);
    let client = client();
    let (_, secret) = make(&client, &process.url(&format!("{TOKENS}/token"))).await.unwrap();
    ask(&client, &process, &secret, 2000).await;
    let lost = loop {
        let line = next_line(&mut process.log);
        if line.contains("lines of the log were lost") {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };
    assert!(lost["lost"].as_u64() > Some(0), "{lost}");
    ask(&client, &process, &secret, 2000).await;
    process.terminate();
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn strangers_write_little_into_the_log_and_a_token_in_a_path_is_not_shown() {
    let folder = folder();
    let process = Process::start(&folder);
    let client = client();
    let (_, secret) = make(&client, &process.url(&format!("{TOKENS}/token"))).await.unwrap();
    for path in [
        format!("/{secret}"),
        format!("{TOKENS}/token/{secret}"),
        format!("/%74{}", secret.get(1..).unwrap()),
    ] {
        assert_eq!(status(client.get(process.url(&path))).await, 401);
        assert_ne!(status(client.get(process.url(&path)).bearer_auth(&secret)).await, 200);
    }
    let endless = process.url(&"/long".repeat(10_000));
    let began = std::time::Instant::now();
    for _ in 0..200 {
        assert_eq!(status(client.get(&endless)).await, 401);
    }
    process.terminate();
    let (log, code) = process.end();
    assert_eq!(code, Some(0));
    assert!(!log.contains(secret.get(4..20).unwrap()), "{log}");
    // On a machine with much to do they take more than one of the times in which lines are counted together.
    let windows = 1 + usize::try_from(began.elapsed().as_secs()).unwrap() / 10;
    assert!(
        log.lines().count() < 30 + 50 * windows && log.lines().all(|line| line.len() < 1024),
        "{}",
        log.len()
    );
}

/// What the process has in memory at most up to now, in KiB.
#[cfg(target_os = "linux")]
fn most_memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn wrong_passwords_take_the_memory_of_a_few_and_no_more_the_more_there_are() {
    let folder = folder();
    let process = Process::start(&folder);
    let client = client();
    assert_eq!(status(client.get(process.url("/readyz"))).await, 200);
    let before = most_memory(&process);
    let wrong = (0..19).map(|_| status(client.get(process.url(WHOAMI)).basic_auth("root", Some("wrong"))));
    assert_eq!(futures_util::future::join_all(wrong).await, [401; 19]);
    let cores = std::thread::available_parallelism().unwrap().get().min(4);
    let allowed = 20 * 1024 * u64::try_from(cores).unwrap() + 20 * 1024;
    let grown = most_memory(&process) - before;
    assert!(grown < allowed, "{grown} KiB");
}

#[tokio::test]
async fn clients_are_told_the_version_of_bitbucket_that_the_command_line_names() {
    let folder = folder();
    for (further, version) in [(&[][..], "9.4.16"), (&["--compatible-version", "8.19.2"], "8.19.2")] {
        let process = Process::start_with(&folder, "127.0.0.1:0", further);
        let request = client().get(process.url("/rest/api/latest/application-properties"));
        assert_eq!(answer(request, StatusCode::OK).await["version"], version);
        process.stop();
    }
    let (code, _, told) =
        run(&folder, &["serve", "--store", "sqlite:store.db", "--compatible-version", "9.x"], "");
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("`9.x` is not a version of Bitbucket"), "{told}");
}

/// Reads the log up to a line that has `words`.
fn wait_for(process: &mut Process, words: &str) {
    loop {
        let line = process.next_log_line();
        assert!(!line.is_empty(), "the log has ended without `{words}`");
        if line.contains(words) {
            return;
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_signal_that_means_nothing_to_a_server_ends_it_not() {
    let folder = folder();
    let mut process = Process::start(&folder);
    // USR1, USR2, ALRM, STKFLT, VTALRM, PROF, IO, PWR, and the first and the last one in real time.
    for number in [10, 12, 14, 16, 26, 27, 29, 30, 34, 64] {
        process.signal(&number.to_string());
        wait_for(&mut process, "a signal that means nothing to a server is ignored");
    }
    // HUP, PIPE, CHLD, CONT, URG, XFSZ and WINCH.
    for number in [1, 13, 17, 18, 23, 25, 28] {
        process.signal(&number.to_string());
        assert_eq!(status(client().get(process.url("/healthz"))).await, 200, "{number}");
    }
    let (_, code) = process.stopped();
    assert_eq!(code, Some(0));
}
