//! Git LFS through the gateway: real `git-lfs` before a server that signs its own actions, as Bitbucket does.

use std::path::Path;

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    READS, WRITES,
    git::{fails, header, repository, stored, url, works},
    secret,
    upstream::is_proved,
};
use crate::serve::front::proxies::Proxy;

/// What the server behind signs for the storage.
const SIGNED: &str = "JWT e30.e30.c2ln";

/// What it answers about LFS; `None` for anything else.
pub(super) fn answer(
    root: &Path,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Option<Response> {
    let path = uri.path();
    if let Some(object) = path.strip_prefix("/rest/git-lfs/storage/PLAT/app/") {
        let file = root.join(format!("lfs-{object}"));
        let is_signed = headers.get(header::AUTHORIZATION).is_some_and(|line| line == SIGNED);
        return Some(match (is_signed, method) {
            (false, _) => StatusCode::UNAUTHORIZED.into_response(),
            (true, &Method::PUT) => {
                std::fs::write(file, body).unwrap();
                StatusCode::OK.into_response()
            }
            (true, _) => std::fs::read(file).unwrap().into_response(),
        });
    }
    let rest = path.strip_prefix("/scm/PLAT/app.git/info/lfs/")?;
    if !is_proved(headers) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Atlassian Bitbucket\"")];
        return Some((StatusCode::UNAUTHORIZED, challenge).into_response());
    }
    if rest != "objects/batch" {
        return Some((StatusCode::NOT_IMPLEMENTED, "{\"message\": \"no locks\"}").into_response());
    }
    let asked: Value = serde_json::from_slice(body).unwrap();
    let (operation, host) = (asked["operation"].as_str().unwrap(), headers["host"].to_str().unwrap());
    let objects = asked["objects"].as_array().unwrap().iter().map(|object| {
        let href = format!("http://{host}/rest/git-lfs/storage/PLAT/app/{}", object["oid"].as_str().unwrap());
        let action = json!({"href": href, "header": {"Authorization": SIGNED}});
        json!({"oid": object["oid"], "size": object["size"], "authenticated": true, "actions": {operation: action}})
    });
    let answer = json!({"transfer": "basic", "objects": objects.collect::<Vec<_>>()}).to_string();
    let kind = [(header::CONTENT_TYPE, "application/vnd.git-lfs+json")];
    Some((kind, answer).into_response())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs git-lfs"]
async fn a_large_file_is_fetched_with_a_token_that_reads_and_pushed_with_one_that_writes_alone() {
    let (_upstream, gate, folder) = repository().await;
    let host = gate.server.address().to_string();
    let reads = stored(folder.path(), &host, READS);
    // Once as a header beside the one that the server signed, once as a password.
    for (name, writes) in [("header", header(WRITES)), ("stored", stored(folder.path(), &host, WRITES))] {
        works(folder.path(), &["-c", &writes, "clone", "-q", &url(&gate), name]).await;
        let clone = folder.path().join(name);
        works(&clone, &["lfs", "install", "--local"]).await;
        works(&clone, &["lfs", "track", "*.bin"]).await;
        let large: Vec<u8> = name.bytes().cycle().take(300_000).collect();
        std::fs::write(clone.join(format!("{name}.bin")), &large).unwrap();
        works(&clone, &["add", "."]).await;
        works(&clone, &["commit", "-q", "-m", name]).await;
        let told = fails(&clone, &["-c", &reads, "lfs", "push", "--all", "origin", "main"]).await;
        assert!(told.contains("This token only reads"), "{told}");
        works(&clone, &["-c", &writes, "push", "-q", "origin", "main"]).await;

        let fetched = format!("{name}-fetched");
        let smudge = ["-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.required=true"];
        let clone = ["-c", &reads, "clone", "-q", &url(&gate), &fetched];
        works(folder.path(), &[&smudge[..], &clone].concat()).await;
        let read = std::fs::read(folder.path().join(&fetched).join(format!("{name}.bin"))).unwrap();
        assert!(read == large, "{} bytes", read.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs git-lfs and nginx"]
async fn a_large_file_goes_through_nginx_that_asks_with_a_token_that_writes_and_with_no_other() {
    let (upstream, gate, folder) = repository().await;
    let nginx = Proxy::asking_nginx(gate.server.address(), upstream.address).await;
    let host = nginx.address.to_string();
    let url = format!("http://{host}/scm/PLAT/app.git");
    let (reads, writes) = (stored(folder.path(), &host, READS), stored(folder.path(), &host, WRITES));
    works(folder.path(), &["-c", &writes, "clone", "-q", &url, "work"]).await;
    let work = folder.path().join("work");
    works(&work, &["lfs", "install", "--local"]).await;
    works(&work, &["lfs", "track", "*.bin"]).await;
    let large: Vec<u8> = b"large".iter().copied().cycle().take(300_000).collect();
    std::fs::write(work.join("large.bin"), &large).unwrap();
    works(&work, &["add", "."]).await;
    works(&work, &["commit", "-q", "-m", "large"]).await;
    fails(&work, &["-c", &reads, "lfs", "push", "--all", "origin", "main"]).await;
    works(&work, &["-c", &writes, "push", "-q", "origin", "main"]).await;

    let smudge = ["-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.required=true"];
    let clone = |credential, name| [&smudge[..], &["-c", credential, "clone", "-q", &url, name]].concat();
    works(folder.path(), &clone(&writes, "fetched")).await;
    assert!(std::fs::read(folder.path().join("fetched/large.bin")).unwrap() == large);
    // Whether a batch reads or writes stands in its body, which nginx does not show.
    fails(folder.path(), &clone(&reads, "refused")).await;
    let kept = std::fs::read_to_string(folder.path().join(format!("stored-{READS}"))).unwrap();
    assert!(kept.contains(&secret(READS)), "a 403 leaves what is stored");
}
