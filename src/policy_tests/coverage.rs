//! The coverage of policy tests: rules that act, own rules and entries of the limits, each with whether a
//! case exercises it.

use std::collections::BTreeSet;

use crate::{
    model::{Action, GoesBy, Rule, RuleCode},
    policy::Policy,
    yaml::Place,
};

use super::CaseResult;

/// What the cases of a run exercise of the policies that they test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestCoverage {
    /// Everything that a case could exercise, in the order of the targets, then of the policy.
    pub items: Vec<CoverageItem>,
}

/// Something of a policy that a case can exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageItem {
    /// The target.
    pub target: String,
    /// What it is.
    pub subject: CoverageSubject,
    /// Where the policy says so.
    pub place: Option<Place>,
    /// Whether a case exercises it.
    pub exercised: bool,
}

/// What a case can exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoverageSubject {
    /// A rule that does more than report, or one of the policy's own: a case in which it finds something, or a statement
    /// on tokens that rests on it.
    Rule(Rule),
    /// An entry of the limits, by its number from 1: a case with a token that is under it, or a statement on tokens that are.
    LimitEntry(usize),
}

impl TestCoverage {
    /// Adds what `results`, those of the cases on `policy`, exercise of it.
    pub fn add<'r>(
        &mut self,
        target: &str,
        policy: &Policy,
        results: impl IntoIterator<Item = &'r CaseResult>,
    ) {
        let (mut rules, mut entries) = (BTreeSet::new(), BTreeSet::<usize>::new());
        for result in results {
            rules.extend(&result.rules);
            entries.extend(&result.limits);
        }
        let mut add = |subject, place: Option<&Place>, exercised| {
            self.items.push(CoverageItem {
                target: target.to_owned(),
                subject,
                place: place.cloned(),
                exercised,
            });
        };
        let limits = policy.limits.get().map_or(&[][..], |limits| &limits.value);
        for (index, entry) in limits.iter().enumerate() {
            let subject = CoverageSubject::LimitEntry(index + 1);
            add(subject, Some(&entry.place), entries.contains(&index));
        }
        for code in RuleCode::ALL.into_iter().filter(|code| can_find(*code, policy)) {
            let rule = Rule::from(code);
            if policy.enforcement.action(&rule) != Action::Report {
                let exercised = rules.contains(&rule);
                add(CoverageSubject::Rule(rule.clone()), policy.enforcement.place_of(&rule), exercised);
            }
        }
        for own in &policy.rules {
            let exercised = rules.contains(&own.rule());
            add(CoverageSubject::Rule(own.rule()), Some(&own.place), exercised);
        }
    }

    /// How many things are exercised.
    #[must_use]
    pub fn exercised(&self) -> usize {
        self.items.iter().filter(|item| item.exercised).count()
    }

    /// The share of what is exercised in whole percent, rounded down; all of nothing is 100.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let percent = (self.exercised() * 100).checked_div(self.items.len()).unwrap_or(100);
        u8::try_from(percent).unwrap_or(100)
    }
}

/// Whether the policy has what `rule` goes by.
fn can_find(rule: RuleCode, policy: &Policy) -> bool {
    match rule.facts().goes_by {
        GoesBy::Nothing => true,
        GoesBy::Permission(permission) => policy.holders(permission).is_some(),
        GoesBy::Limit(key) => {
            policy.limits.get().is_some_and(|limits| limits.value.iter().any(|entry| entry.limit.sets(key)))
        }
        GoesBy::OwnRules => !policy.rules.is_empty(),
    }
}
