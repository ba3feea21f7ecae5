//! How one target is reached, read from its keys in the config file, with the mistakes in them.

use std::num::NonZeroU32;

use url::Url;

use crate::{
    model::{
        OwnerKind,
        address_credential::is_server,
        is_loopback,
        mapping::Product,
        network::{self, BadRange},
        variable::is_variable_name,
    },
    yaml::{Code, Diagnostic, Diagnostics, node::At, structure::quoted_list, values},
};

use super::{Auth, Connection, Endpoint, mapping, secrets};

/// The keys of each kind beside those of every target.
const KEYS_OF_KINDS: [(&str, &[&str]); 4] = [
    ("gateway", &["url", "auth", "tls_ca", "timeout_seconds"]),
    ("embedded", &["store", "directory", "seed"]),
    ("resolution", &["url", "auth", "tls_ca", "timeout_seconds", "product", "settings", "self"]),
    ("bitbucket", &["url", "auth", "tls_ca", "timeout_seconds", "areas", "projects", "self", "gateway"]),
];

/// How `target` is reached; `None` when that cannot be read.
pub(super) fn connection(target: &At<'_>, out: &mut Diagnostics) -> Option<Connection> {
    // Checked whatever the kind: an unknown kind hides no secret in them.
    let url = target.get("url").and_then(|at| base_url(&at, out));
    let auth = target.get("auth").and_then(|at| authentication(&at, out));
    let kind = target.get("kind")?.text()?;
    let (_, own) = KEYS_OF_KINDS.into_iter().find(|(known, _)| *known == kind)?;
    report_foreign_keys(target, kind, own, out);
    if kind == "embedded" {
        return embedded(target, out);
    }
    report_missing(target, kind, out);
    let timeout_seconds =
        target.get("timeout_seconds").and_then(|at| values::whole_number(&at, out)).and_then(NonZeroU32::new);
    let tls_ca = owned(target, "tls_ca");
    let server = url.zip(auth).map(|(url, auth)| Endpoint { url, auth, tls_ca, timeout_seconds });
    let connection = match kind {
        "gateway" => Connection::Gateway(server?),
        "resolution" => {
            let settings = target.get("settings").and_then(|at| mapping::mapping(&at, out));
            Connection::Resolution { server: server?, product: product(target), settings }
        }
        _ => {
            let areas = areas(target, out);
            let projects = list(target, "projects", out).into_iter().map(str::to_owned).collect();
            let gateway = target.get("gateway").map(|at| gateway(&at, out));
            Connection::Bitbucket {
                server: server?,
                areas,
                projects,
                gateway: gateway.map_or(Some(None), |read| read.map(Some))?,
            }
        }
    };
    Some(connection)
}

/// Our gateway in front of a target; `None` when it cannot be read.
fn gateway(at: &At<'_>, out: &mut Diagnostics) -> Option<Endpoint> {
    let url = at.get("url").and_then(|at| base_url(&at, out));
    let auth = at.get("auth").and_then(|at| authentication(&at, out));
    let timeout_seconds =
        at.get("timeout_seconds").and_then(|at| values::whole_number(&at, out)).and_then(NonZeroU32::new);
    Some(Endpoint { url: url?, auth: auth?, tls_ca: owned(at, "tls_ca"), timeout_seconds })
}

fn report_foreign_keys(target: &At<'_>, kind: &str, own: &[&str], out: &mut Diagnostics) {
    let of_other_kinds = |key: &str| KEYS_OF_KINDS.iter().any(|(_, keys)| keys.contains(&key));
    for (key, at) in target.entries().filter(|(key, _)| !own.contains(key) && of_other_kinds(key)) {
        let message = format!("`{key}` cannot be used with `kind: {kind}`");
        let help =
            format!("remove it; besides the keys of every target, this kind takes {}", quoted_list(own));
        out.push(Diagnostic::error(Code::KeyNotForKind, at.key, at.path, message).help(help));
    }
}

fn missing(target: &At<'_>, kind: &str, key: &str, example: &str) -> Diagnostic {
    let message = format!("a target of `kind: {kind}` needs the key `{key}`");
    Diagnostic::error(Code::MissingKey, target.key, target.path.as_str(), message)
        .help(format!("add `{key}: {example}`"))
}

fn owned(target: &At<'_>, key: &str) -> Option<String> {
    target.get(key)?.text().map(str::to_owned)
}

fn list<'a>(target: &At<'a>, key: &str, out: &mut Diagnostics) -> Vec<&'a str> {
    let Some(at) = target.get(key) else {
        return Vec::new();
    };
    values::refuse_empty(&at, key, out);
    values::names(&at, Code::DuplicateEntry, values::without_case, out)
}

/// The kinds of owner whose tokens the areas hold.
fn areas(target: &At<'_>, out: &mut Diagnostics) -> Vec<OwnerKind> {
    let texts = target.get("areas").into_iter().flat_map(|at| at.texts().collect::<Vec<_>>());
    for (text, at) in texts.filter(|(_, at)| is_owner_kind_as_area(at)) {
        let message = format!("`{text}` is a kind of owner, not an area");
        out.push(
            Diagnostic::error(Code::UnknownWord, at.span(), at.path.as_str(), message)
                .help("write `personal` for the tokens of users")
                .replace_by("personal"),
        );
    }
    let area = |word| match word {
        "personal" => Some(OwnerKind::User),
        "project" => Some(OwnerKind::Project),
        "repository" => Some(OwnerKind::Repository),
        _ => None,
    };
    list(target, "areas", out).into_iter().filter_map(area).collect()
}

/// Whether `user` is at `at`, in place of an area: policies have that word for the owners of
/// personal tokens.
pub(super) fn is_owner_kind_as_area(at: &At<'_>) -> bool {
    at.path.contains(".areas[") && at.text() == Some(OwnerKind::User.word())
}

fn product(target: &At<'_>) -> Product {
    match target.get("product").and_then(|at| at.text()) {
        Some("jira") => Product::Jira,
        Some("confluence") => Product::Confluence,
        _ => Product::Bitbucket,
    }
}

fn embedded(target: &At<'_>, out: &mut Diagnostics) -> Option<Connection> {
    if target.get("store").is_none() {
        out.push(missing(target, "embedded", "store", "tokenwarden.db"));
    }
    if let Some(at) = target.get("store").filter(|at| at.text().is_some_and(is_server)) {
        let message = "the store of an embedded target is a file, not a server";
        out.push(
            Diagnostic::error(Code::BadUrl, at.span(), at.path.as_str(), message)
                .help("write the path of a file, such as `tokenwarden.db`"),
        );
    }
    Some(Connection::Embedded {
        store: owned(target, "store")?,
        directory: owned(target, "directory"),
        seed: owned(target, "seed"),
    })
}

fn report_missing(target: &At<'_>, kind: &str, out: &mut Diagnostics) {
    for (key, example) in
        [("url", "https://bitbucket.example.com"), ("auth", "{ bearer_env: TOKENWARDEN_TOKEN }")]
    {
        if target.get(key).is_none() {
            out.push(missing(target, kind, key, example));
        }
    }
}

/// A base address: `http` or `https`, a host, no credentials, no query.
pub(super) fn base_url(at: &At<'_>, out: &mut Diagnostics) -> Option<String> {
    let text = at.text()?;
    let mistake = |code, message: &str| Diagnostic::error(code, at.span(), at.path.as_str(), message);
    let behind_scheme = text.split_once("//").map_or(text, |(_, rest)| rest);
    if text.contains(['@', '\u{ff20}']) || authority(behind_scheme).contains('%') {
        out.push(
            mistake(Code::LiteralSecret, "the address holds credentials")
                .help("remove them, and name their environment variable in `auth`"),
        );
        return None;
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let problem = match rest {
        None => "it does not begin with `https://` or `http://`",
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':']) => "it has no host",
        Some(rest) if rest.contains(['?', '#']) => "it has a query or a fragment",
        Some(rest) if rest.chars().any(|c| c.is_whitespace() || c.is_control()) => "it has white space",
        Some(_) if Url::parse(text).is_err() => "its host or port cannot be read",
        Some(rest) => {
            if let Err(BadRange::LeadingZero(zero)) = network::address(host(rest)) {
                out.push(mistake(Code::BadUrl, &format!("the host of `{text}`: {zero}")));
                return None;
            }
            if text.starts_with("http://") && !is_loopback(text) {
                out.push(unencrypted(at));
            }
            return Some(text.trim_end_matches('/').to_owned());
        }
    };
    let message = format!("`{text}` is not the URL of a server: {problem}");
    out.push(mistake(Code::BadUrl, &message).help("write a URL, e.g. `https://bitbucket.example.com`"));
    None
}

/// The host and port in what follows the scheme of an address.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The host in what follows the scheme of an address, an address of IPv6 without its brackets.
fn host(rest: &str) -> &str {
    let authority = authority(rest);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
    authority.strip_prefix('[').and_then(|v6| v6.split(']').next()).unwrap_or(host)
}

fn unencrypted(at: &At<'_>) -> Diagnostic {
    let message = "the credential is sent over the network unencrypted";
    Diagnostic::warning(Code::UnencryptedUrl, at.span(), at.path.as_str(), message).help("use https")
}

/// The keys of which `auth` has exactly one.
const WAYS: [&str; 5] = ["password_env", "token_env", "bearer_env", "bearer_file", "command"];

pub(super) fn authentication(at: &At<'_>, out: &mut Diagnostics) -> Option<Auth> {
    let ways: Vec<(&str, At<'_>)> = WAYS.iter().filter_map(|way| Some((*way, at.get(way)?))).collect();
    let user = at.get("user");
    let [(way, value)] = ways.as_slice() else {
        // A secret written out was reported, with the key to write instead.
        if !at.entries().any(|(key, _)| secrets::instead_of(key).is_some()) && at.is_map() {
            out.push(not_one_way(at, &ways));
        }
        return None;
    };
    if let Some(user) = user.as_ref().filter(|_| !matches!(*way, "password_env" | "token_env")) {
        let message = format!("`user` cannot be used with `{way}`");
        out.push(
            Diagnostic::error(Code::ConflictingKeys, user.key, user.path.as_str(), message)
                .help("remove `user`"),
        );
    }
    let user = user.and_then(|at| at.text().map(str::to_owned));
    match *way {
        "password_env" => {
            if at.get("user").is_none() {
                let message = "`password_env` needs the key `user`";
                out.push(
                    Diagnostic::error(Code::MissingKey, value.key, at.path.as_str(), message)
                        .help("add `user:` with the name of the user"),
                );
            }
            Some(Auth::Password { password_env: variable(value, out)?, user: user? })
        }
        "token_env" => Some(Auth::Token { token_env: variable(value, out)?, user }),
        "bearer_env" => Some(Auth::BearerVariable(variable(value, out)?)),
        "bearer_file" => Some(Auth::BearerFile(value.text()?.to_owned())),
        _ => {
            if value.is_empty_list() {
                let help =
                    "list the program and its arguments, such as `[vault, read, -field=token, secret/x]`";
                out.push(values::empty_list(value, Code::EmptyList, "command", help));
            }
            Some(Auth::Command(value.texts().map(|(text, _)| text.to_owned()).collect()))
        }
    }
}

fn not_one_way(at: &At<'_>, ways: &[(&str, At<'_>)]) -> Diagnostic {
    let help = format!("write exactly one of {}", quoted_list(&WAYS));
    if let [(first, first_at), (second, second_at), ..] = ways {
        let message = format!("`{second}` cannot be used with `{first}`");
        return Diagnostic::error(Code::ConflictingKeys, second_at.key, second_at.path.as_str(), message)
            .help(help)
            .relate(first_at.key, "the other key");
    }
    let message = "no credential source is configured";
    Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message).help(help)
}

/// The name of an environment variable. What is none is not shown: it may be the secret itself.
pub(super) fn variable(at: &At<'_>, out: &mut Diagnostics) -> Option<String> {
    let name = at.text()?;
    if is_variable_name(name) {
        return Some(name.to_owned());
    }
    let message = "invalid name of an environment variable";
    out.push(
        Diagnostic::error(Code::BadVariableName, at.span(), at.path.as_str(), message)
            .help("write the name of the variable that holds the secret, such as `BITBUCKET_PASSWORD`"),
    );
    None
}
