//! One page of a list: its entries, what it says of itself, and whether that can be true.

use std::{
    collections::HashSet,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::model::is_blank;

/// What is wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagingFault {
    /// It is not the last one and does not say where the next one begins, or not behind itself.
    LeadsNowhere,
    /// It is not the last one but is empty.
    Empty,
    /// It holds nothing, and the one before it led to it. A list that gets shorter meanwhile does so once.
    NoMore,
    /// It holds what an earlier one held.
    Repeats,
    /// The list is another one each time that it is read.
    Unsteady,
    /// It is one more than the limit, and not the last one.
    TooMany(usize),
    /// What it says of itself cannot be true, in words.
    Contradicts(&'static str),
    /// The list has another number of entries than it says.
    Miscounted,
    /// How many entries of the list cannot be read, and the name of the first, if it has one.
    Odd(usize, Option<String>),
}

impl fmt::Display for PagingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeadsNowhere => f.write_str("is not the last one and does not lead on to the next"),
            Self::Empty => f.write_str("is not the last one but is empty"),
            Self::NoMore => f.write_str("is empty, although the one before it said that there is more"),
            Self::Repeats => f.write_str("holds the same as an earlier one"),
            Self::Unsteady => f.write_str("begins a list that differs each time it is read"),
            Self::TooMany(pages) => write!(f, "comes behind {pages} others: the list does not end"),
            Self::Contradicts(words) => f.write_str(words),
            Self::Miscounted => f.write_str("says that the list has another number of entries than it has"),
            Self::Odd(1, None) => f.write_str("begins a list with an entry that cannot be read"),
            Self::Odd(1, Some(name)) => {
                write!(f, "begins a list with an entry that cannot be read: `{name}`")
            }
            Self::Odd(entries, None) => write!(f, "begins a list with {entries} entries that cannot be read"),
            Self::Odd(entries, Some(name)) => {
                write!(f, "begins a list with {entries} entries that cannot be read, such as `{name}`")
            }
        }
    }
}

/// An entry of a list: one that cannot be read takes no other with it.
pub(crate) enum ListEntry<T> {
    Read(T),
    Odd(Value),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for ListEntry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(T::deserialize(&value).map_or(Self::Odd(value), Self::Read))
    }
}

impl<T: Hash> Hash for ListEntry<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Read(value) => value.hash(state),
            Self::Odd(value) => value.to_string().hash(state),
        }
    }
}

/// What `value`, which cannot be read, is called: its first member that names things, if one does.
pub(crate) fn name_of(value: &Value) -> Option<String> {
    ["name", "username", "id", "key", "slug"].into_iter().find_map(|key| shown(value.get(key)?))
}

/// `value` in a few words, when it is text or a number.
pub(crate) fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
    Some(shown).filter(|shown| !shown.chars().all(is_blank))
}

const BOTH: &str = "says that it is the last one, and where the next one begins";

/// What a page tells of itself, as it came; `None` where it says nothing.
pub(crate) type PageClaim = Option<Value>;

/// Reads a [`PageClaim`], for which null is a value: a number that is null is none.
pub(crate) fn told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PageClaim, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What a page says of itself beside its entries. What every page of a server has is never left out: where a
/// page lacks it, it is null.
#[derive(Default)]
pub(crate) struct Claims {
    /// Where it begins.
    pub(crate) start: PageClaim,
    /// How many entries it holds.
    pub(crate) size: PageClaim,
    /// How many it has room for.
    pub(crate) limit: PageClaim,
    /// How many the list holds, by each of the names that servers have for it.
    pub(crate) totals: [PageClaim; 2],
    /// How many pages the list has.
    pub(crate) pages: PageClaim,
    /// Whether it is the first one.
    pub(crate) first: PageClaim,
    /// Whether it holds nothing.
    pub(crate) empty: PageClaim,
    /// What went wrong, by each of the names that servers have for it.
    pub(crate) errors: [PageClaim; 2],
}

fn number(told: &PageClaim) -> Result<Option<u64>, PagingFault> {
    let is_none = PagingFault::Contradicts("does not say in numbers where it begins and how much it holds");
    told.as_ref().map(|value| value.as_u64().ok_or(is_none)).transpose()
}

/// Whether that is so which a page says to be true or false.
pub(crate) fn flag(told: &PageClaim) -> Result<Option<bool>, PagingFault> {
    let is_none = PagingFault::Contradicts("says neither yes nor no of itself where it must");
    told.as_ref().map(|value| value.as_bool().ok_or(is_none)).transpose()
}

/// Where the next page begins, behind one from `start` with `entries`, when it itself says so in `next`, and in
/// `last` whether there is one. That need not be where this one ends.
pub(super) fn next(
    start: u64,
    entries: usize,
    last: Option<bool>,
    next: &PageClaim,
) -> Result<Option<u64>, PagingFault> {
    match (last, number(next)?) {
        (None, _) => Err(PagingFault::Contradicts("does not say whether it is the last one")),
        (Some(true), None) if entries == 0 && start > 0 => Err(PagingFault::NoMore),
        (Some(true), None) => Ok(None),
        (Some(true), Some(_)) => Err(PagingFault::Contradicts(BOTH)),
        (Some(false), Some(next)) if next > start && entries > 0 => Ok(Some(next)),
        (Some(false), Some(next)) if next > start => Err(PagingFault::Empty),
        (Some(false), _) => Err(PagingFault::LeadsNowhere),
    }
}

/// As [`next`], for lists whose next page begins where this one ends: `leads_on` when the page names one. Without
/// `last` an empty page is the last.
pub(crate) fn next_by_count(
    start: u64,
    entries: usize,
    last: Option<bool>,
    leads_on: bool,
) -> Result<Option<u64>, PagingFault> {
    match (last, entries) {
        (Some(true), _) if leads_on => Err(PagingFault::Contradicts(BOTH)),
        (_, 0) if leads_on || last == Some(false) => Err(PagingFault::Empty),
        (Some(true), _) | (None, 0) => Ok(None),
        (_, entries) => Ok(Some(start + entries as u64)),
    }
}

/// How far one got in the pages of a list: each must hold something else than all before it, what they say of
/// themselves must be true, and there must be an end.
pub(crate) struct PageProgress {
    before: HashSet<u64>,
    pages: usize,
    /// Pages that hold something.
    full: u64,
    entries: HashSet<u64>,
    /// How many entries the list has, as the latest page said that told it.
    promised: Option<u64>,
    at_most: usize,
}

impl PageProgress {
    pub(super) fn new(at_most: usize) -> Self {
        let (before, entries) = (HashSet::new(), HashSet::new());
        Self { before, pages: 0, full: 0, entries, promised: None, at_most }
    }

    /// Takes note of a page that was asked for from `start`, holds `entries` and makes `claims`; `is_last` when
    /// none is read behind it.
    ///
    /// # Errors
    ///
    /// When an earlier page held the same, there are too many, or the claims cannot be true.
    pub(crate) fn note<T: Hash>(
        &mut self,
        start: u64,
        entries: &[T],
        claims: &Claims,
        is_last: bool,
    ) -> Result<(), PagingFault> {
        if self.pages == self.at_most {
            return Err(PagingFault::TooMany(self.at_most));
        }
        self.pages += 1;
        self.full += u64::from(!entries.is_empty());
        if !entries.is_empty() && !self.before.insert(hash(entries)) {
            return Err(PagingFault::Repeats);
        }
        let hashes: HashSet<u64> = entries.iter().map(hash).collect();
        if hashes.len() < entries.len() {
            return Err(PagingFault::Contradicts("holds the same entry twice"));
        }
        self.entries.extend(hashes);
        self.judge(start, entries.len() as u64, claims, is_last)
    }

    fn judge(&mut self, start: u64, entries: u64, claims: &Claims, is_last: bool) -> Result<(), PagingFault> {
        let is_false = |told, fits: &dyn Fn(u64) -> bool| Ok(number(told)?.is_some_and(|told| !fits(told)));
        let is_not = |told, so: bool| Ok(flag(told)?.is_some_and(|told| told != so));
        let wrong = if claims.errors.iter().flatten().any(says_something) {
            "comes with errors"
        } else if is_false(&claims.start, &|told| told == start)? {
            "begins elsewhere than was asked for"
        } else if is_false(&claims.size, &|told| told == entries)? {
            "says that it holds another number of entries than it does"
        } else if is_false(&claims.limit, &|told| told > 0 && told >= entries)? {
            "says that it has room for fewer entries than it holds"
        } else if is_not(&claims.first, start == 0)? {
            "says of itself wrongly whether it is the first one"
        } else if is_not(&claims.empty, entries == 0)? {
            "says of itself wrongly whether it holds something"
        } else {
            return self.count(claims, is_last);
        };
        Err(PagingFault::Contradicts(wrong))
    }

    /// Compares how much there was until now with how much there is said to be.
    fn count(&mut self, claims: &Claims, is_last: bool) -> Result<(), PagingFault> {
        let seen = self.entries.len() as u64;
        for total in &claims.totals {
            self.promised = number(total)?.or(self.promised);
            if self.promised.is_some_and(|promised| promised < seen || is_last && promised > seen) {
                return Err(PagingFault::Miscounted);
            }
        }
        let fits = |pages| pages >= self.full && !(is_last && pages > self.full.max(1));
        if number(&claims.pages)?.is_some_and(|pages| !fits(pages)) {
            return Err(PagingFault::Contradicts(
                "says that the list has another number of pages than it has",
            ));
        }
        Ok(())
    }

    /// Whether there was more than one page.
    pub(crate) fn has_several(&self) -> bool {
        self.pages > 1
    }
}

fn says_something(errors: &Value) -> bool {
    match errors {
        Value::Null | Value::Bool(false) => false,
        Value::Array(errors) => !errors.is_empty(),
        Value::Object(errors) => !errors.is_empty(),
        Value::String(error) => !error.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
