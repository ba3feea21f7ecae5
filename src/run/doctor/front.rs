//! Whether a gateway is really in front: what leads around it, and what it cannot cover.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use url::Url;

use crate::{
    config::{Connection, TargetDeclaration},
    model::is_loopback,
    targets::Target,
};

use super::Check;

/// Where Bitbucket listens for SSH unless somebody changed it.
const SSH: u16 = 7999;
/// How long a connection is waited for.
const CONNECT: Duration = Duration::from_secs(3);

pub(super) async fn examine(
    target: &Target,
    declaration: &TargetDeclaration,
    around: &[String],
) -> Vec<Check> {
    let Connection::Bitbucket { server, gateway, .. } = &declaration.connection else { return Vec::new() };
    let mut checks = vec![ssh(&server.url).await];
    let Some(gateway) = gateway else {
        checks.push(Check::warning(
            "gateway",
            "no gateway stands in front: permissions, networks and restrictions are not enforced",
            "put `tokenwarden serve` in front of it, and name it in `gateway`",
        ));
        return checks;
    };
    if let Target::Fronted(fronted) = target {
        checks.push(match fronted.stands_in_front().await {
            Ok(upstream) => Check::ok("gateway", format!("{} stands in front of {upstream}", gateway.url)),
            Err(error) => Check::failure(
                "gateway",
                crate::apply::one_line(error.as_ref()),
                "start it with `--upstream`, with a credential that reads users, groups and tokens",
            ),
        });
    }
    checks.push(direct(&server.url, &gateway.url));
    let beside = beside(&server.url, &gateway.url);
    for url in around.iter().chain(&beside) {
        checks.push(reachable(url).await);
    }
    checks.push(Check::warning(
        "logged-address",
        "which address Bitbucket logs for a request through the gateway cannot be seen from here",
        "compare one line of Bitbucket's access log with the log of the gateway",
    ));
    checks
}

/// The straight way that this run takes.
fn direct(url: &str, gateway: &str) -> Check {
    const CHECK: &str = "direct-way";
    if url == gateway {
        return Check::failure(
            CHECK,
            "`url` and `gateway.url` are the same: tokens would be read through the gateway",
            "write the address of Bitbucket itself into `url`",
        );
    }
    if is_loopback(url) {
        return Check::ok(CHECK, format!("{url} is only for this machine"));
    }
    Check::warning(
        CHECK,
        format!("{url} answers this machine without the gateway, as runs need it"),
        "let only the gateway and this machine reach it, and run `doctor --around` with it from the network of a client",
    )
}

/// Where Bitbucket would be beside the gateway, on the same machine with its own port.
fn beside(url: &str, gateway: &str) -> Option<String> {
    let (direct, gateway) = (Url::parse(url).ok()?, Url::parse(gateway).ok()?);
    let (port, host) = (direct.port_or_known_default()?, gateway.host_str()?);
    let is_other = direct.host_str() != Some(host) && Some(port) != gateway.port_or_known_default();
    is_other.then(|| format!("{}://{host}:{port}", direct.scheme()))
}

/// Whether a server answers at `url`, where none may.
async fn reachable(url: &str) -> Check {
    const CHECK: &str = "way-around";
    if opens(url, None).await {
        Check::failure(
            CHECK,
            format!("{url} answers: Bitbucket can be reached around the gateway"),
            "bind Bitbucket to an address that only the gateway reaches, or close the port in a firewall",
        )
    } else {
        Check::ok(CHECK, format!("{url} does not answer"))
    }
}

/// Whether something listens at the host of `url`, at its port or another one.
async fn opens(url: &str, port: Option<u16>) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let (Some(host), Some(port)) = (url.host_str(), port.or(url.port_or_known_default())) else {
        return false;
    };
    let opened = timeout(CONNECT, TcpStream::connect((host.trim_matches(['[', ']']), port))).await;
    matches!(opened, Ok(Ok(_)))
}

/// Whether SSH is open beside us.
async fn ssh(url: &str) -> Check {
    const CHECK: &str = "ssh";
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    if !opens(url, Some(SSH)).await {
        return Check::ok(CHECK, format!("port {SSH} of {host} does not answer; SSH is not covered"));
    }
    Check::warning(
        CHECK,
        format!("port {SSH} of {host} is open: Git over SSH is not covered by any policy of tokens"),
        "disable SSH in Bitbucket, or know that keys are outside of this policy",
    )
}
