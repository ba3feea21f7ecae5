//! A reader that tells how late the dates of what it reads can be.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{GroupName, Owner, Token, TokenId, secret::SecretHash};

use super::{Census, Coverage, InventoryReader, Overview, Pace, People, ReadError};

/// A reader, with somebody who knows the clock of the target.
pub struct Dated<'a, R> {
    reader: &'a R,
    latest: &'a (dyn Fn() -> Option<Timestamp> + Sync),
    seen: &'a (dyn Fn() + Sync),
}

impl<'a, R> Dated<'a, R> {
    /// What `reader` reads; `latest` tells at any time how late it may be on the target, UTC.
    pub fn new(reader: &'a R, latest: &'a (dyn Fn() -> Option<Timestamp> + Sync)) -> Self {
        Self { reader, latest, seen: &|| {} }
    }

    /// The same, which calls `seen` for every token that it reads.
    #[must_use]
    pub fn telling(self, seen: &'a (dyn Fn() + Sync)) -> Self {
        Self { seen, ..self }
    }
}

impl<R: InventoryReader> InventoryReader for Dated<'_, R> {
    async fn overview(&self) -> Result<Overview, ReadError> {
        self.reader.overview().await
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        self.reader.people(groups).await
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        self.reader.groups().await
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        let mut told = |token| {
            (self.seen)();
            each(token);
        };
        self.reader.tokens(&mut told).await
    }

    async fn tokens_of(
        &self,
        owners: &BTreeSet<Owner>,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, ReadError> {
        let mut told = |token| {
            (self.seen)();
            each(token);
        };
        self.reader.tokens_of(owners, &mut told).await
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
        (self.latest)()
    }
}
