//! Events that a run sends to a webhook: what is in them, that they are signed, and that a run never waits for them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokenwarden::model::digest::hex;

use crate::support::program::{NOW, Quickstart, Run};

const SECRET: &str = "a secret that both of them know";

/// Takes requests on loopback, and answers the first ones as it was told and the others with 204.
struct Receiver {
    address: String,
    taken: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    fn start(first: Vec<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/hook?key=hidden-key", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&taken);
        thread::spawn(move || {
            let mut answers = first.into_iter();
            for stream in listener.incoming() {
                let status = answers.next().unwrap_or("204 No Content");
                seen.lock().unwrap().push(taken_from(stream.unwrap(), status));
            }
        });
        Self { address, taken }
    }

    /// The signature and the body of each request.
    fn taken(&self) -> Vec<(String, String)> {
        self.taken.lock().unwrap().clone()
    }
}

fn taken_from(stream: TcpStream, status: &str) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut signature) = (0, String::new());
    for line in reader.by_ref().lines() {
        let line = line.unwrap();
        if line.is_empty() {
            break;
        }
        // The line of the request has none.
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "tokenwarden-signature" => value.clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    (signature, String::from_utf8(body).unwrap())
}

/// Runs the program with the webhook at `address`.
fn with_webhook(quickstart: &Quickstart, address: &str, arguments: &[&str]) -> Run {
    let mut command = quickstart.command(arguments);
    command.args(["--now", NOW, "--webhook", address]).env("TOKENWARDEN_WEBHOOK_SECRET", SECRET);
    Run::of(&mut command)
}

/// The event in a body, once its signature and its form were looked at.
fn event(taken: &(String, String)) -> Value {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(taken.1.as_bytes());
    let code = hex(&mac.finalize().into_bytes());
    assert_eq!(taken.0, format!("sha256={code}"));
    let event: Value = serde_json::from_str(&taken.1).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../../schema/event.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<_> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
    assert_eq!(wrong, Vec::<String>::new());
    event
}

#[test]
fn drift_refusals_and_revocations_are_told_to_a_webhook_signed_and_again_when_it_is_busy() {
    let quickstart = Quickstart::new();
    let busy = Receiver::start(vec!["503 Service Unavailable"]);
    let drift = with_webhook(&quickstart, &busy.address, &["drift"]);
    assert_eq!(drift.code, Some(2), "{}", drift.stderr);
    let taken = busy.taken();
    assert_eq!(taken.len(), 2, "once more after 503");
    assert_eq!(taken[0], taken[1], "and the same");
    let told = event(&taken[1]);
    assert_eq!((&told["event"], &told["target"]), (&json!("drift"), &json!("quickstart")));
    assert!(told["count"].as_u64().unwrap() > 20, "{told}");

    let receiver = Receiver::start(Vec::new());
    quickstart.edit("tokenwarden.yaml", "      revocations: { amount: 10, percent: 25 }\n", "");
    let refused = with_webhook(&quickstart, &receiver.address, &["apply", "--auto-approve"]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    let allowed = ["apply", "--auto-approve", "--allow", "revocations=5"];
    let applied = with_webhook(&quickstart, &receiver.address, &allowed);
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    let [refusal, revocation] = receiver.taken().iter().map(event).collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((&refusal["event"], &refusal["count"]), (&json!("refusal"), &json!(1)));
    assert!(refusal["subjects"][0].as_str().unwrap().contains("--allow revocations=5"), "{refusal}");
    assert_eq!((&revocation["event"], &revocation["count"]), (&json!("revocation"), &json!(6)));
    assert!(revocation.to_string().contains("of olga: revoke, cannot be undone"), "{revocation}");
}

#[test]
fn a_webhook_that_takes_nothing_is_a_warning_and_changes_no_exit_code() {
    let quickstart = Quickstart::new();
    let gone = Receiver::start(vec!["410 Gone"]);
    let applied = with_webhook(&quickstart, &gone.address, &["apply", "--auto-approve"]);
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    assert!(applied.stdout.contains("Converged: "), "{}", applied.stdout);
    assert!(
        applied.stderr.contains("not delivered: the webhook answered 410, at try 1"),
        "{}",
        applied.stderr
    );
    assert!(!applied.stderr.contains("hidden-key") && !applied.stderr.contains(SECRET), "{}", applied.stderr);
}

#[test]
fn a_webhook_without_a_secret_or_over_the_open_net_is_refused_before_anything_is_done() {
    let quickstart = Quickstart::new();
    for (address, secret, said) in [
        ("https://siem.example.com/hook", "short", "a secret of at least 16 bytes"),
        ("http://siem.example.com/hook", SECRET, "must be an https URL"),
    ] {
        let mut command = quickstart.command(&["apply", "--auto-approve", "--webhook", address]);
        let run = Run::of(command.env("TOKENWARDEN_WEBHOOK_SECRET", secret));
        assert_eq!(run.code, Some(64), "{}", run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert!(!quickstart.store().exists(), "the server was not even started");
    }
}
