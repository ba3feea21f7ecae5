//! The server with TLS: certificates that are exchanged, come to an end, or are asked of clients.

use std::{
    fs,
    io::{ErrorKind, Read},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, Identity};
use tempfile::TempDir;
use tokenwarden::{
    apply::one_line,
    http::{CallLimits, HttpClient, HttpCredential, HttpError, Retries},
};

use crate::serve::process::{Process, folder, run};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate of `authority` that is good for so many days.
fn certify(folder: &TempDir, authority: &Authority, days: i64) {
    let (certificate, key) = certificate(authority, days);
    fs::write(folder.path().join("server.key"), key).unwrap();
    fs::write(folder.path().join("server.pem"), certificate).unwrap();
}

/// A certificate for 127.0.0.1 and its key, both in PEM.
fn certificate(authority: &Authority, days: i64) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let end = (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string();
    let part = |from, to| end[from..to].parse::<u8>().unwrap();
    parameters.not_after = rcgen::date_time_ymd(2000 + i32::from(part(2, 4)), part(5, 7), part(8, 10));
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn serve(folder: &TempDir, further: &[&str]) -> Process {
    let tls = ["--tls-cert", "server.pem", "--tls-key", "server.key"];
    Process::start_with(folder, "127.0.0.1:0", &[&tls, further].concat())
}

/// A client that keeps no connection and trusts `authority` alone.
fn trusting(authority: &Authority) -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    Client::builder().no_proxy().pool_max_idle_per_host(0).tls_certs_only([root])
}

async fn is_served(process: &Process, client: &Client) -> bool {
    client.get(format!("https://{}/healthz", process.address)).send().await.is_ok()
}

/// Waits for a line of the log that has `words`.
fn told(process: &mut Process, words: &str) -> String {
    loop {
        let line = process.next_log_line();
        assert!(!line.is_empty(), "the log has ended without `{words}`");
        if line.contains(words) {
            return line;
        }
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_bad_one_changes_nothing() {
    let (folder, first, second) = (folder(), authority(), authority());
    certify(&folder, &first, 90);
    let mut process = serve(&folder, &[]);
    let (of_first, of_second) = (trusting(&first).build().unwrap(), trusting(&second).build().unwrap());
    let answered = of_first.get(format!("https://{}/healthz", process.address)).send().await.unwrap();
    assert!(answered.headers()["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
    assert!(!is_served(&process, &of_second).await);

    fs::write(folder.path().join("server.pem"), certificate(&second, 90).0).unwrap();
    process.signal("HUP");
    told(&mut process, "the old one stays in use");
    assert!(is_served(&process, &of_first).await, "the key is that of the old certificate");

    certify(&folder, &second, 90);
    process.signal("HUP");
    told(&mut process, "the certificate was read again");
    assert!(is_served(&process, &of_second).await && !is_served(&process, &of_first).await);

    fs::remove_file(folder.path().join("server.key")).unwrap();
    told(&mut process, "the old one stays in use");
    certify(&folder, &first, 90);
    told(&mut process, "the certificate was read again");
    assert!(is_served(&process, &of_first).await, "a file that changes is seen without a signal");
    process.stop();
}

#[test]
fn a_certificate_that_ends_within_30_days_is_told_of() {
    let (folder, authority) = (folder(), authority());
    certify(&folder, &authority, 20);
    let mut process = serve(&folder, &[]);
    let line = told(&mut process, "the certificate expires soon");
    assert!(
        line.contains("server.pem") && (line.contains("\"days\":19") || line.contains("\"days\":20")),
        "{line}"
    );
    certify(&folder, &authority, -2);
    told(&mut process, "the certificate has expired");
    certify(&folder, &authority, 40);
    told(&mut process, "the certificate was read again");
    let (rest, _) = process.stop_and_read();
    assert!(!rest.contains("expires soon"), "{rest}");
}

#[tokio::test]
async fn clients_show_a_certificate_of_the_authority_that_is_asked_for() {
    let (folder, authority, other) = (folder(), authority(), authority());
    certify(&folder, &authority, 90);
    fs::write(folder.path().join("clients.pem"), authority.pem()).unwrap();
    let process = serve(&folder, &["--tls-client-ca", "clients.pem"]);
    let showing = |issuer: &Authority| {
        let (certificate, key) = certificate(issuer, 90);
        let identity = Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap();
        trusting(&authority).identity(identity).build().unwrap()
    };
    assert!(is_served(&process, &showing(&authority)).await);
    assert!(!is_served(&process, &showing(&other)).await);
    assert!(!is_served(&process, &trusting(&authority).build().unwrap()).await);
}

#[tokio::test]
async fn no_version_of_tls_below_the_least_is_spoken() {
    let (folder, authority) = (folder(), authority());
    certify(&folder, &authority, 90);
    let client = |most| trusting(&authority).tls_version_max(most).build().unwrap();
    let (old, new) = (client(reqwest::tls::Version::TLS_1_2), client(reqwest::tls::Version::TLS_1_3));
    let process = serve(&folder, &["--tls-min-version", "1.3"]);
    assert!(is_served(&process, &new).await && !is_served(&process, &old).await);
    process.stop();
    let process = serve(&folder, &[]);
    assert!(is_served(&process, &new).await && is_served(&process, &old).await);
}

#[test]
fn files_of_tls_that_cannot_be_used_end_the_start_with_their_name() {
    let (folder, authority) = (folder(), authority());
    certify(&folder, &authority, 90);
    let write = |name: &str, text: &str| fs::write(Path::new(folder.path()).join(name), text).unwrap();
    write("empty.pem", "");
    write("other.key", &certificate(&authority, 90).1);
    for arguments in [
        &["--tls-cert", "empty.pem", "--tls-key", "server.key"][..],
        &["--tls-cert", "server.pem", "--tls-key", "empty.pem"],
        &["--tls-cert", "server.pem", "--tls-key", "other.key"],
        &["--tls-cert", "server.pem", "--tls-key", "missing.key"],
        &["--tls-cert", "server.pem", "--tls-key", "server.key", "--tls-client-ca", "empty.pem"],
    ] {
        let further =
            [&["serve", "--create", "--store", "sqlite:store.db", "--listen", "127.0.0.1:0"], arguments]
                .concat();
        let (code, _, told) = run(&folder, &further, "");
        assert!(code == 1 && told.contains("cannot be used"), "{arguments:?}: {code} {told}");
    }
    let (code, ..) = run(&folder, &["serve", "--store", "sqlite:s", "--tls-min-version", "1.3"], "");
    assert_eq!(code, 64, "without a certificate there is no TLS");
}

#[test]
fn a_connection_that_is_silent_after_the_handshake_ends() {
    let (folder, authority) = (folder(), authority());
    certify(&folder, &authority, 90);
    let process = serve(&folder, &[]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut session = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut stream = TcpStream::connect(process.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut stream).unwrap();
    }
    let end = rustls::Stream::new(&mut session, &mut stream).read(&mut [0; 1]).map_err(|error| error.kind());
    assert!(!matches!(end, Ok(1..) | Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{end:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_regular_file_stops_neither_the_server_nor_the_next_exchange() {
    use std::os::unix::fs::symlink;

    let (folder, first, second) = (folder(), authority(), authority());
    certify(&folder, &first, 90);
    fs::write(folder.path().join("ca.pem"), first.pem()).unwrap();
    let path = |name: &str| folder.path().join(name);
    let (identity, key) = certificate(&first, 90);
    let identity = Identity::from_pem(format!("{identity}{key}").as_bytes()).unwrap();
    let mut process = serve(&folder, &["--tls-client-ca", "ca.pem"]);
    let with = |authority: &Authority| trusting(authority).identity(identity.clone()).build().unwrap();
    for name in ["server.pem", "server.key", "ca.pem"] {
        let kept = fs::read(path(name)).unwrap();
        for odd in ["pipe", "folder", "device", "huge"] {
            fs::remove_file(path(name)).unwrap();
            match odd {
                "pipe" => {
                    assert!(std::process::Command::new("mkfifo").arg(path(name)).status().unwrap().success());
                }
                "folder" => fs::create_dir(path(name)).unwrap(),
                "device" => symlink("/dev/zero", path(name)).unwrap(),
                _ => fs::File::create(path(name)).unwrap().set_len(1 << 40).unwrap(),
            }
            process.signal("HUP");
            let line = told(&mut process, "the old one stays in use");
            assert!(line.contains(name) && line.contains("WARN"), "{odd}: {line}");
            assert!(is_served(&process, &with(&first)).await, "{odd}");
            if odd == "folder" {
                fs::remove_dir(path(name)).unwrap();
            } else {
                fs::remove_file(path(name)).unwrap();
            }
            fs::write(path(name), &kept).unwrap();
            process.signal("HUP");
            told(&mut process, "the certificate was read again");
        }
    }
    let (certificate, key) = certificate(&second, 90);
    fs::write(path("server.key"), key).unwrap();
    fs::write(path("server.pem"), certificate).unwrap();
    process.signal("HUP");
    told(&mut process, "the certificate was read again");
    assert!(is_served(&process, &with(&second)).await);
}

#[tokio::test]
async fn doctor_finds_a_certificate_that_is_near_its_end_and_is_content_with_one_that_lasts() {
    for (days, state, words) in
        [(5, "warning", "its certificate ends on"), (90, "ok", "its certificate lasts until")]
    {
        let (folder, authority) = (folder(), authority());
        certify(&folder, &authority, days);
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let process = serve(&folder, &[]);
        fs::write(folder.path().join("policy.yaml"), "version: 1\npermissions: {use: everyone}\n").unwrap();
        let config = format!(
            "version: 1\ntargets:\n  prod:\n    kind: gateway\n    url: https://{}\n    auth: {{ user: root, password_env: \
             root }}\n    tls_ca: ca.pem\n    policy: [policy.yaml]\n",
            process.address
        );
        fs::write(folder.path().join("tokenwarden.yaml"), config).unwrap();
        let (code, told, log) = run(&folder, &["doctor", "--format", "json"], "");
        let report: serde_json::Value =
            serde_json::from_str(&told).unwrap_or_else(|_| panic!("{code}: {told}{log}"));
        let checks = report["targets"][0]["checks"].as_array().unwrap();
        let check =
            checks.iter().find(|check| check["check"] == "certificate").unwrap_or_else(|| panic!("{told}"));
        assert_eq!(check["state"], state, "{check}");
        assert!(check["why"].as_str().unwrap().contains(words), "{check}");
    }
}

/// Why a call of `url` is not answered, where `authority` is trusted if it is given.
async fn why_unanswered(url: &str, authority: Option<&Authority>) -> HttpError {
    let once = Retries {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(1),
        ..Retries::default()
    };
    let pem = authority.map(|authority| authority.pem().into_bytes());
    let limits = CallLimits { retries: once, ..CallLimits::default() };
    let client =
        HttpClient::with_limits(url, HttpCredential::Bearer("tw_hush".into()), pem.as_deref(), limits)
            .unwrap();
    client.get::<serde_json::Value>("/rest/x", &[]).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn a_connection_that_fails_says_the_likely_cause_in_one_line() {
    let (folder, authority) = (folder(), authority());
    certify(&folder, &authority, 90);
    let encrypted = serve(&folder, &[]);
    let plain = crate::support::TestServer::start(crate::support::Setup::default()).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let named = format!("https://localhost:{}", encrypted.address.port());
    for (url, trusted, cause) in [
        (
            format!("https://{}", plain.address()),
            None,
            "does not speak TLS: if the port is one for HTTP, write `http://`",
        ),
        (format!("http://{}", encrypted.address), None, "if the port is one for HTTPS, write `https://`"),
        (format!("https://{}", encrypted.address), None, "name the authority with `tls_ca`"),
        (named, Some(&authority), "the certificate of the server is for another name"),
        // A label of 64 characters is looked up nowhere, so that no name server is waited for.
        (format!("http://{}.invalid", "x".repeat(64)), None, "the name of the server cannot be resolved"),
        (format!("http://{closed}"), None, "the connection was refused: nothing listens there"),
    ] {
        let error = why_unanswered(&url, trusted).await;
        assert!(error.to_string().contains(cause), "{url}: {}", one_line(&error));
        assert!(error.to_string().contains(": no answer: ") && error.is_explained(), "{error}");
        assert!(!format!("{error:#}").contains("127.0.0.1"), "{error:#}");
    }
}
