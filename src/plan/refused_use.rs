//! In: the changes of settings of a plan, and every token. Out: how many tokens were last used from
//! each network that would be refused, and how many owners of tokens used lately would no longer be
//! let in. It refuses to know what is done about it.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::{
    inventory::{Coverage, Inventory, Membership, Missing, People},
    model::{Holders, Owner, Period, Permission, Token, network::AddressRange, network::canonical},
};

use super::{Change, PlannedChange};

/// Who would no longer be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedUse {
    /// The refused ranges from which some token was last used, and how many were. Disjoint and
    /// ascending.
    pub tokens: Vec<(AddressRange, u64)>,
    /// How many owners used a token in the last 30 days from an address that would be refused, or
    /// would no longer be permitted to use tokens.
    pub owners: u64,
    /// How many owners used a token in the last 30 days.
    pub of_owners: u64,
    /// Whether the server tells the address of every use in the last 30 days, and finds addresses in the
    /// same way before and after the plan. Otherwise nobody can tell who would be refused.
    pub addresses_tell: bool,
}

/// Uses that count as lately.
const LATELY: Period = Period::days(30);

/// The fold over all tokens.
pub(super) struct RefusedUseFold<'a> {
    /// Every range that would be refused; disjoint and ascending.
    counts: Vec<(AddressRange, u64)>,
    /// Who may use tokens now, and who may then, when that changes.
    users: Option<(Holders, Holders)>,
    addresses_tell: bool,
    people: &'a People,
    refused: HashSet<Owner>,
    callers: HashSet<Owner>,
    now: Timestamp,
}

impl<'a> RefusedUseFold<'a> {
    pub(super) fn new(inventory: &'a Inventory, changes: &[PlannedChange]) -> Self {
        let (mut counts, mut users, mut addresses_tell) = (Vec::new(), None, true);
        for planned in changes {
            match &planned.change {
                Change::Refuse(change) => {
                    let refused = change.before.addresses().difference(&change.after.addresses());
                    counts = refused.pieces().into_iter().map(|range| (range, 0)).collect();
                }
                Change::Withdraw(change) if change.permission == Permission::Use => {
                    users = Some((change.before.clone(), change.after.clone()));
                }
                Change::SetClientAddress { .. } => addresses_tell = false,
                _ => {}
            }
        }
        Self {
            counts,
            users,
            addresses_tell,
            people: &inventory.people,
            refused: HashSet::new(),
            callers: HashSet::new(),
            now: inventory.seen_at,
        }
    }

    /// Looks at one token, in time that grows with the logarithm of the ranges.
    pub(super) fn observe(&mut self, token: &Token) {
        let Some(last) = token.last_used else { return };
        if token.is_expired(self.now) {
            return;
        }
        let is_refused = self.count_address(token) || self.loses_use(&token.owner);
        if last.at >= LATELY.before(self.now) {
            self.addresses_tell &= last.from.is_some();
            insert(&mut self.callers, &token.owner);
            if is_refused {
                insert(&mut self.refused, &token.owner);
            }
        }
    }

    /// Counts the address of the last use, when it would be refused, and answers whether it would be.
    fn count_address(&mut self, token: &Token) -> bool {
        let Some(from) = token.last_used.and_then(|last| last.from).map(canonical) else { return false };
        let first_beyond = self.counts.partition_point(|(range, _)| range.first() <= from);
        let candidate = first_beyond.checked_sub(1).and_then(|index| self.counts.get_mut(index));
        let Some((_, count)) = candidate.filter(|(range, _)| from <= range.last()) else { return false };
        *count += 1;
        true
    }

    fn loses_use(&self, owner: &Owner) -> bool {
        let Some((before, after)) = &self.users else { return false };
        // Projects and repositories are in no group: their tokens are used unless nobody's are.
        let holds = |holders: &Holders| match (holders, owner.user()) {
            (Holders::Nobody, _) => false,
            (Holders::Everyone, _) | (Holders::Groups(_), None) => true,
            (Holders::Groups(groups), Some(user)) => {
                self.people.membership(user, groups) == Membership::Member
            }
        };
        holds(before) && !holds(after)
    }

    /// Ends the fold; `seen` says whether there may be tokens that were not looked at.
    pub(super) fn finish(self, seen: &Coverage) -> RefusedUse {
        RefusedUse {
            tokens: self.counts.into_iter().filter(|(_, count)| *count > 0).collect(),
            owners: self.refused.len() as u64,
            of_owners: self.callers.len() as u64,
            addresses_tell: self.addresses_tell && seen.unseen().all(is_of_users),
        }
    }
}

/// Whether it hides no token.
fn is_of_users(missing: &Missing) -> bool {
    matches!(missing, Missing::Group(_) | Missing::Activity { .. })
}

/// Inserts without a copy when it is there already.
fn insert(owners: &mut HashSet<Owner>, owner: &Owner) {
    if !owners.contains(owner) {
        owners.insert(owner.clone());
    }
}
