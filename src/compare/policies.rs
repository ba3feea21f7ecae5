//! What two whole policies permit differently.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    model::{Holders, LimitKey, SettingKey, Settings, Shift},
    policy::{LimitEntry, Policy},
    yaml::Place,
};

use super::{
    limits::{LimitChange, limit_changes},
    requests::{Everybody, RequestChange, request_changes},
    tokens::{ActionChange, OwnRuleChange, WaiverChange, action_changes, own_rule_changes, waiver_changes},
};

/// Everything that one policy permits and another one does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Each difference: of requests first, then of limits, of what is done about tokens, and what is not known.
    pub differences: Vec<Difference>,
    /// The people there can be, in whose terms regions of requests are told.
    pub people: Everybody,
    /// How many own rules there are on either side.
    pub own_rules: usize,
    /// The settings that requests were decided on, before and after, where they differ.
    pub settings: Option<Box<(Settings, Settings)>>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it lets through or stops.
    pub shift: Shift,
    /// What it is.
    pub subject: DifferenceSubject,
    /// The line of the new policy that says so; of the old one where the new one has none.
    pub place: Option<Place>,
}

/// What a difference is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DifferenceSubject {
    /// Requests that are decided on differently.
    Requests(RequestChange),
    /// A limit.
    Limit(LimitChange),
    /// What happens on the findings of a rule.
    Action(ActionChange),
    /// An own rule.
    OwnRule(OwnRuleChange),
    /// A waiver.
    Waiver(WaiverChange),
    /// A setting that only one side manages: the server keeps what it has on the other one.
    Unmanaged {
        /// The setting.
        key: SettingKey,
        /// Whether the new policy is the one that does not manage it.
        now: bool,
    },
    /// A setting whose values are too many to compare.
    TooMuch(SettingKey),
}

impl Difference {
    fn new(shift: Shift, subject: DifferenceSubject, place: Option<Place>) -> Self {
        Self { shift, subject, place }
    }
}

impl Comparison {
    /// What all differences come to together.
    #[must_use]
    pub fn shift(&self) -> Shift {
        self.differences.iter().map(|difference| difference.shift).collect()
    }

    /// Of how many own rules it is proved what another condition finds; those with the same one are among them.
    #[must_use]
    pub fn own_rules_proved(&self) -> usize {
        let is_open = |difference: &&Difference| matches!(&difference.subject, DifferenceSubject::OwnRule(change) if change.shift.unproved);
        self.own_rules - self.differences.iter().filter(is_open).count().min(self.own_rules)
    }

    /// How many differences let something through, and how many stop something; one may do both.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |is: fn(Shift) -> bool| self.differences.iter().filter(|one| is(one.shift)).count();
        (count(|shift| shift.looser), count(|shift| shift.stricter))
    }
}

/// What `after` permits and `before` does not, and the reverse; examples of tokens are of about `now`. Settings that neither manages are those of `server`;
/// without one they are as open as can be, so that they hide nothing. Waivers are looked at as of `now`.
#[must_use]
pub fn compare(before: &Policy, after: &Policy, server: Option<&Settings>, now: Timestamp) -> Comparison {
    let mut differences = Vec::new();
    let (mut was, mut is) = (server.map_or_else(open, Clone::clone), server.map_or_else(open, Clone::clone));
    for key in SettingKey::ALL {
        let (old, new) = (before.wanted(key), after.wanted(key));
        if server.is_none() && old.is_some() != new.is_some() {
            let place = new.as_ref().or(old.as_ref()).map(|set| set.place.clone());
            let subject = DifferenceSubject::Unmanaged { key, now: new.is_none() };
            differences.push(Difference::new(Shift::UNPROVED, subject, place));
            // What the other side has is not known: the setting is left out.
            continue;
        }
        if let Some(set) = old {
            was.set(set.value);
        }
        if let Some(set) = new {
            is.set(set.value);
        }
    }
    let place_of = |key: SettingKey| after.wanted(key).or(before.wanted(key)).map(|set| set.place);

    let mut people = Everybody::default();
    let mut found = Vec::new();
    match request_changes(&was, &is) {
        Ok(requests) => {
            people = requests.people;
            found.extend(requests.changes.into_iter().map(|change| {
                let place = change.key.and_then(place_of);
                Difference::new(change.shift, DifferenceSubject::Requests(change), place)
            }));
        }
        Err(_) => found.push(Difference::new(
            Shift::UNPROVED,
            DifferenceSubject::TooMuch(SettingKey::PasswordAuthentication),
            place_of(SettingKey::PasswordAuthentication),
        )),
    }
    found.extend(of_limits(before, after));
    found.extend(action_changes(before, after).into_iter().map(|change| {
        let place =
            [after, before].iter().find_map(|policy| policy.enforcement.place_of(&change.rule)).cloned();
        Difference::new(change.shift, DifferenceSubject::Action(change), place)
    }));
    found.extend(own_rule_changes(before, after, now).into_iter().map(|change| {
        let mut own = after.rules.iter().chain(&before.rules);
        let place = own.find(|own| own.name == change.name).map(|own| own.place.clone());
        Difference::new(change.shift, DifferenceSubject::OwnRule(change), place)
    }));
    found.extend(waiver_changes(before, after, now).into_iter().map(|change| {
        let place = Some(change.place.clone());
        Difference::new(change.shift, DifferenceSubject::Waiver(change), place)
    }));
    found.append(&mut differences);
    let settings = (was != is).then(|| Box::new((was, is)));
    let own_rules: BTreeSet<_> = before.rules.iter().chain(&after.rules).map(|own| &own.name).collect();
    Comparison { differences: found, people, own_rules: own_rules.len(), settings }
}

/// What limits say differently: nothing that they say counts where a setting is not managed on one side, which is said
/// elsewhere.
fn of_limits(before: &Policy, after: &Policy) -> Vec<Difference> {
    let entries = |policy: &Policy| policy.limits.get().map(|limits| limits.value.clone());
    let (Some(old), Some(new)) = (entries(before), entries(after)) else { return Vec::new() };
    let place_of = |change: &LimitChange| {
        let at = |entries: &[LimitEntry], index: Option<usize>, key: LimitKey| {
            Some(entries.get(index?)?.place_of(key.key()).clone())
        };
        let (now, then) = change.entries;
        at(&new, now, change.key).or_else(|| at(&old, then, change.key))
    };
    let Some(changes) = limit_changes(&old, &new) else {
        let place = after.limits.get().map(|limits| limits.place.clone());
        return vec![Difference::new(Shift::UNPROVED, DifferenceSubject::TooMuch(SettingKey::Limits), place)];
    };
    let told = changes.into_iter().map(|change| {
        let place = place_of(&change);
        Difference::new(change.shift, DifferenceSubject::Limit(change), place)
    });
    told.collect()
}

/// Settings that refuse nothing that a setting can refuse.
fn open() -> Settings {
    let mut open = Settings::unrestricted();
    open.permissions.manage_others = Holders::Everyone;
    open
}
