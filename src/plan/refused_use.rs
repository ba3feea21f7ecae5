//! In: the networks that would be refused, and every token. Out: how many tokens were last used
//! from each of them, and how many owners were lately. It refuses to know what is done about it.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::{
    model::{
        Owner, Period, Settings, Token,
        network::{AddressRange, canonical},
    },
    policy::Policy,
};

/// Who would no longer be let in from where they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedUse {
    /// The refused ranges from which some token was last used, and how many were. Disjoint and
    /// ascending.
    pub tokens: Vec<(AddressRange, u64)>,
    /// How many owners used a token from a refused address in the last 30 days.
    pub owners: u64,
    /// How many owners used a token from a known address in the last 30 days.
    pub of_owners: u64,
}

/// Uses that count as lately.
const LATELY: Period = Period::days(30);

/// The fold over all tokens.
pub(super) struct RefusedUseFold {
    /// Every range that would be refused; disjoint and ascending.
    counts: Vec<(AddressRange, u64)>,
    refused: HashSet<Owner>,
    callers: HashSet<Owner>,
    now: Timestamp,
}

impl RefusedUseFold {
    pub(super) fn new(policy: &Policy, settings: &Settings, now: Timestamp) -> Self {
        let refused = policy
            .networks
            .get()
            .map(|wanted| settings.networks.addresses().difference(&wanted.value.addresses()).pieces());
        let counts = refused.into_iter().flatten().map(|range| (range, 0)).collect();
        Self { counts, refused: HashSet::new(), callers: HashSet::new(), now }
    }

    /// Looks at one token, in time that grows with the logarithm of the ranges.
    pub(super) fn observe(&mut self, token: &Token) {
        let Some(last) = token.last_used else { return };
        let Some(from) = last.from.map(canonical) else { return };
        if token.is_expired(self.now) {
            return;
        }
        let lately = last.at >= LATELY.before(self.now);
        if lately && !self.callers.contains(&token.owner) {
            self.callers.insert(token.owner.clone());
        }
        let first_beyond = self.counts.partition_point(|(range, _)| range.first() <= from);
        let candidate = first_beyond.checked_sub(1).and_then(|index| self.counts.get_mut(index));
        if let Some((range, count)) = candidate
            && from <= range.last()
        {
            *count += 1;
            if lately && !self.refused.contains(&token.owner) {
                self.refused.insert(token.owner.clone());
            }
        }
    }

    pub(super) fn finish(self) -> RefusedUse {
        RefusedUse {
            tokens: self.counts.into_iter().filter(|(_, count)| *count > 0).collect(),
            owners: self.refused.len() as u64,
            of_owners: self.callers.len() as u64,
        }
    }
}
