//! What the targets of one run on one server change together, as rails count it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{TokenId, rails::RailClass};

use super::Plan;

/// What the plans of one run for one server come to, when there are several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// The names of the other targets.
    pub others: Vec<String>,
    /// How many objects of each class all of them change, and of how many live ones.
    counts: BTreeMap<RailClass, (u64, u64)>,
}

impl Together {
    /// How many objects of `class` all plans change, and of how many live ones.
    #[must_use]
    pub fn of(&self, class: RailClass) -> (u64, u64) {
        self.counts.get(&class).copied().unwrap_or_default()
    }
}

/// Lets the rails of `plans`, which are for one server, count together what they change. `share` tells of two
/// of them, by their places, whether they may look at the same tokens: these count once.
pub fn count_together(plans: &mut [&mut Plan], share: impl Fn(usize, usize) -> bool) {
    if plans.len() < 2 {
        return;
    }
    // Those that may look at the same tokens go by the first of them.
    let first = |place: usize| (0..place).find(|earlier| share(*earlier, place)).unwrap_or(place);
    let mut counts = BTreeMap::new();
    for class in RailClass::ALL {
        let mut tokens: BTreeSet<(usize, &TokenId)> = BTreeSet::new();
        let (mut others, mut live) = (0, BTreeMap::<usize, u64>::new());
        for (place, plan) in plans.iter().enumerate() {
            let (count, of) = plan.counts(class);
            let ids: Vec<_> = plan.counted_tokens(class).map(|token| (first(place), &token.id)).collect();
            others += count.saturating_sub(ids.len() as u64);
            tokens.extend(ids);
            let most = live.entry(first(place)).or_default();
            *most = of.max(*most);
        }
        counts.insert(class, (tokens.len() as u64 + others, live.values().sum()));
    }
    let names: Vec<String> = plans.iter().map(|plan| plan.target.clone()).collect();
    for plan in plans {
        let others = names.iter().filter(|name| **name != plan.target).cloned().collect();
        plan.together = Some(Together { others, counts: counts.clone() });
    }
}
