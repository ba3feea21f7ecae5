//! What a signal does to a run: the first lets it finish what is under way, the second ends it.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
    sync::Arc,
};

use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::{
    serve::token_changes::CHANGES,
    support::{
        TestServer,
        program::{Run, program},
        proxy::{Fate, Proxy},
    },
    targets::reconcile::{Repository, server, token},
};

const POLICY: &str = "version: 1
tokens:
  limits: [{groups: [administrators], max_scope: read-write}, {max_scope: read-only}]
  enforcement: {scope: narrow}
";

/// Holds requests up until it is told to let them go.
pub(crate) struct Gate {
    pub(crate) proxy: Proxy,
    pub(crate) arrived: mpsc::UnboundedReceiver<()>,
    pub(crate) open: watch::Sender<bool>,
}

impl Gate {
    /// A gate before `upstream` for the requests that `holds` picks by method and path.
    pub(crate) async fn start(upstream: SocketAddr, holds: fn(&str, &str) -> bool) -> Self {
        Self::telling(upstream, holds, Fate::Whole).await
    }

    /// The same, where `told` becomes of the answer that says what the server can do.
    async fn telling(upstream: SocketAddr, holds: fn(&str, &str) -> bool, told: Fate) -> Self {
        let (open, opened) = watch::channel(false);
        let (arrival, arrived) = mpsc::unbounded_channel();
        let decide = move |method: &str, path: &str| {
            let (held, arrival, mut opened) = (holds(method, path), arrival.clone(), opened.clone());
            let says = method == "GET" && path.starts_with("/rest/tokenwarden/1/runs");
            let fate = if says { told.clone() } else { Fate::Whole };
            async move {
                if held {
                    arrival.send(()).unwrap();
                    // A gate that is gone lets everything through.
                    let _ = opened.wait_for(|open| *open).await;
                }
                fate
            }
            .boxed()
        };
        Self { proxy: Proxy::start(upstream, Arc::new(decide)).await, arrived, open }
    }
}

/// The program while it runs.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, said: String::new() }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until standard error has a line with `words`, and answers it.
    fn wait_for(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "no `{words}` in {}", self.said);
            self.said.push_str(&line);
            if line.contains(words) {
                return line;
            }
        }
    }

    fn end(mut self) -> Run {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        Run { code: self.child.wait().unwrap().code(), stdout, stderr: self.said }
    }
}

/// How a server takes changes of tokens.
#[derive(Clone, Copy)]
enum Taken {
    /// One by one, as an older one does.
    Singly,
    /// Eight in one call.
    ByEight,
}

impl Taken {
    /// What becomes of the answer that says so.
    fn told(self) -> Fate {
        match self {
            Self::Singly => Fate::AnswerSaying("\"changes_at_most\"", "\"changes_at_xxxx\""),
            Self::ByEight => Fate::AnswerSaying("\"changes_at_most\":500", "\"changes_at_most\":8  "),
        }
    }
}

/// A server with ten tokens to narrow, and a repository that reaches it through a gate.
async fn office(holds: fn(&str, &str) -> bool, taken: Taken) -> (TestServer, Repository, Gate) {
    let server = server().await;
    let warden = token(&server, "root", "warden").await;
    for _ in 0..10 {
        token(&server, "mary", "script").await;
    }
    let gate = Gate::telling(server.address(), holds, taken.told()).await;
    let repository = Repository::new(&server, &warden.secret, POLICY);
    repository.edit_settings(&server.url(""), &gate.proxy.url());
    repository.edit_settings("version: 1\n", "version: 1\njournal: {directory: journal}\n");
    (server, repository, gate)
}

fn start(repository: &Repository, arguments: &[&str]) -> Running {
    let mut command = program();
    command.arg("-C").arg(repository.folder.path()).args(arguments).env("WARDEN_TOKEN", &repository.secret);
    Running::start(&mut command)
}

fn writes(method: &str, path: &str) -> bool {
    method == "PATCH" || path == CHANGES
}

fn lists_tokens(method: &str, path: &str) -> bool {
    method == "GET" && path.contains("/tokensByFilter")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_lets_the_changes_in_hand_finish_and_the_next_run_does_the_rest() {
    let all = [("INT", Taken::Singly, 8), ("TERM", Taken::ByEight, 1), ("HUP", Taken::ByEight, 1)];
    for (signal, taken, held) in all {
        let (_server, repository, mut gate) = office(writes, taken).await;
        let mut running = start(&repository, &["apply", "--auto-approve", "--report", "json=report.json"]);
        for _ in 0..held {
            gate.arrived.recv().await.unwrap();
        }
        running.signal(signal);
        let running = tokio::task::spawn_blocking(move || {
            running.wait_for("stopping");
            running
        });
        let running = running.await.unwrap();
        gate.open.send_replace(true);
        let run = tokio::task::spawn_blocking(|| running.end()).await.unwrap();

        assert_eq!(run.code, Some(5), "{signal}: {}{}", run.stdout, run.stderr);
        let told = "Applied on prod: 1 setting changed, 8 tokens narrowed; 2 changes not tried.\n\
                    Not known: prod could not be read back: the run was interrupted";
        assert!(run.stdout.contains(told), "{}", run.stdout);
        assert!(run.stdout.contains("the run was interrupted before this was begun"), "{}", run.stdout);
        assert!(run.stderr.contains("run again for the rest"), "{}", run.stderr);
        let report = std::fs::read_to_string(repository.folder.path().join("report.json")).unwrap();
        assert_eq!(report.matches("\"not-tried\"").count(), 2, "{report}");
        let journal = repository.run(&["journal", "show"]).await;
        assert!(journal.stdout.contains("9 done, 2 not tried\n"), "{}", journal.stdout);

        let next = repository.run(&["apply", "--auto-approve"]).await;
        assert_eq!(next.code, Some(0), "the lease was given back: {}{}", next.stdout, next.stderr);
        assert!(next.stdout.contains("Applied on prod: 2 tokens narrowed."), "{}", next.stdout);
        assert!(!next.stderr.contains("was interrupted"), "it ended in order: {}", next.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_ends_a_run_at_once() {
    let (_server, repository, mut gate) = office(writes, Taken::Singly).await;
    let mut running = start(&repository, &["apply", "--auto-approve"]);
    gate.arrived.recv().await.unwrap();
    running.signal("INT");
    let run = tokio::task::spawn_blocking(move || {
        running.wait_for("a second signal ends at once");
        running.signal("TERM");
        running.end()
    });
    let run = run.await.unwrap();
    assert_eq!(run.code, Some(128 + 15), "{}{}", run.stdout, run.stderr);
    let journal = repository.run(&["journal", "show"]).await;
    assert!(journal.stdout.contains("not ended"), "{}", journal.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_before_it_changes_anything_gives_the_lease_back_and_says_so() {
    let (server, repository, mut gate) = office(lists_tokens, Taken::ByEight).await;
    for command in [&["apply", "--auto-approve"][..], &["revoke", "--owner", "mary", "--reason", "lost"]] {
        let running = start(&repository, command);
        gate.arrived.recv().await.unwrap();
        running.signal("TERM");
        let run = tokio::task::spawn_blocking(|| running.end()).await.unwrap();
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.ends_with("error: interrupted: nothing was changed\n"), "{}", run.stderr);
    }
    repository.edit_settings(&gate.proxy.url(), &server.url(""));
    let next = repository.run(&["apply", "--auto-approve"]).await;
    assert_eq!(next.code, Some(0), "{}{}", next.stdout, next.stderr);
    assert!(
        next.stdout.contains("Applied on prod: 1 setting changed, 10 tokens narrowed."),
        "{}",
        next.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_only_reads_ends_at_the_first_signal_and_leaves_no_file() {
    let (_server, repository, mut gate) = office(lists_tokens, Taken::ByEight).await;
    for command in [&["plan", "--out", "saved.json"][..], &["drift"], &["inventory", "--out", "taken.jsonl"]]
    {
        let running = start(&repository, command);
        gate.arrived.recv().await.unwrap();
        running.signal("INT");
        let run = tokio::task::spawn_blocking(|| running.end()).await.unwrap();
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{command:?}: {}", run.stderr);
        assert!(run.stderr.contains("error: interrupted"), "{}", run.stderr);
    }
    let left = std::fs::read_dir(repository.folder.path()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["policy.yaml", "tokenwarden.yaml"]);
}

#[test]
fn the_program_of_a_credential_ends_with_the_run_that_started_it() {
    let folder = TempDir::new().unwrap();
    let settings = "version: 1\ntargets:\n  prod:\n    kind: gateway\n    url: http://127.0.0.1:9\n    \
                    auth: { command: [sh, helper.sh] }\n    policy: [policy.yaml]\n";
    std::fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    std::fs::write(folder.path().join("policy.yaml"), "version: 1\n").unwrap();
    std::fs::write(folder.path().join("helper.sh"), "echo begun >&2; sleep 600 & wait\n").unwrap();
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let arguments = [command, &["--allow-auth-command"]].concat();
        let mut running = Running::start(program().arg("-C").arg(folder.path()).args(&arguments));
        running.wait_for("begun");
        running.signal("HUP");
        // It would never end while the helper, or what that started, holds standard error open.
        let run = running.end();
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("error: interrupted"), "{}", run.stderr);
    }
}
