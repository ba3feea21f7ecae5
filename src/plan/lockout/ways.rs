//! The ways in of one person: how far they lead now and at the end of the horizon, before a plan and after it.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    access::Person,
    model::{UserName, rails::Lockout},
};

use super::{
    Axis,
    way_in::{Level, Way},
};

/// The moments at which a way in must be open: now, and at the end of `lockout.horizon`. Two steps of which
/// each would be harmless by itself, one that ends a token soon and one that closes all else, lose the second.
pub(super) const MOMENTS: usize = 2;

/// Who has a way in when a plan is made: what the check on lockouts rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaysIn {
    pub(super) lockout: Lockout,
    /// How far each of the people surely gets in at each moment, and whether they are an administrator.
    pub(super) people: BTreeMap<UserName, ([Level; MOMENTS], bool)>,
    pub(super) administrators: [u64; MOMENTS],
}

impl WaysIn {
    /// Whether `user` is one of the people who must keep a way in.
    pub(in crate::plan) fn has(&self, user: &UserName) -> bool {
        self.people.contains_key(user)
    }

    /// Who must keep a way in, unless that is nobody who is known.
    pub(in crate::plan) fn lockout(&self) -> Option<&Lockout> {
        (!self.people.is_empty()).then_some(&self.lockout)
    }
}

/// One of the people who must keep a way in.
pub(super) struct Watched {
    pub(super) person: Person,
    /// Whether it could not be seen that the user has these ways in.
    is_doubtful: bool,
    /// Whether a token can make a difference: it makes none to somebody whose password surely leads all the way,
    /// before and after the plan.
    pub(super) counts_tokens: bool,
    ways: [Ways; MOMENTS],
    /// What is lost, with the lowest address that would be refused.
    lost: BTreeMap<Axis, Option<IpAddr>>,
}

/// The ways in of somebody at one moment.
#[derive(Default)]
struct Ways {
    /// The best one that there is under the settings as they are.
    before: Level,
    /// How many there would be, by level.
    after: BTreeMap<Level, u64>,
}

impl Ways {
    fn after(&self) -> Level {
        let best = self.after.iter().rev().find(|(_, count)| **count > 0);
        best.map_or(Level::Shut, |(level, _)| *level)
    }

    fn lose(&self) -> bool {
        self.after() < self.before
    }
}

impl Watched {
    pub(super) fn new(person: Person, is_doubtful: bool, counts_tokens: bool) -> Self {
        Self { person, is_doubtful, counts_tokens, ways: Default::default(), lost: BTreeMap::new() }
    }

    /// The best way in at each moment under the settings as they are.
    pub(super) fn before(&self) -> [Level; MOMENTS] {
        self.ways.each_ref().map(|ways| ways.before)
    }

    /// The best way in at each moment after the plan.
    pub(super) fn after(&self) -> [Level; MOMENTS] {
        self.ways.each_ref().map(Ways::after)
    }

    /// As [`Self::before`], for all that was seen.
    pub(super) fn surely_before(&self) -> [Level; MOMENTS] {
        if self.is_doubtful { Default::default() } else { self.before() }
    }

    /// As [`Self::after`], for all that was seen.
    pub(super) fn surely_after(&self) -> [Level; MOMENTS] {
        if self.is_doubtful { Default::default() } else { self.after() }
    }

    /// Counts a way in that is `open` at some moments, and leads `then` as far as it does from an address.
    pub(super) fn add(&mut self, open: [bool; MOMENTS], before: Way, then: (Way, Option<IpAddr>)) {
        let (after, from) = then;
        for (ways, _) in self.ways.iter_mut().zip(open).filter(|(_, open)| *open) {
            ways.before = ways.before.max(before.level);
            *ways.after.entry(after.level).or_default() += 1;
        }
        if open.contains(&true)
            && after.level < before.level
            && let Some(reason) = after.obstacle
        {
            let lowest = self.lost.entry(Axis::Refused(reason)).or_insert(from);
            *lowest = lowest.iter().copied().chain(from).min();
        }
    }

    /// Counts a way in as another one at each moment, for what changes of a token lose on `axes`.
    pub(super) fn replace(
        &mut self,
        counted: [Option<Level>; MOMENTS],
        left: [Option<Level>; MOMENTS],
        axes: impl Iterator<Item = Axis>,
    ) {
        for ((ways, counted), left) in self.ways.iter_mut().zip(counted).zip(left) {
            if let Some(counted) = counted {
                let count = ways.after.entry(counted).or_default();
                *count = count.saturating_sub(1);
            }
            if let Some(left) = left {
                *ways.after.entry(left).or_default() += 1;
            }
        }
        if left.iter().zip(&counted).any(|(left, counted)| left < counted) {
            self.lost.extend(axes.map(|axis| (axis, None)));
        }
    }

    /// Holds what there is against what there was when a plan was made.
    pub(super) fn compare(&mut self, made: [Level; MOMENTS], administered: bool) {
        let is_less = self.surely_before().into_iter().zip(made).any(|(now, made)| now < made);
        if is_less || administered && !self.person.administrator {
            self.lost.insert(if self.is_doubtful { Axis::Unseen } else { Axis::Gone }, None);
        }
    }

    /// Whether the best way in is lost at some moment, or was lost since the plan was made.
    pub(super) fn loses(&self) -> bool {
        let is_gone = [Axis::Gone, Axis::Unseen].iter().any(|axis| self.lost.contains_key(axis));
        is_gone || self.ways.iter().any(Ways::lose)
    }

    /// Whether the user may be one of those who lose a way in.
    pub(super) fn may_lose(&self) -> bool {
        self.is_doubtful || self.loses()
    }

    /// What is lost on each axis.
    pub(super) fn lost(&self) -> BTreeMap<Axis, Option<IpAddr>> {
        let [now, horizon] = &self.ways;
        let is_ending = !now.lose() && horizon.lose();
        self.lost
            .iter()
            .map(|(axis, from)| (*axis, *from))
            .chain(is_ending.then_some((Axis::Ending, None)))
            .chain(self.is_doubtful.then_some((Axis::Unseen, None)))
            .collect()
    }
}
