//! The ways in which the moments of a token can lie to each other, as far as distances tell them apart, each with
//! moments that lie so.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::expression::{Moment, Threshold, moments};

/// As many ways are looked at.
const WAYS_AT_MOST: usize = 2_000;
/// Further away from each other than all moments, in nanoseconds.
const FAR: i128 = 1 << 80;
const SECOND: i128 = 1_000_000_000;
const HOUR: i128 = 3_600 * SECOND;
const DAY: i128 = 24 * HOUR;

/// In the order in which they are chosen, with what is natural: nanoseconds behind another one.
const ORDER: [(Moment, Moment, i128); 4] = [
    (Moment::Now, Moment::Epoch, 0),
    (Moment::Created, Moment::Now, -100 * DAY),
    (Moment::LastUsed, Moment::Now, -DAY),
    (Moment::Expires, Moment::Now, 30 * DAY),
];
const MOMENTS: usize = 5;

/// When something was: each of the moments that there are.
pub(super) type Moments = BTreeMap<Moment, Timestamp>;

/// How far each moment is behind each other one, at most.
type Bounds = [[i128; MOMENTS]; MOMENTS];

/// A pair of moments, and the distances at which it is told apart.
type Pair = ((usize, usize), Vec<i128>);

/// Every way in which the moments in `present` can lie to each other that `thresholds` tell apart; best it is `now`.
/// `None` when there are too many.
pub(super) fn ways(
    thresholds: &BTreeSet<Threshold>,
    present: &[Moment],
    now: Timestamp,
) -> Option<Vec<Moments>> {
    let mut pairs: BTreeMap<(usize, usize), BTreeSet<i128>> = BTreeMap::new();
    let is_there = |moment| moment == Moment::Epoch || present.contains(&moment);
    for Threshold { of, since, nanoseconds } in thresholds {
        let (one, other) = (*of as usize, *since as usize);
        if !is_there(*of) || !is_there(*since) || one == other {
            continue;
        }
        let (pair, distance) =
            if one < other { ((other, one), -nanoseconds) } else { ((one, other), *nanoseconds) };
        pairs.entry(pair).or_default().insert(distance);
    }
    let pairs: Vec<Pair> = pairs.into_iter().map(|(pair, at)| (pair, at.into_iter().collect())).collect();
    let mut bounds = [[FAR; MOMENTS]; MOMENTS];
    let [first, last] = moments();
    for moment in 0..MOMENTS {
        bound(&mut bounds, moment, moment, 0);
        bound(&mut bounds, moment, 0, last);
        bound(&mut bounds, 0, moment, -first);
    }
    let mut found = Vec::new();
    split(&bounds, &pairs, &mut |bounds| {
        found.push(chosen(bounds, present, now));
        found.len() <= WAYS_AT_MOST
    })
    .then_some(())?;
    found.into_iter().collect()
}

/// Hands every way on that `bounds` leave for `pairs`; false as soon as `each` wants no more.
fn split(bounds: &Bounds, pairs: &[Pair], each: &mut impl FnMut(Bounds) -> bool) -> bool {
    let Some((((one, other), distances), rest)) = pairs.split_first() else { return each(*bounds) };
    // Before the first distance, at it, behind it and before the next one, and so on.
    let mut lowest = -FAR;
    let at = distances.iter().flat_map(|at| [(*at - 1, *at), (*at, *at + 1)]);
    for (highest, next) in at.chain([(FAR, FAR)]) {
        let mut within = *bounds;
        bound(&mut within, *one, *other, highest);
        bound(&mut within, *other, *one, -lowest);
        let is_possible = (0..MOMENTS).all(|moment| of(&within, moment, moment) >= 0);
        if is_possible && !split(&within, rest, each) {
            return false;
        }
        lowest = next;
    }
    true
}

fn of(bounds: &Bounds, one: usize, other: usize) -> i128 {
    bounds.get(one).and_then(|of_one| of_one.get(other)).copied().unwrap_or(FAR)
}

/// Says that `one` is `most` behind `other` at most, with all that follows.
fn bound(bounds: &mut Bounds, one: usize, other: usize, most: i128) {
    let known = *bounds;
    for (from, of_from) in bounds.iter_mut().enumerate() {
        for (to, at_most) in of_from.iter_mut().enumerate() {
            let over = if from == one && to == other {
                most
            } else {
                let before = if from == one { 0 } else { of(&known, from, one) };
                let behind = if to == other { 0 } else { of(&known, other, to) };
                before + most + behind
            };
            *at_most = (*at_most).min(over);
        }
    }
}

/// Moments within `bounds`, as natural as can be.
fn chosen(mut bounds: Bounds, present: &[Moment], now: Timestamp) -> Option<Moments> {
    let mut chosen: BTreeMap<Moment, i128> = BTreeMap::from([(Moment::Epoch, 0)]);
    for (moment, behind, by) in ORDER.into_iter().filter(|(moment, ..)| present.contains(moment)) {
        let wanted = match moment {
            Moment::Now => now.as_nanosecond(),
            _ => chosen.get(&behind).copied().unwrap_or_default() + by,
        };
        let (least, most) = (-of(&bounds, 0, moment as usize), of(&bounds, moment as usize, 0));
        let at = natural(wanted, least, most);
        bound(&mut bounds, moment as usize, 0, at);
        bound(&mut bounds, 0, moment as usize, -at);
        chosen.insert(moment, at);
    }
    chosen.remove(&Moment::Epoch);
    chosen.into_iter().map(|(moment, at)| Some((moment, Timestamp::from_nanosecond(at).ok()?))).collect()
}

/// A moment from `least` to `most`, near to `wanted`, and a round one where there is room.
fn natural(wanted: i128, least: i128, most: i128) -> i128 {
    if (least..=most).contains(&wanted) {
        return wanted;
    }
    let near = |step: i128| {
        let at = if wanted < least { least + step } else { most - step };
        at.div_euclid(step) * step
    };
    [DAY, HOUR, SECOND]
        .into_iter()
        .map(near)
        .find(|at| (least..=most).contains(at))
        .unwrap_or(if wanted < least { least } else { most })
}
