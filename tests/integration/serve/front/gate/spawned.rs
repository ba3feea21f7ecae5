//! The gateway as a process: killed, with a full store, before a server with a certificate, and what it takes of memory.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use super::{
    MARY, READS, WRITES,
    git::{header, works},
    secret,
    whole::Whole,
};
use crate::{
    serve::process::{Process, folder},
    support::{answer, client, status},
    targets::bitbucket::stub::{PASSWORD, token},
};

const PAGE: &str = "/plugins/servlet/app";

/// A gateway before the server at `upstream`, with what was written to `folder` before.
fn gateway(folder: &TempDir, address: &str, upstream: &str) -> Process {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tokenwarden"));
    command.env("BEHIND", PASSWORD);
    let flags = ["--upstream", upstream, "--upstream-user", "warden", "--upstream-password-env", "BEHIND"];
    Process::start_as(command, folder, address, &flags)
}

fn with(process: &Process, id: &str) -> reqwest::RequestBuilder {
    client().get(process.url(PAGE)).bearer_auth(secret(id))
}

async fn until_read(process: &Process) {
    let http = client();
    while status(http.get(process.url("/readyz"))).await != 200 {
        tokio::task::yield_now().await;
    }
}

/// A token of mary with this number, which the server behind has from now on.
fn numbered(whole: &Whole, number: u32) -> String {
    let id = format!("{:012}", 500_000_000 + u64::from(number));
    whole.stub.add("users/mary_example.com", token(&id, &id, "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
    id
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts eleven processes"]
async fn whatever_was_acknowledged_before_a_process_is_killed_under_load_holds_after_it() {
    let whole = Whole::start().await;
    let (upstream, folder) = (format!("http://{}", whole.address), folder());
    let mut process = gateway(&folder, "127.0.0.1:0", &upstream);
    let address = process.address.to_string();
    let (over, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (over, refused) = (Arc::clone(&over), Arc::clone(&refused));
            let request = with(&process, WRITES);
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    match request.try_clone().unwrap().send().await {
                        Ok(response) if ![200, 503].contains(&response.status().as_u16()) => {
                            refused.lock().unwrap().push(response.status());
                        }
                        _ => tokio::task::yield_now().await,
                    }
                }
            })
        })
        .collect();
    let mut ended = Vec::new();
    let proves = |id: &str| whole.stub.contents().bearers.get_or_insert_default().insert(secret(id), MARY);
    proves(WRITES);
    for round in 0..10 {
        let (restricted, revoked) = (numbered(&whole, 2 * round), numbered(&whole, 2 * round + 1));
        proves(&restricted);
        proves(&revoked);
        for id in [&restricted, &revoked] {
            assert_eq!(status(with(&process, id)).await, 200, "{round}");
        }
        let operator = |method, path: String| {
            client().request(method, process.url(&path)).basic_auth("root", Some("root"))
        };
        let put = operator(Method::PUT, format!("/rest/tokenwarden/1/restrictions/{restricted}"));
        let body = json!({"not_after": "2026-01-01T00:00:00Z"});
        answer(put.header("if-none-match", "*").json(&body), StatusCode::OK).await;
        {
            let mut contents = whole.stub.contents();
            contents.bearers.get_or_insert_default().remove(&secret(&revoked));
            contents
                .tokens
                .values_mut()
                .for_each(|tokens| tokens.retain(|token| token["id"] != revoked.as_str()));
        }
        let forget = operator(Method::DELETE, format!("/rest/tokenwarden/1/mirror/tokens/{revoked}"));
        assert!([200, 204].contains(&status(forget).await), "{round}");
        process.kill();
        process = gateway(&folder, &address, &upstream);
        ended.push(restricted);
        ended.push(revoked);
        for id in &ended {
            let now = status(with(&process, id)).await;
            assert!([401, 503].contains(&now), "{now} for {id}, which was ended before round {round}");
        }
        until_read(&process).await;
        for id in &ended {
            assert_eq!(status(with(&process, id)).await, 401, "{id} in round {round}");
        }
        assert_eq!(status(with(&process, WRITES)).await, 200);
    }
    over.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(*refused.lock().unwrap(), [StatusCode::OK; 0], "a good token was refused meanwhile");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_that_is_full_refuses_writes_with_503_and_forwards_as_before() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let whole = Whole::start().await;
    let folder = folder();
    let mut shell = std::process::Command::new("sh");
    // Otherwise the system ends who writes too much.
    shell.args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#, env!("CARGO_BIN_EXE_tokenwarden")]);
    shell.env("BEHIND", PASSWORD);
    let upstream = format!("http://{}", whole.address);
    let flags = ["--upstream", &upstream, "--upstream-user", "warden", "--upstream-password-env", "BEHIND"];
    let process = Process::start_as(shell, &folder, "127.0.0.1:0", &flags);
    until_read(&process).await;
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    let limit = |current| prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None });
    limit(Some(1)).unwrap();
    let restrict = || {
        let path = format!("/rest/tokenwarden/1/restrictions/{READS}");
        let put = client().put(process.url(&path)).basic_auth("root", Some("root"));
        put.header("if-none-match", "*").json(&json!({"not_after": "2026-01-01T00:00:00Z"}))
    };
    let refused = restrict().send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(!refused.headers().contains_key("www-authenticate"));
    for id in [READS, WRITES] {
        assert_eq!(status(with(&process, id)).await, 200, "what is known is judged and forwarded");
    }
    limit(None).unwrap();
    answer(restrict(), StatusCode::OK).await;
    assert_eq!(status(with(&process, READS)).await, 401);
    assert_eq!(status(with(&process, WRITES)).await, 200);
}

/// An authority, and a certificate of it for `name` with its key, in PEM.
fn certified(name: &str) -> (String, String, String) {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (authority.pem(), parameters.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
}

/// A gateway before `whole`, as a gateway file says, that trusts the authority in `ca`.
fn trusting(folder: &TempDir, whole: &Whole, ca: &str) -> Process {
    std::fs::write(folder.path().join("ca.pem"), ca).unwrap();
    let file = format!(
        "version: 1\nlisten: 127.0.0.1:0\nstore: sqlite:store.db\nupstream:\n  url: https://{}\n  auth: {{ user: \
         warden, password_env: BEHIND }}\n  tls_ca: ca.pem\n",
        whole.address
    );
    std::fs::write(folder.path().join("gateway.yaml"), file).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tokenwarden"));
    command.env("BEHIND", PASSWORD);
    Process::start_from(command, folder, "gateway.yaml")
}

#[tokio::test]
async fn an_upstream_with_a_private_authority_is_reached_once_the_file_names_it() {
    let (ca, certificate, key) = certified("127.0.0.1");
    let whole = Whole::with_tls(certificate, key).await;
    let folder = folder();
    let process = trusting(&folder, &whole, &ca);
    until_read(&process).await;
    assert_eq!(status(with(&process, READS)).await, 200);
}

#[tokio::test]
async fn an_upstream_with_a_wrong_certificate_is_a_502_with_the_reason_in_the_log() {
    let (other_ca, ..) = certified("127.0.0.1");
    let (_, certificate, key) = certified("127.0.0.1");
    let (ca, named, named_key) = certified("bitbucket.internal");
    for (ca, certificate, key, why) in [
        (other_ca, certificate, key, "invalid peer certificate: BadSignature"),
        (ca, named, named_key, "not valid for name"),
    ] {
        let whole = Whole::with_tls(certificate, key).await;
        let folder = folder();
        let process = trusting(&folder, &whole, &ca);
        // Nothing has to be looked up for a browser.
        let response = client().get(process.url("/projects")).send().await.unwrap();
        assert_eq!(response.status(), 502);
        assert!(response.headers().contains_key("retry-after"));
        assert!(!response.headers().contains_key("www-authenticate"));
        let of_token = with(&process, READS).send().await.unwrap();
        assert_eq!(of_token.status(), 503, "nobody can tell of the token");
        assert!(of_token.headers().contains_key("retry-after"));
        let (log, _) = process.stopped();
        let decision = log.lines().find(|line| line.contains("\"upstream-unreachable\""));
        let decision = decision.unwrap_or_else(|| panic!("no decision in {log}"));
        assert!(decision.contains(why), "{why} in {decision}");
    }
}

/// The most memory that the process has taken so far, in bytes.
fn most_memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "moves a gigabyte"]
async fn a_push_and_a_clone_of_500_mib_take_less_than_64_mib_of_the_gateway() {
    const SIZE: usize = 500 << 20;
    let whole = Whole::start().await;
    let folder = folder();
    // The hashing of a password takes 19 MiB, which is not what is asked about.
    std::fs::write(
        folder.path().join("directory.yaml"),
        "users: [{name: root}]\ngroups: {administrators: [root]}\n",
    )
    .unwrap();
    let process = gateway(&folder, "127.0.0.1:0", &format!("http://{}", whole.address));
    until_read(&process).await;
    let bare = whole.root().join("PLAT/app.git");
    std::fs::create_dir_all(&bare).unwrap();
    works(&bare, &["init", "-q", "--bare", "-b", "main", "."]).await;
    for (key, value) in [("core.compression", "0"), ("pack.compression", "0")] {
        works(&bare, &["config", key, value]).await;
    }
    let large = folder.path().join("large");
    works(folder.path(), &["init", "-q", "-b", "main", "large"]).await;
    noise(&large.join("noise"), SIZE);
    let plain = ["-c", "core.compression=0", "-c", "core.bigFileThreshold=1m"];
    works(&large, &[&plain[..], &["add", "."]].concat()).await;
    works(&large, &["commit", "-q", "-m", "large"]).await;
    let (url, credential) = (process.url("/scm/PLAT/app.git"), header(WRITES));
    works(&large, &[&plain[..], &["-c", &credential, "push", "-q", &url, "main"]].concat()).await;
    let cloned = folder.path().join("cloned");
    works(folder.path(), &["-c", &credential, "clone", "-q", "--bare", &url, "cloned"]).await;
    let packed: u64 = std::fs::read_dir(cloned.join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(packed > SIZE as u64);
    let most = most_memory(&process);
    assert!(most < 64 << 20, "{} MiB", most >> 20);
}

/// Writes so many bytes that do not pack.
fn noise(path: &Path, size: usize) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut block = vec![0; 64 * 1024];
    for _ in 0..size / block.len() {
        random.fill(&mut block);
        std::io::Write::write_all(&mut file, &block).unwrap();
    }
}
