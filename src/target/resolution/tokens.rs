//! In: the app's listing of tokens. Out: every token once, with its owner and scope, and what the server
//! does not say. It refuses to guess: what two answers say differently is not known.
//!
//! The size of a page is what the server makes it: the first page shows it, whatever was asked for, and a
//! page that is shorter or empty is the last one.
//!
//! Where a list does not say whose a token is, the list of each user's tokens does; where it does not say
//! how far a token reaches, the lists of each scope do. A server that takes no notice of such a filter
//! answers the same to all of them, which is no answer.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
};

use futures_util::{StreamExt, stream};
use reqwest::StatusCode;

use crate::{
    inventory::{Coverage, Missing, TokenPart},
    model::{Token, TokenId, TokenScope, UserName},
    target::http::{HttpClient, HttpError, PagingFault, Refusal},
};

use super::{
    Resolution,
    directory::Person,
    wire::{NoToken, TOKENS, TokenItem, TokenPage},
};

/// So many tokens are asked for at once; the server may give fewer.
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
    filter: Option<(&'a str, String)>,
    next: u64,
    /// How many tokens are on a page that is not the last one.
    full: Option<usize>,
    ended: bool,
    seen: HashSet<TokenId>,
}

impl<'a> Pages<'a> {
    /// The tokens for which `filter` holds. `full` is the size of a page, when it is known.
    pub(super) fn new(
        client: &'a HttpClient,
        filter: Option<(&'a str, String)>,
        full: Option<usize>,
    ) -> Self {
        Self { client, filter, next: 0, full, ended: false, seen: HashSet::new() }
    }

    /// The tokens of the next page that were not on an earlier one; nothing behind the last page.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<TokenItem>>, HttpError> {
        if self.ended {
            return Ok(None);
        }
        let (number, page) = (self.next, self.next.to_string());
        let mut query = vec![("page", page.as_str()), ("limit", LIMIT)];
        query.extend(self.filter.as_ref().map(|(name, value)| (*name, value.as_str())));
        let mut items = self.client.get::<TokenPage>(TOKENS, &query).await?.body.items();
        if items.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        self.ended = items.len() < *self.full.get_or_insert(items.len());
        // A token that is made meanwhile moves others to the next page, where they stand again.
        items.retain(|item| self.seen.insert(item.id()));
        if items.is_empty() {
            return Err(self.client.paging(TOKENS, number, PagingFault::Repeats));
        }
        self.next += 1;
        Ok(Some(items))
    }

    async fn ids(mut self) -> Result<HashSet<TokenId>, HttpError> {
        while self.next().await?.is_some() {}
        Ok(self.seen)
    }
}

/// What filtered lists say of tokens; nothing where they contradict each other.
struct Found<T>(HashMap<TokenId, Option<T>>);

impl<T: Clone + PartialEq> Found<T> {
    fn add(&mut self, ids: HashSet<TokenId>, value: &T) {
        for id in ids {
            let found = self.0.entry(id).or_insert_with(|| Some(value.clone()));
            found.take_if(|found| found != value);
        }
    }

    fn get(&self, id: &TokenId) -> Option<T> {
        self.0.get(id).cloned().flatten()
    }
}

impl Resolution {
    /// Hands every token to `each`, and answers what the server does not say.
    pub(super) async fn read_tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, Cause> {
        let mut unsaid = Unsaid::default();
        let people = match self.known_people() {
            Some(people) => people,
            None => self.read_people().await?,
        };
        let mut pages = Pages::new(&self.client, None, None);
        let mut page = pages.next().await.map_err(|error| match error.refusal() {
            Some(Refusal::NotSupported) => Cause::from(NoApp(error)),
            _ => error.into(),
        })?;
        let (lack_owner, lack_scope) = page.iter().flatten().fold((false, false), |(owner, scope), item| {
            (owner || !item.names_its_owner(), scope || !item.has_scope())
        });
        let by_key: HashMap<&str, &UserName> =
            people.iter().map(|person| (person.key.as_str(), &person.name)).collect();
        // Keys of which none is anybody's are another product's, or of a form that is not known here.
        let keys: Vec<_> = page.iter().flatten().filter_map(TokenItem::key_alone).collect();
        let keys_are_known = keys.is_empty() || keys.iter().any(|key| by_key.contains_key(key));
        let owners = if lack_owner || !keys_are_known {
            self.owners(&people, pages.full).await?
        } else {
            Found(HashMap::new())
        };
        let scopes = if lack_scope { self.scopes(pages.full).await? } else { Found(HashMap::new()) };
        let names: HashSet<&UserName> = people.iter().map(|person| &person.name).collect();
        // Who is no longer in the directory is known by the key, unless somebody else has that for a name.
        let name_of = |key: &str| {
            let gone = UserName::new(key);
            let is_gone = keys_are_known && !names.contains(&gone);
            by_key.get(key).map(|name| (*name).clone()).or_else(|| is_gone.then_some(gone))
        };
        while let Some(items) = page {
            for item in items {
                let id = item.id();
                let owner = item.owner(name_of).or_else(|| owners.get(&id));
                match item.token(owner, scopes.get(&id), self.options.marker.as_ref()) {
                    Ok(token) => each(token),
                    Err(NoToken::Lacks(part)) => unsaid.add(part, id),
                    Err(NoToken::Bad(bad)) => return Err(bad.into()),
                }
            }
            page = pages.next().await?;
        }
        Ok(unsaid.coverage(&people))
    }

    /// Whose each token is, from the lists of the users' tokens.
    async fn owners(&self, people: &[Person], full: Option<usize>) -> Result<Found<UserName>, HttpError> {
        let mut found = Found(HashMap::new());
        let owners: Vec<_> = people.iter().map(|person| (person.name.clone(), person.key.clone())).collect();
        let lists = owners.into_iter().map(|(name, key)| async move {
            (name, Pages::new(&self.client, Some(("userFilter", key)), full).ids().await)
        });
        let mut lists = stream::iter(lists).buffer_unordered(AT_ONCE);
        while let Some((name, ids)) = lists.next().await {
            match ids {
                Ok(ids) => found.add(ids, &name),
                // The app does not know that user: then it says nothing.
                Err(error)
                    if matches!(error.status(), Some(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// How far each token reaches, from the lists of each scope.
    async fn scopes(&self, full: Option<usize>) -> Result<Found<TokenScope>, HttpError> {
        let mut found = Found(HashMap::new());
        for number in 0..=2 {
            let Some(scope) = TokenScope::from_number(number) else { continue };
            let pages = Pages::new(&self.client, Some(("tokenScope", number.to_string())), full);
            found.add(pages.ids().await?, &scope);
        }
        Ok(found)
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

    fn coverage(self, people: &[Person]) -> Coverage {
        let mut unclear = people.iter().filter(|person| person.active.is_none()).map(|person| &person.name);
        let activity = unclear.next().map(|first| {
            let (users, such_as) =
                unclear.fold((1, first), |(users, least), name| (users + 1, least.min(name)));
            Missing::Activity { users, such_as: such_as.clone() }
        });
        let parts = self.0.into_iter().map(|(of, (tokens, such_as))| Missing::Part { of, tokens, such_as });
        parts.chain(activity).collect()
    }
}
