//! The terms of a plan: what is known beside the target itself, such as the time and what earlier runs did.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use crate::{
    model::{
        Period, TokenId,
        rails::{Lockout, RailClass, Unsupported},
        run::{ChangeNote, RailCounts, RunId, Settled},
    },
    policy::Policy,
};

/// What a plan is made from, beside the target.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The name of the target in the config file.
    pub target: &'a str,
    /// What should be.
    pub policy: &'a Policy,
    /// Who must keep a way in.
    pub lockout: &'a Lockout,
    /// What happens when the policy has keys that the target cannot hold.
    pub unsupported: Unsupported,
    /// What earlier runs did.
    pub history: &'a History,
    /// The time that the plan is for, UTC.
    pub now: Timestamp,
}

/// What earlier runs on the target did, as far as somebody kept a record of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The deadline, UTC, of every token that was marked and whose mark no run has taken off since: an owner
    /// who takes it off wins no time, and one who brings an older one back loses none.
    pub deadlines: BTreeMap<TokenId, Timestamp>,
    /// What counts against the rails of this run already; `None` when no record is kept.
    pub spent: Option<Spent>,
    /// What a run that was interrupted had begun without recording how it ended, and what was refused. Not
    /// among `spent`: the plan finds out.
    pub open: Vec<OpenChange>,
}

impl History {
    /// What is spent once `settled` tells what became of changes that were open; those that it does not name
    /// count for nothing.
    pub(super) fn spent_with(&self, settled: &[Settled], now: Timestamp) -> Option<Spent> {
        let mut spent = self.spent.clone()?;
        let counting = settled.iter().filter(|settled| settled.fate.counts());
        let counting: HashSet<_> = counting.map(|settled| (&settled.run, settled.change)).collect();
        for open in self.open.iter().filter(|open| counting.contains(&(&open.run, open.change))) {
            spent.add(&open.note.counts, open.attempted, now);
        }
        Some(spent)
    }
}

/// A change that was begun by a run that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenChange {
    /// The run.
    pub run: RunId,
    /// Place of the change in the plan of that run, from 0.
    pub change: u32,
    /// The change.
    pub note: ChangeNote,
    /// When it was about to be sent, UTC.
    pub attempted: Timestamp,
    /// Whether it was refused, as far as anybody knows, and not merely interrupted.
    pub refused: bool,
    /// Whether the target that the plan is for does not show what became of it: it was made on another one.
    pub elsewhere: bool,
}

/// What runs did within the window that rails look back on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    window: Period,
    counts: BTreeMap<RailClass, BTreeMap<Timestamp, u64>>,
}

impl Spent {
    /// How many objects stand for an unknown number.
    pub const UNKNOWN: u64 = 1 << 40;

    /// Nothing spent within `window`.
    #[must_use]
    pub fn nothing(window: Period) -> Self {
        Self { window, counts: BTreeMap::new() }
    }

    /// How far back rails look.
    #[must_use]
    pub fn window(&self) -> Period {
        self.window
    }

    /// Adds what was done at `at`, UTC; what lies before the window that ends at `now` is left out.
    pub fn add(&mut self, counts: &RailCounts, at: Timestamp, now: Timestamp) {
        if self.window.after(at) <= now {
            return;
        }
        for (class, count) in counts.iter().filter(|(_, count)| **count > 0) {
            *self.counts.entry(*class).or_default().entry(at).or_default() += count;
        }
    }

    /// What was done at `at` at the latest, UTC, is not known: it counts as more than any rail lets pass.
    pub fn lose(&mut self, at: Timestamp, now: Timestamp) {
        let all = RailClass::ALL.map(|class| (class, Self::UNKNOWN));
        self.add(&all.into(), at, now);
    }

    /// How many objects of `class`.
    #[must_use]
    pub fn of(&self, class: RailClass) -> u64 {
        self.moments(class).map(|(_, count)| count).sum()
    }

    /// How many objects of `class` leave the window when, the first to leave first.
    pub fn leaving(&self, class: RailClass) -> impl Iterator<Item = (Timestamp, u64)> + '_ {
        self.moments(class).map(|(at, count)| (self.window.after(at), count))
    }

    fn moments(&self, class: RailClass) -> impl Iterator<Item = (Timestamp, u64)> + '_ {
        self.counts.get(&class).into_iter().flatten().map(|(at, count)| (*at, *count))
    }
}
