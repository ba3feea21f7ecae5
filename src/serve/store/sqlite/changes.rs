//! Many changes of tokens in one transaction: a crash leaves all of them or none. Each has an outcome of its own, and one
//! that is refused keeps no other from being made.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{
    Right, Store, Upkeep, Writing,
    narrowing::{Narrowed, narrow},
    revocation::{Revoked, parents_among, revoke},
    right::known_owner,
    runs, tokens,
};
use crate::{
    model::{Owner, run::ChangeNote},
    serve::store::{Deed, DeedStep, Done, KnownOwner, StoreError, TokenRow, Under, audit::Effect},
};

impl Store {
    /// Makes the changes `deeds` in their order, each of which `judge` lets pass: it is told the place of the change, the
    /// token, and what the directory knows of the owner; `None` when there is no such token. Lease and run are looked at
    /// once. What the run did before is done, and not done again.
    ///
    /// # Errors
    ///
    /// When `right` has ended, the run has lost its lease, or the store fails: then nothing was changed.
    pub async fn change_tokens<R: Send>(
        &self,
        right: &Right,
        deeds: &[Deed],
        judge: impl Fn(usize, Option<(&TokenRow, Option<&KnownOwner>)>) -> Result<(), R> + Send + Sync,
    ) -> Result<Vec<Done<R>>, StoreError> {
        let mut writing = self.write(right).await?;
        let all: Vec<&Under> = deeds.iter().filter_map(|deed| deed.under.as_ref()).collect();
        if let Some(first) = all.first() {
            runs::admit(&mut writing, first).await?;
        }
        let made_before = runs::made_before(&mut writing, &all).await?;
        let rows = tokens::by_ids(&mut writing, deeds.iter().map(|deed| deed.token)).await?;
        let parents = parents_among(&mut writing, deeds.iter().map(|deed| deed.token)).await?;
        let owners = HashMap::new();
        let mut batch = Batch { made_before, rows, parents, owners, effects: vec![], notes: vec![] };
        let (mut done, mut has_ended) = (Vec::with_capacity(deeds.len()), false);
        for (place, deed) in deeds.iter().enumerate() {
            if has_ended {
                done.push(Done::RightEnded);
                continue;
            }
            let (outcome, changed) = batch.make(&mut writing, deed, |token| judge(place, token)).await?;
            done.push(outcome);
            // INVARIANT: nobody goes on with a right that an earlier change took away. Of all that a right rests on, a
            // change of tokens touches the credential alone.
            if changed.iter().any(|id| writing.is_by(*id)) {
                has_ended = !right.holds(&mut writing).await?;
            }
        }
        let Batch { effects, notes, .. } = batch;
        runs::add(&mut writing, all.first().copied(), &notes).await?;
        if effects.is_empty() && !notes.is_empty() {
            writing.keep(Upkeep::Repetition).await?;
        } else {
            writing.finish(effects).await?;
        }
        Ok(done)
    }
}

/// What one change made of tokens, `None` for those that are gone, and what audit and ledger keep of it.
type Made = (Vec<(i64, Option<TokenRow>)>, Vec<Effect>, Vec<ChangeNote>);

/// What changes that are made together know and leave.
struct Batch {
    made_before: HashSet<(String, String)>,
    /// The tokens as they are by now.
    rows: HashMap<i64, TokenRow>,
    /// Those that had offspring to begin with. None gets any meanwhile.
    parents: HashSet<i64>,
    owners: HashMap<Owner, Option<KnownOwner>>,
    effects: Vec<Effect>,
    notes: Vec<ChangeNote>,
}

impl Batch {
    /// Makes one change. Returns what became of it, and which tokens it changed.
    async fn make<R>(
        &mut self,
        writing: &mut Writing,
        deed: &Deed,
        judge: impl Fn(Option<(&TokenRow, Option<&KnownOwner>)>) -> Result<(), R>,
    ) -> Result<(Done<R>, Vec<i64>), StoreError> {
        let under = deed.under.as_ref();
        let key = under.map(|under| (under.note.address.clone(), under.note.action.clone()));
        if key.is_some_and(|key| self.made_before.contains(&key)) {
            return Ok((Done::Done, Vec::new()));
        }
        let Some(token) = self.rows.get(&deed.token) else {
            return Ok((judge(None).map_or_else(Done::Refused, |()| Done::Gone), Vec::new()));
        };
        let owner = match self.owners.entry(token.owner.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(known_owner(writing, &token.owner).await?),
        };
        if let Err(refusal) = judge(Some((token, owner.as_ref()))) {
            return Ok((Done::Refused(refusal), Vec::new()));
        }
        let on = (under, self.parents.contains(&token.id));
        let made: Result<Option<Made>, StoreError> = match &deed.step {
            DeedStep::Narrow(narrowing) => narrow(writing, token, narrowing, on).await.map(|narrowed| {
                let Narrowed { after, along, effects, notes } = narrowed?;
                let changed = [after].into_iter().chain(along).map(|row| (row.id, Some(row))).collect();
                Some((changed, effects, notes))
            }),
            DeedStep::Revoke(children) => revoke(writing, token.id, *children, on).await.map(|revoked| {
                let Revoked { gone, effects, notes } = revoked;
                Some((gone.into_iter().map(|id| (id, None)).collect(), effects, notes))
            }),
        };
        let (changed, effects, notes) = match made {
            Ok(Some(made)) => made,
            Ok(None) => return Ok((Done::AlreadySo, Vec::new())),
            Err(StoreError::OwnCredential) => return Ok((Done::OwnCredential, Vec::new())),
            Err(error) => return Err(error),
        };
        self.effects.extend(effects);
        self.notes.extend(under.map(|under| under.note.clone()));
        self.notes.extend(notes);
        let ids = changed.iter().map(|(id, _)| *id).collect();
        for (id, row) in changed {
            match row {
                Some(row) => self.rows.insert(id, row),
                None => self.rows.remove(&id),
            };
        }
        Ok((Done::Done, ids))
    }
}
