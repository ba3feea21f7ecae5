//! In: what a plan is made from, what was seen of the target, and every token one by one. Out: the plan.
//! It refuses to read anything, and to keep tokens: it is a fold.

use crate::{
    compliance::{Compliance, Explanation, Statistics},
    inventory::Inventory,
    model::{Token, TokenId},
};

use super::{
    HeldBack, Plan, PlannedChange, Purpose, Terms,
    lockout::{self, PeopleFold},
    order,
    refused_use::RefusedUseFold,
    settings,
    settle::SettleFold,
};

/// The fold over all tokens of a target that ends in a plan to comply, or to do a part of it.
pub(super) struct Planner<'a> {
    purpose: Purpose,
    terms: Terms<'a>,
    inventory: &'a Inventory,
    compliance: Compliance<'a>,
    statistics: Statistics,
    refused_use: RefusedUseFold<'a>,
    people: PeopleFold<'a>,
    settle: SettleFold<'a>,
    settings: (Vec<PlannedChange>, Vec<HeldBack>),
    left_out: Vec<PlannedChange>,
}

impl<'a> Planner<'a> {
    /// Begins a plan.
    pub(super) fn new(purpose: &Purpose, terms: &Terms<'a>, inventory: &'a Inventory) -> Self {
        let mut settings = settings::diff(terms.policy, inventory);
        // Before anything is judged by what would be done.
        let left_out = purpose.cut(terms.target, &mut settings.0, &mut settings.1);
        Self {
            purpose: purpose.clone(),
            compliance: Compliance::new(terms.policy, &inventory.people, terms.now),
            statistics: Statistics::new(terms.now),
            refused_use: RefusedUseFold::new(inventory, &settings.0),
            people: PeopleFold::new(inventory, &settings.0, terms.lockout),
            settle: SettleFold::new(&terms.history.open),
            terms: *terms,
            inventory,
            settings,
            left_out,
        }
    }

    /// The same, which also explains what becomes of `token`.
    pub(super) fn watching(self, token: &TokenId) -> Self {
        Self { compliance: self.compliance.watching(Some(token.clone())), ..self }
    }

    /// Looks at one token.
    pub(super) fn observe(&mut self, token: &Token) {
        self.compliance.observe(token);
        self.statistics.observe(token);
        self.refused_use.observe(token);
        self.people.observe(token);
        self.settle.observe(token);
    }

    /// Ends the plan.
    pub(super) fn finish(self) -> Plan {
        self.finish_explaining().0
    }

    /// Ends the plan, and explains the token that it watched, when that is there.
    pub(super) fn finish_explaining(self) -> (Plan, Option<Explanation>) {
        let Self { purpose, terms, inventory, people, mut statistics, mut left_out, .. } = self;
        let (findings, explanation) = self.compliance.finish_explaining();
        findings.tokens.iter().for_each(|found| statistics.observe_findings(found, &inventory.people));
        let refused_use = self.refused_use.finish();
        let Terms { target, policy, .. } = terms;
        let mut plan = Plan::assemble(
            target,
            policy,
            inventory.clone(),
            self.settings,
            findings,
            statistics,
            refused_use,
        );
        left_out.extend(purpose.cut(target, &mut plan.changes, &mut plan.held_back));
        order::sort(&mut left_out);
        (plan.purpose, plan.left_out) = (purpose, left_out);
        plan.shut_out =
            lockout::caller_shut_out(&plan.changes, &inventory.settings, &plan.server).into_iter().collect();
        plan.without_way_in = people.without_way_in();
        plan.shut_out.extend(people.finish(&plan.changes));
        plan.settled = self.settle.finish(plan.changes.iter().chain(&plan.left_out), &plan.coverage);
        plan.spent = terms.history.spent_with(&plan.settled, terms.now);
        (plan, explanation)
    }
}
