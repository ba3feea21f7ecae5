//! In: the path of a list in Bitbucket's paging. Out: all of its values. It refuses pages that do not
//! lead to an end: what was not seen must never pass for what is not there.

use std::fmt;

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
    /// It holds what the one before it held.
    Repeats,
}

impl fmt::Display for PagingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeadsNowhere => "is not the last one and does not lead on to the next",
            Self::Empty => "is not the last one and holds nothing",
            Self::Repeats => "holds the same as the one before it",
        })
    }
}

impl<T: PartialEq> Page<T> {
    /// Where the next page begins, when this one begins at `start` and comes behind `previous`; nothing
    /// when it is the last. That need not be where this one ends.
    fn next(&self, start: u64, previous: &[T]) -> Result<Option<u64>, PagingFault> {
        if !self.values.is_empty() && self.values == previous {
            return Err(PagingFault::Repeats);
        }
        match self.next_start {
            _ if self.is_last => Ok(None),
            Some(next) if next > start && !self.values.is_empty() => Ok(Some(next)),
            Some(next) if next > start => Err(PagingFault::Empty),
            _ => Err(PagingFault::LeadsNowhere),
        }
    }
}

impl HttpClient {
    /// All values of the list at `path` with `query`, asked for in pages of `limit`.
    ///
    /// # Errors
    ///
    /// As for [`HttpClient::get`], and when the pages do not lead to an end.
    pub async fn pages<T: DeserializeOwned + PartialEq>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<Vec<T>, HttpError> {
        let (mut values, mut previous, mut start) = (Vec::new(), 0, 0);
        loop {
            let start_text = start.to_string();
            let paged = [query, &[("limit", limit), ("start", &start_text)]].concat();
            let page: Page<T> = self.get(path, &paged).await?.body;
            let next = page
                .next(start, values.get(previous..).unwrap_or_default())
                .map_err(|fault| self.paging(path, start, fault))?;
            previous = values.len();
            values.extend(page.values);
            match next {
                Some(next) => start = next,
                None => return Ok(values),
            }
        }
    }

    /// The error for the page from `start` of the list at `path`.
    pub(in crate::target) fn paging(&self, path: &str, start: u64, fault: PagingFault) -> HttpError {
        let call = Called { name: format!("GET {}", self.url(path)), tries: 1, sent_on: None };
        HttpError::Paging { call, start, fault }
    }
}
