//! In: the networks that would be refused, and every token. Out: how many tokens were last used
//! from each of them. It refuses to know whose they are.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    model::{Settings, Token, network::canonical},
    policy::Policy,
};

/// The fold that counts tokens by the refused network of their last use.
pub(super) struct RefusedUse {
    /// Disjoint and ascending.
    counts: Vec<(IpNet, u64)>,
    now: Timestamp,
}

impl RefusedUse {
    pub(super) fn new(policy: &Policy, settings: &Settings, now: Timestamp) -> Self {
        let refused = policy
            .networks
            .get()
            .map(|wanted| settings.networks.addresses().difference(&wanted.value.addresses()).networks());
        Self { counts: refused.into_iter().flatten().map(|network| (network, 0)).collect(), now }
    }

    /// Looks at one token, in time that grows with the logarithm of the networks.
    pub(super) fn observe(&mut self, token: &Token) {
        let Some(from) = token.last_used.and_then(|last| last.from).map(canonical) else { return };
        if token.is_expired(self.now) {
            return;
        }
        let first_beyond = self.counts.partition_point(|(network, _)| begins_no_later(network, from));
        let candidate = first_beyond.checked_sub(1).and_then(|index| self.counts.get_mut(index));
        if let Some((network, count)) = candidate
            && network.contains(&from)
        {
            *count += 1;
        }
    }

    /// The networks from which some token was last used.
    pub(super) fn finish(self) -> Vec<(IpNet, u64)> {
        self.counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

fn begins_no_later(network: &IpNet, address: IpAddr) -> bool {
    network.network() <= address
}
