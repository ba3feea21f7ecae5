//! A disk that is full: what is said of it, what works meanwhile, and what works at once when there is room again.
#![cfg(target_os = "linux")]

use std::{
    io::Write,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    serve::process::{Process, folder},
    support::{DIRECTORY, TOKENS, WHOAMI, answer, client, status},
};

/// A small disk of its own.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Nothing where only an administrator of the system may mount one.
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(folder.path()).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Self { folder })
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).output();
    }
}

async fn make(client: &Client, process: &Process) -> Result<(String, String), u16> {
    let body = json!({"tokenScope": 2, "tokenDescription": "made"});
    let request =
        client.post(process.url(&format!("{TOKENS}/token"))).basic_auth("root", Some("root")).json(&body);
    let response = request.send().await.unwrap();
    if response.status() != StatusCode::OK {
        return Err(response.status().as_u16());
    }
    let made: Value = response.json().await.unwrap();
    let url = process.url(&format!("{TOKENS}/token/{}", made["id"]));
    Ok((url, made["plainTextToken"].as_str().unwrap().to_owned()))
}

#[tokio::test]
async fn a_write_on_a_full_disk_fails_alone_and_once_there_is_room_a_token_is_revoked_at_once() {
    let Some(disk) = Disk::new() else {
        // Nothing can be shown where only an administrator of the system may mount a disk.
        return;
    };
    std::fs::write(disk.folder.path().join("directory.yaml"), DIRECTORY).unwrap();
    let process = Process::start_with(&disk.folder, "127.0.0.1:0", &[]);
    let client = client();
    let (leaked, secret) = make(&client, &process).await.unwrap();
    let ready = process.url("/readyz");

    disk.fill();
    let refused = loop {
        if let Err(refused) = make(&client, &process).await {
            break refused;
        }
    };
    assert_eq!(refused, 503);
    assert_eq!(status(client.delete(&leaked).basic_auth("root", Some("root"))).await, 503);
    assert_eq!(status(client.get(&ready)).await, 503);
    assert_eq!(status(client.get(process.url("/healthz"))).await, 503);
    assert_eq!(status(client.get(process.url(WHOAMI)).bearer_auth(&secret)).await, 200, "reading goes on");
    let list =
        client.get(process.url(&format!("{TOKENS}/token?limit=1000"))).basic_auth("root", Some("root"));
    let list = answer(list, StatusCode::OK).await;
    assert!(
        list["content"][0]["lastAccessed"].as_i64() > Some(0),
        "a use is seen that cannot be written: {list}"
    );

    disk.free();
    assert_eq!(status(client.delete(&leaked).basic_auth("root", Some("root"))).await, 200);
    assert_eq!(status(client.get(process.url(WHOAMI)).bearer_auth(&secret)).await, 401);
    let (began, mut again) = (Instant::now(), tokio::time::interval(Duration::from_millis(100)));
    while status(client.get(&ready)).await != 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not say that it can do its work again");
        again.tick().await;
    }
    process.kill();
}

/// The same without a disk of its own: files of the process cannot grow any more.
#[tokio::test]
async fn a_write_that_the_system_does_not_take_fails_alone_and_later_a_token_is_revoked_at_once() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let folder = folder();
    let mut shell = Command::new("sh");
    // Otherwise the system ends who writes too much.
    shell.args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#, env!("CARGO_BIN_EXE_tokenwarden")]);
    let process = Process::start_as(shell, &folder, "127.0.0.1:0", &[]);
    let client = client();
    let (leaked, secret) = make(&client, &process).await.unwrap();
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    let limit = |current| prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None });
    let log = std::fs::metadata(folder.path().join("store.db-wal")).unwrap().len();
    limit(Some(log + 16 * 4096)).unwrap();
    let refused = loop {
        if let Err(refused) = make(&client, &process).await {
            break refused;
        }
    };
    assert_eq!(refused, 503);
    assert_eq!(status(client.get(process.url("/readyz"))).await, 503);
    assert_eq!(status(client.get(process.url(WHOAMI)).bearer_auth(&secret)).await, 200, "reading goes on");

    limit(None).unwrap();
    assert_eq!(status(client.delete(&leaked).basic_auth("root", Some("root"))).await, 200);
    assert_eq!(status(client.get(process.url(WHOAMI)).bearer_auth(&secret)).await, 401);
}
