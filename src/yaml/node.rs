//! A YAML tree with a span on every key and value, and ways to walk it that know the path of where they
//! are.

use std::collections::HashMap;

use serde_json::{Number, Value as Json};

use super::{Span, path::Path};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
    /// How a text is written in the file, unless it is written as it is or in quotes.
    pub(crate) written: Option<Box<str>>,
}

/// What YAML can say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number, and how it was written.
    Number {
        number: Number,
        written: String,
    },
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) node: Node,
}

/// A mapping in the order it was written in. Of keys that stand twice the first counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    entries: Vec<Entry>,
    /// Where each key is, once there are so many that they are not looked through.
    index: HashMap<String, usize>,
    repeated: Vec<Entry>,
}

impl Map {
    /// Keys that are looked through for one of them, at most.
    const LOOKED_THROUGH: usize = 12;

    /// Adds `entry`, or puts it aside when its key is there already: then the answer is the entry with
    /// which the key is there for the first time, and this one.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<(&Entry, &Entry)> {
        if self.get(&entry.key).is_some() {
            self.repeated.push(entry);
            let again = self.repeated.last()?;
            return Some((self.get(&again.key)?, again));
        }
        self.entries.push(entry);
        if self.entries.len() > Self::LOOKED_THROUGH {
            let known = self.index.len();
            let new = self.entries.iter().enumerate().skip(known);
            self.index.extend(new.map(|(at, entry)| (entry.key.clone(), at)));
        }
        None
    }

    /// The entries whose keys are there for another time.
    pub(crate) fn repeated(&self) -> &[Entry] {
        &self.repeated
    }

    /// The entry of `key`, in constant time.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        if self.index.is_empty() {
            self.entries.iter().find(|entry| entry.key == key)
        } else {
            self.index.get(key).and_then(|&index| self.entries.get(index))
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

impl FromIterator<Entry> for Map {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut map = Self::default();
        for entry in entries {
            map.insert(entry);
        }
        map
    }
}

impl Node {
    /// The tree without its spans.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number { number, .. } => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(map) => map.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
        }
    }

    /// The tree as JSON text without its spans, the keys of each mapping sorted: one form for one
    /// meaning.
    pub(crate) fn canonical(&self) -> String {
        let mut text = String::new();
        self.write_canonical(&mut text);
        text
    }

    fn write_canonical(&self, out: &mut String) {
        let parts = |out: &mut String, brackets: [char; 2], parts: &mut dyn Iterator<Item = Part<'_>>| {
            let [opening, closing] = brackets;
            out.push(opening);
            for (index, (key, node)) in parts.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if let Some(key) = key {
                    write_text(key, out);
                    out.push(':');
                }
                node.write_canonical(out);
            }
            out.push(closing);
        };
        match &self.value {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number { number, .. } => out.push_str(&number.to_string()),
            Value::Text(text) => write_text(text, out),
            Value::List(items) => parts(out, ['[', ']'], &mut items.iter().map(|item| (None, item))),
            Value::Map(map) => {
                let mut entries: Vec<&Entry> = map.iter().collect();
                entries.sort_unstable_by_key(|entry| entry.key.as_str());
                let mut entries = entries.into_iter().map(|entry| (Some(entry.key.as_str()), &entry.node));
                parts(out, ['{', '}'], &mut entries);
            }
        }
    }

    /// What it is, in words, such as ``the number `5` ``.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Number { written, .. } => format!("the number `{written}`"),
            Value::Text(text) => format!("the text `{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// A value with its key, if it has one.
type Part<'a> = (Option<&'a str>, &'a Node);

/// Writes `text` as JSON.
fn write_text(text: &str, out: &mut String) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Json::from(text).to_string());
    }
}

/// A value in its document: the node, the span of its key (or of itself, in a list) and its path.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    pub(crate) node: &'a Node,
    pub(crate) key: &'a Span,
    pub(crate) path: Path<'a>,
}

impl<'a> At<'a> {
    /// The whole document.
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { node, key: &node.span, path: Path::ROOT }
    }

    /// Where the value stands.
    pub(crate) fn span(&self) -> &'a Span {
        &self.node.span
    }

    /// The value of `key`, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<At<'a>> {
        match &self.node.value {
            Value::Map(map) => map.get(key).map(|entry| self.child(entry)),
            _ => None,
        }
    }

    /// The value at a path of keys.
    pub(crate) fn find(&self, keys: &[&str]) -> Option<At<'a>> {
        keys.iter().try_fold(self.clone(), |at, key| at.get(key))
    }

    /// The entry at a step of a JSON pointer.
    pub(crate) fn item(&self, index: usize) -> Option<At<'a>> {
        match &self.node.value {
            Value::List(items) => items.get(index).map(|node| self.element(index, node)),
            _ => None,
        }
    }

    /// Each key with its value; nothing unless this is a mapping.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        let map = match &self.node.value {
            Value::Map(map) => Some(map),
            _ => None,
        };
        map.into_iter().flat_map(Map::iter).map(|entry| (entry.key.as_str(), self.child(entry)))
    }

    /// Each entry of a list; nothing unless this is one.
    pub(crate) fn items(&self) -> impl Iterator<Item = At<'a>> {
        let items = match &self.node.value {
            Value::List(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().enumerate().map(|(index, node)| self.element(index, node))
    }

    /// Each text of a list; what is not a text is left out, since its type is reported already.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        self.items().filter_map(|at| at.text().map(|text| (text, at)))
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// Whether it is a list without an entry.
    pub(crate) fn is_empty_list(&self) -> bool {
        matches!(&self.node.value, Value::List(items) if items.is_empty())
    }

    fn child(&self, entry: &'a Entry) -> At<'a> {
        At { node: &entry.node, key: &entry.span, path: self.path.key(&entry.key) }
    }

    fn element(&self, index: usize, node: &'a Node) -> At<'a> {
        At { node, key: &node.span, path: self.path.item(index) }
    }
}

/// The longest key that a path has whole, in characters.
const KEY_AT_MOST: usize = 256;

/// The path of `key` below `parent`; a key that is not a plain word is in quotes, and a long one loses its end: each
/// mistake below it has a path of its own.
pub(crate) fn key_path(parent: &str, key: &str) -> String {
    if let Some((end, _)) = key.char_indices().nth(KEY_AT_MOST) {
        return format!("{parent}[{:?}…]", key.get(..end).unwrap_or_default());
    }
    let plain = !key.is_empty()
        && key.chars().count() <= 64
        && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    match (parent.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{key:?}]"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use proptest::prelude::*;

    use super::*;

    fn node(json: &Json) -> Node {
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => Value::Number { number: number.clone(), written: String::new() },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(node).collect()),
            Json::Object(members) => {
                Value::Map(members.iter().map(|(key, value)| entry(key, value)).collect())
            }
        };
        Node { value, span: Span::of_file(&Arc::from("file.yaml")), written: None }
    }

    fn entry(key: &str, value: &Json) -> Entry {
        Entry { key: key.to_owned(), span: Span::of_file(&Arc::from("file.yaml")), node: node(value) }
    }

    fn sorted(json: Json) -> Json {
        match json {
            Json::Object(members) => {
                let members: BTreeMap<_, _> = members.into_iter().collect();
                members.into_iter().map(|(key, value)| (key, sorted(value))).collect()
            }
            Json::Array(items) => items.into_iter().map(sorted).collect(),
            scalar => scalar,
        }
    }

    prop_compose! {
        fn trees()(scalars in prop::collection::vec((any::<String>(), any::<f64>(), any::<i64>()), 0..20)) -> Json {
            scalars.into_iter().fold(Json::Null, |tree, (text, float, whole)| {
                let scalars = [text.as_str().into(), float.into(), whole.into(), Json::Null, true.into()];
                Json::Object([(text, tree), ("list".to_owned(), scalars.into_iter().collect())].into_iter().collect())
            })
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_json_with_its_keys_sorted(tree in trees()) {
            prop_assert_eq!(node(&tree).canonical(), sorted(tree).to_string());
        }
    }

    #[test]
    fn every_key_of_a_mapping_is_found_however_many_there_are() {
        for count in [1, 12, 13, 14, 40] {
            let mut map = Map::default();
            let keys: Vec<_> = (0..count).map(|number| format!("key-{number}")).collect();
            for (number, key) in keys.iter().enumerate() {
                assert!(map.insert(entry(key, &number.into())).is_none());
            }
            for (number, key) in keys.iter().enumerate() {
                let first = map.get(key).map(|entry| entry.node.to_json());
                assert_eq!(first, Some(number.into()));
                let twice = map
                    .insert(entry(key, &Json::Null))
                    .map(|(first, again)| [first, again].map(|one| one.node.to_json()));
                assert_eq!(twice, Some([number.into(), Json::Null]));
            }
            assert!(map.get("none").is_none());
            assert_eq!((map.iter().count(), map.repeated().len()), (count, count));
        }
    }
}
