//! The masking of secrets in a config file, which may hold one anywhere: every value is masked that is not
//! under a key known to hold no secret. Byte positions stay. Nothing is guessed from what looks like a
//! secret.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

use regex::Regex;

use crate::yaml::{
    self,
    node::{At, Entry, Node, Value},
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

/// Whether `text` is a URL with credentials in it.
pub(super) fn has_user_info(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
    })
}

/// `text`, the document `root` unless it could not be read, with every value masked that may be a
/// secret.
///
/// `harmless` are the keys whose values may be shown.
pub(super) fn masked(text: &str, root: Option<&Node>, harmless: &HashSet<String>) -> String {
    let mut ranges = Vec::new();
    match root {
        Some(root) => collect(text, root, Under::document(harmless), &mut ranges),
        None => collect_lines(text, harmless, &mut ranges),
    }
    mask(text, &ranges)
}

/// Those of the `keys` of a document whose values may be shown: all but those that say where a credential comes from,
/// under which somebody may have written the credential itself.
pub(super) fn harmless(mut keys: HashSet<String>) -> HashSet<String> {
    keys.retain(|key| {
        !["auth", "mark_key_env", "password_env", "token_env", "bearer_env", "bearer_file", "command"]
            .contains(&key.as_str())
    });
    keys
}

/// Whether the value at `at` is masked where the text of its file is shown, and is not to be shown anywhere else.
pub(super) fn is_masked(at: &At<'_>, harmless: &HashSet<String>) -> bool {
    let mut under = Under::document(harmless);
    at.path.keys().into_iter().for_each(|key| under = under.key(key));
    under.masks(at.node)
}

/// Mappings whose keys are names that people choose.
const NAMED: [&str; 2] = ["targets", "fields"];

/// What is under a key, of which a part may be a secret.
#[derive(Clone, Copy)]
struct Under<'a> {
    known: &'a HashSet<String>,
    key: &'a str,
    is_harmless: bool,
}

impl<'a> Under<'a> {
    /// The whole document, of which the values under the keys `known` may be shown.
    fn document(known: &'a HashSet<String>) -> Self {
        Self { known, key: "", is_harmless: true }
    }

    /// What is under `key` in there. `user` is below `auth`, and is no secret.
    fn key(self, key: &'a str) -> Self {
        let is_known = self.known.contains(key) || NAMED.contains(&self.key);
        let is_harmless = (self.is_harmless && is_known) || (self.key == "auth" && key == "user");
        Self { key, is_harmless, ..self }
    }

    /// Whether the value `node` under this key may be a secret. A list or a mapping is none; what is in it may be.
    fn masks(self, node: &Node) -> bool {
        match &node.value {
            Value::Text(value) => !self.is_harmless || has_user_info(value),
            Value::Null | Value::Bool(_) | Value::Number { .. } => !self.is_harmless,
            Value::List(_) | Value::Map(_) => false,
        }
    }
}

/// The bytes of every value in `node` that may be a secret, and of what stands before it.
fn collect(text: &str, node: &Node, under: Under<'_>, ranges: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Map(map) => {
            for entry in map.iter().chain(map.repeated()) {
                let under = under.key(&entry.key);
                if !under.is_harmless {
                    ranges.push(behind_key(text, entry));
                }
                collect(text, &entry.node, under, ranges);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(text, item, under, ranges)),
        _ if under.masks(node) => ranges.push(node.span.start..node.span.end),
        _ => {}
    }
}

/// What is between a key and its value, such as an anchor; the rest of the line when the value
/// is nothing or stands elsewhere.
fn behind_key(text: &str, entry: &Entry) -> Range<usize> {
    let key_end = entry.span.end;
    let rest = text.get(key_end..).unwrap_or_default();
    let start = if rest.starts_with(':') { key_end + 1 } else { key_end };
    let follows = entry.node.span.start >= start && !matches!(entry.node.value, Value::Null);
    let line_end = key_end + yaml::first_line(rest).len();
    start..if follows { entry.node.span.start } else { line_end.max(start) }
}

#[expect(clippy::expect_used, reason = "a fixed pattern, used by every test of an unreadable file")]
static KEY_AND_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*(?:-\s+)?["']?(?<key>[A-Za-z_]+)["']?\s*:(?<value>[^:]*)$"#).expect("a valid pattern")
});

/// The bytes of every line of `text`, which could not be read, that may hold a secret: all but
/// those that are a harmless key with its value and nothing else.
fn collect_lines(text: &str, harmless: &HashSet<String>, ranges: &mut Vec<Range<usize>>) {
    for start in yaml::line_starts(text) {
        let line = yaml::first_line(text.get(start..).unwrap_or_default()).trim_end();
        let end = start + line.len();
        let found = KEY_AND_VALUE.captures(line);
        match found.as_ref().and_then(|found| Some((found.name("key")?, found.name("value")?))) {
            Some((key, _)) if harmless.contains(key.as_str()) => {}
            Some((_, value)) => ranges.push(start + value.start()..end),
            None => ranges.push(start..end),
        }
    }
}

/// `text` with a star for every byte in `ranges`; white space stays.
fn mask(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        let masked = bytes.get_mut(range.clone()).into_iter().flatten();
        masked.filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b'*');
    }
    // A range that cuts a character, which the parser gives none of, leaves bytes that are none.
    String::from_utf8(bytes).unwrap_or_default()
}
