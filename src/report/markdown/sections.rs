//! The sections of the Markdown report, in the order in which they are read, with their ranks.

use crate::{
    apply::ChangeResult,
    compliance::TokenFindings,
    model::brief,
    plan::{ChangeReason, Object, Origin, PlanView, PlannedChange},
    yaml::Place,
};

use super::{
    super::{
        Run, TargetRun,
        difference::{day, of_setting},
        subject::{name, token_name},
        summary::by_object,
        unseen::unseen,
        warning,
    },
    escape::{difference, inline},
    fit::Section,
    tokens,
};

/// How many tokens that nothing is done about are listed of each kind; the other reports have them all.
const REST: usize = 10;
/// How many lines of one setting are shown.
const LINES: usize = 60;
pub(super) const TABLE: &str = "| token | change | why | policy |\n|---|---|---|---|\n";
const FINDINGS: &str = "| token | why | policy |\n|---|---|---|\n";

/// Every section that has something in it.
pub(super) fn of<'a>(run: &'a Run<'a>) -> Vec<Section<'a>> {
    let past = run.was_applied();
    let tense = |past_title, future| if past { past_title } else { future };
    let mut sections = vec![
        list(
            "Could not be read",
            0,
            run.unread().map(|(target, why)| bullet(run, target, &[why.kept()], None)),
        ),
        list("`apply` is refused", 1, refusals(run)),
        list("Not done", 2, failures(run)),
        settings(run, tense("Settings changed", "Settings to change")),
    ];
    sections.extend(tokens::of(run));
    sections.extend([
        list("Held back", 5, held_back(run)),
        list("Left out by the config file", 8, left_out(run)),
        list("Waivers to review", 8, warnings(run)),
        pending(run),
        findings(run, "Report only", 9, |plan| &plan.reported),
        findings(run, "Waived", 10, |plan| &plan.waived),
    ]);
    sections.into_iter().filter(|section| section.count > 0).collect()
}

fn list<'a>(
    title: &'static str,
    rank: u8,
    entries: impl Iterator<Item = String> + Clone + 'a,
) -> Section<'a> {
    Section { title, lead: "", rank, count: entries.clone().count(), entries: Box::new(entries) }
}

/// A line of a list: the target when there are several, the parts, and the line of the policy.
fn bullet(run: &Run<'_>, target: &TargetRun<'_>, parts: &[&str], place: Option<&Place>) -> String {
    let parts: Vec<String> = parts.iter().map(|part| inline(part)).collect();
    let place = place.map_or(String::new(), |place| format!(" ({})", inline(&place.to_string())));
    format!("- {}{}{place}\n", of_target(run, target), parts.join(": "))
}

/// The target in front of what is about it, when there are several.
pub(super) fn of_target(run: &Run<'_>, target: &TargetRun<'_>) -> String {
    if run.targets.len() > 1 { format!("{}: ", inline(target.name)) } else { String::new() }
}

fn latest<'r, 'a>(run: &'r Run<'a>) -> impl Iterator<Item = (&'r TargetRun<'a>, &'a PlanView)> + Clone {
    run.targets.iter().filter_map(|target| Some((target, target.latest()?)))
}

fn refusals<'a>(run: &'a Run<'a>) -> impl Iterator<Item = String> + Clone + 'a {
    run.targets.iter().flat_map(move |target| {
        target.refusals.iter().map(move |why| {
            // A refusal has a line for each axis.
            let lines: Vec<&str> = why.lines().map(str::trim).collect();
            bullet(run, target, &lines, None)
        })
    })
}

fn failures<'a>(run: &'a Run<'a>) -> impl Iterator<Item = String> + Clone + 'a {
    let applied = run.targets.iter().filter_map(|target| Some((target, target.applied?.outcome)));
    applied.flat_map(move |(target, outcome)| {
        outcome.changes.iter().filter_map(move |change| {
            let (word, why) = match &change.result {
                ChangeResult::Done(_) => return None,
                ChangeResult::Failed(why) => ("failed", why.kept()),
                ChangeResult::NotTried(why) => ("not tried", why.kept()),
            };
            let what = format!("{} {}", change.planned.change.verb(), name(change.planned.change.object()));
            Some(bullet(run, target, &[word, &what, why], None))
        })
    })
}

fn held_back<'a>(run: &'a Run<'a>) -> impl Iterator<Item = String> + Clone + 'a {
    latest(run).flat_map(move |(target, plan)| {
        let held_back = plan.held_back.iter().map(move |held| {
            bullet(run, target, &[&brief(&held.subject), &held.reason], held.place.as_ref())
        });
        held_back.chain(unseen(plan).map(move |missing| bullet(run, target, &[&missing], None)))
    })
}

fn left_out<'a>(run: &'a Run<'a>) -> impl Iterator<Item = String> + Clone + 'a {
    latest(run).flat_map(move |(target, plan)| {
        plan.coverage.left_out().map(move |left_out| bullet(run, target, &[&left_out.to_string()], None))
    })
}

fn warnings<'a>(run: &'a Run<'a>) -> impl Iterator<Item = String> + Clone + 'a {
    latest(run).flat_map(move |(target, plan)| {
        plan.waiver_warnings
            .iter()
            .map(move |one| bullet(run, target, &[&warning::message(one)], Some(&one.waiver.place)))
    })
}

fn settings<'a>(run: &'a Run<'a>, title: &'static str) -> Section<'a> {
    let groups = run.planned().flat_map(move |(target, plan)| {
        let settings = target.effective_changes().into_iter();
        let settings = settings.filter(|planned| matches!(planned.change.object(), Object::Setting(_)));
        by_object(&settings.collect::<Vec<_>>()).into_iter().map(move |group| (target, plan, group))
    });
    // There are at most eight a target.
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|(.., group)| is_due_anyway(group));
    let count = groups.len();
    let entries =
        groups.into_iter().filter_map(move |(target, plan, group)| setting(run, target, plan, &group));
    Section { title, lead: "", rank: 3, count, entries: Box::new(entries) }
}

fn setting(
    run: &Run<'_>,
    target: &TargetRun<'_>,
    plan: &PlanView,
    group: &[&PlannedChange],
) -> Option<String> {
    let first = group.first()?;
    let mut lines: Vec<String> =
        of_setting(plan, group).iter().map(|line| format!("{}{}", line.sign.lead(), line.text)).collect();
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    lines.extend((more > 0).then(|| format!("… and {more} more lines")));
    let place = place_of(&first.reasons).map_or(String::new(), |place| format!(" ({})", cell_of(place)));
    let name = inline(&name(first.change.object()));
    let title = format!("{}**{name}**{}{place}", of_target(run, target), origin_of(first));
    Some(format!("{title}\n\n{}\n", difference(&lines)))
}

/// Whether `changes` would be made without a change of the policy.
pub(super) fn is_due_anyway(changes: &[&PlannedChange]) -> bool {
    changes.iter().all(|planned| planned.origin.is_some_and(|origin| origin != Origin::Policy))
}

/// Where a change comes from, behind what it does; empty when the plan was not compared with a baseline.
pub(super) fn origin_of(planned: &PlannedChange) -> String {
    planned.origin.map_or(String::new(), |origin| format!(" ({origin})"))
}

fn pending<'a>(run: &'a Run<'a>) -> Section<'a> {
    let pending =
        latest(run).flat_map(|(target, plan)| plan.pending.iter().map(move |pending| (target, pending)));
    let count = pending.clone().count();
    let entries = pending.take(REST).map(move |(target, pending)| {
        let place = place_of(&pending.reasons).map_or(String::new(), cell_of);
        let (target, token) = (of_target(run, target), inline(&token_name(&pending.token)));
        let (until, why) = (day(pending.until), reasons(&pending.reasons));
        format!("| {target}{token} | ends on {until} | {why} | {place} |\n")
    });
    let title = "Already scheduled to end";
    Section { title, lead: TABLE, rank: 11, count, entries: Box::new(entries) }
}

fn findings<'a>(
    run: &'a Run<'a>,
    title: &'static str,
    rank: u8,
    of: fn(&'a PlanView) -> &'a [TokenFindings],
) -> Section<'a> {
    let found = latest(run).flat_map(move |(target, plan)| of(plan).iter().map(move |found| (target, found)));
    let count = found.clone().count();
    let entries = found.take(REST).map(move |(target, found)| {
        let why: Vec<String> = found
            .findings
            .iter()
            .map(|finding| {
                let waiver = finding.waiver.as_ref().map_or(String::new(), |waiver| {
                    format!(" (waived until {}: {})", waiver.until, inline(&waiver.reason))
                });
                format!("{}: {}{waiver}", inline(finding.rule.code()), inline(&finding.message))
            })
            .collect();
        let place = found.findings.iter().find_map(|finding| finding.place.as_ref());
        let place = place.map_or(String::new(), cell_of);
        let (target, token) = (of_target(run, target), inline(&token_name(&found.token)));
        format!("| {target}{token} | {} | {place} |\n", why.join("; "))
    });
    Section { title, lead: FINDINGS, rank, count, entries: Box::new(entries) }
}

pub(super) fn reasons(reasons: &[ChangeReason]) -> String {
    let one = |reason: &ChangeReason| match &reason.rule {
        Some(rule) => format!("{}: {}", inline(rule.code()), inline(&reason.text)),
        None => inline(&reason.text),
    };
    reasons.iter().map(one).collect::<Vec<_>>().join("; ")
}

pub(super) fn place_of(reasons: &[ChangeReason]) -> Option<&Place> {
    reasons.iter().find_map(|reason| reason.place.as_ref())
}

pub(super) fn cell_of(place: &Place) -> String {
    inline(&place.to_string())
}
