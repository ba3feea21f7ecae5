//! The fold that makes a plan, from its terms, what was seen of the target, and every token one by one.

use jiff::Timestamp;

use crate::{
    compliance::{Compliance, Explanation, Statistics, WaiverStanding},
    inventory::{Coverage, Expiry, Inventory, InventoryReader},
    model::{Token, TokenId},
};

use super::{
    HeldBack, Judged, Plan, PlannedChange, Purpose, Terms,
    lockout::{self, PeopleFold},
    odd_dates::OddDatesFold,
    order,
    refused_use::RefusedUseFold,
    settings,
    settle::SettleFold,
};

/// The fold over all tokens of a target that ends in a plan to comply, or to do a part of it.
pub(super) struct Planner<'a> {
    purpose: Purpose,
    /// Whether tokens are marked, since they cannot be made to expire.
    marks: bool,
    terms: Terms<'a>,
    inventory: &'a Inventory,
    compliance: Compliance<'a>,
    statistics: Statistics,
    refused_use: RefusedUseFold<'a>,
    people: PeopleFold<'a>,
    settle: SettleFold<'a>,
    odd_dates: OddDatesFold,
    settings: (Vec<PlannedChange>, Vec<HeldBack>),
    left_out: Vec<PlannedChange>,
}

impl<'a> Planner<'a> {
    /// Begins a plan.
    pub(super) fn new(purpose: &Purpose, terms: &Terms<'a>, inventory: &'a Inventory) -> Self {
        let marks = matches!(inventory.server.capabilities.expiry, Expiry::Mark { .. });
        let mut settings = settings::diff(terms, inventory);
        // Before anything is judged by what would be done.
        let left_out = purpose.cut(terms.target, &mut settings.0, &mut settings.1);
        Self {
            purpose: purpose.clone(),
            compliance: Compliance::new(terms.policy, &inventory.people, terms.now)
                .on(inventory.server.capabilities),
            marks,
            statistics: Statistics::new(terms.now),
            refused_use: RefusedUseFold::new(inventory, &settings.0),
            people: PeopleFold::new(inventory, &settings.0, terms.lockout),
            // Of what was refused, only a look at it can tell that it was done all the same.
            settle: SettleFold::new(
                terms.history.open.iter().filter(|open| !(open.refused && open.elsewhere)),
            ),
            odd_dates: OddDatesFold::default(),
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

    /// The same, for the tokens that `reader` shows.
    pub(super) fn over(self, reader: &'a impl InventoryReader) -> Self {
        Self { compliance: self.compliance.over(reader), ..self }
    }

    /// Looks at one token; no date of anything that happened on the target is later than `latest`, UTC.
    pub(super) fn observe(&mut self, token: &Token, latest: Option<Timestamp>) {
        match self.terms.history.deadlines.get(&token.id).filter(|_| self.marks) {
            None => self.look_at(token, latest),
            Some(first) => {
                let mut recalled = token.clone();
                recalled.recall(*first);
                self.look_at(&recalled, latest);
            }
        }
    }

    fn look_at(&mut self, token: &Token, latest: Option<Timestamp>) {
        let owner = if self.odd_dates.observe(token, latest) {
            self.compliance.leave(token)
        } else {
            self.compliance.observe(token)
        };
        self.statistics.observe(token);
        self.refused_use.observe(token, owner);
        self.people.observe(token);
        self.settle.observe(token);
    }

    /// Ends the plan; `seen` says whether there may be tokens that were not observed.
    pub(super) fn finish(self, seen: &Coverage) -> Plan {
        self.finish_explaining(seen).0
    }

    /// Ends the plan, and explains the token that it watched, if the target has it.
    pub(super) fn finish_explaining(self, seen: &Coverage) -> (Plan, Option<Explanation>) {
        let Self { purpose, terms, inventory, people, mut statistics, mut left_out, .. } = self;
        let (mut findings, explanation) = self.compliance.finish_explaining();
        if *seen != Coverage::Complete || !inventory.server.left_out.is_empty() {
            // What a waiver holds may be among the tokens that were not seen.
            findings.waiver_warnings.retain(|warning| warning.standing != WaiverStanding::HoldsNothing);
        }
        findings.tokens.iter().for_each(|found| statistics.observe_findings(found, &inventory.people));
        let refused_use = self.refused_use.finish(seen);
        let directory = &inventory.people;
        let inventory = Inventory { coverage: inventory.coverage.clone().and(seen), ..inventory.clone() };
        let settings = inventory.settings.clone();
        let (odd_dates, odd) = self.odd_dates.finish();
        let (changes, mut held_back) = self.settings;
        held_back.extend(odd);
        let wanted = (changes, held_back);
        let mut plan = Plan::assemble(&terms, inventory, wanted, findings, statistics, refused_use);
        plan.odd_dates = odd_dates;
        let view = &mut plan.view;
        left_out.extend(purpose.cut(terms.target, &mut view.changes, &mut view.held_back));
        order::sort(&mut left_out);
        (view.purpose, view.left_out) = (purpose, left_out);
        plan.shut_out =
            lockout::caller_shut_out(&plan.changes, &settings, &plan.server).into_iter().collect();
        plan.without_way_in = people.without_way_in();
        plan.without_lasting_way_in = people.without_lasting_way_in();
        plan.ways_in = people.ways_in();
        plan.judged = Judged::of(&plan.changes, terms.policy.groups(), directory);
        plan.shut_out.extend(people.finish(&plan.changes));
        let whole = plan.coverage == Coverage::Complete;
        plan.settled = self.settle.finish(plan.changes.iter().chain(&plan.left_out), whole);
        plan.spent = terms.history.spent_with(&plan.settled, terms.now);
        (plan, explanation)
    }
}
