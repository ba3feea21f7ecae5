//! In: what a plan is made from, what was seen of the target, and every token one by one. Out: the plan.
//! It refuses to read anything, and to keep tokens: it is a fold.

use sha2::{Digest, Sha256};

use crate::{
    compliance::Compliance,
    inventory::Inventory,
    model::{Holders, Permission, Settings, Token},
    policy::Policy,
};

use super::{
    HeldBack, Plan, PlannedChange, Terms, TokenCounts,
    lockout::{self, PeopleFold},
    order,
    refused_use::RefusedUseFold,
    settings,
    tokens::TokenPlan,
};

/// The fold over all tokens of a target that ends in a plan.
pub(super) struct Planner<'a> {
    terms: Terms<'a>,
    inventory: &'a Inventory,
    compliance: Compliance<'a>,
    refused_use: RefusedUseFold<'a>,
    people: PeopleFold<'a>,
    changes: Vec<PlannedChange>,
    left_out: Vec<PlannedChange>,
    held_back: Vec<HeldBack>,
}

impl<'a> Planner<'a> {
    /// Begins a plan.
    pub(super) fn new(terms: &Terms<'a>, inventory: &'a Inventory) -> Self {
        let (mut changes, held_back) = settings::diff(terms.policy, inventory);
        let left_out = terms.selection.leave_out(&mut changes);
        Self {
            compliance: Compliance::new(terms.policy, &inventory.people, terms.now),
            refused_use: RefusedUseFold::new(inventory, &changes),
            people: PeopleFold::new(inventory, &changes, terms.lockout),
            terms: *terms,
            inventory,
            changes,
            left_out,
            held_back,
        }
    }

    /// Looks at one token.
    pub(super) fn observe(&mut self, token: &Token) {
        self.compliance.observe(token);
        self.refused_use.observe(token);
        self.people.observe(token);
    }

    /// Ends the plan.
    pub(super) fn finish(self) -> Plan {
        let Self { terms, inventory, compliance, refused_use, people, .. } = self;
        let Terms { target, policy, .. } = terms;
        let (mut changes, mut left_out, mut held_back) = (self.changes, self.left_out, self.held_back);
        let findings = compliance.finish();
        let tokens = TokenCounts {
            seen: findings.seen,
            live: findings.live,
            complying: findings.complying(),
            unjudged: findings.unjudged,
            waived: findings.waived(),
        };
        held_back.extend(findings.undecided.into_iter().map(|((rule, reason), count)| HeldBack {
            subject: format!("rule {rule}"),
            place: policy.enforcement.place_of(&rule).cloned(),
            reason,
            tokens: Some(count),
        }));
        let mut token_plan = TokenPlan::default();
        for found in findings.tokens {
            token_plan.add(&found, &inventory.server.caller, inventory.seen_at);
        }
        left_out.extend(terms.selection.leave_out(&mut token_plan.changes));
        changes.extend(token_plan.changes);
        held_back.extend(token_plan.held_back);
        order::sort(&mut changes);
        let mut shut_out: Vec<_> =
            lockout::caller_shut_out(&changes, &inventory.settings, &inventory.server).into_iter().collect();
        let without_way_in = people.without_way_in();
        shut_out.extend(people.finish(&changes));
        Plan {
            target: target.to_owned(),
            server: inventory.server.clone(),
            made_for: inventory.seen_at,
            policy_fingerprint: fingerprint(policy),
            changes,
            left_out,
            held_back,
            pending: token_plan.pending,
            reported: token_plan.reported,
            waived: token_plan.waived,
            waiver_warnings: findings.waiver_warnings,
            tokens,
            latest_use: findings.latest,
            refused_use: refused_use.finish(),
            holders: holders(&inventory.settings),
            network_names: policy.network_names.clone(),
            coverage: inventory.coverage.clone(),
            shut_out,
            without_way_in,
        }
    }
}

/// How many groups hold a permission, "everyone" counted as one, each permission for itself.
fn holders(settings: &Settings) -> u64 {
    let count = |permission| match settings.permissions.of(permission) {
        Holders::Everyone => 1,
        holders => holders.groups().count() as u64,
    };
    Permission::ALL.into_iter().map(count).sum()
}

fn fingerprint(policy: &Policy) -> String {
    use std::fmt::Write;
    let hash = Sha256::digest(policy.canonical.as_bytes());
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
