//! The origin of each change, found by comparing the policy with its baseline, now and at an earlier time.
//! A baseline is another policy; Git is not known here.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    model::{SettingKey, TokenId},
    policy::Policy,
};

use super::{Change, Object, Plan, PlannedChange};

/// Where a change comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The policy was changed: its baseline does not ask for it.
    Policy,
    /// The target was changed: its state is not the one that the baseline asks for.
    Drift,
    /// A date was reached: the same state needed no change earlier.
    Time,
}

impl Origin {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Policy, Self::Drift, Self::Time];

    /// Its word in plans and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Drift => "drift",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a plan is compared with, so that each change can say where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Baseline<'a> {
    /// The policy before the change under review; the policy at hand when none is.
    pub policy: &'a Policy,
    /// A moment at which the target was as it should be, UTC: what the same state did not need then
    /// results from a date that was reached. Without one nothing does.
    pub since: Option<Timestamp>,
}

/// Says of every change of `plan` where it comes from: `baseline` is what the baseline asks for now, and
/// `earlier` what it would have asked for then.
pub(super) fn label(plan: &mut Plan, baseline: &Plan, earlier: Option<&Plan>) {
    let now = ChangesByObject::of(baseline);
    let then = earlier.map(ChangesByObject::of);
    for planned in &mut plan.changes {
        let origin = if !now.asks_for_exactly(&planned.change) {
            Origin::Policy
        } else if then.as_ref().is_some_and(|then| !then.asks_for_such(&planned.change)) {
            Origin::Time
        } else {
            Origin::Drift
        };
        planned.origin = Some(origin);
    }
}

/// The changes of a plan, by what they are about.
struct ChangesByObject<'a> {
    settings: Vec<(SettingKey, &'a Change)>,
    tokens: BTreeMap<&'a TokenId, Vec<&'a Change>>,
}

impl<'a> ChangesByObject<'a> {
    fn of(plan: &'a Plan) -> Self {
        let mut asked = Self { settings: Vec::new(), tokens: BTreeMap::new() };
        for PlannedChange { change, .. } in &plan.changes {
            match change.object() {
                Object::Setting(key) => asked.settings.push((key, change)),
                Object::Token(token) => asked.tokens.entry(&token.id).or_default().push(change),
            }
        }
        asked
    }

    /// Whether the plan has this very change.
    fn asks_for_exactly(&self, change: &Change) -> bool {
        self.about(change).any(|asked| asked == change)
    }

    /// Whether the plan does this to the same thing; a deadline moves with the moment that a plan is for.
    fn asks_for_such(&self, change: &Change) -> bool {
        self.about(change)
            .any(|asked| asked == change || change.token().is_some() && asked.verb() == change.verb())
    }

    fn about(&self, change: &Change) -> Box<dyn Iterator<Item = &Change> + '_> {
        match change.object() {
            Object::Setting(key) => {
                Box::new(self.settings.iter().filter(move |(of, _)| *of == key).map(|(_, asked)| *asked))
            }
            Object::Token(token) => Box::new(self.tokens.get(&token.id).into_iter().flatten().copied()),
        }
    }
}
