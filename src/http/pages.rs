//! Lists that come in pages: all of their entries, and whether there may be others. What was not seen must never
//! pass for what is not there.

use std::hash::Hash;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Called, HttpClient, HttpError,
    page::{self, Claims, ListEntry, PageClaim, PageProgress, PagingFault, name_of, told},
};

/// A page of a list, in the form of some server.
pub(crate) trait Page<T>: DeserializeOwned {
    /// The names of the parameters that ask for the first entry and for the number of entries.
    const PARAMETERS: (&'static str, &'static str);

    /// What it holds, when it was asked for from `start`.
    fn open(self, start: u64) -> PageContent<T>;
}

/// What a page holds.
pub(crate) struct PageContent<T> {
    pub(crate) entries: Vec<ListEntry<T>>,
    pub(crate) claims: Claims,
    /// Where the next page begins.
    pub(crate) next: Result<Option<u64>, PagingFault>,
}

/// A page in Bitbucket's form. Every page says where it begins, how much it holds and how much it has room for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
struct BitbucketPage<T> {
    values: Vec<ListEntry<T>>,
    #[serde(default)]
    is_last_page: Value,
    next_page_start: Option<Value>,
    #[serde(default)]
    start: Value,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    limit: Value,
    #[serde(default, deserialize_with = "told")]
    total: PageClaim,
    #[serde(default, deserialize_with = "told")]
    total_count: PageClaim,
    errors: PageClaim,
}

impl<T: DeserializeOwned> Page<T> for BitbucketPage<T> {
    const PARAMETERS: (&'static str, &'static str) = ("start", "limit");

    fn open(self, start: u64) -> PageContent<T> {
        let next = page::next(start, self.values.len(), self.is_last_page.as_bool(), &self.next_page_start);
        let claims = Claims {
            start: Some(self.start),
            size: Some(self.size),
            limit: Some(self.limit),
            totals: [self.total, self.total_count],
            errors: [self.errors, None],
            ..Claims::default()
        };
        PageContent { entries: self.values, claims, next }
    }
}

/// What was read of a list.
pub(crate) struct PagedList<T> {
    /// What could be read, in order. One that moves to the next page meanwhile is there twice.
    pub(crate) values: Vec<T>,
    /// The entries that cannot be read.
    pub(crate) odd: Vec<Value>,
    /// Where a page begins that cannot be true, and why; no other was read behind it.
    fault: Option<(u64, PagingFault)>,
    /// Why others belong on it, as something else that was read shows.
    belied: Option<String>,
    has_several: bool,
}

impl<T> Default for PagedList<T> {
    /// An empty list.
    fn default() -> Self {
        Self { values: Vec::new(), odd: Vec::new(), fault: None, belied: None, has_several: false }
    }
}

impl<T> PagedList<T> {
    /// What is wrong with its pages, when something is.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.as_ref().map(|(start, fault)| format!("the page from {start} {fault}"))
    }

    /// Why there may be others than `values`, when there may be.
    pub(crate) fn doubt(&self) -> Option<String> {
        let of_pages = self.worst().map(|(start, fault)| format!("the page from {start} {fault}"));
        of_pages.or_else(|| self.belied.clone())
    }

    /// Remembers the `reason` why others belong on it, as something else that was read shows.
    pub(crate) fn belie(&mut self, reason: String) {
        self.belied = Some(reason);
    }

    fn worst(&self) -> Option<(u64, PagingFault)> {
        let odd = || self.odd.first().map(|odd| (0, PagingFault::Odd(self.odd.len(), name_of(odd))));
        self.fault.clone().or_else(odd)
    }

    /// The entries of this and another reading of the same list.
    fn and(mut self, again: Self) -> Self {
        self.values.extend(again.values);
        Self { odd: again.odd, fault: again.fault, ..self }
    }

    /// The same of what `change` makes of each.
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> PagedList<U> {
        let Self { values, odd, fault, belied, has_several } = self;
        PagedList { values: values.into_iter().map(change).collect(), odd, fault, belied, has_several }
    }
}

/// A list that is read page by page.
pub(crate) struct PageReader<T> {
    progress: PageProgress,
    listing: PagedList<T>,
}

impl<T: Hash> PageReader<T> {
    /// Takes a page that was asked for from `start`. Answers where the next one begins, if one is to be read.
    pub(crate) fn take<N>(
        &mut self,
        start: u64,
        entries: Vec<ListEntry<T>>,
        claims: &Claims,
        next: Result<Option<N>, PagingFault>,
    ) -> Option<N> {
        let is_last = matches!(next, Ok(None));
        let judged = self.progress.note(start, &entries, claims, is_last).and(next);
        for entry in entries {
            match entry {
                ListEntry::Read(value) => self.listing.values.push(value),
                ListEntry::Odd(value) => self.listing.odd.push(value),
            }
        }
        judged.unwrap_or_else(|fault| {
            self.listing.fault = Some((start, fault));
            None
        })
    }

    pub(crate) fn end(self) -> PagedList<T> {
        PagedList { has_several: self.progress.has_several(), ..self.listing }
    }
}

impl HttpClient {
    /// For keeping account of the pages of a list.
    pub(crate) fn progress(&self) -> PageProgress {
        PageProgress::new(self.limits.pages)
    }

    /// For reading a list from its beginning.
    pub(crate) fn reading<T>(&self) -> PageReader<T> {
        PageReader { progress: self.progress(), listing: PagedList::default() }
    }

    /// All values of the list at `path` with `query` in Bitbucket's form, asked for in pages of `limit`.
    ///
    /// # Errors
    ///
    /// As for [`HttpClient::get`], and when there may be others.
    pub async fn pages<T: DeserializeOwned + Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<Vec<T>, HttpError> {
        let listing = self.list::<T>(path, query, limit).await?;
        self.whole(path, listing)
    }

    /// The list at `path` with `query` in Bitbucket's form, asked for in pages of `limit`.
    ///
    /// # Errors
    ///
    /// As for [`HttpClient::get`].
    pub(crate) async fn list<T: DeserializeOwned + Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<PagedList<T>, HttpError> {
        self.list_as::<BitbucketPage<T>, T>(path, query, limit).await
    }

    /// As [`Self::list_as_twice`], in Bitbucket's form.
    ///
    /// # Errors
    ///
    /// As for [`HttpClient::get`].
    pub(crate) async fn list_twice<T: DeserializeOwned + Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<PagedList<T>, HttpError> {
        self.list_as_twice::<BitbucketPage<T>, T>(path, query, limit).await
    }

    /// As [`Self::list_as`], for a list where it matters who is not in it. One that has several pages is read
    /// twice, and what was in it either time is answered: a value that goes meanwhile moves the ones behind
    /// it to a page that was read before. Values may be there twice.
    ///
    /// # Errors
    ///
    /// As for [`HttpClient::get`].
    pub(crate) async fn list_as_twice<P: Page<T>, T: Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<PagedList<T>, HttpError> {
        let listing = self.list_as::<P, T>(path, query, limit).await?;
        let may_have_changed = match &listing.fault {
            None | Some((_, PagingFault::NoMore | PagingFault::Miscounted)) => listing.has_several,
            Some(_) => false,
        };
        if may_have_changed {
            return Ok(listing.and(self.list_as::<P, T>(path, query, limit).await?));
        }
        Ok(listing)
    }

    /// The list at `path` with `query` in pages of the form `P`, asked for in pages of `limit`.
    ///
    /// # Errors
    ///
    /// As for [`HttpClient::get`].
    pub(crate) async fn list_as<P: Page<T>, T: Hash>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: &str,
    ) -> Result<PagedList<T>, HttpError> {
        let (mut reading, mut next) = (self.reading(), Some(0));
        while let Some(start) = next {
            let start_text = start.to_string();
            let paged = [query, &[(P::PARAMETERS.1, limit), (P::PARAMETERS.0, start_text.as_str())]].concat();
            let PageContent { entries, claims, next: onward } =
                self.get::<P>(path, &paged).await?.body.open(start);
            next = reading.take(start, entries, &claims, onward);
        }
        Ok(reading.end())
    }

    /// The values of `listing`, that of `path`, when there are no others.
    ///
    /// # Errors
    ///
    /// When there may be others.
    pub(crate) fn whole<T>(&self, path: &str, listing: PagedList<T>) -> Result<Vec<T>, HttpError> {
        match listing.worst() {
            None => Ok(listing.values),
            Some((start, fault)) => Err(self.paging(path, start, fault)),
        }
    }

    /// The error for the page from `start` of the list at `path`.
    pub(crate) fn paging(&self, path: &str, start: u64, fault: PagingFault) -> HttpError {
        let call = Called { name: format!("GET {}", self.url(path)), tries: 1, sent_on: None };
        HttpError::Paging { call, start, fault }
    }
}
