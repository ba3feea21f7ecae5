//! The valid [`Policy`] that policy files make together, or every mistake in them.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;

use crate::yaml::{
    Code, Diagnostic, Diagnostics, Sources, Span,
    node::{At, Node, key_path},
    source,
    structure::{OwnWords, Structure},
    values,
};

use super::{
    Policy, Waivers, document,
    layer::merge,
    validate::{self, Extent},
};

/// One policy file, read and checked by itself.
pub struct Layer {
    path: Arc<str>,
    text: Option<Arc<str>>,
    root: Option<Node>,
    waivers: Waivers,
    diagnostics: Diagnostics,
}

impl Layer {
    /// Reads `bytes`, the content of the file that people know as `path`. Never fails: what is wrong
    /// comes out of [`read_layers`].
    #[must_use]
    pub fn read(path: Arc<str>, bytes: &[u8]) -> Self {
        let source::ParsedFile { text, root, mut diagnostics } = source::parse(&path, bytes);
        let mut waivers = Waivers::default();
        if let Some(root) = &root {
            STRUCTURE.check(root, &mut diagnostics);
            waivers = validate::policy(root, Extent::Layer, &mut diagnostics).waivers;
        }
        Self { path, text: text.map(Arc::from), root, waivers, diagnostics }
    }

    /// What is wrong with this file whatever the other layers say; never a policy.
    #[must_use]
    pub fn by_itself(&self) -> Reading {
        let text = self.text.clone().map(|text| (Arc::clone(&self.path), text));
        Reading {
            policy: None,
            diagnostics: self.diagnostics.clone(),
            sources: text.into_iter().collect(),
            waivers: self.waivers.clone(),
        }
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
    let mut diagnostics = Diagnostics::default();
    let mut sources = Sources::new();
    for reading in layers.iter().map(|layer| layer.by_itself()) {
        diagnostics.append(reading.diagnostics);
        sources.extend(reading.sources);
    }
    let roots: Option<Vec<Node>> = layers.iter().map(|layer| layer.root.clone()).collect();
    // A layer that could not be read could hold anything: what all say together is unknown.
    let policy = roots.map(|roots| {
        merge(roots)
            .map_or_else(Policy::default, |root| validate::policy(&root, Extent::Whole, &mut diagnostics))
    });
    let waivers = policy.as_ref().map(|policy| policy.waivers.clone()).unwrap_or_default();
    Reading { policy: policy.filter(|_| !diagnostics.have_errors()), diagnostics, sources, waivers }
}

static STRUCTURE: LazyLock<Structure> = LazyLock::new(|| {
    let own_words = OwnWords { unknown_key, has_meaning, is_secret: |_| false, has_blanks };
    Structure::new(document::schema(), own_words)
});

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
