//! In: the tree of one layer or of all layers merged. Out: what it means as a [`Policy`], and every
//! mistake of meaning. It refuses to know structure: a value of the wrong type was reported before
//! and is passed over here, so that it hides no mistake elsewhere.

mod enforcement;
mod limits;
mod network;
mod passwords;
mod permissions;
mod rules;
pub(crate) mod waivers;

pub(super) use network::address;

use std::collections::BTreeMap;

use crate::model::{Period, lifetime::BadPeriod, network::LeadingZero};

use super::{
    Code, Diagnostic, Diagnostics, Managed, Policy, Sourced,
    node::{At, Node, Value},
};

/// How much of the policy the tree holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One layer of several: keys that belong together may stand in another one.
    Layer,
    /// All of it.
    Whole,
}

/// What the tree means. The answer counts only when no error was found in it.
pub(crate) fn policy(root: &Node, extent: Extent, out: &mut Diagnostics) -> Policy {
    let root_at = At::root(root);
    let network = root_at.get("network");
    let tokens = root_at.get("tokens");
    let (networks, network_names) = network::allowed(network.as_ref(), out);
    let (rules, known) = rules::entries(tokens.as_ref(), out);
    let policy = Policy {
        permissions: permissions::holders(&root_at, out),
        networks,
        network_names,
        client_address: network::client_address(network.as_ref(), extent, out),
        password_authentication: passwords::authentication(&root_at, extent, out),
        limits: limits::entries(tokens.as_ref(), out),
        enforcement: enforcement::actions(tokens.as_ref(), &known, extent, out),
        waivers: waivers::entries(&root_at, &known, extent, out),
        rules,
        canonical: root.canonical(),
    };
    if extent == Extent::Whole {
        limits::warn_of_useless_grants(&policy, &root_at, out);
    }
    policy
}

/// `value` with the place of the key that it belongs to.
fn sourced<T>(at: &At<'_>, value: T) -> Sourced<T> {
    Sourced { value, place: at.key.place.clone() }
}

/// The value of a managed key, when it could be read.
fn managed<T>(at: &At<'_>, value: Option<T>) -> Managed<T> {
    value.map_or(Managed::Unmanaged, |value| Managed::Set(sourced(at, value)))
}

/// Whether a length of time stands at `at`, by its key.
pub(super) fn is_period(at: &At<'_>) -> bool {
    let keys = ["max_lifetime", "max_idle", "max_unused", "grace", "window", "horizon"];
    at.path == "waivers_warn"
        || keys.iter().any(|key| at.path.strip_suffix(key).is_some_and(|parent| parent.ends_with('.')))
}

/// A length of time; nothing when there is none that can be read, which is reported, a number
/// without its unit too.
pub(super) fn period(at: &At<'_>, out: &mut Diagnostics) -> Option<Period> {
    let written = match &at.node.value {
        Value::Text(text) => text,
        Value::Number { written, .. } => written,
        _ => return None,
    };
    match written.parse() {
        Ok(period) => Some(period),
        Err(error) => {
            let bad = Diagnostic::error(Code::BadDuration, at.mark(), at.path.as_str(), error.to_string());
            out.push(match error {
                BadPeriod::LeadingZero(LeadingZero { decimal, octal: None, .. }) => bad.replace_by(decimal),
                _ => bad,
            });
            None
        }
    }
}

/// A whole number; nothing when there is none that can be read. Reports the numbers that the
/// structure lets pass: JSON schema takes `1.0` for a whole number, and knows no largest one.
pub(super) fn whole_number(at: &At<'_>, out: &mut Diagnostics) -> Option<u32> {
    let Value::Number { number, written } = &at.node.value else {
        return None;
    };
    let whole = number.as_u64().and_then(|number| u32::try_from(number).ok());
    let passed = number.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0);
    if whole.is_none() && passed {
        let message = format!("`{written}` is no whole number of at most {}", u32::MAX);
        out.push(Diagnostic::error(Code::OutOfRange, at.mark(), at.path.as_str(), message));
    }
    whole
}

/// The entries of a list that grows with every layer, each with the path that it has in its own file.
fn items_in_their_files<'a>(at: &At<'a>) -> Vec<At<'a>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let own_path = |item: At<'a>| {
        let count = counts.entry(&item.node.mark.place.file).or_default();
        let path = format!("{}[{count}]", at.path);
        *count += 1;
        At { path, ..item }
    };
    at.items().map(own_path).collect::<Vec<_>>().into_iter().filter(At::is_map).collect()
}

/// How names compare: without regard to case, as every directory behind Bitbucket does.
pub(super) fn without_case(name: &str) -> String {
    name.to_lowercase()
}

/// A text with a character.
pub(super) fn said(at: &At<'_>, out: &mut Diagnostics) -> Option<String> {
    let text = at.text()?;
    if text.trim().is_empty() {
        let message = "a text without a character";
        out.push(Diagnostic::error(Code::BlankName, at.mark(), at.path.as_str(), message));
        return None;
    }
    Some(text.to_owned())
}

/// The texts of the list `at`, each of which must have a character and stand there once, by its
/// form under `same`.
pub(super) fn names<'a>(
    at: &At<'a>,
    twice: Code,
    same: fn(&str) -> String,
    out: &mut Diagnostics,
) -> Vec<&'a str> {
    let mut seen: BTreeMap<String, At<'a>> = BTreeMap::new();
    let mut names = Vec::new();
    for (name, item) in at.texts() {
        if name.trim().is_empty() {
            let message = "a name without a character";
            out.push(Diagnostic::error(Code::BlankName, item.mark(), item.path.as_str(), message));
        } else if let Some(first) = seen.get(&same(name)) {
            let message = format!("`{name}` stands here for the second time");
            out.push(
                Diagnostic::error(twice, item.mark(), item.path.as_str(), message)
                    .help("remove one of the two")
                    .relate(first.mark(), "the first time"),
            );
        } else {
            seen.insert(same(name), item);
            names.push(name);
        }
    }
    names
}

/// Reports the list of `key` when it is empty; it is one that can be left out.
pub(super) fn refuse_empty(at: &At<'_>, key: &str, out: &mut Diagnostics) {
    if at.is_empty_list() {
        out.push(empty_list(at, Code::EmptyList, key, &format!("leave `{key}` out")));
    }
}

/// Reports that the list `at` is empty.
fn empty_list(at: &At<'_>, code: Code, what: &str, help: &str) -> Diagnostic {
    Diagnostic::error(code, at.mark(), at.path.as_str(), format!("the list of {what} is empty")).help(help)
}
