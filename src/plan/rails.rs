//! The approval of a plan, or every rail and lockout that it runs into. An exception is given by name and
//! count, and is for this run. What earlier runs did within the window counts as if this run did it, so
//! that cutting a large change into slices does not get past a rail.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use crate::model::{
    AllowedNetworks, Holders, Period, SettingValue, Token,
    rails::{Rail, RailClass, Rails},
};

use super::{ApprovedPlan, Change, Phase, Plan, PlannedChange, Purpose, Spent, TokenStep};

/// Counts that somebody allowed for this run alone, by class: exactly as many, not one more.
pub type Allowed = BTreeMap<RailClass, u64>;

/// A plan that ran into rails or shuts somebody out. Nothing of it may be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPlan {
    /// The plan, with those whom it shuts out.
    pub plan: Plan,
    /// The rails, in the order of their classes.
    pub refusals: Vec<RailRefusal>,
}

/// One rail that a plan ran into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RailRefusal {
    /// What is counted.
    pub class: RailClass,
    /// How many the plan would change.
    pub count: u64,
    /// Of how many live objects.
    pub live: u64,
    /// The names of other targets of the run on the same server, when theirs are among them.
    pub with: Vec<String>,
    /// The limit.
    pub rail: Rail,
    /// What earlier runs did, when they did something.
    pub earlier: Option<Earlier>,
}

/// What earlier runs did of one class, and until when that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// How many objects they changed.
    pub count: u64,
    /// Within which time.
    pub window: Period,
    /// Of how many objects, those included that they took away.
    pub of: u64,
    /// From when on enough of them are forgotten for this plan to pass, UTC; `None` when it would be
    /// refused without them too.
    pub passes_from: Option<Timestamp>,
}

impl fmt::Display for RailRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, count, live, with, rail, earlier } = self;
        write!(f, "{class}: {count} of {live}")?;
        if !with.is_empty() {
            let names: Vec<_> = with.iter().map(|name| format!("`{name}`")).collect();
            write!(f, " with those of {} on the same server", names.join(", "))?;
        }
        match earlier {
            None => {}
            Some(Earlier { count: Spent::UNKNOWN.., window, .. }) => {
                write!(f, ", and what earlier runs of the last {window} did is not known")?;
            }
            Some(Earlier { count: spent, window, of, .. }) => write!(
                f,
                ", and earlier runs of the last {window} did {spent}: {} of {of} together",
                count.saturating_add(*spent)
            )?,
        }
        write!(f, ", the limit is {} or {} %", rail.amount, rail.percent)?;
        write!(f, " (up to {} always pass); ", rail.floor)?;
        if let Some(passes_from) = earlier.and_then(|earlier| earlier.passes_from) {
            write!(f, "these pass from {} on; ", whole_second(passes_from))?;
        }
        write!(f, "to let these pass in this run: --allow {class}={count}")
    }
}

/// `moment`, rounded up to a whole second.
fn whole_second(moment: Timestamp) -> Timestamp {
    let begun = i64::from(moment.subsec_nanosecond() > 0);
    Timestamp::from_second(moment.as_second() + begun).unwrap_or(moment)
}

impl Plan {
    /// The rails that the plan runs into, beyond what is `allowed` for this run.
    #[must_use]
    pub fn refusals(&self, rails: &Rails, allowed: &Allowed) -> Vec<RailRefusal> {
        let check = |class: RailClass| {
            let own = self.counts(class);
            let rail = self.rail(rails.of(class));
            let spent = self.spent.as_ref().map_or(0, |spent| spent.of(class));
            let refusal = |(count, live): (u64, u64), with: &[String]| {
                let passes = admits_after(rail, class, count, live, spent)
                    || allowed.get(&class).is_some_and(|most| count <= *most);
                let earlier = || self.earlier(class, count, live, rail);
                (!passes).then(|| RailRefusal {
                    class,
                    count,
                    live,
                    with: with.to_vec(),
                    rail,
                    earlier: earlier(),
                })
            };
            if own.0 == 0 {
                return None;
            }
            // The share of its own tokens counts for each target, however large the others are.
            let together = self.together.as_ref().filter(|together| together.of(class).0 > own.0);
            together
                .and_then(|together| refusal(together.of(class), &together.others))
                .or_else(|| refusal(own, &[]))
        };
        RailClass::ALL.into_iter().filter_map(check).collect()
    }

    /// The rail for this plan. Of an incident with one owner, no other tokens are known: what share of all
    /// tokens it is about cannot be said, and the amount alone limits it.
    fn rail(&self, rail: Rail) -> Rail {
        match &self.purpose {
            Purpose::Revoke(incident) if !incident.tokens.is_of_anybody() => Rail { percent: 100, ..rail },
            _ => rail,
        }
    }

    /// The plan as one that may be applied. This is the only door to applying it.
    ///
    /// # Errors
    ///
    /// When it runs into a rail, or shuts somebody out: that is lifted by nothing.
    pub fn approve(self, rails: &Rails, allowed: &Allowed) -> Result<ApprovedPlan, Box<RefusedPlan>> {
        let refusals = self.refusals(rails, allowed);
        if refusals.is_empty() && self.shut_out.is_empty() {
            Ok(ApprovedPlan(self))
        } else {
            Err(Box::new(RefusedPlan { plan: self, refusals }))
        }
    }

    /// What earlier runs did of `class`, which is in the way of `count` more.
    fn earlier(&self, class: RailClass, count: u64, live: u64, rail: Rail) -> Option<Earlier> {
        let spent = self.spent.as_ref()?;
        let all = spent.of(class);
        if all == 0 {
            return None;
        }
        let mut left = all;
        let passes_from = spent.leaving(class).find_map(|(at, gone)| {
            left = left.saturating_sub(gone);
            admits_after(rail, class, count, live, left).then_some(at)
        });
        let of = live_before(class, live, all);
        Some(Earlier { count: all, window: spent.window(), of, passes_from })
    }

    fn of_class(&self, class: RailClass) -> impl Iterator<Item = &PlannedChange> {
        self.changes.iter().filter(move |planned| rail_of(&planned.change, self.made_for) == Some(class))
    }

    /// The tokens that the plan changes and that count for `class`. What has expired is refused anyway: ending
    /// or narrowing it is not a loss.
    pub(super) fn counted_tokens(&self, class: RailClass) -> impl Iterator<Item = &Token> {
        let counts = move |token: &&Token| class == RailClass::Cleanups || !token.is_expired(self.made_for);
        self.of_class(class).filter_map(|planned| planned.change.token()).filter(counts)
    }

    /// How many objects of `class` the plan changes, and how many live ones there are.
    pub(super) fn counts(&self, class: RailClass) -> (u64, u64) {
        let of_class = self.of_class(class);
        match class {
            RailClass::Revocations | RailClass::Expiries | RailClass::Narrowings => {
                (self.counted_tokens(class).count() as u64, self.tokens.live)
            }
            RailClass::Cleanups => (of_class.count() as u64, self.tokens.seen),
            RailClass::WithdrawnGroups => {
                let withdrawn = of_class.map(|planned| withdrawn_holders(&planned.change)).sum();
                (withdrawn, self.holders)
            }
            RailClass::RefusedCallers => (self.refused_use.owners, self.refused_use.of_owners),
            // Where the addresses of callers tell who is refused, the owners behind them are counted instead.
            RailClass::WithdrawnNetworks if self.refused_use.addresses_tell => (0, 0),
            RailClass::WithdrawnNetworks => {
                let ranges = |change: &PlannedChange| withdrawn_ranges(&change.change);
                self.changes.iter().map(ranges).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
            }
        }
    }
}

/// Whether `rail` admits `count` of `live` objects after earlier runs changed `spent`.
fn admits_after(rail: Rail, class: RailClass, count: u64, live: u64, spent: u64) -> bool {
    rail.admits(count.saturating_add(spent), live_before(class, live, spent))
}

/// How many live objects there were before earlier runs changed `spent` of them: what they took away is
/// not among the live ones any more.
fn live_before(class: RailClass, live: u64, spent: u64) -> u64 {
    match class {
        RailClass::Revocations
        | RailClass::Cleanups
        | RailClass::WithdrawnGroups
        | RailClass::WithdrawnNetworks => live.saturating_add(spent),
        RailClass::Expiries | RailClass::Narrowings | RailClass::RefusedCallers => live,
    }
}

/// The rail that a change at `now` counts for; `None` for what only opens or can be set back at once.
pub(super) fn rail_of(change: &Change, now: Timestamp) -> Option<RailClass> {
    match change {
        Change::Token { token, step } => match step {
            TokenStep::Revoke if token.is_expired(now) => Some(RailClass::Cleanups),
            TokenStep::Revoke => Some(RailClass::Revocations),
            TokenStep::Expire { .. } | TokenStep::Mark { .. } => Some(RailClass::Expiries),
            TokenStep::Narrow { .. } => Some(RailClass::Narrowings),
            TokenStep::Unmark => None,
        },
        Change::Setting { before, after } => before.rail_to(after),
    }
}

/// How many ranges are refused, and of how many; "anywhere" counts as those that are refused and those that
/// are left.
pub(super) fn withdrawn_ranges(change: &Change) -> (u64, u64) {
    let Change::Setting { before, after } = change else { return (0, 0) };
    let (SettingValue::Networks(before), SettingValue::Networks(after)) = (&**before, &**after) else {
        return (0, 0);
    };
    if change.phase() == Phase::Expand {
        return (0, 0);
    }
    let after = after.addresses();
    let refused = before.addresses().difference(&after).pieces().len() as u64;
    let of = match before {
        AllowedNetworks::Anywhere => refused + after.pieces().len() as u64,
        AllowedNetworks::Only(before) => before.pieces().len() as u64,
    };
    (refused, of)
}

/// How many groups lose a permission; "everyone" counts as one.
pub(super) fn withdrawn_holders(change: &Change) -> u64 {
    let Change::Setting { before, after } = change else { return 0 };
    let (SettingValue::Holders(_, before), SettingValue::Holders(_, after)) = (&**before, &**after) else {
        return 0;
    };
    match (before, after) {
        (_, Holders::Everyone) | (Holders::Nobody, _) => 0,
        (Holders::Everyone, Holders::Groups(_) | Holders::Nobody) => 1,
        (Holders::Groups(before), Holders::Nobody) => before.iter().count() as u64,
        (Holders::Groups(before), Holders::Groups(after)) => {
            before.iter().filter(|group| !after.contains(group)).count() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_that_all_pass_would_have_passed_together(
            slices in prop::collection::vec(0u64..30, 1..6),
            (amount, percent, floor) in (0u64..40, 0u8..=100, 0u64..10),
            live in 0u64..200,
        ) {
            let rail = Rail { amount, percent, floor };
            let (mut spent, mut left) = (0, live);
            for slice in slices {
                let slice = slice.min(left);
                if slice > 0 && admits_after(rail, RailClass::Revocations, slice, left, spent) {
                    spent += slice;
                    left -= slice;
                }
            }
            prop_assert!(rail.admits(spent, live), "{spent} of {live} by {rail:?}");
        }
    }
}
