//! The reader of a gateway. Pages of tokens are fetched on several chains at once, each by key, so that the
//! work grows only with the number of tokens.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    iter,
};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use jiff::Timestamp;
use reqwest::StatusCode;

use crate::{
    http::{HttpClient, HttpError, PagedList, PagingFault, RefusalKind},
    inventory::{
        Administrators, Caller, Capabilities, Coverage, InventoryReader, Overview, People, ReadError, Server,
    },
    model::{
        GroupName, LastChange, OwnerKind, SettingKey, Settings, Token, TokenId, secret::SecretHash,
        settings::SettingsDocument,
    },
    protocol::{HASH, HASHES_AT_MOST, LAST_CHANGE, SETTINGS, TOKENS_BY_HASH, TokensByHash, WHOAMI, WhoAmI},
    targets::{
        bitbucket::wire::{GROUPS, MEMBERS, PROPERTIES, USERS},
        directory::{Members, Role, people},
        odd::OddTokens,
        resolution::wire::TOKENS,
    },
};

use super::{
    Gateway,
    wire::{Group, Member, Properties, TokenItem, TokenPage, User},
};

/// Tokens or users on a page.
const PAGE: &str = "1000";
/// Chains of pages of tokens, and groups, that are read at once.
const AT_ONCE: usize = 4;

/// No run did anything since then, in the year 9999.
const NO_RUNS_SINCE: Timestamp = Timestamp::constant(253_402_000_000, 0);

type Cause = Box<dyn Error + Send + Sync>;

impl InventoryReader for Gateway {
    async fn overview(&self) -> Result<Overview, ReadError> {
        self.read_overview().await.map_err(self.cannot_read("settings"))
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        let users = async { self.read_users().await.map_err(self.cannot_read("users")) };
        let members = async { self.read_members(groups).await.map_err(self.cannot_read("groups")) };
        let (mut users, members) = future::try_join(users, members).await?;
        let people = people(&mut users, |user| (&user.name, user.active), &self.named, members);
        Ok(people)
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        let groups: Vec<Group> =
            self.client.pages(GROUPS, &[], PAGE).await.map_err(self.cannot_read("groups"))?;
        Ok(Some(groups.into_iter().map(|group| group.name).collect()))
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        self.read_tokens(each).await.map_err(self.cannot_read("tokens"))
    }

    async fn tokens_by_hash(&self, hashes: &[SecretHash]) -> Result<Option<Vec<Option<TokenId>>>, ReadError> {
        self.read_tokens_by_hash(hashes).await.map_err(self.cannot_read("tokens"))
    }

    async fn offspring_of(&self, ids: &BTreeSet<TokenId>) -> Result<Vec<(Token, TokenId)>, ReadError> {
        let roots = ids.iter().filter_map(|id| id.as_str().parse().ok()).collect();
        let mut offspring = Vec::new();
        for (id, parent) in self.descent.below(&roots) {
            let id = TokenId::new(id.to_string());
            let read = Self::token(&self.client, &id).await.map_err(self.cannot_read("tokens"))?;
            offspring.extend(read.map(|token| (token, TokenId::new(parent.to_string()))));
        }
        Ok(offspring)
    }
}

impl Gateway {
    pub(in crate::targets) fn cannot_read<E: Into<Cause>>(
        &self,
        what: &'static str,
    ) -> impl FnOnce(E) -> ReadError {
        let server = self.shown.clone();
        move |cause| ReadError { what, server, cause: cause.into() }
    }

    /// Asks for no runs, and so for nothing but whether we are let in. The answer shows the clock of the server
    /// as well.
    pub(in crate::targets) async fn greet(&self) -> Result<(), ReadError> {
        self.runs(NO_RUNS_SINCE, Some(1)).await.map(|_| ())
    }

    async fn read_overview(&self) -> Result<Overview, Cause> {
        let (settings, caller, properties, settings_changed) = future::try_join4(
            self.client.get::<SettingsDocument>(SETTINGS, &[]),
            self.client.get::<WhoAmI>(WHOAMI, &[]),
            self.client.get::<Properties>(PROPERTIES, &[]),
            self.last_change(),
        )
        .await?;
        let (caller, properties) = (caller.body, properties.body);
        let administrators = Administrators::Group(GroupName::new(caller.administrators.as_str()));
        let caller = Caller::try_from(caller)?;
        self.named.note(Role::Caller, caller.user.clone());
        Ok(Overview {
            server: Server {
                url: self.shown.clone(),
                version: Some(properties.version),
                administrators: Some(administrators),
                caller,
                calls: super::calls(),
                manageable: SettingKey::ALL.into(),
                unreadable: BTreeMap::new(),
                forms: BTreeMap::new(),
                capabilities: Capabilities::everything(),
                left_out: Vec::new(),
                settings_changed,
            },
            settings: Settings::try_from(&settings.body)?,
        })
    }

    /// The token whose secret has each of `hashes`; `None` when the server is older than this question.
    async fn read_tokens_by_hash(
        &self,
        hashes: &[SecretHash],
    ) -> Result<Option<Vec<Option<TokenId>>>, Cause> {
        let mut ids = Vec::with_capacity(hashes.len());
        for some in hashes.chunks(HASHES_AT_MOST) {
            let hexes: Vec<String> = some.iter().map(SecretHash::hex).collect();
            let query: Vec<(&str, &str)> = hexes.iter().map(|hash| (HASH, hash.as_str())).collect();
            let told = match self.client.get::<TokensByHash>(TOKENS_BY_HASH, &query).await {
                Ok(told) => told.body.values,
                Err(error) if error.status() == Some(StatusCode::METHOD_NOT_ALLOWED) => return Ok(None),
                Err(error) if error.refusal() == Some(RefusalKind::NotSupported) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            if !told.iter().map(|one| &one.sha256).eq(&hexes) {
                return Err("the answer is about other secrets than the question".into());
            }
            ids.extend(told.into_iter().map(|one| one.id.map(|id| TokenId::new(id.to_string()))));
        }
        Ok(Some(ids))
    }

    /// Who changed the settings last, and when; `None` when nobody did, or the server does not tell.
    async fn last_change(&self) -> Result<Option<LastChange>, HttpError> {
        match self.client.get::<LastChange>(LAST_CHANGE, &[]).await {
            Ok(told) => Ok(Some(told.body)),
            Err(error) if error.refusal().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_users(&self) -> Result<PagedList<User>, HttpError> {
        self.client.list(USERS, &[], PAGE).await
    }

    async fn read_members(
        &self,
        groups: &BTreeSet<GroupName>,
    ) -> Result<Vec<(GroupName, Members)>, HttpError> {
        let groups = groups.iter().cloned().collect::<Vec<_>>();
        stream::iter(groups.into_iter().map(|group| self.members(group)))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn members(&self, group: GroupName) -> Result<(GroupName, Members), HttpError> {
        let answer = self.client.list::<Member>(MEMBERS, &[("context", group.as_str())], PAGE).await;
        let members = Members::of(answer.map(|listing| listing.map(|member| member.name)))?;
        Ok((group, members))
    }

    async fn read_tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, HttpError> {
        let (mut odd, first) = (OddTokens::default(), self.token_page(0, i64::MAX).await?);
        self.descent.begin();
        for &(token, parent) in &first.ancestors {
            self.descent.note(token, parent);
        }
        let mut look_at = |item: TokenItem| {
            if let Some(parent) = item.parent {
                self.descent.note(item.id, parent);
            }
            match Token::try_from(item) {
                Ok(token) => each(token),
                Err(bad) => odd.add(bad.field, &bad.id, None),
            }
        };
        let last_seen = first.content.last().map_or(first.last_id, |token| token.id);
        let chains = split(last_seen, first.last_id).map(|(after, until)| {
            let pages = stream::try_unfold(after, move |after| self.token_page_after(after, until));
            Box::pin(pages)
        });
        for item in first.content {
            look_at(item);
        }
        let mut pages = stream::select_all(chains);
        while let Some(page) = pages.try_next().await? {
            page.into_iter().for_each(&mut look_at);
        }
        Ok(odd.missing().collect())
    }

    /// The page of tokens behind `after`, up to `until`, and where the next one begins; nothing
    /// when there is none.
    async fn token_page_after(
        &self,
        after: i64,
        until: i64,
    ) -> Result<Option<(Vec<TokenItem>, i64)>, HttpError> {
        if after >= until {
            return Ok(None);
        }
        let page = self.token_page(after, until).await?;
        let next = page.content.last().map(|token| token.id);
        Ok(next.map(|next| (page.content, next)))
    }

    async fn token_page(&self, after: i64, until: i64) -> Result<TokenPage, HttpError> {
        let (after_text, until_text) = (after.to_string(), until.to_string());
        let query = tokens_between(PAGE, &after_text, &until_text);
        let page: TokenPage = self.client.get(TOKENS, &query).await?.body;
        // The identifiers ascend from behind `after` to `until`: others were asked for before.
        let ids = page.content.iter().map(|token| token.id);
        let is_in_order = iter::once(after).chain(ids).is_sorted_by(|a, b| a < b);
        let last = page.content.last().map_or(after, |token| token.id);
        if !is_in_order || last > until {
            return Err(self.client.paging(TOKENS, after.unsigned_abs(), PagingFault::Repeats));
        }
        Ok(page)
    }

    /// The token `id` as it is now; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub(super) async fn token(client: &HttpClient, id: &TokenId) -> Result<Option<Token>, Cause> {
        let number: i64 = id.as_str().parse()?;
        let (after, until) = ((number - 1).to_string(), number.to_string());
        let query = tokens_between("1", &after, &until);
        let page: TokenPage = client.get(TOKENS, &query).await?.body;
        Ok(page.content.into_iter().find(|token| token.id == number).map(Token::try_from).transpose()?)
    }
}

/// Asks for the tokens behind `after`, up to `until`, of all owners: without a kind it would be users alone.
fn tokens_between<'a>(limit: &'a str, after: &'a str, until: &'a str) -> [(&'static str, &'a str); 6] {
    let [user, project, repository] = OwnerKind::ALL.map(|kind| ("ownerKind", kind.word()));
    [("limit", limit), ("afterId", after), ("untilId", until), user, project, repository]
}

/// Cuts the identifiers behind `after`, up to `until`, into as many spans as are read at once.
fn split(after: i64, until: i64) -> impl Iterator<Item = (i64, i64)> {
    let parts = i64::try_from(AT_ONCE).unwrap_or(1);
    let each = until.saturating_sub(after).max(0).div_euclid(parts) + 1;
    (0..parts).map(move |part| {
        let from = after.saturating_add(each.saturating_mul(part));
        (from, from.saturating_add(each).min(until))
    })
}

#[cfg(test)]
mod tests {
    use super::split;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_spans_hold_every_identifier_once(after in 0i64..500, length in 0i64..500) {
            let until = after + length;
            let mut seen: Vec<i64> = split(after, until).flat_map(|(from, to)| from + 1..=to).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (after + 1..=until).collect::<Vec<_>>());
        }
    }
}
