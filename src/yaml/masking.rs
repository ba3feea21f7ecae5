//! What is shown of a text in which there may be a secret: a star stands for every byte that is hidden. Byte positions
//! stay.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    sync::LazyLock,
};

use regex::Regex;

use super::{
    Code, Diagnostics, first_line, line_starts,
    node::{At, Entry, Node, Value},
};

/// `text` with a star for every byte that is `hidden`; white space stays.
pub(crate) fn mask(text: &str, hidden: &[bool]) -> String {
    let mask = |(byte, hides): (u8, &bool)| if *hides && !byte.is_ascii_whitespace() { b'*' } else { byte };
    let bytes = text.bytes().zip(hidden).map(mask).collect();
    // A range that cuts a character, which the parser gives none of, leaves bytes that are none.
    String::from_utf8(bytes).unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "a fixed pattern, used by every test of an unreadable file")]
static KEY_AND_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*(?:-\s+)?["']?(?<key>[A-Za-z_]+)["']?\s*:(?<value>[^:]*)$"#).expect("a valid pattern")
});

/// The bytes of every line of `text`, which could not be read, that may hold a secret: all but those that are a key with
/// its value and nothing else, of which it `is_harmless`.
pub(crate) fn unread_lines(text: &str, is_harmless: impl Fn(&str, &str) -> bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for start in line_starts(text) {
        let line = first_line(text.get(start..).unwrap_or_default()).trim_end();
        let end = start + line.len();
        let found = KEY_AND_VALUE.captures(line);
        match found.as_ref().and_then(|found| Some((found.name("key")?, found.name("value")?))) {
            Some((key, value)) if is_harmless(key.as_str(), value.as_str()) => {}
            Some((_, value)) => ranges.push(start + value.start()..end),
            None => ranges.push(start..end),
        }
    }
    ranges
}

/// `text` with nothing but the key of each line that begins with one.
pub(crate) fn keys_of(text: &str) -> String {
    let mut hidden = vec![false; text.len()];
    hide(&mut hidden, unread_lines(text, |_, _| false));
    mask(text, &hidden)
}

fn hide(hidden: &mut [bool], ranges: Vec<Range<usize>>) {
    for range in ranges {
        hidden.get_mut(range).into_iter().flatten().for_each(|byte| *byte = true);
    }
}

/// The keys of a document that holds no secrets.
pub(crate) struct Keys {
    /// Those that it has anywhere.
    pub(crate) known: HashSet<String>,
    /// Those that have names for keys, which people choose.
    pub(crate) of_names: &'static [&'static str],
}

impl Keys {
    /// Whether the document has `key` anywhere. A long one, above very many values, is not looked at as a whole.
    fn know(&self, key: &str) -> bool {
        const LONGEST: usize = 64;
        key.len() <= LONGEST && self.known.contains(key)
    }

    /// Whether the value at `at` is below a key that the document does not have. It is another file then, by mistake, and may
    /// hold a secret.
    pub(crate) fn are_unknown_above(&self, at: &At<'_>) -> bool {
        let mut above = "";
        at.path.keys().into_iter().any(|key| {
            let is_known = self.of_names.contains(&above) || self.know(key);
            above = key;
            !is_known
        })
    }

    /// `text`, the document `root` unless it could not be read, without what is below keys that it does not have, by what
    /// was `found` or by their names. Of a text that could not be read and has such a key, values are not shown.
    pub(crate) fn masked(&self, text: String, root: Option<&Node>, found: &Diagnostics) -> String {
        if found.is_empty() {
            return text;
        }
        let Some(root) = root else {
            return if self.are_all_of(&text) { text } else { keys_of(&text) };
        };
        let unknown = found.iter().filter(|found| found.code == Code::UnknownKey);
        let unknown = unknown.map(|found| found.span.start).collect();
        let mut below = Below { keys: self, unknown, regions: Vec::new(), values: Vec::new() };
        below.collect(root, text.len(), false);
        let mut hidden = vec![false; text.len()];
        hide(&mut hidden, below.regions);
        for (byte, hides) in text.bytes().zip(&mut hidden) {
            *hides &= !b"{}[],:-".contains(&byte);
        }
        hide(&mut hidden, below.values);
        mask(&text, &hidden)
    }

    /// Whether every line of `text` that begins with a key at its very start begins with a known one.
    fn are_all_of(&self, text: &str) -> bool {
        line_starts(text).all(|start| {
            let line = first_line(text.get(start..).unwrap_or_default());
            let key = line.split(':').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
            let begins = line.starts_with(|c: char| c.is_alphanumeric() || "\"'_".contains(c));
            !begins || !line.contains(':') || self.know(key)
        })
    }
}

/// What is below unknown keys of a document.
struct Below<'a> {
    keys: &'a Keys,
    /// The bytes at which keys begin that are known elsewhere only.
    unknown: BTreeSet<usize>,
    /// From a key to the next one that is not below it: what the tree does not have, such as a comment, is there as well.
    regions: Vec<Range<usize>>,
    values: Vec<Range<usize>>,
}

impl Below<'_> {
    /// Adds what is to be hidden of `node`, behind which comes byte `end`; its keys are names when `has_names`.
    fn collect(&mut self, node: &Node, end: usize, has_names: bool) {
        match &node.value {
            Value::Map(map) => {
                let mut entries: Vec<&Entry> = map.iter().chain(map.repeated()).collect();
                entries.sort_by_key(|entry| entry.span.start);
                // One that is there twice is found once.
                let unknown: HashSet<&str> = entries
                    .iter()
                    .filter(|entry| {
                        let is_known = has_names || self.keys.know(&entry.key);
                        !is_known || self.unknown.contains(&entry.span.start)
                    })
                    .map(|entry| entry.key.as_str())
                    .collect();
                for (index, entry) in entries.iter().enumerate() {
                    let next = entries.get(index + 1).map_or(end, |next| next.span.start);
                    if unknown.contains(entry.key.as_str()) {
                        self.regions.push(entry.span.end..next.max(entry.span.end));
                        self.hide_all(&entry.node);
                    } else {
                        let has_names = self.keys.of_names.contains(&entry.key.as_str());
                        self.collect(&entry.node, next, has_names);
                    }
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let next = items.get(index + 1).map_or(end, |next| next.span.start);
                    self.collect(item, next, false);
                }
            }
            _ => {}
        }
    }

    /// Adds every value of `node`, also where an alias leads to.
    fn hide_all(&mut self, node: &Node) {
        match &node.value {
            Value::Map(map) => map.iter().chain(map.repeated()).for_each(|entry| self.hide_all(&entry.node)),
            Value::List(items) => items.iter().for_each(|item| self.hide_all(item)),
            _ => self.values.push(node.span.start..node.span.end),
        }
    }
}
