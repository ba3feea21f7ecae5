//! A YAML tree with a span on every key and value, and ways to walk it that know the path of where they
//! are.

use std::collections::HashMap;

use serde_json::{Number, Value as Json};

use super::Span;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
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
    index: HashMap<String, usize>,
    repeated: Vec<Entry>,
}

impl Map {
    /// Adds `entry`, or puts it aside when its key is there already: then the answer is where the
    /// key is there for the first time.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<Span> {
        if let Some(first) = self.get(&entry.key) {
            let first = first.span.clone();
            self.repeated.push(entry);
            return Some(first);
        }
        self.index.insert(entry.key.clone(), self.entries.len());
        self.entries.push(entry);
        None
    }

    /// The entries whose keys are there for another time.
    pub(crate) fn repeated(&self) -> &[Entry] {
        &self.repeated
    }

    /// The entry of `key`, in constant time.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.index.get(key).and_then(|&index| self.entries.get(index))
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
        fn sorted(json: Json) -> Json {
            match json {
                Json::Object(members) => {
                    let members: std::collections::BTreeMap<_, _> = members.into_iter().collect();
                    members.into_iter().map(|(key, value)| (key, sorted(value))).collect()
                }
                Json::Array(items) => items.into_iter().map(sorted).collect(),
                scalar => scalar,
            }
        }
        sorted(self.to_json()).to_string()
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

/// A value in its document: the node, the span of its key (or of itself, in a list) and its path.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    pub(crate) node: &'a Node,
    pub(crate) key: &'a Span,
    pub(crate) path: String,
}

impl<'a> At<'a> {
    /// The whole document.
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { node, key: &node.span, path: String::new() }
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
        At { node: &entry.node, key: &entry.span, path: key_path(&self.path, &entry.key) }
    }

    fn element(&self, index: usize, node: &'a Node) -> At<'a> {
        At { node, key: &node.span, path: format!("{}[{index}]", self.path) }
    }
}

/// The path of `key` below `parent`; a key that is not a plain word is in quotes.
pub(crate) fn key_path(parent: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.chars().count() <= 64
        && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    match (parent.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{key:?}]"),
    }
}
