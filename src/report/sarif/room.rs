//! What a SARIF file has room for: GitHub refuses a file that has more.
//!
//! Source: <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>

use std::{cmp::Reverse, collections::HashMap};

use crate::{
    model::{Rule, TokenId},
    report::{
        Run, TargetRun,
        escape::{counted, thousands},
        findings::{ByRank, Found, found},
    },
};

/// Runs of one file, one a target.
const RUNS_AT_MOST: usize = 20;
/// Results of one file.
const RESULTS_AT_MOST: usize = 25_000;

/// A finding, told from others of its token and rule by a number from 1.
pub(super) struct Numbered<'a> {
    pub(super) found: Found<'a>,
    pub(super) number: usize,
}

/// A target with its findings, the most serious ones first.
pub(super) type Part<'r, 'a> = (&'r TargetRun<'a>, Vec<Numbered<'a>>);
/// A target, and how many of its findings there is room for.
type Room<'r, 'a> = (&'r TargetRun<'a>, ByRank);

/// The targets and the findings that there is room for, the most serious ones, and a sentence for each kind
/// that there is more of.
pub(super) fn select<'r, 'a>(run: &'r Run<'a>) -> (Vec<Part<'r, 'a>>, Vec<String>) {
    let mut rooms: Vec<_> = run.targets.iter().map(|target| (target, ByRank::of(all(target)))).collect();
    let left_out = [leave_out_targets(&mut rooms), leave_out_findings(&mut rooms)];
    let parts = rooms.into_iter().map(|(target, room)| (target, numbered(target, room)));
    (parts.collect(), left_out.into_iter().flatten().collect())
}

fn all<'a>(target: &TargetRun<'a>) -> impl Iterator<Item = Found<'a>> + use<'a> {
    target.latest().into_iter().flat_map(found)
}

/// The findings on `target` that there is `room` for, the most serious ones first. Nothing is kept of others.
fn numbered<'a>(target: &TargetRun<'a>, room: ByRank) -> Vec<Numbered<'a>> {
    let key = |found: &Found<'a>| (&found.token.id, found.rule);
    let mut left = room;
    let kept = all(target).filter(|found| left.take(found));
    let mut numbers: HashMap<(&TokenId, &Rule), usize> = kept.map(|found| (key(&found), 0)).collect();
    let mut left = room;
    let kept = all(target).filter_map(|found| {
        let number = numbers.get_mut(&key(&found))?;
        *number += 1;
        left.take(&found).then_some(Numbered { found, number: *number })
    });
    let mut kept: Vec<_> = kept.collect();
    kept.sort_by_key(|one| one.found.remedy.rank());
    kept
}

fn leave_out_targets(rooms: &mut Vec<Room<'_, '_>>) -> Option<String> {
    let surplus = rooms.len().checked_sub(RUNS_AT_MOST).filter(|surplus| *surplus > 0)?;
    // Those with the most to worry about come first.
    let mut order: Vec<_> = rooms
        .iter()
        .enumerate()
        .map(|(index, (target, counts))| (target.is_success(), Reverse(*counts), index))
        .collect();
    order.sort_unstable();
    let kept: Vec<usize> = order.into_iter().take(RUNS_AT_MOST).map(|(.., index)| index).collect();
    let (mut index, mut names, mut findings) = (0, Vec::with_capacity(surplus), 0);
    rooms.retain(|(target, counts)| {
        let is_kept = kept.contains(&index);
        index += 1;
        if !is_kept {
            names.push(target.name);
            findings += counts.all();
        }
        is_kept
    });
    Some(format!(
        "a file holds at most {RUNS_AT_MOST} targets: {} with {} are left out; write several files with --target",
        names.join(", "),
        counted(findings, "finding"),
    ))
}

fn leave_out_findings(rooms: &mut [Room<'_, '_>]) -> Option<String> {
    let all: usize = rooms.iter().map(|(_, counts)| counts.all()).sum();
    let surplus = all.checked_sub(RESULTS_AT_MOST).filter(|surplus| *surplus > 0)?;
    ByRank::confine(rooms.iter_mut().map(|(_, counts)| counts), RESULTS_AT_MOST);
    Some(format!(
        "a file holds at most {} findings: {} of the least serious are left out; write several files with \
         --target, or see the JSON report",
        thousands(RESULTS_AT_MOST as u128),
        counted(surplus, "finding"),
    ))
}
