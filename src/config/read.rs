//! The valid [`Config`] from the bytes of the config file, or every mistake in it. Texts that are shown
//! have every secret masked.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use crate::{
    model::{
        TokenId, UserName,
        rails::{Lockout, RailClass, Rails, Unsupported},
    },
    yaml::{
        Code, Diagnostic, Diagnostics, Sources, Span,
        node::{At, Node},
        source,
        structure::{OwnWords, Structure},
        values,
    },
};

use super::{Config, Journal, LayerPath, Ourselves, TargetDeclaration, connection, document, secrets, twins};

/// The result of reading a config file.
#[derive(Clone, Debug)]
pub struct ConfigReading {
    /// The config; `None` when there is an error.
    pub config: Option<Config>,
    /// The layers of each target, also when there is an error elsewhere, so that they can be checked.
    pub policies: Vec<Vec<LayerPath>>,
    /// Every mistake, and every warning.
    pub diagnostics: Diagnostics,
    /// The text that the diagnostics point into, with secrets masked.
    pub sources: Sources,
}

/// Reads `bytes`, the content of the config file that people know as `path`.
#[must_use]
pub fn read(path: &Arc<str>, bytes: &[u8]) -> ConfigReading {
    let source::ParsedFile { text, root, mut diagnostics } = source::parse(path, bytes);
    let shown = text.map(|text| secrets::masked(&text, root.as_ref(), &KEYS));
    let mut policies = Vec::new();
    let config = root.map(|root| {
        STRUCTURE.check(&root, &mut diagnostics);
        let config = config(&root, &mut policies, &mut diagnostics);
        secrets::hide(&root, &mut diagnostics);
        config
    });
    ConfigReading {
        config: config.filter(|_| !diagnostics.have_errors()),
        policies,
        diagnostics,
        sources: shown.map(|text| (Arc::clone(path), Arc::from(text))).into_iter().collect(),
    }
}

static STRUCTURE: Structure = Structure::new(
    include_str!("../../schema/settings.schema.json"),
    document::schema,
    OwnWords { unknown_key, has_meaning, is_secret, has_blanks },
);

static KEYS: LazyLock<HashSet<String>> = LazyLock::new(|| STRUCTURE.keys());

/// Whether [`config`] says more of a wrong word or number here.
fn has_meaning(at: &At<'_>) -> bool {
    values::is_period(at) || connection::is_owner_kind_as_area(at)
}

/// A secret itself where the name of a variable should be.
fn unknown_key(parent: &At<'_>, key: &str, span: &Span) -> Option<Diagnostic> {
    secrets::unknown_key(
        parent,
        (key, span),
        &KEYS,
        ("config file", |instead| {
            format!("`auth: {{ {}{instead}: NAME_OF_THE_VARIABLE }}`", user_with(instead))
        }),
    )
}

/// What `auth` takes beside the key `way`.
fn user_with(way: &str) -> &'static str {
    if way == "password_env" { "user: NAME_OF_THE_USER, " } else { "" }
}

/// Whether a wrong value may be a secret and is better not shown.
fn is_secret(at: &At<'_>) -> bool {
    secrets::is_masked(at, &KEYS)
}

/// An argument of a command.
fn has_blanks(at: &At<'_>) -> bool {
    at.path.contains(".auth.command[")
}

fn config(root: &Node, policies: &mut Vec<Vec<LayerPath>>, out: &mut Diagnostics) -> Config {
    let root = At::root(root);
    let targets_at = root.get("targets");
    let mut targets = Vec::new();
    for (name, at) in targets_at.iter().flat_map(At::entries) {
        let policy = at.get("policy").map(|at| layers(&at, out)).unwrap_or_default();
        policies.push(policy.clone());
        targets.extend(target(name, &at, policy, out).map(|target| (target, at)));
    }
    twins::report(&targets, out);
    Config {
        journal: root.get("journal").and_then(|at| journal(&at, out)),
        mark_key_env: root.get("mark_key_env").and_then(|at| connection::variable(&at, out)),
        targets: targets.into_iter().map(|(target, _)| target).collect(),
    }
}

fn journal(at: &At<'_>, out: &mut Diagnostics) -> Option<Journal> {
    let window = at.get("window").map_or(Some(Journal::DEFAULT_WINDOW), |at| values::period(&at, out));
    let directory = at.get("directory").and_then(|at| at.text().map(str::to_owned));
    Some(Journal { directory, window: window? })
}

fn target(
    name: &str,
    at: &At<'_>,
    policy: Vec<LayerPath>,
    out: &mut Diagnostics,
) -> Option<TargetDeclaration> {
    check_name(name, at, out);
    let lockout = at.get("lockout").map(|at| lockout(&at, out)).unwrap_or_default();
    let unsupported = match at.get("unsupported").and_then(|at| at.text()) {
        Some("warn") => Unsupported::Warn,
        _ => Unsupported::Error,
    };
    Some(TargetDeclaration {
        name: name.to_owned(),
        place: at.key.place.clone(),
        connection: connection::connection(at, out)?,
        policy,
        unsupported,
        rails: at.get("rails").map(|at| rails(&at, out)).unwrap_or_default(),
        lockout,
        ourselves: at.get("self").map(|at| ourselves(&at, out)).unwrap_or_default(),
    })
}

/// The name of a target is in addresses, on the command line and in reports.
fn check_name(name: &str, at: &At<'_>, out: &mut Diagnostics) {
    let fits = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits {
        let message = format!("`{name}` is not a valid target name");
        out.push(
            Diagnostic::error(Code::BadTargetName, at.key, at.path.as_str(), message)
                .help("use up to 64 letters, digits, `-`, `_` and `.`, starting with a letter or digit"),
        );
    }
}

fn layers(at: &At<'_>, out: &mut Diagnostics) -> Vec<LayerPath> {
    if at.is_empty_list() {
        let message = "the list of policy layers is empty";
        out.push(
            Diagnostic::error(Code::EmptyList, at.span(), at.path.as_str(), message)
                .help("list at least one file, such as `policy/base.yaml`"),
        );
    }
    values::names(at, Code::DuplicateEntry, str::to_owned, out);
    at.texts()
        .filter(|(text, item)| stays_inside(text, item, out))
        .map(|(text, item)| LayerPath {
            path: text.to_owned(),
            span: item.span().clone(),
            key: item.path.into(),
        })
        .collect()
}

/// Whether the words of a path stay in the folder of the config file; reports it when they do not.
fn stays_inside(path: &str, at: &At<'_>, out: &mut Diagnostics) -> bool {
    let absolute = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
    let message = if absolute {
        format!("`{path}` is an absolute path")
    } else if path.split(['/', '\\']).any(|part| part == "..") {
        format!("`{path}` is outside the folder of the config file")
    } else {
        return true;
    };
    out.push(
        Diagnostic::error(Code::PathOutside, at.span(), at.path.as_str(), message)
            .help("write a path below the folder of the config file, without `..`"),
    );
    false
}

fn lockout(at: &At<'_>, out: &mut Diagnostics) -> Lockout {
    let default = Lockout::default();
    let break_glass = at.get("break_glass").map(|at| {
        values::refuse_empty(&at, "break_glass", out);
        values::names(&at, Code::DuplicateEntry, values::without_case, out)
            .into_iter()
            .map(UserName::new)
            .collect()
    });
    Lockout {
        break_glass: break_glass.unwrap_or(default.break_glass),
        min_admins: at
            .get("min_admins")
            .and_then(|at| values::whole_number(&at, out))
            .map_or(default.min_admins, u64::from),
        horizon: at.get("horizon").and_then(|at| values::period(&at, out)).unwrap_or(default.horizon),
    }
}

fn ourselves(at: &At<'_>, out: &mut Diagnostics) -> Ourselves {
    let help = "write the address that the server sees, such as `192.0.2.9`";
    let address = at.get("address").and_then(|at| values::address(&at, Code::BadNetwork, help, out));
    Ourselves { token_id: at.get("token_id").and_then(|at| at.text().map(TokenId::new)), address }
}

fn rails(at: &At<'_>, out: &mut Diagnostics) -> Rails {
    let mut rails = Rails::default();
    for class in RailClass::ALL {
        if let Some(at) = at.get(class.key()) {
            let mut number = |key: &str| at.get(key).and_then(|at| values::whole_number(&at, out));
            let mut rail = class.default_rail();
            rail.amount = number("amount").map_or(rail.amount, u64::from);
            let percent = number("percent").and_then(|percent| u8::try_from(percent).ok());
            rail.percent = percent.unwrap_or(rail.percent);
            rail.floor = number("floor").map_or(rail.floor, u64::from);
            rails.set(class, rail);
        }
    }
    rails
}
