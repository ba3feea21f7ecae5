//! The second look at the people who must keep a way in, right before anything closes.

use std::collections::BTreeSet;

use crate::{
    inventory::{Inventory, InventoryReader, Overview, ReadError},
    model::{Owner, Token},
};

use super::{
    super::{Plan, Purpose},
    PeopleFold, ShutOut,
};

impl Plan {
    /// Whom of the people who must keep a way in the rest of the plan would shut out, and who lost theirs since
    /// it was made, seen from `overview`, which was read half way through it, and from the people and the tokens
    /// of these people as they are now.
    ///
    /// # Errors
    ///
    /// When they could not be read.
    pub async fn people_shut_out(
        &self,
        overview: Overview,
        reader: &impl InventoryReader,
    ) -> Result<Vec<ShutOut>, ReadError> {
        let Some(lockout) = self.ways_in.lockout() else { return Ok(Vec::new()) };
        // An incident does not wait for this when it is about tokens of others.
        let is_theirs = |token: &Token| token.owner.user().is_some_and(|owner| self.ways_in.has(owner));
        if matches!(self.purpose, Purpose::Revoke(_))
            && !self.changes.iter().filter_map(|planned| planned.change.token()).any(is_theirs)
        {
            return Ok(Vec::new());
        }
        let inventory = Inventory::around(overview, reader, &BTreeSet::new(), self.made_for).await?;
        let mut people = PeopleFold::new(&inventory, &self.changes, lockout);
        let holders: BTreeSet<_> = people.holders().cloned().map(Owner::User).collect();
        let mut seen = BTreeSet::new();
        let mut observe = |token: Token| {
            people.observe(&token);
            seen.insert(token.id);
        };
        if !holders.is_empty() {
            reader.tokens_of(&holders, &mut observe).await?;
        }
        // What is gone was not counted, and is not to be taken back.
        let mut changes = self.changes.clone();
        changes.retain(|planned| planned.change.token().is_none_or(|token| seen.contains(&token.id)));
        Ok(people.finish_since(&self.ways_in, &changes))
    }
}
