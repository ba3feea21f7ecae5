//! Every finding of a plan, one by one, with what is done about it, wherever the plan keeps it.

use jiff::Timestamp;

use crate::{
    compliance::TokenFindings,
    model::{Rule, Token, Verb},
    plan::{ChangeReason, Origin, PlanView},
    policy::Waiver,
    yaml::Place,
};

/// What is done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy<'a> {
    /// A change of the plan, by its verb.
    Change(Verb),
    /// Nothing any more: the token ends by itself at this moment, UTC.
    Pending(Timestamp),
    /// It is reported and nothing else.
    Report,
    /// Nothing while this waiver holds it.
    Waived(&'a Waiver),
}

impl Remedy<'_> {
    /// The place among others by how grave it is, 0 being the gravest.
    pub(super) fn rank(self) -> usize {
        match self {
            Self::Change(Verb::Revoke) => 0,
            Self::Change(_) => 1,
            Self::Pending(_) | Self::Report => 2,
            Self::Waived(_) => 3,
        }
    }

    /// How programs read it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Change(verb) => verb.word(),
            Self::Pending(_) => "pending",
            Self::Report => "report",
            Self::Waived(_) => "waived",
        }
    }
}

/// One token breaking one rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) token: &'a Token,
    pub(super) rule: &'a Rule,
    /// What is wrong. May hold text from the server.
    pub(super) message: &'a str,
    /// The line of the policy that demands it.
    pub(super) place: Option<&'a Place>,
    pub(super) remedy: Remedy<'a>,
    /// Where the change that is made about it comes from, when that is known.
    pub(super) origin: Option<Origin>,
}

/// How many ranks there are.
const RANKS: usize = 4;

/// How many findings there are of each rank, or may be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ByRank([usize; RANKS]);

impl ByRank {
    /// How many `found` are of each rank.
    pub(super) fn of<'a>(found: impl Iterator<Item = Found<'a>>) -> Self {
        found.fold(Self::default(), |mut counts, found| {
            counts.of_rank(&found).iter_mut().for_each(|count| **count += 1);
            counts
        })
    }

    /// How many there are.
    pub(super) fn all(self) -> usize {
        self.0.iter().sum()
    }

    /// Leaves of `several` together no more than `room`, the gravest ones, and of equal ones the first.
    pub(super) fn confine<'c>(several: impl Iterator<Item = &'c mut Self>, mut room: usize) {
        let mut several: Vec<_> = several.collect();
        for rank in 0..RANKS {
            for count in several.iter_mut().filter_map(|counts| counts.0.get_mut(rank)) {
                *count = room.min(*count);
                room -= *count;
            }
        }
    }

    /// Whether there is one left of the rank of `found`, which is taken then.
    pub(super) fn take(&mut self, found: &Found<'_>) -> bool {
        let left = self.of_rank(found).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    fn of_rank(&mut self, found: &Found<'_>) -> Option<&mut usize> {
        self.0.get_mut(found.remedy.rank())
    }
}

/// Every finding in `plan`: of its changes, then pending, reported and waived ones.
pub(super) fn found(plan: &PlanView) -> impl Iterator<Item = Found<'_>> {
    let changed = plan.changes.iter().flat_map(|planned| {
        let remedy = Remedy::Change(planned.change.verb());
        let of = move |token| because(token, &planned.reasons, remedy, planned.origin);
        planned.change.token().into_iter().flat_map(of)
    });
    let pending = plan
        .pending
        .iter()
        .flat_map(|pending| because(&pending.token, &pending.reasons, Remedy::Pending(pending.until), None));
    let told = plan.reported.iter().chain(&plan.waived).flat_map(told);
    changed.chain(pending).chain(told)
}

fn because<'a>(
    token: &'a Token,
    reasons: &'a [ChangeReason],
    remedy: Remedy<'a>,
    origin: Option<Origin>,
) -> impl Iterator<Item = Found<'a>> {
    reasons.iter().filter_map(move |reason| {
        let rule = reason.rule.as_ref()?;
        Some(Found { token, rule, message: &reason.text, place: reason.place.as_ref(), remedy, origin })
    })
}

fn told(found: &TokenFindings) -> impl Iterator<Item = Found<'_>> {
    found.findings.iter().map(move |finding| Found {
        token: &found.token,
        rule: &finding.rule,
        message: &finding.message,
        place: finding.place.as_ref(),
        remedy: finding.waiver.as_deref().map_or(Remedy::Report, Remedy::Waived),
        origin: None,
    })
}
