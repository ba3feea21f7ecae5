//! The Markdown report of a run for a comment on a pull request: one line that says it all, then what
//! matters most. It never exceeds its length, and cuts the least important first.

mod escape;
mod fit;
mod sections;
mod tokens;

use std::collections::BTreeSet;

use crate::{
    model::Rule,
    plan::{Origin, TokenCounts},
};

use super::{
    Run, TargetRun,
    advice::page,
    escape::counted,
    summary::{ChangeCounts, Tense, compliance},
};

pub(super) use escape::inline;

/// How many characters a comment on Bitbucket may have. They are counted as UTF-16 does, so that it is
/// not too long for anybody.
pub const CHARACTERS_AT_MOST: usize = 32_768;

/// How many targets are named before they are only counted.
const NAMES: usize = 3;

/// The run as Markdown of no more than `at_most` characters; never less than its first line.
#[must_use]
pub fn report(run: &Run<'_>, at_most: usize) -> String {
    let links = links(run);
    let links = if fit::length(&links) <= at_most / 8 { links } else { String::new() };
    let lead = run.lead().map_or(String::new(), |line| format!("**{}**\n\n", inline(&line)));
    let first = lead + &first_line(run) + "\n" + &by_origin(run);
    fit::fit(first, sections::of(run), at_most - fit::length(&links)) + &links
}

/// What of it the change of the policy does, and what would be done without it, when that is known.
fn by_origin(run: &Run<'_>) -> String {
    let counts = |is_chosen: fn(Origin) -> bool| {
        let of_target = |target: &TargetRun<'_>| {
            let mut changes = target.effective_changes();
            changes.retain(|planned| planned.origin.is_some_and(is_chosen));
            ChangeCounts::of(&changes)
        };
        run.targets.iter().map(of_target).sum::<ChangeCounts>()
    };
    let (own, anyway) =
        (counts(|origin| origin == Origin::Policy), counts(|origin| origin != Origin::Policy));
    if own.is_empty() && anyway.is_empty() {
        return String::new();
    }
    let tense = if run.was_applied() { Tense::Past } else { Tense::Future };
    format!("\nBy the change of the policy: {}. Without it: {}.\n", own.text(tense), anyway.text(tense))
}

/// A link to the page of each rule that something was found of.
fn links(run: &Run<'_>) -> String {
    let changed = run.targets.iter().flat_map(TargetRun::effective_changes);
    let changed = changed.flat_map(|planned| &planned.reasons).filter_map(|reason| reason.rule.as_ref());
    let rules: BTreeSet<&Rule> = changed.chain(run.found().map(|(_, found)| found.rule)).collect();
    let links: Vec<String> =
        rules.into_iter().map(|rule| format!("[{}]({})", inline(rule.code()), page(rule))).collect();
    if links.is_empty() { String::new() } else { format!("\nRules: {}.\n", links.join(", ")) }
}

/// What the run comes to, on one line without any markup.
#[must_use]
pub fn headline(run: &Run<'_>) -> String {
    let lead = run.lead().map_or(String::new(), |line| line + " ");
    (lead + &first_line(run)).replace(['*', '`'], "")
}

/// What it comes to, on one line.
fn first_line(run: &Run<'_>) -> String {
    let changes =
        run.planned().map(|(target, _)| ChangeCounts::of(&target.effective_changes())).sum::<ChangeCounts>();
    let tense = if run.was_applied() { Tense::Past } else { Tense::Future };
    let (unread, refused) =
        (run.unread().count(), run.targets.iter().filter(|one| !one.refusals.is_empty()).count());
    let latest = || run.targets.iter().filter_map(TargetRun::latest);
    let held_back = latest().map(|plan| plan.held_back.len()).sum::<usize>();
    let is_confined = latest().any(|plan| plan.coverage.left_out().next().is_some());
    let mut parts = vec![match (changes.is_empty(), tense) {
        (true, Tense::Future) if is_confined => "no changes in what was looked at".to_owned(),
        (true, Tense::Future) => "no changes".to_owned(),
        (_, tense) => changes.text(tense),
    }];
    let (failed, not_tried) = run
        .targets
        .iter()
        .filter_map(|target| target.applied)
        .fold((0, 0), |sum, one| (sum.0 + one.outcome.failed(), sum.1 + one.outcome.not_tried()));
    parts.extend((failed > 0).then(|| format!("{} failed", counted(failed, "change"))));
    parts.extend((not_tried > 0).then(|| format!("{} not tried", counted(not_tried, "change"))));
    parts.extend((refused > 0).then(|| "`apply` is refused".to_owned()));
    parts.extend((unread > 0).then(|| format!("{} could not be read", counted(unread, "target"))));
    parts.extend((held_back > 0).then(|| format!("{held_back} held back")));
    let unseen = latest().any(|plan| plan.coverage.unseen().next().is_some());
    parts.extend(unseen.then(|| "not everything could be seen".to_owned()));
    let total = latest().map(|plan| plan.tokens).fold(TokenCounts::default(), |sum, more| sum + more);
    format!("**tokenwarden on {}: {}.** {}.", names(run), parts.join("; "), compliance(total, is_confined))
}

fn names(run: &Run<'_>) -> String {
    if run.targets.len() > NAMES {
        return counted(run.targets.len(), "target");
    }
    run.targets.iter().map(|target| inline(target.name)).collect::<Vec<_>>().join(", ")
}
