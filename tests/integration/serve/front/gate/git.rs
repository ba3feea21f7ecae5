//! Real Git through the gateway, in front of `git http-backend`.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokenwarden::model::{AddressSet, network::AddressRange};

use super::{ENDED, Gate, READS, WRITES, With, secret, upstream::Upstream};
use crate::{
    serve::front::proxies::Proxy,
    support::{answer, status},
};

/// Runs Git in `folder`, with no settings but those of the test.
async fn git(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder);
    for (name, value) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "mary"),
        ("GIT_AUTHOR_EMAIL", "mary@example.com"),
        ("GIT_COMMITTER_NAME", "mary"),
        ("GIT_COMMITTER_EMAIL", "mary@example.com"),
    ] {
        command.env(name, value);
    }
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(super) async fn works(folder: &Path, arguments: &[&str]) -> String {
    let output = git(folder, arguments).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {told}");
    told
}

pub(super) async fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = git(folder, arguments).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "git {arguments:?} worked: {told}");
    told
}

/// A gateway in front of a repository with one commit, and a folder to work in.
pub(super) async fn repository() -> (Upstream, Gate, TempDir) {
    let upstream = Upstream::start().await;
    let peers: AddressSet = ["127.0.0.1".parse::<AddressRange>().unwrap()].into_iter().collect();
    let gate = Gate::with(upstream.address, With { peers, ..With::default() }).await;
    let folder = TempDir::new().unwrap();
    let bare = upstream.root().join("PLAT/app.git");
    std::fs::create_dir_all(&bare).unwrap();
    works(&bare, &["init", "-q", "--bare", "-b", "main", "."]).await;
    works(folder.path(), &["init", "-q", "-b", "main", "seed"]).await;
    let seed = folder.path().join("seed");
    // Large enough to be sent in chunks when it is pushed: beyond `http.postBuffer`.
    let noise: Vec<u8> =
        (0..200_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(seed.join("noise"), noise).unwrap();
    works(&seed, &["add", "."]).await;
    works(&seed, &["commit", "-q", "-m", "first"]).await;
    works(&seed, &["push", "-q", bare.to_str().unwrap(), "main"]).await;
    (upstream, gate, folder)
}

pub(super) fn url(gate: &Gate) -> String {
    gate.server.url("/scm/PLAT/app.git")
}

/// The setting with which Git sends the secret of the token `id`.
pub(super) fn header(id: &str) -> String {
    format!("http.extraHeader=Authorization: Bearer {}", secret(id))
}

#[tokio::test]
async fn a_clone_with_a_read_only_token_works_and_a_push_is_refused_with_the_reason() {
    let (upstream, gate, folder) = repository().await;
    for version in ["0", "2"] {
        let (name, protocol) = (format!("clone{version}"), format!("protocol.version={version}"));
        let clone = ["-c", &header(READS), "-c", &protocol, "clone", "-q", &url(&gate), &name];
        works(folder.path(), &clone).await;
        let clone = folder.path().join(&name);
        works(&clone, &["commit", "-q", "--allow-empty", "-m", "more"]).await;
        let told = fails(&clone, &["-c", &header(READS), "push", "origin", "main"]).await;
        assert!(told.contains("remote: This token only reads"), "{told}");
        assert!(told.contains("403"), "{told}");
    }
    let packed =
        upstream.arrived().iter().filter(|arrived| arrived.headers.contains_key("git-protocol")).count();
    assert!(packed > 0, "the version of the protocol passes");
}

#[tokio::test]
async fn a_push_that_is_larger_than_the_buffer_of_git_arrives_in_chunks_after_its_probe() {
    let (upstream, gate, folder) = repository().await;
    works(folder.path(), &["-c", &header(WRITES), "clone", "-q", &url(&gate), "clone"]).await;
    let clone = folder.path().join("clone");
    let noise: Vec<u8> =
        (0..600_000u32).flat_map(|number| number.wrapping_mul(2_246_822_519).to_le_bytes()).collect();
    std::fs::write(clone.join("more"), noise).unwrap();
    works(&clone, &["add", "."]).await;
    works(&clone, &["commit", "-q", "-m", "second"]).await;
    upstream.arrived();
    works(&clone, &["-c", &header(WRITES), "push", "origin", "main"]).await;
    let posts: Vec<_> =
        upstream.arrived().into_iter().filter(|arrived| arrived.method == Method::POST).collect();
    let [probe, pack] = posts.as_slice() else { panic!("{} posts", posts.len()) };
    assert_eq!(&probe.body[..], b"0000");
    assert!(pack.headers.contains_key("transfer-encoding") && pack.body.len() > 1 << 20);
    let head = works(&clone, &["-c", &header(WRITES), "fetch", "origin"]).await;
    assert!(!head.contains("fatal"), "{head}");
}

#[tokio::test]
async fn a_token_that_ended_or_was_restricted_fails_and_a_403_leaves_stored_credentials() {
    let (_upstream, gate, folder) = repository().await;
    let store = folder.path().join("credentials");
    // As Git writes it itself.
    let host = gate.server.address().to_string().replace(':', "%3a");
    let stored = |id: &str| format!("http://x-token-auth:{}@{host}\n", secret(id));
    let helper = format!("credential.helper=store --file={}", store.display());
    let clone =
        |name: &str| ["-c".to_owned(), helper.clone(), "clone".into(), "-q".into(), url(&gate), name.into()];
    let arguments = |name: &str| clone(name).to_vec();

    std::fs::write(&store, stored(READS)).unwrap();
    let first = arguments("first");
    works(folder.path(), &first.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let cloned = folder.path().join("first");
    works(&cloned, &["commit", "-q", "--allow-empty", "-m", "more"]).await;
    let told = fails(&cloned, &["-c", &helper, "push", "origin", "main"]).await;
    assert!(told.contains("remote: This token only reads"), "{told}");
    assert_eq!(std::fs::read_to_string(&store).unwrap(), stored(READS), "a 403 leaves what is stored");

    gate.server.change_settings(json!({"network": {"allow": ["10.0.0.0/8"]}})).await;
    let told = fails(&cloned, &["-c", &helper, "fetch", "origin"]).await;
    assert!(told.contains("remote: Requests from 127.0.0.1 are not accepted."), "{told}");
    assert_eq!(std::fs::read_to_string(&store).unwrap(), stored(READS));
    gate.server.change_settings(json!({"network": {"allow": "anywhere"}})).await;

    std::fs::write(&store, stored(ENDED)).unwrap();
    let ended = arguments("ended");
    let told = fails(folder.path(), &ended.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(told.contains("Authentication failed") || told.contains("could not read Username"), "{told}");
    assert_eq!(std::fs::read_to_string(&store).unwrap(), "", "a 401 makes Git forget what is over");

    let restrict = gate.server.as_operator(Method::PUT, &format!("/rest/tokenwarden/1/restrictions/{READS}"));
    let body = json!({"not_after": "2026-01-01T00:00:00Z"});
    answer(restrict.header("if-none-match", "*").json(&body), StatusCode::OK).await;
    std::fs::write(&store, stored(READS)).unwrap();
    let restricted = arguments("restricted");
    let told = fails(folder.path(), &restricted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(told.contains("remote: By policy this token has ended"), "{told}");
    assert_eq!(std::fs::read_to_string(&store).unwrap(), "");

    {
        let mut contents = gate.stub.contents();
        contents.bearers = Some(BTreeMap::default());
        contents.tokens.values_mut().for_each(|tokens| tokens.retain(|token| token["id"] != WRITES));
    }
    let path = format!("/rest/tokenwarden/1/mirror/tokens/{WRITES}");
    assert!(status(gate.server.as_operator(Method::DELETE, &path)).await < 300);
    let revoked = ["-c", &header(WRITES), "ls-remote", &url(&gate)];
    let told = fails(folder.path(), &revoked).await;
    assert!(told.contains("Authentication failed") || told.contains("could not read Username"), "{told}");
}

/// The helper that Git takes the secret of the token `id` from, for the server at `host`, and the file that it is in.
pub(super) fn stored(folder: &Path, host: &str, id: &str) -> String {
    let file = folder.join(format!("stored-{id}"));
    // As Git writes it itself.
    let host = host.replace(':', "%3a");
    std::fs::write(&file, format!("http://x-token-auth:{}@{host}\n", secret(id))).unwrap();
    format!("credential.helper=store --file={}", file.display())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn git_works_through_nginx_that_asks_and_is_refused_with_the_reason_there() {
    let (upstream, gate, folder) = repository().await;
    let nginx = Proxy::asking_nginx(gate.server.address(), upstream.address).await;
    let host = nginx.address.to_string();
    let url = format!("http://{host}/scm/PLAT/app.git");
    let (reads, writes) = (stored(folder.path(), &host, READS), stored(folder.path(), &host, WRITES));
    for version in ["0", "2"] {
        let (name, protocol) = (format!("clone{version}"), format!("protocol.version={version}"));
        works(folder.path(), &["-c", &reads, "-c", &protocol, "clone", "-q", &url, &name]).await;
        let clone = folder.path().join(&name);
        let noise: Vec<u8> =
            (0..400_000u32).flat_map(|number| number.wrapping_mul(2_246_822_519).to_le_bytes()).collect();
        std::fs::write(clone.join(&name), noise).unwrap();
        works(&clone, &["add", "."]).await;
        works(&clone, &["commit", "-q", "-m", "more"]).await;
        let told = fails(&clone, &["-c", &reads, "push", "origin", "main"]).await;
        assert!(told.contains("remote: refused by policy: scope") && told.contains("403"), "{told}");
        assert!(
            std::fs::read_to_string(folder.path().join(format!("stored-{READS}")))
                .unwrap()
                .contains(&secret(READS)),
            "a 403 leaves what is stored"
        );
        // In chunks, behind a probe.
        works(&clone, &["-c", &writes, "pull", "-q", "--rebase", "origin", "main"]).await;
        works(&clone, &["-c", &writes, "push", "-q", "origin", "main"]).await;
    }
    gate.server.change_settings(json!({"network": {"allow": ["10.0.0.0/8"]}})).await;
    let told = fails(folder.path(), &["-c", &reads, "ls-remote", &url]).await;
    assert!(told.contains("remote: refused by policy: network"), "{told}");
    gate.server.change_settings(json!({"network": {"allow": "anywhere"}})).await;
    let ended = stored(folder.path(), &host, ENDED);
    let told = fails(folder.path(), &["-c", &ended, "ls-remote", &url]).await;
    assert!(told.contains("Authentication failed") || told.contains("could not read Username"), "{told}");
}
