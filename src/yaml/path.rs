//! The path of a value in its document, such as `tokens.limits[0].max_scope`. It is written out when somebody reads it:
//! most values are looked at and nothing is said of them.

use std::{cell::OnceCell, fmt, iter, ops::Deref, rc::Rc};

use super::node::key_path;

/// The path of a value. Reads as the text that it is.
#[derive(Clone)]
pub(crate) struct Path<'a>(Option<Rc<Step<'a>>>);

/// The path of a value whose document is still being read.
#[derive(Clone, Copy)]
pub(super) enum Trail<'a> {
    /// The whole document.
    Root,
    /// What is behind a key.
    Key(&'a Trail<'a>, &'a str),
    /// An entry of a list.
    Item(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    /// As people read it.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => key_path(&parent.written(), key),
            Self::Item(parent, index) => format!("{}[{index}]", parent.written()),
        }
    }
}

/// The last step of a path, and the way there.
struct Step<'a> {
    parent: Path<'a>,
    last: Last<'a>,
    written: OnceCell<String>,
}

/// The step from a mapping or list to what is in it.
enum Last<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// That of the whole document: empty.
    pub(crate) const ROOT: Self = Self(None);

    /// That of the value of `key` in the mapping here.
    pub(crate) fn key(&self, key: &'a str) -> Self {
        self.step(Last::Key(key))
    }

    /// That of the entry at `index` of the list here.
    pub(crate) fn item(&self, index: usize) -> Self {
        self.step(Last::Index(index))
    }

    /// The keys on the way there, from the outermost on.
    pub(crate) fn keys(&self) -> Vec<&'a str> {
        let mut keys: Vec<_> = iter::successors(self.0.as_deref(), |step| step.parent.0.as_deref())
            .filter_map(|step| match step.last {
                Last::Key(key) => Some(key),
                Last::Index(_) => None,
            })
            .collect();
        keys.reverse();
        keys
    }

    /// As people read it.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", |step| {
            step.written.get_or_init(|| match step.last {
                Last::Key(key) => key_path(&step.parent, key),
                Last::Index(index) => format!("{}[{index}]", step.parent.as_str()),
            })
        })
    }

    fn step(&self, last: Last<'a>) -> Self {
        Self(Some(Rc::new(Step { parent: self.clone(), last, written: OnceCell::new() })))
    }
}

impl Deref for Path<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Path<'_> {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for Path<'_> {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> Self {
        path.as_str().to_owned()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
