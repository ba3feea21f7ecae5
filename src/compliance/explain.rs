//! Every rule that was tried on one token, with its result and since when or until when it holds. The fold
//! judges; the rules are asked about later times.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    model::{Action, Rule, RuleCode, Token, TokenId},
    policy::Waiver,
    yaml::Place,
};

use super::{
    Compliance, LimitChoice,
    rules::{self, RuleVerdict, Subject},
};

/// One token with every rule that was tried on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The token.
    pub token: Token,
    /// Which entry of the limits counts for its owner.
    pub limit: LimitChoice,
    /// Where that entry begins.
    pub limit_place: Option<Place>,
    /// Every rule, in the order in which they are tried.
    pub trials: Vec<Trial>,
}

/// One rule, tried on one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The rule.
    pub rule: Rule,
    /// The result of it.
    pub verdict: RuleVerdict,
    /// The line of the policy that it rests on: that of its parameter, otherwise that which says what
    /// happens on a finding.
    pub place: Option<Place>,
    /// What the policy does on a finding of it at this moment, unless a waiver holds it.
    pub action: Action,
    /// The waiver that a finding of it falls under. It may have ended.
    pub waiver: Option<Arc<Waiver>>,
    /// The first moment, in whole seconds UTC, at which it will find something wrong when nothing but the
    /// time changes; `None` when it does already, never will, or that cannot be known.
    pub fails_from: Option<Timestamp>,
    /// The moment from which on the token is narrowed for it, UTC, when that waits because a waiver ended.
    pub narrows_from: Option<Timestamp>,
}

impl Trial {
    /// Whether it found something wrong.
    #[must_use]
    pub fn fails(&self) -> bool {
        matches!(self.verdict, RuleVerdict::Fails { .. })
    }

    /// The waiver that holds at `now`.
    #[must_use]
    pub fn holding_waiver(&self, now: Timestamp) -> Option<&Waiver> {
        self.waiver.as_deref().filter(|waiver| waiver.holds(now))
    }
}

impl Compliance<'_> {
    /// An explanation without a rule yet, when `subject` is the token that is watched.
    pub(super) fn begin_explanation(&self, subject: &Subject<'_>) -> Option<Explanation> {
        (self.watched.as_ref() == Some(&subject.token.id)).then(|| Explanation {
            token: subject.token.clone(),
            limit: subject.owner.limit.clone(),
            limit_place: subject.limit().map(|entry| entry.place.clone()),
            trials: Vec::new(),
        })
    }

    /// What `verdict` of `rule` means for the token.
    pub(super) fn trial(&self, rule: &Rule, verdict: &RuleVerdict, subject: &Subject<'_>) -> Trial {
        let parameter = match verdict {
            RuleVerdict::Complies { place } | RuleVerdict::Fails { place, .. } => place.clone(),
            RuleVerdict::NotTried(_) | RuleVerdict::Undecided { .. } => None,
        };
        let waiver = self.waivers.find(rule, subject.token);
        Trial {
            rule: rule.clone(),
            place: self.place(rule, parameter),
            action: self.action(rule, subject.token, waiver),
            waiver: waiver.cloned(),
            fails_from: match rule {
                // Nobody can tell then whether a waiver holds it.
                _ if self.may_be_waived(rule, subject) => None,
                Rule::BuiltIn(code) => fails_from(*code, subject),
                Rule::Own(_) => None,
            },
            narrows_from: waiver
                .filter(|_| self.waits(rule, subject.token, waiver))
                .map(|ended| ended.narrows_from()),
            verdict: verdict.clone(),
        }
    }

    /// Whether narrowing for `rule` waits because `waiver` ended.
    fn waits(&self, rule: &Rule, token: &Token, waiver: Option<&Arc<Waiver>>) -> bool {
        self.policy.enforcement.action(rule) == Action::Narrow
            && self.action(rule, token, waiver) == Action::Report
    }

    /// Corrects the verdict of `rule`, which the fold knows and the rule by itself does not, when `token` is
    /// the one that is watched.
    pub(super) fn explain_as(&mut self, token: &TokenId, rule: &Rule, verdict: &RuleVerdict) {
        let explanation = self.explanation.as_mut().filter(|explanation| explanation.token.id == *token);
        let trials = explanation.into_iter().flat_map(|explanation| &mut explanation.trials);
        for trial in trials.filter(|trial| trial.rule == *rule) {
            trial.verdict = verdict.clone();
        }
    }
}

/// The first whole second after now at which `rule` fails on an otherwise unchanged token. The rule itself
/// is asked, so that both cannot disagree: these rules fail from some moment on, as long as they are tried.
fn fails_from(rule: RuleCode, subject: &Subject<'_>) -> Option<Timestamp> {
    /// Seconds of more than the longest period that a policy can hold, a hundred years.
    const HORIZON: i64 = 101 * 366 * 24 * 60 * 60;
    let now = subject.now.as_second();
    let mut last = now.saturating_add(HORIZON).min(Timestamp::MAX.as_second());
    if !rule.facts().fails_with_time {
        return None;
    }
    // Only that rule is about expired tokens.
    if rule != RuleCode::Expired {
        last = subject.token.expires.map_or(last, |expires| last.min(expires.as_second() - 1));
    }
    let mut later = subject.clone();
    let mut fails_at = |second| {
        later.now = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        matches!(rules::check(rule, &later), RuleVerdict::Fails { .. })
    };
    if last <= now || fails_at(now) || !fails_at(last) {
        return None;
    }
    // INVARIANT: it does not fail at `first`, and fails at `last`.
    let mut first = now;
    while last - first > 1 {
        let middle = first + (last - first) / 2;
        if fails_at(middle) { last = middle } else { first = middle }
    }
    Timestamp::from_second(last).ok()
}
