//! A reader that keeps what passes of some tokens. It causes no reads of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::model::{GroupName, Owner, Settings, Token, TokenId, secret::SecretHash};

use super::{Census, Coverage, InventoryReader, Overview, Pace, People, ReadError};

/// A reader that keeps some of what goes by.
pub struct Watch<'a, R> {
    reader: &'a R,
    wanted: BTreeSet<TokenId>,
    seen: Mutex<Seen>,
}

/// What went by.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The settings, when they were read.
    pub settings: Option<Settings>,
    /// Those of the wanted tokens that there are.
    pub tokens: BTreeMap<TokenId, Token>,
}

impl<'a, R> Watch<'a, R> {
    /// Begins to watch `reader` for the settings and the tokens in `wanted`.
    pub fn new(reader: &'a R, wanted: BTreeSet<TokenId>) -> Self {
        Self { reader, wanted, seen: Mutex::default() }
    }

    /// What went by until now.
    pub fn seen(self) -> Seen {
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// `token`, of which note is taken when it is wanted.
    fn noted(&self, token: Token) -> Token {
        if self.wanted.contains(&token.id) {
            self.note().tokens.insert(token.id.clone(), token.clone());
        }
        token
    }

    fn note(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: InventoryReader + Sync> InventoryReader for Watch<'_, R> {
    async fn overview(&self) -> Result<Overview, ReadError> {
        let overview = self.reader.overview().await?;
        self.note().settings = Some(overview.settings.clone());
        Ok(overview)
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        self.reader.people(groups).await
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        self.reader.groups().await
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        self.reader.tokens(&mut |token| each(self.noted(token))).await
    }

    async fn tokens_of(
        &self,
        owners: &BTreeSet<Owner>,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, ReadError> {
        self.reader.tokens_of(owners, &mut |token| each(self.noted(token))).await
    }

    async fn tokens_by_hash(&self, hashes: &[SecretHash]) -> Result<Option<Vec<Option<TokenId>>>, ReadError> {
        self.reader.tokens_by_hash(hashes).await
    }

    async fn offspring_of(&self, ids: &BTreeSet<TokenId>) -> Result<Vec<(Token, TokenId)>, ReadError> {
        self.reader.offspring_of(ids).await
    }

    fn census(&self) -> Option<&Census> {
        self.reader.census()
    }

    fn pace(&self) -> Option<Pace> {
        self.reader.pace()
    }

    fn latest_date(&self) -> Option<Timestamp> {
        self.reader.latest_date()
    }
}
