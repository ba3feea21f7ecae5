//! What two policies do about tokens that exist: the action of each rule, own rules and waivers.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{Timestamp, civil::Date};

use crate::{
    access::cells::{TextSet, text_classes},
    model::{Action, GoesBy, Rule, RuleCode, Shift},
    policy::{Policy, Waiver, WaiverSubject},
    yaml::Place,
};

use super::conditions::{TokenExample, condition_change};

/// A rule whose findings have another effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionChange {
    /// Whether tokens lose more, or less.
    pub shift: Shift,
    /// The rule.
    pub rule: Rule,
    /// What happened on a finding.
    pub before: Action,
    /// What happens.
    pub after: Action,
}

/// A rule of the policy's own that was added or taken away, or has another condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRuleChange {
    /// Whether more tokens break it, or less.
    pub shift: Shift,
    /// Its name.
    pub name: Arc<str>,
    /// Its condition; `None` where there was no such rule.
    pub before: Option<String>,
    /// Its condition; `None` where the rule is gone.
    pub after: Option<String>,
    /// A token that only one side finds, where that was found out.
    pub example: Option<Box<TokenExample>>,
}

/// A rule that some waiver holds on other tokens, or for another time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverChange {
    /// Whether less is waived, or more.
    pub shift: Shift,
    /// The tokens that it is for.
    pub subject: WaiverSubject,
    /// The rules.
    pub rules: BTreeSet<Rule>,
    /// The last day.
    pub until: Date,
    /// Where the waiver begins.
    pub place: Place,
}

/// Whether `rule` can find anything under `policy`.
fn can_find(rule: &Rule, policy: &Policy) -> bool {
    match rule {
        Rule::Own(name) => policy.rules.iter().any(|own| own.name == *name),
        Rule::BuiltIn(code) => match code.facts().goes_by {
            GoesBy::Nothing => true,
            GoesBy::Permission(permission) => policy.holders(permission).is_some(),
            GoesBy::Limit(key) => policy
                .limits
                .get()
                .is_some_and(|limits| limits.value.iter().any(|entry| entry.limit.sets(key))),
            GoesBy::OwnRules => !policy.rules.is_empty(),
        },
    }
}

/// What another action lets tokens keep or takes from them.
fn of_action(before: Action, after: Action) -> Shift {
    match (before, after) {
        (Action::Report, Action::Report)
        | (Action::Narrow, Action::Narrow)
        | (Action::Revoke, Action::Revoke) => Shift::SAME,
        (Action::Expire { grace: before }, Action::Expire { grace: after }) => after.shift(before),
        (Action::Report, _) | (_, Action::Revoke) => Shift::STRICTER,
        (_, Action::Report) | (Action::Revoke, _) => Shift::LOOSER,
        (Action::Narrow, Action::Expire { .. }) | (Action::Expire { .. }, Action::Narrow) => Shift::MIXED,
    }
}

/// The rules that find something under both policies, with other actions.
pub(super) fn action_changes(before: &Policy, after: &Policy) -> Vec<ActionChange> {
    let own = after.rules.iter().map(|own| own.rule());
    let rules = RuleCode::ALL.into_iter().map(Rule::from).chain(own);
    let change = |rule: Rule| {
        let (was, is) = (before.enforcement.action(&rule), after.enforcement.action(&rule));
        let shift = of_action(was, is);
        let both = can_find(&rule, before) && can_find(&rule, after);
        (both && shift != Shift::SAME).then_some(ActionChange { shift, rule, before: was, after: is })
    };
    rules.filter_map(change).collect()
}

/// The own rules with another condition, and those that only one side has. Conditions that find the same are none.
pub(super) fn own_rule_changes(before: &Policy, after: &Policy, now: Timestamp) -> Vec<OwnRuleChange> {
    let condition = |policy: &Policy, name: &Arc<str>| {
        policy.rules.iter().find(|own| own.name == *name).map(|own| own.when.clone())
    };
    let names: BTreeSet<&Arc<str>> = before.rules.iter().chain(&after.rules).map(|own| &own.name).collect();
    // Where a condition fails, that is not a finding of the rule.
    let action = |policy: &Policy| policy.enforcement.action(&RuleCode::RuleError.into());
    let errors_act = [before, after].into_iter().any(|policy| action(policy) != Action::Report);
    let change = |name: &Arc<str>| {
        let (was, is) = (condition(before, name), condition(after, name));
        let (shift, example) = match (&was, &is) {
            (Some(was), Some(is)) if was.is_same_as(is) => (Shift::SAME, None),
            (Some(was), Some(is)) => match condition_change(was, is, now) {
                Some(change) if !(change.fails && errors_act) => (change.shift, change.example),
                _ => (Shift::UNPROVED, None),
            },
            (None, _) => (Shift::STRICTER, None),
            (Some(_), None) => (Shift::LOOSER, None),
        };
        (shift != Shift::SAME).then(|| OwnRuleChange {
            shift,
            name: Arc::clone(name),
            before: was.map(|when| when.as_str().to_owned()),
            after: is.map(|when| when.as_str().to_owned()),
            example: example.map(Box::new),
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// The waivers of either side that the other one does not have too, as far as they matter at `now` or later.
pub(super) fn waiver_changes(before: &Policy, after: &Policy, now: Timestamp) -> Vec<WaiverChange> {
    let missing = |from: &Policy, to: &Policy, shift: Shift| {
        let matters = from.waivers.entries.iter().filter(|waiver| now < waiver.narrows_from());
        let change = |waiver: &Arc<Waiver>| {
            let (lost, unsure): (Vec<_>, Vec<_>) = waiver
                .rules
                .iter()
                .filter_map(|rule| Some((rule.clone(), held(waiver, rule, &to.waivers.entries)?)))
                .partition(|(_, lost)| *lost);
            let of = |rules: Vec<(Rule, bool)>, shift: Shift| {
                let rules: BTreeSet<Rule> = rules.into_iter().map(|(rule, _)| rule).collect();
                (!rules.is_empty()).then(|| WaiverChange {
                    shift,
                    subject: waiver.subject.clone(),
                    rules,
                    until: waiver.until,
                    place: waiver.place.clone(),
                })
            };
            [of(lost, shift), of(unsure, Shift::UNPROVED)].into_iter().flatten().collect::<Vec<_>>()
        };
        matters.flat_map(change).collect::<Vec<_>>()
    };
    let mut changes = missing(before, after, Shift::STRICTER);
    changes.extend(missing(after, before, Shift::LOOSER));
    changes
}

/// Whether no waiver of `others` holds `rule` wherever and as long as `waiver` does: `None` when they do, false when that
/// cannot be told.
fn held(waiver: &Waiver, rule: &Rule, others: &[Arc<Waiver>]) -> Option<bool> {
    let long: Vec<&Arc<Waiver>> =
        others.iter().filter(|other| other.rules.contains(rule) && other.until >= waiver.until).collect();
    match &waiver.subject {
        subject @ WaiverSubject::Token(_) => {
            if long.iter().any(|other| other.subject == *subject) {
                return None;
            }
            // Whose token that is, nobody says.
            let is_of_owner = |other: &&Arc<Waiver>| matches!(other.subject, WaiverSubject::Owner { .. });
            Some(!long.iter().any(is_of_owner))
        }
        WaiverSubject::Owner { owner, description } => {
            let pattern = |description: &Option<String>| description.clone().unwrap_or("*".to_owned());
            let of_owner = long.iter().filter_map(|other| match &other.subject {
                WaiverSubject::Owner { owner: of, description } if of == owner => Some(pattern(description)),
                WaiverSubject::Owner { .. } | WaiverSubject::Token(_) => None,
            });
            let sets =
                [TextSet { patterns: vec![pattern(description)] }, TextSet { patterns: of_owner.collect() }];
            match text_classes(&sets, "") {
                Some(classes) => classes.contains_key(&1).then_some(true),
                None => Some(false),
            }
        }
    }
}
