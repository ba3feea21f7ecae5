//! What a SARIF file has room for: GitHub refuses a file that has more.
//!
//! Source: <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>

use std::{cmp::Reverse, collections::HashMap};

use crate::{
    model::{Rule, TokenId},
    report::{
        Run, TargetRun,
        escape::{counted, thousands},
        findings::{Found, found},
    },
};

/// Runs of one file, one a target.
const RUNS_AT_MOST: usize = 20;
/// Results of one file.
const RESULTS_AT_MOST: usize = 25_000;
/// How many ranks there are.
const RANKS: usize = 4;

/// A finding, told from others of its token and rule by a number from 1.
pub(super) struct Numbered<'a> {
    pub(super) found: Found<'a>,
    pub(super) number: usize,
}

/// A target with its findings, the most serious ones first.
pub(super) type Part<'r, 'a> = (&'r TargetRun<'a>, Vec<Numbered<'a>>);

/// The targets and the findings that there is room for, the most serious ones, and a sentence for each kind
/// that there is more of.
pub(super) fn select<'r, 'a>(run: &'r Run<'a>) -> (Vec<Part<'r, 'a>>, Vec<String>) {
    let mut parts: Vec<_> = run.targets.iter().map(|target| (target, numbered(target))).collect();
    let left_out = [leave_out_targets(&mut parts), leave_out_findings(&mut parts)];
    (parts, left_out.into_iter().flatten().collect())
}

/// The findings on `target`, the most serious ones first.
fn numbered<'a>(target: &TargetRun<'a>) -> Vec<Numbered<'a>> {
    let mut numbers: HashMap<(&TokenId, &Rule), usize> = HashMap::new();
    let found = target.latest().into_iter().flat_map(found).map(|found| {
        let number = numbers.entry((&found.token.id, found.rule)).or_default();
        *number += 1;
        Numbered { found, number: *number }
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|one| one.found.remedy.rank());
    found
}

/// How many of `findings` have each rank.
fn counts(findings: &[Numbered<'_>]) -> [usize; RANKS] {
    std::array::from_fn(|of| findings.iter().filter(|one| one.found.remedy.rank() == of).count())
}

fn leave_out_targets(parts: &mut Vec<Part<'_, '_>>) -> Option<String> {
    let surplus = parts.len().checked_sub(RUNS_AT_MOST).filter(|surplus| *surplus > 0)?;
    // Those with the most to worry about come first.
    let mut order: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(index, (target, findings))| (target.is_success(), counts(findings).map(Reverse), index))
        .collect();
    order.sort_unstable();
    let kept: Vec<usize> = order.into_iter().take(RUNS_AT_MOST).map(|(.., index)| index).collect();
    let (mut index, mut names, mut findings) = (0, Vec::with_capacity(surplus), 0);
    parts.retain(|(target, of)| {
        let is_kept = kept.contains(&index);
        index += 1;
        if !is_kept {
            names.push(target.name);
            findings += of.len();
        }
        is_kept
    });
    Some(format!(
        "a file holds at most {RUNS_AT_MOST} targets: {} with {} are left out; write several files with --target",
        names.join(", "),
        counted(findings, "finding"),
    ))
}

fn leave_out_findings(parts: &mut [Part<'_, '_>]) -> Option<String> {
    let all: usize = parts.iter().map(|(_, findings)| findings.len()).sum();
    let surplus = all.checked_sub(RESULTS_AT_MOST).filter(|surplus| *surplus > 0)?;
    let counts: Vec<_> = parts.iter().map(|(_, findings)| counts(findings)).collect();
    let (mut room, mut kept) = (RESULTS_AT_MOST, vec![0; parts.len()]);
    for of in 0..RANKS {
        for (kept, counts) in kept.iter_mut().zip(&counts) {
            let fits = counts.get(of).copied().unwrap_or_default().min(room);
            *kept += fits;
            room -= fits;
        }
    }
    parts.iter_mut().zip(kept).for_each(|((_, findings), kept)| findings.truncate(kept));
    Some(format!(
        "a file holds at most {} findings: {} of the least serious are left out; write several files with \
         --target, or see the JSON report",
        thousands(RESULTS_AT_MOST as u128),
        counted(surplus, "finding"),
    ))
}
