//! The program on real networks: servers with the certificate of a company, and proxies of the system.

use std::{fs, net::SocketAddr, sync::Arc};

use futures_util::FutureExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{
    serve::process::{Process, folder},
    support::{
        TestServer,
        program::{Run, program},
        proxy::{Fate, Proxy},
    },
};

/// A repository of policy for the gateway at `url`; `more` are further lines of its target.
fn repository(url: &str, more: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let settings = format!(
        "version: 1\ntargets:\n  prod:\n    kind: gateway\n    url: {url}\n    \
         auth: {{ user: root, password_env: PASSWORD }}\n    policy: [policy.yaml]\n{more}"
    );
    fs::write(folder.path().join("tokenwarden.yaml"), settings).unwrap();
    fs::write(folder.path().join("policy.yaml"), "version: 1\npassword_authentication: allowed\n").unwrap();
    folder
}

fn plan(repository: &TempDir, environment: &[(&str, &str)]) -> Run {
    plan_with(repository, &[], environment)
}

fn plan_with(repository: &TempDir, options: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = program();
    for name in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]
    {
        command.env_remove(name);
    }
    command
        .arg("-C")
        .arg(repository.path())
        .arg("plan")
        .args(options)
        .env("PASSWORD", "root")
        .envs(environment.iter().copied());
    Run::of(&mut command)
}

#[test]
fn a_certificate_of_the_company_is_trusted_where_the_settings_name_its_authority_and_nowhere_else() {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    let at = folder();
    fs::write(at.path().join("server.pem"), certificate.pem()).unwrap();
    fs::write(at.path().join("server.key"), key.serialize_pem()).unwrap();
    let tls = ["--tls-cert", "server.pem", "--tls-key", "server.key"];
    let server = Process::start_with(&at, "127.0.0.1:0", &tls);

    let url = format!("https://{}", server.address);
    let trusting = repository(&url, "    tls_ca: ca.pem\n");
    fs::write(trusting.path().join("ca.pem"), authority.pem()).unwrap();
    let run = plan(&trusting, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.starts_with("No changes."), "{}", run.stdout);

    let run = plan(&repository(&url, ""), &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    let remedy = "nobody known here issued the certificate of the server: name the authority with `tls_ca`";
    assert!(run.stderr.contains(remedy), "{}", run.stderr);
    assert!(!run.stderr.contains("UnknownIssuer"), "{}", run.stderr);
    let run = plan_with(&repository(&url, ""), &["-v"], &[]);
    assert!(run.stderr.contains("invalid peer certificate: UnknownIssuer"), "{}", run.stderr);
}

async fn run_plan(repository: TempDir, environment: Vec<(&'static str, String)>) -> Run {
    let run = move || {
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        plan(&repository, &environment)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// An address at which nothing listens.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_system_is_asked_for_servers_elsewhere_and_never_for_those_on_the_same_machine() {
    let server = TestServer::new().await;
    let proxy =
        Proxy::start(server.address(), Arc::new(|_, _| std::future::ready(Fate::Whole).boxed())).await;
    let elsewhere = repository("http://gateway.example.test", "");
    let run = run_plan(elsewhere, vec![("HTTP_PROXY", proxy.url())]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let asked = proxy.exchanges();
    assert!(!asked.is_empty());
    for exchange in asked {
        assert!(exchange.path.starts_with("http://gateway.example.test/rest/"), "{exchange:?}");
    }
    let here = repository(&server.url(""), "");
    let run = run_plan(here, vec![("HTTP_PROXY", format!("http://{}", nobody()))]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}
