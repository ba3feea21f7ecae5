//! The masking of secrets in a config file, which may hold one anywhere: every value is masked that is not
//! under a key known to hold no secret. Byte positions stay. Nothing is guessed from what looks like a
//! secret.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

use regex::Regex;

use crate::yaml::node::{Entry, Node, Value};

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
        Some(root) => Masking { text, harmless }.collect("", root, true, &mut ranges),
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

/// Mappings whose keys are names that people choose.
const NAMED: [&str; 2] = ["targets", "fields"];

/// The masking of one text that could be read.
struct Masking<'a> {
    text: &'a str,
    harmless: &'a HashSet<String>,
}

impl Masking<'_> {
    /// The bytes of every value in `node`, the value of the key `parent`, that may be a secret; of all
    /// of them unless `harmless`.
    fn collect(&self, parent: &str, node: &Node, harmless: bool, ranges: &mut Vec<Range<usize>>) {
        match &node.value {
            Value::Map(map) => {
                for entry in map.iter().chain(map.repeated()) {
                    let key = entry.key.as_str();
                    // `user` is below `auth`, and is not a secret there either.
                    let known = self.harmless.contains(key) || NAMED.contains(&parent);
                    let harmless = (harmless && known) || (parent == "auth" && key == "user");
                    if !harmless {
                        ranges.push(behind_key(self.text, entry));
                    }
                    self.collect(key, &entry.node, harmless, ranges);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.collect(parent, item, harmless, ranges)),
            Value::Text(value) if harmless && !has_user_info(value) => {}
            Value::Null | Value::Bool(_) | Value::Number { .. } if harmless => {}
            _ => ranges.push(node.span.start..node.span.end),
        }
    }
}

/// What is between a key and its value, such as an anchor; the rest of the line when the value
/// is nothing or stands elsewhere.
fn behind_key(text: &str, entry: &Entry) -> Range<usize> {
    let key_end = entry.span.end;
    let rest = text.get(key_end..).unwrap_or_default();
    let start = if rest.starts_with(':') { key_end + 1 } else { key_end };
    let follows = entry.node.span.start >= start && !matches!(entry.node.value, Value::Null);
    let line = rest.lines().next().map_or(0, str::len);
    start..if follows { entry.node.span.start } else { (key_end + line).max(start) }
}

#[expect(clippy::expect_used, reason = "a fixed pattern, used by every test of an unreadable file")]
static KEY_AND_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*(?:-\s+)?["']?(?<key>[A-Za-z_]+)["']?\s*:(?<value>[^:]*)$"#).expect("a valid pattern")
});

/// The bytes of every line of `text`, which could not be read, that may hold a secret: all but
/// those that are a harmless key with its value and nothing else.
fn collect_lines(text: &str, harmless: &HashSet<String>, ranges: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let found = KEY_AND_VALUE.captures(line.trim_end());
        match found.as_ref().and_then(|found| Some((found.name("key")?, found.name("value")?))) {
            Some((key, _)) if harmless.contains(key.as_str()) => {}
            Some((_, value)) => ranges.push(start + value.start()..end),
            None => ranges.push(start..end),
        }
        start += line.len();
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
