//! The valid [`GatewayConfig`] from the bytes of a gateway file, or every mistake in it. Texts that are shown have every
//! secret masked.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use crate::{
    model::{AddressSet, HeaderName, address_credential::is_server},
    yaml::{
        Code, Diagnostic, Diagnostics, Sources, Span,
        node::{At, Node, Value},
        source,
        structure::{OwnWords, Structure},
        values,
    },
};

use super::{GatewayConfig, GatewayTls, Mirrored, Upstream, UpstreamKind, document};
use crate::config::{connection, secrets};

/// The result of reading a gateway file.
#[derive(Clone, Debug)]
pub struct GatewayReading {
    /// What it says; `None` when there is an error.
    pub config: Option<GatewayConfig>,
    /// Every mistake, and every warning.
    pub diagnostics: Diagnostics,
    /// The text that the diagnostics point into, with secrets masked.
    pub sources: Sources,
}

/// Reads `bytes`, the content of the gateway file that people know as `path`.
#[must_use]
pub fn read(path: &Arc<str>, bytes: &[u8]) -> GatewayReading {
    let source::ParsedFile { text, root, mut diagnostics } = source::parse(path, bytes);
    let shown = text.map(|text| secrets::masked(&text, root.as_ref(), &KEYS));
    let config = root.and_then(|root| {
        STRUCTURE.check(&root, &mut diagnostics);
        let config = gateway(&root, &mut diagnostics);
        secrets::hide(&root, &mut diagnostics);
        config
    });
    GatewayReading {
        config: config.filter(|_| !diagnostics.have_errors()),
        diagnostics,
        sources: shown.map(|text| (Arc::clone(path), Arc::from(text))).into_iter().collect(),
    }
}

static STRUCTURE: Structure = Structure::new(
    include_str!("../../../schema/gateway.schema.json"),
    document::schema,
    OwnWords {
        unknown_key,
        has_meaning: |at| values::is_period(at) || is_interval(at) || at.path == "listen",
        is_secret: |at| secrets::is_masked(at, &KEYS),
        has_blanks: |at| at.path.contains(".auth.command["),
    },
);

static KEYS: LazyLock<HashSet<String>> = LazyLock::new(|| STRUCTURE.keys());

/// A secret itself where the name of a variable should be.
fn unknown_key(parent: &At<'_>, key: &str, span: &Span) -> Option<Diagnostic> {
    secrets::unknown_key(
        parent,
        (key, span),
        &KEYS,
        ("gateway file", |instead| {
            let user = if instead == "password_env" { "`user: NAME_OF_THE_USER` and " } else { "" };
            format!("{user}`{instead}: NAME_OF_THE_VARIABLE` in `auth`")
        }),
    )
}

fn gateway(root: &Node, out: &mut Diagnostics) -> Option<GatewayConfig> {
    let root = At::root(root);
    let listen = root.get("listen").and_then(|at| listen(&at, out));
    let tls = root.get("tls").and_then(|at| tls(&at));
    let insecure_http =
        root.get("insecure_http").is_some_and(|at| matches!(at.node.value, Value::Bool(true)));
    if tls.is_none() && !insecure_http {
        report_unencrypted(&root, listen, out);
    }
    let store = root.get("store").and_then(|at| store(&at, out));
    let public_url = root.get("public_url").and_then(|at| connection::base_url(&at, out));
    let audit_retention = root.get("audit_retention").and_then(|at| values::period(&at, out));
    let admin_group = root.get("admin_group").and_then(|at| values::said(&at, out));
    let upstream_at = root.get("upstream");
    let upstream = upstream_at.as_ref().map(|at| upstream(at, out));
    let authz_peers = root.get("authz").and_then(|at| at.get("peers")).map(|at| peers(&at, out));
    if let (Some(authz), None) = (root.get("authz"), &upstream_at) {
        let message = "`authz` has no effect without `upstream`";
        out.push(
            Diagnostic::error(Code::MissingKey, authz.key, authz.path, message)
                .help("add `upstream:` with the server that the proxies forward to, or remove `authz`"),
        );
    }
    Some(GatewayConfig {
        listen,
        tls,
        insecure_http,
        store: store?.into(),
        admin_group,
        public_url,
        audit_retention,
        upstream: match upstream {
            Some(upstream) => Some(upstream?),
            None => None,
        },
        authz_peers: authz_peers.unwrap_or_default(),
    })
}

fn listen(at: &At<'_>, out: &mut Diagnostics) -> Option<SocketAddr> {
    let text = match &at.node.value {
        Value::Text(text) => text,
        Value::Number { written, .. } => written,
        _ => return None,
    };
    let address = text.parse();
    if address.is_err() {
        let message = format!("`{text}` is not an address with a port");
        let mistake = Diagnostic::error(Code::BadAddress, at.span(), at.path.as_str(), message);
        out.push(match text.parse::<u16>() {
            Ok(port) => mistake
                .help(format!("write `127.0.0.1:{port}` for this machine, or `0.0.0.0:{port}` for all")),
            Err(_) => mistake.help("write e.g. `0.0.0.0:8443`, `127.0.0.1:7991` or `[::]:8443`"),
        });
    }
    address.ok()
}

fn tls(at: &At<'_>) -> Option<GatewayTls> {
    let text = |key: &str| at.get(key).and_then(|at| at.text().map(str::to_owned));
    Some(GatewayTls {
        cert: text("cert")?.into(),
        key: text("key")?.into(),
        client_ca: text("client_ca").map(PathBuf::from),
        only_1_3: text("min_version").as_deref() == Some("1.3"),
    })
}

/// Passwords and tokens in the clear take a word that says so.
fn report_unencrypted(root: &At<'_>, listen: Option<SocketAddr>, out: &mut Diagnostics) {
    if let (Some(address), Some(at)) = (listen, root.get("listen"))
        && !address.ip().to_canonical().is_loopback()
    {
        let message = format!("tokens and passwords would cross the network unencrypted on `{address}`");
        out.push(Diagnostic::error(Code::UnencryptedUrl, at.span(), at.path.as_str(), message).help(
            "add `tls:` with `cert` and `key`, listen on a loopback address, or add `insecure_http: true`",
        ));
    }
}

fn store(at: &At<'_>, out: &mut Diagnostics) -> Option<String> {
    let text = at.text()?;
    let file = text.strip_prefix("sqlite:").filter(|file| !file.is_empty() && !is_server(file));
    if file.is_none() {
        let message = format!("`{text}` is not a store");
        out.push(
            Diagnostic::error(Code::BadUrl, at.span(), at.path.as_str(), message)
                .help("write `sqlite:` and a file, such as `sqlite:/var/lib/tokenwarden/gateway.db`"),
        );
    }
    file.map(str::to_owned)
}

fn peers(at: &At<'_>, out: &mut Diagnostics) -> AddressSet {
    if at.is_empty_list() {
        out.push(values::empty_list(at, Code::EmptyNetworks, "peers", "list the addresses of the proxies"));
    }
    let help = "write an address or a network, such as `127.0.0.1` or `10.0.0.0/24`";
    values::networks(at, Some(help), out)
}

/// The keys of `upstream` that hold a short length of time.
const INTERVALS: [&str; 3] = ["refresh", "mirror_max_age", "idle_timeout"];

fn upstream(at: &At<'_>, out: &mut Diagnostics) -> Option<Upstream> {
    let url = at.get("url").and_then(|at| connection::base_url(&at, out));
    let is_header = at.get("kind").and_then(|at| at.text()) == Some("header");
    let kind = if is_header { header(at, out).map(UpstreamKind::Header) } else { bitbucket(at, out) };
    let usual_prefix = if is_header { "" } else { Upstream::GIT_PREFIX };
    let git_prefix = at.get("git_prefix").map_or_else(|| Some(usual_prefix.to_owned()), |at| path(&at, out));
    let idle_seconds = interval(at, "idle_timeout", Upstream::IDLE_SECONDS, out);
    let connections = at.get("connections").and_then(|at| values::whole_number(&at, out));
    Some(Upstream {
        url: url?,
        kind: kind?,
        tls_ca: at.get("tls_ca").and_then(|at| at.text().map(str::to_owned)),
        git_prefix: git_prefix?,
        idle_seconds: idle_seconds?,
        connections: connections.unwrap_or(Upstream::CONNECTIONS),
    })
}

/// The keys that say how a Bitbucket is read.
const OF_BITBUCKET: [&str; 5] = ["auth", "refresh", "mirror_max_age", "unknown_tokens", "browsers"];

/// The header that a server believes.
fn header(upstream: &At<'_>, out: &mut Diagnostics) -> Option<HeaderName> {
    for at in OF_BITBUCKET.iter().filter_map(|key| upstream.get(key)) {
        let message = format!("`{}` has no effect with `kind: header`", at.path);
        out.push(
            Diagnostic::error(Code::ConflictingKeys, at.key, at.path.as_str(), message)
                .help("remove it: users and tokens are those of the gateway itself"),
        );
    }
    let Some(at) = upstream.get("header") else { return HeaderName::new(USUAL_HEADER).ok() };
    let text = at.text()?;
    let name = HeaderName::new(text).ok().filter(|name| !is_taken(name.as_str()));
    if name.is_none() {
        let message = format!("`{text}` cannot be the header that says who a sender is");
        out.push(
            Diagnostic::error(Code::BadHeader, at.span(), at.path.as_str(), message).help(
                "write the name of a header that the server behind believes, such as `X-Forwarded-User`",
            ),
        );
    }
    name
}

/// The header that most servers believe.
const USUAL_HEADER: &str = "X-Forwarded-User";

/// Whether the header `name` says something else to everybody.
fn is_taken(name: &str) -> bool {
    let name = HeaderName::folded(name);
    let taken = [
        "accept",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "git-protocol",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-request-id",
    ];
    taken.contains(&&*name) || name.starts_with("proxy-")
}

/// How a Bitbucket is read.
fn bitbucket(upstream: &At<'_>, out: &mut Diagnostics) -> Option<UpstreamKind> {
    if upstream.get("auth").is_none() {
        let message = "the key `auth` is missing: a Bitbucket is read with a credential";
        out.push(
            Diagnostic::error(Code::MissingKey, upstream.key, upstream.path.as_str(), message)
                .help("add e.g. `auth: { user: warden, password_env: BITBUCKET_PASSWORD }`"),
        );
    }
    if let Some(at) = upstream.get("header") {
        out.push(
            Diagnostic::error(
                Code::ConflictingKeys,
                at.key,
                at.path.as_str(),
                "`upstream.header` takes `kind: header`",
            )
            .help("a Bitbucket believes no header: remove it, or add `kind: header` for another server"),
        );
    }
    mirrored(upstream, out).map(UpstreamKind::Bitbucket)
}

fn mirrored(at: &At<'_>, out: &mut Diagnostics) -> Option<Mirrored> {
    let auth = at.get("auth").and_then(|at| connection::authentication(&at, out));
    let refresh_seconds = interval(at, "refresh", Mirrored::REFRESH_SECONDS, out);
    let max_age_seconds = interval(at, "mirror_max_age", Mirrored::MAX_AGE_SECONDS, out);
    if let (Some(refresh), Some(max_age)) = (refresh_seconds, max_age_seconds)
        && max_age < refresh
        && let Some(at) = at.get("mirror_max_age").or_else(|| at.get("refresh"))
    {
        let message =
            "`mirror_max_age` is shorter than `refresh`: every reading would be too old before the next";
        out.push(
            Diagnostic::error(Code::OutOfRange, at.span(), at.path.as_str(), message)
                .help("write a `mirror_max_age` of several times `refresh`"),
        );
    }
    let word = |key: &str| at.get(key).and_then(|at| at.text());
    Some(Mirrored {
        auth: auth?,
        refresh_seconds: refresh_seconds?,
        max_age_seconds: max_age_seconds?,
        asks_unknown: word("unknown_tokens") != Some("refuse"),
        restricts_browsers: word("browsers") == Some("network"),
    })
}

/// A path prefix: plain segments, as no two servers read differently.
fn path(at: &At<'_>, out: &mut Diagnostics) -> Option<String> {
    let text = at.text()?;
    let is_plain = |segment: &str| {
        let plain = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        plain && !["", ".", ".."].contains(&segment)
    };
    let rest = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    if let Some(rest) = rest.filter(|rest| rest.split('/').all(is_plain)) {
        return Some(format!("/{rest}"));
    }
    let message = format!("`{text}` is not a path prefix");
    out.push(
        Diagnostic::error(Code::BadPath, at.span(), at.path.as_str(), message).help("write e.g. `/scm`"),
    );
    None
}

fn is_interval(at: &At<'_>) -> bool {
    at.path.strip_prefix("upstream.").is_some_and(|key| INTERVALS.contains(&key))
}

/// The seconds of a short length of time such as `30s`, `5m` or `1h`; `default` when there is none.
fn interval(parent: &At<'_>, key: &str, default: u32, out: &mut Diagnostics) -> Option<u32> {
    let Some(at) = parent.get(key) else { return Some(default) };
    let written = match &at.node.value {
        Value::Text(text) => text,
        Value::Number { written, .. } => written,
        _ => return None,
    };
    let seconds = seconds(written);
    if seconds.is_none() {
        let message = format!("`{written}` is not a duration from `1s` to `24h`");
        out.push(
            Diagnostic::error(Code::BadDuration, at.span(), at.path.as_str(), message)
                .help("use a whole number and a unit (s, m, h), e.g. `30s`"),
        );
    }
    seconds
}

fn seconds(written: &str) -> Option<u32> {
    let unit = match written.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let digits = written.get(..written.len() - 1)?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let seconds = digits.parse::<u32>().ok().filter(|_| is_plain)?.checked_mul(unit)?;
    (1..=24 * 3600).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> GatewayReading {
        read(&Arc::from("gateway.yaml"), text.as_bytes())
    }

    #[test]
    fn a_short_length_of_time_has_a_unit() {
        assert_eq!([seconds("30s"), seconds("5m"), seconds("24h")], [Some(30), Some(300), Some(86_400)]);
        for bad in ["", "s", "5", "0s", "05m", "-1m", "1.5h", "25h", "5 m", "5d", "99999999999h", "ä"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_gateway_of_few_words_has_the_usual_values_for_the_rest() {
        let text = "version: 1\nstore: sqlite:gateway.db\nupstream:\n  url: http://127.0.0.1:7990/bitbucket\n  \
                    auth: { user: warden, password_env: BITBUCKET_PASSWORD }\n";
        let GatewayReading { config, diagnostics, .. } = reading(text);
        let config = config.unwrap_or_else(|| panic!("{diagnostics:?}"));
        assert_eq!((config.store, config.listen, config.tls), ("gateway.db".into(), None, None));
        let upstream = config.upstream.unwrap();
        assert_eq!(
            (upstream.git_prefix.as_str(), upstream.idle_seconds, upstream.connections),
            ("/scm", 60, 512)
        );
        let UpstreamKind::Bitbucket(mirrored) = upstream.kind else { panic!("{:?}", upstream.kind) };
        assert_eq!(mirrored, Mirrored::new(mirrored.auth.clone()));
        assert_eq!((mirrored.refresh_seconds, mirrored.max_age_seconds), (300, 900));
    }

    #[test]
    fn every_mistake_is_told_at_once_and_with_its_place() {
        let text = "version: 1\nlisten: 0.0.0.0:8443\nstore: gateway.db\nupstream:\n  url: bitbucket\n  refresh: 5\n  \
                    mirror_max_age: 1d\n  idle_timeout: soon\n  git_prefix: scm/../x\n  browser: pass\nauthz:\n  \
                    peers: [10.0.0.1/8, here]\n";
        let GatewayReading { config, diagnostics, .. } = reading(text);
        assert_eq!(config, None);
        let found: Vec<(u32, String)> =
            diagnostics.iter().map(|found| (found.span.place.line, found.code.to_string())).collect();
        let expected = [
            (2, "unencrypted-url"),
            (3, "bad-url"),
            (4, "missing-key"),
            (5, "bad-url"),
            (6, "bad-duration"),
            (7, "bad-duration"),
            (8, "bad-duration"),
            (9, "bad-path"),
            (10, "unknown-key"),
            (12, "bad-network"),
            (12, "bad-network"),
        ];
        assert_eq!(found, expected.map(|(line, code)| (line, code.to_owned())));
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_shown() {
        let text = "version: 1\nstore: sqlite:a\nupstream:\n  url: http://127.0.0.1\n  auth: { user: warden, \
                    password: hunter2 }\n";
        let GatewayReading { config, diagnostics, sources } = reading(text);
        assert_eq!(config, None);
        assert!(diagnostics.iter().any(|found| found.code == Code::LiteralSecret), "{diagnostics:?}");
        assert!(!format!("{diagnostics:?}{sources:?}").contains("hunter2"));
    }

    #[test]
    fn an_upstream_takes_a_credential_and_times_that_can_hold() {
        let of = |rest: &str| {
            let text = format!("version: 1\nstore: sqlite:a\nupstream:\n  url: http://127.0.0.1\n{rest}");
            reading(&text).diagnostics.iter().map(|found| found.code).collect::<Vec<_>>()
        };
        assert_eq!(of(""), [Code::MissingKey]);
        let auth = "  auth: { bearer_env: X }\n";
        assert_eq!(of(&format!("{auth}  kind: jira\n")), [Code::UnknownWord]);
        assert_eq!(of(&format!("{auth}  refresh: 20m\n")), [Code::OutOfRange]);
        assert_eq!(of(&format!("{auth}  refresh: 20m\n  mirror_max_age: 1h\n")), []);
        assert_eq!(of(&format!("{auth}  header: X-User\n")), [Code::ConflictingKeys]);
        assert_eq!(of("  kind: header\n"), []);
        assert_eq!(of("  kind: header\n  header: REMOTE_USER\n"), []);
        for bad in
            ["X_Forwarded-For", "Authorization", "proxy-authorization", "Host", "a b", "''", "x.request.id"]
        {
            assert_eq!(of(&format!("  kind: header\n  header: {bad}\n")), [Code::BadHeader], "{bad}");
        }
        let keys = "  refresh: 5m\n  browsers: pass\n  unknown_tokens: ask\n";
        assert_eq!(of(&format!("  kind: header\n{keys}{auth}")), [Code::ConflictingKeys; 4]);
    }
}
