//! What is shown of a config file, in which a secret may be anywhere by mistake: all is masked that is not known to hold
//! none. Byte positions stay. Nothing is guessed from what looks like a secret.

use std::{borrow::Cow, cmp::Reverse, collections::HashSet, ops::Range};

use regex::Regex;

use crate::{
    model::address_credential::may_hold_credential,
    yaml::{
        Code, Diagnostic, Diagnostics, Span,
        masking::{mask, unread_lines},
        node::{At, Node, Value, key_path},
    },
};

/// Keys under which people write a secret itself, with the key to use instead.
const LITERALS: [(&str, &str); 10] = [
    ("password", "password_env"),
    ("passwd", "password_env"),
    ("pass", "password_env"),
    ("token", "token_env"),
    ("pat", "token_env"),
    ("api_token", "token_env"),
    ("access_token", "token_env"),
    ("secret", "token_env"),
    ("bearer", "bearer_env"),
    ("bearer_token", "bearer_env"),
];

/// The key to use instead of `key`, when that is one under which people write a secret itself.
pub(super) fn instead_of(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    LITERALS.iter().find(|(literal, _)| *literal == key).map(|(_, instead)| *instead)
}

/// Keys under which people write a credential itself, or which say where one comes from.
const CREDENTIALS: [&str; 9] = [
    "auth",
    "mark_key_env",
    "password_env",
    "token_env",
    "bearer_env",
    "bearer_file",
    "command",
    "key",
    "token_id",
];

/// `text`, the document `root` unless it could not be read, with everything masked that may be a secret; `known`
/// are the keys that the document may have anywhere.
///
/// INVARIANT: of a document that could be read only what is known to be harmless is shown. What the tree does not
/// have, such as a comment, an anchor or what a merge left out, is masked.
pub(super) fn masked(text: &str, root: Option<&Node>, known: &HashSet<String>) -> String {
    let mut parts = Parts::default();
    let mut hidden: Vec<bool> = if let Some(root) = root {
        parts.collect(root, Under::document(known));
        text.bytes().map(|byte| !b"{}[],:-".contains(&byte)).collect()
    } else {
        parts.hidden =
            unread_lines(text, |key, value| is_harmless_key(key, known) && !may_hold_credential(value));
        vec![false; text.len()]
    };
    for (ranges, hides) in [(parts.shown, false), (parts.hidden, true)] {
        // The name of an alias may be anything.
        let is_alias = |range: &Range<usize>| text.as_bytes().get(range.start) == Some(&b'*');
        for range in ranges.into_iter().filter(|range| hides || !is_alias(range)) {
            hidden.get_mut(range).into_iter().flatten().for_each(|byte| *byte = hides);
        }
    }
    mask(text, &hidden)
}

/// Whether the value at `at` is masked where the text of its file is shown, and is not to be shown anywhere else.
pub(super) fn is_masked(at: &At<'_>, known: &HashSet<String>) -> bool {
    under(at, known).masks(at.node)
}

/// What to say of `key` at `span` in `parent`, which the format does not have, when it has a secret for its value or may be
/// one itself. `write` is what to write in a `file` of this kind in place of the secret, for the key of `auth` that names a
/// variable.
pub(super) fn unknown_key(
    parent: &At<'_>,
    (key, span): (&str, &Span),
    known: &HashSet<String>,
    (file, write): (&str, fn(&str) -> String),
) -> Option<Diagnostic> {
    if let Some(instead) = instead_of(key) {
        let message = format!("`{key}` would put a secret into the {file}");
        // A server inside the program is reached without a credential.
        let is_embedded = parent.get("kind").is_some_and(|at| at.text() == Some("embedded"));
        let help = if is_embedded {
            "remove it: a target of `kind: embedded` takes no credential".to_owned()
        } else {
            format!("put it into an environment variable, and write {}", write(instead))
        };
        let path = key_path(&parent.path, key);
        return Some(Diagnostic::error(Code::LiteralSecret, span, path, message).help(help));
    }
    let message = "unknown key, which is not shown since it may be a secret";
    (!under(parent, known).shows_key(key)).then(|| {
        Diagnostic::error(Code::UnknownKey, span, parent.path.as_str(), message)
            .help("write `key: value`, with a space behind the colon, and text with a comma in it in quotes")
    })
}

/// What is said in place of a secret.
const HIDDEN: &str = "(hidden)";

/// Takes every text of `root` that may be an address with a credential out of what `diagnostics` say.
pub(super) fn hide(root: &Node, diagnostics: &mut Diagnostics) {
    let mut texts = Vec::new();
    collect_addresses(root, &mut texts);
    if texts.is_empty() || diagnostics.is_empty() {
        return;
    }
    // The longest first: one may be the beginning of another.
    texts.sort_by_key(|text| Reverse(text.len()));
    let texts: Vec<String> = texts.into_iter().map(regex::escape).collect();
    let any = Regex::new(&texts.join("|"));
    diagnostics.rewrite(|said| {
        let without = any.as_ref().map_or(Cow::Borrowed(HIDDEN), |any| any.replace_all(said, HIDDEN));
        *said = without.into_owned();
    });
}

fn collect_addresses<'a>(node: &'a Node, texts: &mut Vec<&'a str>) {
    match &node.value {
        Value::Text(text) if may_hold_credential(text) => texts.push(text),
        Value::Map(map) => map.iter().for_each(|entry| {
            if may_hold_credential(&entry.key) {
                texts.push(&entry.key);
            }
            collect_addresses(&entry.node, texts);
        }),
        Value::List(items) => items.iter().for_each(|item| collect_addresses(item, texts)),
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Number { .. } => {}
    }
}

/// What stands above the value at `at`.
fn under<'a>(at: &At<'a>, known: &'a HashSet<String>) -> Under<'a> {
    at.path.keys().into_iter().fold(Under::document(known), Under::key)
}

/// What is under a key, of which a part may be a secret.
#[derive(Clone, Copy)]
struct Under<'a> {
    known: &'a HashSet<String>,
    key: &'a str,
    is_harmless: bool,
    place: Place,
}

/// What a key is for its document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// None: this is the whole document.
    Document,
    /// One whose mapping has names that people choose for keys.
    Names,
    /// Such a name, which only a mapping is under.
    Named,
    /// Any other one.
    Elsewhere,
}

impl<'a> Under<'a> {
    /// The whole document, which has the keys `known` anywhere.
    fn document(known: &'a HashSet<String>) -> Self {
        Self { known, key: "", is_harmless: true, place: Place::Document }
    }

    /// What is under `key` in there. `user` is below `auth`, and is no secret.
    fn key(self, key: &'a str) -> Self {
        let is_known = is_harmless_key(key, self.known) || self.place == Place::Names;
        let is_harmless = (self.is_harmless && is_known) || (self.key == "auth" && key == "user");
        let place = match (self.place, self.key, key) {
            (Place::Names, ..) => Place::Named,
            (Place::Document, _, "targets") | (_, "settings", "fields") => Place::Names,
            _ => Place::Elsewhere,
        };
        Self { key, is_harmless, place, ..self }
    }

    /// Whether the value `node` under this key may be a secret. A list or a mapping is none; what is in it may be.
    fn masks(self, node: &Node) -> bool {
        let is_harmless = self.is_harmless && !matches!(self.place, Place::Names | Place::Named);
        match &node.value {
            Value::Text(value) => !is_harmless || may_hold_credential(value),
            Value::Null | Value::Bool(_) | Value::Number { .. } => !is_harmless,
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// Whether `key` in there is shown: a word that the format has, or nearly has, or, where no credential is, one that
    /// looks like such a word.
    fn shows_key(self, key: &str) -> bool {
        let is_word = key.len() <= 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_. ".contains(c));
        let is_nearly = |word: &String| {
            word.len().abs_diff(key.len()) <= MISSPELT && strsim::osa_distance(word, key) <= MISSPELT
        };
        let is_known = || self.known.contains(key) || instead_of(key).is_some();
        is_known() || is_word && (self.is_harmless || self.known.iter().any(is_nearly))
    }
}

/// How many letters a misspelt word has wrong, at most.
const MISSPELT: usize = 2;

/// The longest key that is looked up, in bytes: one may be above very many values.
const LONGEST: usize = 64;

/// Whether what is under `key`, which is one of the `known`, may be shown.
fn is_harmless_key(key: &str, known: &HashSet<String>) -> bool {
    key.len() <= LONGEST && known.contains(key) && !CREDENTIALS.contains(&key)
}

/// The bytes of a document that are shown, and those that are not, whatever else is said of them.
#[derive(Default)]
struct Parts {
    shown: Vec<Range<usize>>,
    hidden: Vec<Range<usize>>,
}

impl Parts {
    fn collect(&mut self, node: &Node, under: Under<'_>) {
        match &node.value {
            Value::Map(map) => {
                for entry in map.iter().chain(map.repeated()) {
                    let parts = if under.shows_key(&entry.key) { &mut self.shown } else { &mut self.hidden };
                    parts.push(entry.span.start..entry.span.end);
                    self.collect(&entry.node, under.key(&entry.key));
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.collect(item, under)),
            _ => {
                let parts = if under.masks(node) { &mut self.hidden } else { &mut self.shown };
                parts.push(node.span.start..node.span.end);
            }
        }
    }
}
