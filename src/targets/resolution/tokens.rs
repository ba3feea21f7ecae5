//! Every token of the app's listing once, with its owner and scope, and what the server does not say. What
//! two answers say differently is unknown.
//!
//! The size of a page is what the server makes it: the first page shows it, whatever was asked for, and a
//! page that is shorter or empty is the last one.
//!
//! Where a list does not say whose a token is, the list of each user's tokens does; where it does not say
//! how far a token reaches, the lists of each scope do. A server that takes no notice of such a filter
//! answers the same to all of them, which is not an answer.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
};

use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    http::{HttpClient, HttpError, ListEntry, PageProgress, PagingFault, RefusalKind, flag},
    inventory::{Coverage, List, Missing, TokenPart},
    model::{Token, TokenId, TokenScope, UserName},
    targets::odd::{OddTokens, Versions},
};

use super::{
    Resolution,
    directory::ProductUser,
    wire::{Filter, NoToken, TOKENS, TokenItem, TokenPage},
};

/// How many tokens are asked for at once; the server may return fewer.
const LIMIT: &str = "500";
/// How many filtered lists are read at once. The client lowers that for a busy server.
const AT_ONCE: usize = 8;

type Cause = Box<dyn Error + Send + Sync>;

/// The product has no such REST.
#[derive(Debug, thiserror::Error)]
#[error("the server does not have the app \"API Token Authentication\": is it installed there, and enabled?")]
struct NoApp(#[source] HttpError);

/// The pages of a listing, one by one.
pub(super) struct Pages<'a> {
    client: &'a HttpClient,
    filter: Option<Filter>,
    next: u64,
    /// How many tokens are on a page that is not the last one.
    full: Option<usize>,
    ended: bool,
    said_last: bool,
    versions: Versions,
    progress: PageProgress,
    /// What is wrong with a page; no other is read behind it.
    pub(super) fault: Option<String>,
    /// The entries that cannot be read, of all pages until now.
    pub(super) odd: Vec<Value>,
}

impl<'a> Pages<'a> {
    /// The tokens that `filter` lets through. `full` is the size of a page, when it is known.
    pub(super) fn new(client: &'a HttpClient, filter: Option<Filter>, full: Option<usize>) -> Self {
        Self {
            client,
            filter,
            next: 0,
            full,
            ended: false,
            said_last: false,
            versions: Versions::default(),
            progress: client.progress(),
            fault: None,
            odd: Vec::new(),
        }
    }

    /// The tokens of the next page that were not on an earlier one; `None` behind the last page.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<TokenItem>>, HttpError> {
        if self.ended {
            return Ok(None);
        }
        let (number, page) = (self.next, self.next.to_string());
        let filter = self.filter.as_ref().map(Filter::parameter);
        let mut query = vec![("page", page.as_str()), ("limit", LIMIT)];
        query.extend(filter.as_ref().map(|(name, value)| (*name, value.as_str())));
        let (entries, claims, last) = self.client.get::<TokenPage>(TOKENS, &query).await?.body.open();
        let (says_last, odd_last) = match flag(&last) {
            Ok(says_last) => (says_last, None),
            Err(fault) => (None, Some(fault)),
        };
        // What the page itself says of its end is not a reason to stop: only a page that is not full is.
        self.ended = entries.is_empty()
            || (entries.len() < *self.full.get_or_insert(entries.len()) && says_last != Some(false));
        let is_behind_the_last = std::mem::replace(&mut self.said_last, says_last == Some(true));
        let mut fault = match self.progress.note(number, &entries, &claims, self.ended) {
            Err(PagingFault::Repeats) => {
                return Err(self.client.paging(TOKENS, number, PagingFault::Repeats));
            }
            Err(fault) => Some(fault),
            Ok(()) if odd_last.is_some() => odd_last,
            Ok(()) if entries.is_empty() && says_last == Some(false) => Some(PagingFault::Empty),
            Ok(()) if !entries.is_empty() && is_behind_the_last => {
                Some(PagingFault::Contradicts("is behind one that says that it is the last one"))
            }
            Ok(()) => None,
        };
        let (had_entries, mut items) = (!entries.is_empty(), Vec::with_capacity(entries.len()));
        for entry in entries {
            match entry {
                ListEntry::Read(item) => items.push(item),
                ListEntry::Odd(value) => self.odd.push(value),
            }
        }
        if items.iter().any(|item| self.filter.as_ref().is_some_and(|filter| item.belies(filter))) {
            fault = fault.or(Some(PagingFault::Contradicts("holds tokens that were not asked for")));
        }
        let read = items.len();
        // A token that is made meanwhile moves others to the next page, where they stand again.
        items.retain(|item| self.versions.is_first(&item.id(), item));
        if read > 0 && items.is_empty() && !self.ended {
            return Err(self.client.paging(TOKENS, number, PagingFault::Repeats));
        }
        if let Some(fault) = fault {
            self.fault = Some(format!("the page from {number} {fault}"));
            self.ended = true;
        }
        self.next += 1;
        Ok(had_entries.then_some(items))
    }

    /// The identifiers of all tokens; `None` when the list cannot be trusted.
    async fn ids(mut self) -> Result<Option<HashSet<TokenId>>, HttpError> {
        while self.next().await?.is_some() {}
        Ok(self.fault.is_none().then(|| self.versions.into_ids()))
    }
}

/// Whether `entry`, which cannot be read, may be the token `id`.
pub(super) fn may_be(entry: &Value, id: &TokenId) -> bool {
    match entry.get("id") {
        Some(Value::String(text)) => text == id.as_str(),
        Some(Value::Number(number)) => number.to_string() == id.as_str(),
        _ => true,
    }
}

/// What filtered lists say of the tokens in them. A token is in one list of several: those that share one take no
/// notice of the filter, and say nothing; nor does a single list, which may be that of everything.
fn found<T: Clone>(lists: &[(T, HashSet<TokenId>)]) -> HashMap<TokenId, T> {
    let mut times: HashMap<&TokenId, usize> = HashMap::new();
    for id in lists.iter().flat_map(|(_, ids)| ids) {
        *times.entry(id).or_default() += 1;
    }
    let heeds = |ids: &HashSet<TokenId>| lists.len() > 1 && ids.iter().all(|id| times.get(id) == Some(&1));
    let heeding = lists.iter().filter(|(_, ids)| heeds(ids));
    heeding.flat_map(|(value, ids)| ids.iter().map(move |id| (id.clone(), value.clone()))).collect()
}

impl Resolution {
    /// Hands every token to `each`, and returns what the server does not say.
    pub(super) async fn read_tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, Cause> {
        let (mut unsaid, mut odd) = (Unsaid::default(), OddTokens::default());
        let people = match self.known_people() {
            Some(people) => people,
            None => self.keep_people(self.read_people().await?),
        };
        let mut pages = Pages::new(&self.client, None, None);
        let mut page = pages.next().await.map_err(|error| match error.refusal() {
            Some(RefusalKind::NotSupported) => Cause::from(NoApp(error)),
            _ => error.into(),
        })?;
        let (lack_owner, lack_scope) = page.iter().flatten().fold((false, false), |(owner, scope), item| {
            (owner || !item.names_its_owner(), scope || !item.has_scope())
        });
        // Nobody, where two users have the same key.
        let mut by_key: HashMap<&str, Option<&UserName>> = HashMap::new();
        for person in &people.values {
            let of_key = by_key.entry(&person.key).or_insert(Some(&person.name));
            *of_key = of_key.filter(|name| **name == person.name);
        }
        // Keys of which none is anybody's are another product's, or of a form that is not known here.
        let keys: Vec<_> = page.iter().flatten().filter_map(TokenItem::key_alone).collect();
        let keys_are_known = keys.is_empty() || keys.iter().any(|key| by_key.contains_key(key));
        let owners = if lack_owner || !keys_are_known {
            self.owners(&people.values, pages.full).await?
        } else {
            HashMap::new()
        };
        let scopes = if lack_scope { self.scopes(pages.full).await? } else { HashMap::new() };
        let names: HashSet<&UserName> = people.values.iter().map(|person| &person.name).collect();
        // Users who left the directory are known by their keys, unless somebody else has that as a name. Where
        // not everybody was seen, the key may be that of somebody with another name.
        let name_of = |key: &str| {
            let gone = UserName::new(key);
            let is_gone = keys_are_known && people.doubt().is_none() && !names.contains(&gone);
            by_key.get(key).map_or_else(|| is_gone.then_some(gone), |name| name.cloned())
        };
        while let Some(items) = page {
            for item in items {
                let id = item.id();
                let owner = item.owner(name_of).or_else(|| owners.get(&id).cloned());
                match item.token(owner, scopes.get(&id).copied(), self.options.marker.as_ref()) {
                    Ok(token) => each(token),
                    Err(NoToken::Lacks(part)) => unsaid.add(part, id),
                    Err(NoToken::Bad(bad)) => odd.add(bad.field, &id, None),
                }
            }
            page = pages.next().await?;
        }
        pages.odd.iter().for_each(|entry| odd.add_entry(entry, None));
        pages.versions.note_odd(&odd);
        let fault = pages.fault.map(|reason| Missing::List { of: List::Tokens, reason });
        let disputed = pages.versions.missing();
        Ok(unsaid.missing().chain(odd.missing()).chain(fault).chain(disputed).collect())
    }

    /// Whose each token is, from the lists of the users' tokens.
    async fn owners(
        &self,
        people: &[ProductUser],
        full: Option<usize>,
    ) -> Result<HashMap<TokenId, UserName>, HttpError> {
        let owners: Vec<_> = people.iter().map(|person| (person.name.clone(), person.key.clone())).collect();
        let lists = owners.into_iter().map(|(name, key)| async move {
            (name, Pages::new(&self.client, Some(Filter::User(key)), full).ids().await)
        });
        let (mut lists, mut read) = (stream::iter(lists).buffer_unordered(AT_ONCE), Vec::new());
        while let Some((name, ids)) = lists.next().await {
            match ids {
                Ok(ids) => read.extend(ids.map(|ids| (name, ids))),
                // The app does not know that user: then it says nothing.
                Err(error)
                    if matches!(error.status(), Some(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found(&read))
    }

    /// How far each token reaches, from the lists of each scope.
    async fn scopes(&self, full: Option<usize>) -> Result<HashMap<TokenId, TokenScope>, HttpError> {
        let mut read = Vec::new();
        for scope in (0..=2).filter_map(TokenScope::from_number) {
            let ids = Pages::new(&self.client, Some(Filter::Scope(scope)), full).ids().await?;
            read.extend(ids.map(|ids| (scope, ids)));
        }
        Ok(found(&read))
    }
}

/// What the server does not say, of how many tokens, and of which for example.
#[derive(Default)]
struct Unsaid(BTreeMap<TokenPart, (u64, TokenId)>);

impl Unsaid {
    fn add(&mut self, part: TokenPart, id: TokenId) {
        let (tokens, such_as) = self.0.entry(part).or_insert_with(|| (0, id.clone()));
        *tokens += 1;
        if id < *such_as {
            *such_as = id;
        }
    }

    fn missing(self) -> impl Iterator<Item = Missing> {
        self.0.into_iter().map(|(of, (tokens, such_as))| Missing::Part { of, tokens, such_as })
    }
}
