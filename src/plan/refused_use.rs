//! How many tokens were last used from each network that a plan would refuse, and how many owners of tokens
//! used lately would no longer be let in.
//!
//! Anyone who may be refused counts as refused: where it is not known from which address a token was used, or
//! where its user would be seen under another `network.client_address`, every address that is possible is one
//! from which it may be used. A token that was not used lately, or never, has no user who would be refused.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::{
    access::Relocation,
    compliance::{OwnerNumber, OwnerSet},
    inventory::{Coverage, Inventory, List, Membership, Missing, People},
    model::{
        AddressSet, AllowedNetworks, Holders, Owner, Period, Settings, Token, network::AddressRange,
        network::canonical,
    },
};

use super::{PlannedChange, lockout::settings_after};

/// Who would no longer be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedUse {
    /// The refused ranges from which some token was last used, and how many were. Disjoint and
    /// ascending.
    pub tokens: Vec<(AddressRange, u64)>,
    /// How many owners used a token in the last 30 days and would be refused for their address, may be since
    /// it is not known, or would no longer be permitted to use tokens.
    pub owners: u64,
    /// How many of them count since their address is not known, be it that of the use or that at which they
    /// would be seen.
    pub of_unknown_address: u64,
    /// How many owners used a token in the last 30 days.
    pub of_owners: u64,
    /// Whether the address of every use in the last 30 days is known, and stays the same when addresses are
    /// found in another way. Otherwise nobody can tell who would be refused.
    pub addresses_tell: bool,
}

/// Uses that count as lately.
const LATELY: Period = Period::days(30);

/// The fold over all tokens.
pub(super) struct RefusedUseFold<'a> {
    /// Every range that would be refused; disjoint and ascending.
    counts: Vec<(AddressRange, u64)>,
    entrance: Entrance,
    /// Who may use tokens now, and who may then, when that changes.
    users: Option<(Holders, Holders)>,
    addresses_tell: bool,
    people: &'a People,
    refused: OwnerSet,
    of_unknown_address: OwnerSet,
    callers: OwnerSet,
    now: Timestamp,
    /// From when on uses count as lately.
    lately: Timestamp,
}

impl<'a> RefusedUseFold<'a> {
    pub(super) fn new(inventory: &'a Inventory, changes: &[PlannedChange]) -> Self {
        let (before, after) = (&inventory.settings, settings_after(&inventory.settings, changes));
        let refused = before.networks.addresses().difference(&after.networks.addresses());
        let (uses, then) = (&before.permissions.use_tokens, &after.permissions.use_tokens);
        Self {
            counts: refused.pieces().into_iter().map(|range| (range, 0)).collect(),
            users: (uses != then).then(|| (uses.clone(), then.clone())),
            addresses_tell: true,
            entrance: Entrance::new(before, after),
            people: &inventory.people,
            refused: OwnerSet::default(),
            of_unknown_address: OwnerSet::default(),
            callers: OwnerSet::default(),
            now: inventory.seen_at,
            lately: LATELY.before(inventory.seen_at),
        }
    }

    /// Looks at one token of `owner`, in time that grows with the logarithm of the ranges.
    pub(super) fn observe(&mut self, token: &Token, owner: OwnerNumber) {
        if token.is_expired(self.now) {
            return;
        }
        let Some(last) = token.last_used else { return };
        let from = last.from.map(canonical);
        let is_refused = self.count_address(from) || self.loses_use(&token.owner);
        if last.at >= self.lately {
            self.addresses_tell &= from.is_some_and(|from| self.entrance.keeps(from));
            self.callers.insert(owner);
            if is_refused {
                self.refused.insert(owner);
            } else if self.entrance.may_refuse(from) {
                self.of_unknown_address.insert(owner);
            }
        }
    }

    /// Counts the address of a last use when it would be refused, and returns whether it would be.
    fn count_address(&mut self, from: Option<IpAddr>) -> bool {
        let Some(from) = from else { return false };
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
            (Holders::Nobody, _) => Membership::NotMember,
            (Holders::Everyone, _) | (Holders::Groups(_), None) => Membership::Member,
            (Holders::Groups(groups), Some(user)) => self.people.membership(user, groups),
        };
        holds(before) != Membership::NotMember && holds(after) != Membership::Member
    }

    /// Ends the fold; `seen` says whether there may be tokens that were not looked at.
    pub(super) fn finish(self, seen: &Coverage) -> RefusedUse {
        let of_unknown_address = self.of_unknown_address.count_without(&self.refused);
        RefusedUse {
            tokens: self.counts.into_iter().filter(|(_, count)| *count > 0).collect(),
            owners: self.refused.count() + of_unknown_address,
            of_unknown_address,
            of_owners: self.callers.count(),
            addresses_tell: self.addresses_tell && seen.unseen().all(is_of_users),
        }
    }
}

/// From where a server lets clients in before a plan, and after it.
struct Entrance {
    before: AllowedNetworks,
    after: AllowedNetworks,
    /// Where clients are seen then, when their addresses are found in another way.
    relocation: Option<Relocation>,
    /// Whether a client may be refused then of which nothing is known but that it is let in now.
    refuses_somebody: bool,
}

impl Entrance {
    fn new(before: &Settings, after: Settings) -> Self {
        let relocation = (before.client_address != after.client_address)
            .then(|| Relocation::between(&before.client_address, &after.client_address));
        let mut entrance = Self {
            before: before.networks.clone(),
            after: after.networks,
            relocation,
            refuses_somebody: false,
        };
        let anybody = entrance.before.addresses();
        entrance.refuses_somebody = entrance.is_beyond(&anybody) || entrance.may_relocate(&anybody);
        entrance
    }

    /// Whether a client that is seen at `from` and let in may be refused then.
    fn may_refuse(&self, from: Option<IpAddr>) -> bool {
        let Some(from) = from else { return self.refuses_somebody };
        self.before.contains(from)
            && (!self.after.contains(from) || self.may_relocate(&[from.into()].into_iter().collect()))
    }

    /// Whether a client that is seen at `from` is seen there then.
    fn keeps(&self, from: IpAddr) -> bool {
        let stays =
            |relocation: &Relocation| relocation.elsewhere(&[from.into()].into_iter().collect()).is_empty();
        self.relocation.as_ref().is_none_or(stays)
    }

    /// Whether clients at addresses of `seen` may be seen elsewhere then, and be refused there.
    fn may_relocate(&self, seen: &AddressSet) -> bool {
        self.relocation.as_ref().is_some_and(|relocation| self.is_beyond(&relocation.elsewhere(seen)))
    }

    /// Whether some of `addresses` are refused then.
    fn is_beyond(&self, addresses: &AddressSet) -> bool {
        !addresses.difference(&self.after.addresses()).is_empty()
    }
}

/// Whether it hides no token.
fn is_of_users(missing: &Missing) -> bool {
    matches!(
        missing,
        Missing::Group(_) | Missing::Activity { .. } | Missing::List { of: List::Members(_), .. }
    )
}
