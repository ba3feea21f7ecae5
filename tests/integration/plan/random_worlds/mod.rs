//! Random worlds: policies, tokens and moves chosen by a seed, driven through the real program and judged by an
//! oracle that shares no code with it. Whatever happens, no run revokes more than the rails let pass, no token
//! ends earlier than the policy promised, what complies is not touched, and an apply that converged leaves
//! nothing to plan.
//!
//! `TOKENWARDEN_WORLDS` says how many worlds of our own server are tried, 40 unless it is set; a fifth as many
//! are tried on the stand-in of Bitbucket. `TOKENWARDEN_WORLD` tries the one with this seed alone.

mod marked;
mod oracle;
mod ours;

use std::{env, ops::Range, thread};

use crate::support::world::block_on;

/// Around this moment all worlds begin, whenever they are tried: 2026-06-01T12:00:00Z.
const BEGIN: i64 = 1_780_315_200_000;
const DAY: i64 = 24 * 3_600_000;
const HOUR: i64 = 3_600_000;

/// The seeds to try: all below the number of worlds divided by `share`, or the one that is asked for.
fn seeds(share: u64) -> Range<u64> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("TOKENWARDEN_WORLD") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TOKENWARDEN_WORLDS").unwrap_or(40).div_ceil(share),
    }
}

/// Tries `world` with every seed of `seeds`, on two threads.
fn each<F: Future<Output = ()>>(seeds: Range<u64>, world: impl Fn(u64) -> F + Sync) {
    thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let (seeds, world) = (seeds.clone(), &world);
            scope.spawn(move || {
                for seed in seeds.filter(|seed| seed % 2 == half) {
                    block_on(world(seed));
                }
            })
        });
        for half in halves {
            half.join().unwrap();
        }
    });
}

#[test]
fn random_worlds_of_our_own_server_hold_every_promise() {
    each(seeds(1), ours::try_world);
}

#[test]
fn random_worlds_of_a_bitbucket_with_marks_hold_every_promise() {
    each(seeds(5), marked::try_world);
}
