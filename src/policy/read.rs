//! The valid [`Policy`] that policy files make together, or every mistake in them.

use std::sync::{Arc, LazyLock, OnceLock};

use jiff::Timestamp;

use crate::yaml::{
    Code, Diagnostic, Diagnostics, Sources, Span,
    masking::Keys,
    node::{At, Node, key_path},
    source,
    structure::{OwnWords, Structure},
    values,
};

use super::{
    Policy, Waivers, document,
    layer::{merge, un_sets},
    validate::{self, Extent},
};

/// One policy file, read and checked by itself.
pub struct Layer {
    path: Arc<str>,
    text: Option<Arc<str>>,
    root: Option<Node>,
    /// What is wrong with it as a document.
    diagnostics: Diagnostics,
    meaning: OnceLock<Meaning>,
}

/// What one layer means.
struct Meaning {
    policy: Policy,
    diagnostics: Diagnostics,
}

impl Layer {
    /// Reads `bytes`, the content of the file that people know as `path`. Never fails: what is wrong
    /// comes out of [`read_layers`].
    #[must_use]
    pub fn read(path: Arc<str>, bytes: &[u8]) -> Self {
        let source::ParsedFile { text, root, mut diagnostics } = source::parse(&path, bytes);
        if let Some(root) = &root {
            STRUCTURE.check(root, &mut diagnostics);
        }
        let text = text.map(|text| KEYS.masked(text, root.as_ref(), &diagnostics));
        Self { path, text: text.map(Arc::from), root, diagnostics, meaning: OnceLock::new() }
    }

    /// What is wrong with this file whatever the other layers say; never a policy.
    #[must_use]
    pub fn by_itself(&self) -> Reading {
        let Meaning { policy, diagnostics } = self.meaning();
        let mut all = self.diagnostics.clone();
        all.append(diagnostics.clone());
        Reading { policy: None, diagnostics: all, sources: self.sources(), waivers: policy.waivers.clone() }
    }

    fn meaning(&self) -> &Meaning {
        self.meaning.get_or_init(|| {
            let mut diagnostics = Diagnostics::default();
            let root = self.root.as_ref();
            let policy = root.map(|root| validate::policy(root, Extent::Layer, &[], &mut diagnostics));
            Meaning { policy: policy.unwrap_or_default(), diagnostics }
        })
    }

    fn sources(&self) -> Sources {
        let text = self.text.clone().map(|text| (Arc::clone(&self.path), text));
        text.into_iter().collect()
    }
}

/// The result of reading.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The policy; `None` when there is an error.
    pub policy: Option<Policy>,
    /// Every mistake, and every warning.
    pub diagnostics: Diagnostics,
    /// The texts that the diagnostics point into.
    pub sources: Sources,
    /// The waivers that could be read, also beside errors.
    waivers: Waivers,
}

impl Reading {
    /// The same, judged at the moment `now`: a waiver that ended before it is an error, and there is no
    /// policy then; one that ends soon is a warning.
    #[must_use]
    pub fn judged_at(mut self, now: Timestamp) -> Self {
        validate::waivers::judge(&self.waivers, now, &mut self.diagnostics);
        self.policy = self.policy.filter(|_| !self.diagnostics.have_errors());
        self
    }
}

/// Reads the policy that the files `(path, content)` make together; later ones override earlier
/// ones.
#[must_use]
pub fn read(files: &[(Arc<str>, Vec<u8>)]) -> Reading {
    let layers: Vec<Layer> = files.iter().map(|(path, bytes)| Layer::read(Arc::clone(path), bytes)).collect();
    read_layers(&layers.iter().collect::<Vec<_>>())
}

/// The policy that `layers` make together; later ones override earlier ones. Without a layer
/// nothing is managed.
#[must_use]
pub fn read_layers(layers: &[&Layer]) -> Reading {
    if let [layer] = layers
        && let Some(root) = &layer.root
        && !un_sets(root)
    {
        return read_whole(layer, root);
    }
    read_merged(layers)
}

/// The policy of one layer that is all of it, in its tree `root`. What is said of a layer by itself is also said of it
/// as the whole policy, so it is looked at once.
fn read_whole(layer: &Layer, root: &Node) -> Reading {
    let mut diagnostics = layer.diagnostics.clone();
    let policy = validate::policy(root, Extent::Whole, &[], &mut diagnostics);
    reading(Some(policy), diagnostics, layer.sources())
}

fn read_merged(layers: &[&Layer]) -> Reading {
    let mut diagnostics = Diagnostics::default();
    let mut sources = Sources::new();
    for reading in layers.iter().map(|layer| layer.by_itself()) {
        diagnostics.append(reading.diagnostics);
        sources.extend(reading.sources);
    }
    let roots: Option<Vec<Node>> = layers.iter().map(|layer| layer.root.clone()).collect();
    let read: Vec<_> = layers.iter().flat_map(|layer| &layer.meaning().policy.rules).collect();
    // A layer that could not be read could hold anything: what all say together is unknown.
    let policy = roots.map(|roots| {
        let whole = |root| validate::policy(&root, Extent::Whole, &read, &mut diagnostics);
        merge(roots).map_or_else(Policy::default, whole)
    });
    reading(policy, diagnostics, sources)
}

fn reading(policy: Option<Policy>, diagnostics: Diagnostics, sources: Sources) -> Reading {
    let waivers = policy.as_ref().map(|policy| policy.waivers.clone()).unwrap_or_default();
    Reading { policy: policy.filter(|_| !diagnostics.have_errors()), diagnostics, sources, waivers }
}

static STRUCTURE: Structure = Structure::new(
    include_str!("../../schema/policy.schema.json"),
    document::schema,
    OwnWords { unknown_key, has_meaning, is_secret, has_blanks },
);

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys { known: STRUCTURE.keys(), of_names: &["enforcement"] });

/// Whether a value is none of a policy, but of another file that was taken for one.
fn is_secret(at: &At<'_>) -> bool {
    KEYS.are_unknown_above(at)
}

/// Keys that are in the config file, where a pull request against the policy cannot change them.
const OF_THE_SETTINGS_FILE: [&str; 3] = ["mark_key_env", "journal", "targets"];

fn unknown_key(parent: &At<'_>, key: &str, span: &Span) -> Option<Diagnostic> {
    let elsewhere = parent.path.is_empty() && OF_THE_SETTINGS_FILE.contains(&key);
    elsewhere.then(|| {
        let message = format!("`{key}` does not belong in a policy");
        Diagnostic::error(Code::UnknownKey, span, key_path("", key), message)
            .help(format!("move `{key}` into the config file, `tokenwarden.yaml`"))
    })
}

/// A pattern, which may end with the blank that it asks for.
fn has_blanks(at: &At<'_>) -> bool {
    at.path.starts_with("tokens.limits[") && at.path.ends_with("].description")
}

fn has_meaning(at: &At<'_>) -> bool {
    let is_word = at.text().is_some();
    let is_date = at.path.starts_with("waivers[") && at.path.ends_with("].until");
    is_date
        || values::is_period(at)
        || (is_word && at.path.starts_with("tokens.enforcement."))
        || (at.path == "permissions.manage_others" && at.text() == Some("everyone"))
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// Ways to write each section, most of them with a mistake, some only with one together with another section.
    const SECTIONS: [&[&str]; 7] = [
        &[
            "",
            "permissions: {use: [a, b], create_read_write: [a]}",
            "permissions: {use: [a, A, ' '], manage_others: everyone, create_read_write: [c]}",
            "permissions: {use: unmanaged, create: []}",
            "permissions: {use: 5, odd: nobody}",
        ],
        &[
            "",
            "network: {allow: [10.0.0.0/8, 10.0.0.5/8, {name: x, ranges: []}], client_address: {header: X-Real-IP}}",
            "network: {allow: anywhere, client_address: {trusted_proxies: [0.0.0.0/0]}}",
            "network: {allow: unmanaged, client_address: {}}",
            "network: unmanaged",
        ],
        &[
            "",
            "password_authentication: {except_users: [a, A]}",
            "password_authentication: {}",
            "password_authentication: {state: allowed, except_paths: [x]}",
            "password_authentication: {state: disabled, except_paths: [/x, /x]}",
        ],
        &[
            "tokens: {limits: [{max_scope: read-only}, {groups: [c], max_idle: 5}]",
            "tokens: {limits: [{groups: [a], max_scope: read-only, max_lifetime: 0d, description: '('}, {}, {}]",
            "tokens: {limits: unmanaged",
            "tokens: {limits: [{projects: [P], owner_kind: [user], max_per_owner: 1.0}, [x], {max_unused: 90d}]",
        ],
        &[
            ", rules: [{name: own, when: 'token.scope == \"read-write\"', message: no}]",
            ", rules: [{name: own, when: 'token.nope', message: ' '}, {name: own, when: 'true', message: x}]",
            ", rules: [{name: Own, when: 'owner.name == \" mary\"', message: x}, {name: scope, when: 5}]",
            ", rules: unmanaged",
            "",
        ],
        &[
            ", enforcement: {own: revoke, idle: {action: report, grace: 14d}, default: narrow}}",
            ", enforcement: {nope: revoke, scope: {grace: 1d}, lifetime: unmanaged}}",
            ", enforcement: {own: {action: narrow}, lifetime: {action: expire, grace: 5}, per-owner: narrow}}",
            "}",
        ],
        &[
            "",
            "waivers_warn: 5\nwaivers: [{token: 1, rules: [idle, own, nope], reason: x, until: 2027-01-31}]",
            "waivers: [{owner: mary, rules: [], reason: ' ', until: 2027-02-31}, {token: a, owner: b, until: x}]",
            "waivers: [{owner: 'project ', rules: [idle, Idle], reason: x, until: 2026-01-31, description: ''}]",
            "waivers: unmanaged",
        ],
    ];

    proptest! {
        #[test]
        fn one_layer_that_is_looked_at_once_says_the_same_as_by_itself_and_merged(
            sections in SECTIONS.map(select),
        ) {
            let [permissions, network, passwords, limits, rules, enforcement, waivers] = sections;
            let tokens = [limits, rules, enforcement].concat();
            let text = ["version: 1", permissions, network, passwords, &tokens, waivers].join("\n");
            let layer = Layer::read("layer.yaml".into(), text.as_bytes());
            let root = layer.root.as_ref().unwrap();
            let (merged, once) = (read_merged(&[&layer]), read_layers(&[&layer]));
            prop_assert_eq!(format!("{once:?}"), format!("{merged:?}"));
            if !un_sets(root) {
                prop_assert_eq!(format!("{:?}", read_whole(&layer, root)), format!("{merged:?}"));
            }
        }
    }
}
