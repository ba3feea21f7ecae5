//! Counts of changes in one line, by what they are about: a setting that is changed in two steps is one
//! setting.

use std::{collections::BTreeSet, iter::Sum};

use crate::{
    apply::Outcome,
    model::{SettingKey, TokenId, Verb},
    plan::{Object, PlanView, PlannedChange, TokenCounts},
};

use super::{
    escape::{counted, thousands},
    outcome::done,
};

/// Whether it is going to be done, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    /// `2 settings to change`.
    Future,
    /// `2 settings changed`.
    Past,
}

/// How many objects changes are about, by what happens to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChangeCounts {
    settings: usize,
    narrowed: usize,
    expired: usize,
    marked: usize,
    unmarked: usize,
    revoked: usize,
}

impl ChangeCounts {
    /// Counts the changes of one target.
    pub(super) fn of(changes: &[&PlannedChange]) -> Self {
        let setting = |planned: &&PlannedChange| match planned.change.object() {
            Object::Setting(key) => Some(key),
            Object::Token(_) => None,
        };
        let settings: BTreeSet<_> = changes.iter().filter_map(setting).collect();
        let verbs = changes.iter().map(|planned| planned.change.verb().word());
        Self { settings: settings.len(), ..Self::of_tokens(&verbs) }
    }

    /// Counts what was done on one target.
    pub(super) fn of_done(outcome: &Outcome) -> Self {
        let along = Self::of_tokens(&outcome.along.iter().map(|note| note.action.as_str()));
        [Self::of(&done(outcome)), along].into_iter().sum()
    }

    /// Counts those of `verbs` that are of tokens.
    fn of_tokens<'a>(verbs: &(impl Iterator<Item = &'a str> + Clone)) -> Self {
        let of = |verb: Verb| verbs.clone().filter(|word| *word == verb.word()).count();
        Self {
            settings: 0,
            narrowed: of(Verb::Narrow),
            expired: of(Verb::Expire),
            marked: of(Verb::Mark),
            unmarked: of(Verb::Unmark),
            revoked: of(Verb::Revoke),
        }
    }

    /// Whether there is no change.
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Such as `2 settings to change, 1 token to revoke`; `nothing` for no change.
    pub(super) fn text(self, tense: Tense) -> String {
        let parts: Vec<String> = [
            (self.settings, "setting", "to change", "changed"),
            (self.narrowed, "token", "to narrow", "narrowed"),
            (self.expired, "token", "to expire", "made to expire"),
            (self.marked, "token", "to mark", "marked"),
            (self.unmarked, "token", "to unmark", "unmarked"),
            (self.revoked, "token", "to revoke", "revoked"),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, noun, future, past)| {
            let verb = if tense == Tense::Future { future } else { past };
            format!("{} {verb}", counted(count, noun))
        })
        .collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }

    /// The same in words that need no glossary, such as `change 2 settings and revoke 1 token for good`.
    pub(super) fn plainly(self, tense: Tense) -> String {
        let parts: Vec<String> = [
            (self.settings, "change", "changed", "setting", ""),
            (self.narrowed, "reduce", "reduced", "token", " to fewer rights"),
            (self.expired, "bring forward the end of", "brought forward the end of", "token", ""),
            (self.marked, "announce the end of", "announced the end of", "token", ""),
            (self.unmarked, "call off the end of", "called off the end of", "token", ""),
            (self.revoked, "revoke", "revoked", "token", " for good"),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, future, past, noun, more)| {
            let verb = if tense == Tense::Future { future } else { past };
            format!("{verb} {}{more}", counted(count, noun))
        })
        .collect();
        match parts.as_slice() {
            [] => "change nothing".to_owned(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        }
    }
}

impl Sum for ChangeCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, more| Self {
            settings: sum.settings + more.settings,
            narrowed: sum.narrowed + more.narrowed,
            expired: sum.expired + more.expired,
            marked: sum.marked + more.marked,
            unmarked: sum.unmarked + more.unmarked,
            revoked: sum.revoked + more.revoked,
        })
    }
}

/// Such as `2 settings to change, 1 token to revoke`; `nothing` for no change.
pub(super) fn summary(changes: &[&PlannedChange], tense: Tense) -> String {
    ChangeCounts::of(changes).text(tense)
}

/// Such as `13 of 37 tokens comply; 1 is waived`, for the tokens of one plan.
pub(super) fn compliance_of(plan: &PlanView) -> String {
    compliance(plan.tokens, plan.coverage.left_out().next().is_some())
}

/// The same for `tokens`; whether they are all that there are but for others that were `left_out`.
pub(super) fn compliance(tokens: TokenCounts, left_out: bool) -> String {
    let (plural, verb) = if tokens.seen == 1 { ("", "complies") } else { ("s", "comply") };
    let looked_at = if left_out { " looked at" } else { "" };
    let (complying, seen) = (thousands(tokens.complying.into()), thousands(tokens.seen.into()));
    let waived = match tokens.waived {
        0 => String::new(),
        1 => "; 1 is waived".to_owned(),
        more => format!("; {} are waived", thousands(more.into())),
    };
    let unjudged = match tokens.unjudged {
        0 => String::new(),
        more => format!("; {} could not be judged", thousands(more.into())),
    };
    format!("{complying} of {seen} token{plural}{looked_at} {verb}{waived}{unjudged}")
}

/// The changes, those of one setting or one token together: settings, then tokens in the order in
/// which they are first changed.
pub(super) fn by_object<'a>(changes: &[&'a PlannedChange]) -> Vec<Vec<&'a PlannedChange>> {
    let mut sorted = changes.to_vec();
    sorted.sort_by(|a, b| rank(a).cmp(&rank(b)));
    sorted.chunk_by(|a, b| rank(a) == rank(b)).map(<[_]>::to_vec).collect()
}

/// The place of a change among others: that of what it is about.
fn rank(planned: &PlannedChange) -> (bool, Option<SettingKey>, bool, Option<&TokenId>) {
    match planned.change.object() {
        Object::Setting(key) => (false, Some(key), false, None),
        Object::Token(token) => (true, None, planned.change.is_irreversible(), Some(&token.id)),
    }
}
