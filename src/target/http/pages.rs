//! In: the path of a list in Bitbucket's paging. Out: all of its values. It refuses pages that do not
//! lead to an end: what was not seen must never pass for what is not there.

use std::{
    collections::HashSet,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{Called, HttpClient, HttpError};

/// A page in Bitbucket's form.
#[derive(Deserialize)]
struct Page<T> {
    values: Vec<T>,
    #[serde(rename = "isLastPage")]
    is_last: bool,
    #[serde(rename = "nextPageStart")]
    next_start: Option<u64>,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagingFault {
    /// It is not the last one and does not say where the next one begins, or not behind itself.
    LeadsNowhere,
    /// It is not the last one and holds nothing.
    Empty,
    /// It holds what an earlier one held.
    Repeats,
    /// The list is another one each time that it is read.
    Unsteady,
    /// It is one more than so many, and not the last one.
    TooMany(usize),
}

impl fmt::Display for PagingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeadsNowhere => f.write_str("is not the last one and does not lead on to the next"),
            Self::Empty => f.write_str("is not the last one and holds nothing"),
            Self::Repeats => f.write_str("holds the same as an earlier one"),
            Self::Unsteady => f.write_str("begins a list that is another one each time that it is read"),
            Self::TooMany(pages) => write!(f, "comes behind {pages} others: the list does not end"),
        }
    }
}

impl<T> Page<T> {
    /// Where the next page begins, when this one begins at `start`; nothing when it is the last. That need
    /// not be where this one ends.
    fn next(&self, start: u64) -> Result<Option<u64>, PagingFault> {
        match self.next_start {
            _ if self.is_last => Ok(None),
            Some(next) if next > start && !self.values.is_empty() => Ok(Some(next)),
            Some(next) if next > start => Err(PagingFault::Empty),
            _ => Err(PagingFault::LeadsNowhere),
        }
    }
}

/// How far one got in the pages of a list: each must hold something else than all before it, and there must
/// be an end.
pub(in crate::target) struct Progress {
    seen: HashSet<u64>,
    pages: usize,
    at_most: usize,
}

impl Progress {
    /// Takes note of a page that holds `values`.
    ///
    /// # Errors
    ///
    /// When an earlier page held the same, or there are too many.
    pub(in crate::target) fn note<T: Hash>(&mut self, values: &[T]) -> Result<(), PagingFault> {
        if self.pages == self.at_most {
            return Err(PagingFault::TooMany(self.at_most));
        }
        self.pages += 1;
        let mut hasher = DefaultHasher::new();
        values.hash(&mut hasher);
        let is_new = values.is_empty() || self.seen.insert(hasher.finish());
        if is_new { Ok(()) } else { Err(PagingFault::Repeats) }
    }

    /// Whether there was more than one page.
    pub(in crate::target) fn has_several(&self) -> bool {
        self.pages > 1
    }
}

impl HttpClient {
    /// For reading a list from its beginning.
    pub(in crate::target) fn progress(&self) -> Progress {
        Progress { seen: HashSet::new(), pages: 0, at_most: self.limits.pages }
    }

    /// All values of the list at `path` with `query`, asked for in pages of `limit`.
    ///
    /// # Errors
    ///
    /// As for [`HttpClient::get`], and when the pages do not lead to an end.
    pub async fn pages<T: DeserializeOwned + Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<Vec<T>, HttpError> {
        Ok(self.list(path, query, limit).await?.0)
    }

    /// As [`Self::pages`], for a list where it matters who is not in it. One that has several pages is read
    /// twice, and what was in it either time is answered: a value that goes meanwhile moves the ones behind
    /// it to a page that was read before. Values may be there twice.
    ///
    /// # Errors
    ///
    /// As for [`Self::pages`].
    pub async fn pages_twice<T: DeserializeOwned + Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<Vec<T>, HttpError> {
        let (mut values, progress) = self.list(path, query, limit).await?;
        if progress.has_several() {
            values.extend(self.list(path, query, limit).await?.0);
        }
        Ok(values)
    }

    async fn list<T: DeserializeOwned + Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<(Vec<T>, Progress), HttpError> {
        let (mut values, mut progress, mut start) = (Vec::new(), self.progress(), 0);
        loop {
            let start_text = start.to_string();
            let paged = [query, &[("limit", limit), ("start", &start_text)]].concat();
            let page: Page<T> = self.get(path, &paged).await?.body;
            let next = progress
                .note(&page.values)
                .and_then(|()| page.next(start))
                .map_err(|fault| self.paging(path, start, fault))?;
            values.extend(page.values);
            match next {
                Some(next) => start = next,
                None => return Ok((values, progress)),
            }
        }
    }

    /// The error for the page from `start` of the list at `path`.
    pub(in crate::target) fn paging(&self, path: &str, start: u64, fault: PagingFault) -> HttpError {
        let call = Called { name: format!("GET {}", self.url(path)), tries: 1, sent_on: None };
        HttpError::Paging { call, start, fault }
    }
}
