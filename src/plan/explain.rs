//! What a plan does with one token, and the days on which something will happen to it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    compliance::{Explanation, Finding, Trial},
    model::{Action, Rule, RuleCode, Token, TokenId},
    yaml::Place,
};

use super::{HeldBack, Pending, Plan, PlannedChange, TokenStep};

/// One token of one target, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedToken {
    /// The name of the target in the config file.
    pub target: String,
    /// The time that the plan is for, UTC.
    pub made_for: Timestamp,
    /// The token and every rule that was tried on it.
    pub explanation: Explanation,
    /// What the plan does with it, in the order in which it would be done.
    pub changes: Vec<PlannedChange>,
    /// That it ends by itself on a day that is already set.
    pub pending: Option<Pending>,
    /// What the policy wants and cannot be done for now.
    pub held_back: Vec<HeldBack>,
    /// What is only reported.
    pub reported: Vec<Finding>,
    /// What will happen to it, the nearest first, when nobody changes anything but what the plan does.
    pub upcoming: Vec<Upcoming>,
}

/// Something that will happen to a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upcoming {
    /// When, UTC.
    pub at: Timestamp,
    /// What.
    pub event: TokenEvent,
}

/// What will happen to a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenEvent {
    /// It expires.
    Expires,
    /// It expires once the plan is applied, not before.
    WouldExpire,
    /// A run revokes it, since its mark is due.
    Revoked,
    /// A run revokes it once the plan is applied, which marks it; not before.
    WouldBeRevoked,
    /// A rule begins to find something wrong.
    Fails {
        /// The rule.
        rule: Rule,
        /// The word for what happens then.
        action: &'static str,
    },
    /// It is narrowed, for a rule whose waiver ended.
    Narrows {
        /// The rule.
        rule: Rule,
    },
    /// A waiver ends that holds a finding now.
    WaiverEnds {
        /// The rules that it holds findings of.
        rules: BTreeSet<Rule>,
        /// Where it stands.
        place: Place,
    },
}

impl ExplainedToken {
    /// What `plan` does with the token of `explanation`, which came with it.
    pub(super) fn new(plan: &Plan, explanation: Explanation) -> Self {
        let id = explanation.token.id.clone();
        let of_token = |planned: &&PlannedChange| planned.change.token().is_some_and(|token| token.id == id);
        let changes: Vec<_> = plan.changes.iter().filter(of_token).cloned().collect();
        let reported = plan.reported.iter().filter(|found| found.token.id == id);
        let pending = plan.pending.iter().find(|pending| pending.token.id == id);
        Self {
            target: plan.target.clone(),
            made_for: plan.made_for,
            pending: pending.cloned(),
            held_back: plan.held_back.iter().filter(|held| held.subject == subject(&id)).cloned().collect(),
            reported: reported.flat_map(|found| found.findings.clone()).collect(),
            upcoming: upcoming(&explanation, &changes, pending, plan.made_for),
            explanation,
            changes,
        }
    }
}

/// How what is held back names the token `id`.
fn subject(id: &TokenId) -> String {
    format!("token {id}")
}

fn upcoming(
    explanation: &Explanation,
    changes: &[PlannedChange],
    pending: Option<&Pending>,
    now: Timestamp,
) -> Vec<Upcoming> {
    if changes.iter().any(|planned| planned.change.is_irreversible()) {
        return Vec::new();
    }
    let end = end(&explanation.token, changes, pending, now);
    let mut upcoming: BTreeSet<Upcoming> = waivers_that_end(explanation, now);
    upcoming.extend(explanation.trials.iter().flat_map(of_trial));
    // What would happen to a token that works does not happen to one that has ended. When it would have
    // been listed for too long is known of an end that is certain.
    upcoming.retain(|next| match (&end, &next.event) {
        (None, _) => true,
        (Some(end), TokenEvent::Fails { rule, .. }) if *rule == RuleCode::Expired => {
            end.event == TokenEvent::Expires
        }
        (Some(end), _) => next.at < end.at,
    });
    upcoming.extend(end);
    upcoming.into_iter().collect()
}

/// The nearest end of `token`, by the plan, by its mark or by its expiry.
fn end(
    token: &Token,
    changes: &[PlannedChange],
    pending: Option<&Pending>,
    now: Timestamp,
) -> Option<Upcoming> {
    let planned = changes.iter().filter_map(|planned| match planned.change.token_step()?.1 {
        TokenStep::Expire { at } => Some(Upcoming { at, event: TokenEvent::WouldExpire }),
        TokenStep::Mark { until } => Some(Upcoming { at: until, event: TokenEvent::WouldBeRevoked }),
        TokenStep::Unmark | TokenStep::Narrow { .. } | TokenStep::Revoke => None,
    });
    // A mark counts only while something asks for the end of the token.
    let marked =
        token.mark.map(|mark| mark.until).filter(|until| pending.is_some_and(|is| is.until == *until));
    let marked = marked.map(|at| Upcoming { at, event: TokenEvent::Revoked });
    let expires = token.expires.filter(|expires| *expires > now);
    let expires = expires.map(|at| Upcoming { at, event: TokenEvent::Expires });
    planned.chain(marked).chain(expires).min()
}

/// What will happen to a token for one rule.
fn of_trial(trial: &Trial) -> impl Iterator<Item = Upcoming> {
    let fails = trial.fails_from.map(|at| {
        let waived = trial.holding_waiver(at).is_some();
        let action = if waived { Action::Report } else { trial.action }.word();
        Upcoming { at, event: TokenEvent::Fails { rule: trial.rule.clone(), action } }
    });
    let narrows = trial.narrows_from.filter(|_| trial.fails());
    let narrows = narrows.map(|at| Upcoming { at, event: TokenEvent::Narrows { rule: trial.rule.clone() } });
    fails.into_iter().chain(narrows)
}

/// The end of every waiver that holds a finding, each once.
fn waivers_that_end(explanation: &Explanation, now: Timestamp) -> BTreeSet<Upcoming> {
    let mut ends: BTreeMap<(Timestamp, Place), BTreeSet<Rule>> = BTreeMap::new();
    for trial in explanation.trials.iter().filter(|trial| trial.fails()) {
        if let Some(waiver) = trial.holding_waiver(now) {
            let of_waiver = ends.entry((waiver.end(), waiver.place.clone())).or_default();
            of_waiver.insert(trial.rule.clone());
        }
    }
    ends.into_iter()
        .map(|((at, place), rules)| Upcoming { at, event: TokenEvent::WaiverEnds { rules, place } })
        .collect()
}
