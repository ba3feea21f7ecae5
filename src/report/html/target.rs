//! The part of the HTML report that is about one target.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::SignedDuration;
use maud::{Markup, html};

use crate::{
    apply::ChangeResult,
    compliance::{TokenFindings, Whose},
    model::Rule,
    plan::{ChangeReason, Object, Origin, PlanView, PlannedChange},
    report::{
        Run, TargetRun,
        difference::{Sign, day, of_setting, sides_of_token},
        escape::{capitalised, escape, escape_whole, thousands},
        findings::found,
        subject::{name, token_name},
        summary::{ChangeCounts, Tense, by_object, compliance_of},
        unseen::unseen,
        warning,
    },
    yaml::Place,
};

use super::{ROWS, chart::Figures, more, rules::Rules};

/// What the page says of the target that is the one at `index`.
pub(super) fn section(run: &Run<'_>, target: &TargetRun<'_>, index: usize, rules: &Rules<'_>) -> Markup {
    html! {
        h2 id=(format!("target-{index}")) { (escape_whole(target.name)) }
        @match (&target.plan, target.latest()) {
            (Ok(plan), Some(latest)) => {
                (summary(run, target, latest))
                (alerts(target, latest))
                (charts(run, latest, index))
                (settings(target, plan))
                div.findings {
                    (rules.choice(target, index))
                    (tokens(target, rules))
                    (pending(latest, rules))
                    (told("Report only", &latest.reported, rules))
                    (told("Waived", &latest.waived, rules))
                }
            }
            (Err(why), _) => div.alert { p { "Could not be read." } p { (escape_whole(why.kept())) } },
            (Ok(_), None) => {}
        }
    }
}

fn summary(run: &Run<'_>, target: &TargetRun<'_>, latest: &PlanView) -> Markup {
    let changes = ChangeCounts::of(&target.effective_changes());
    let tense = if run.was_applied() { Tense::Past } else { Tense::Future };
    let tokens = latest.tokens;
    let not_complying = tokens.seen.saturating_sub(tokens.complying + tokens.waived + tokens.unjudged);
    let share = (tokens.complying * 100).checked_div(tokens.seen).unwrap_or(100);
    let standing = if not_complying == 0 { "good" } else { "bad" };
    html! {
        p.quiet { (escape(&latest.url)) @if let Some(version) = &latest.version { ", version " (escape(version)) } }
        p { (compliance_of(latest)) ". " (capitalised(&changes.text(tense))) "." }
        dl.tiles {
            (tile("tokens", &thousands(tokens.seen.into()), ""))
            (tile("comply", &format!("{share} %"), standing))
            (tile("do not comply", &thousands(not_complying.into()), standing))
            (tile("never end", &thousands(latest.statistics.endless().into()), ""))
            (tile("end within 30 days", &thousands(latest.statistics.ending_in_30_days().into()), ""))
            (tile("held back", &thousands(latest.held_back.len() as u128), if latest.held_back.is_empty() { "" } else { "bad" }))
        }
    }
}

fn tile(name: &str, number: &str, class: &str) -> Markup {
    html! { div class=(class) { dt { (name) } dd { (number) } } }
}

/// What keeps the plan from being applied, what failed, what is held back, and waivers to look after.
fn alerts(target: &TargetRun<'_>, latest: &PlanView) -> Markup {
    let refusals: Vec<String> =
        target.refusals.iter().flat_map(|why| why.lines().map(|line| escape_whole(line.trim()))).collect();
    let outcomes = target.applied.iter().flat_map(|applied| &applied.outcome.changes);
    let failures = outcomes.filter_map(|change| {
        let (word, why) = match &change.result {
            ChangeResult::Done(_) => return None,
            ChangeResult::Failed(why) => ("failed", why.kept()),
            ChangeResult::NotTried(why) => ("not tried", why.kept()),
        };
        let (action, object) = (change.planned.change.verb(), name(change.planned.change.object()));
        Some(format!("{word}: {action} {object}: {}", escape_whole(why)))
    });
    let held_back = latest.held_back.iter();
    let held_back =
        held_back.map(|held| format!("{}: {}", escape(&held.subject), escape_whole(&held.reason)));
    let held_back = held_back.chain(unseen(latest).map(|missing| escape_whole(&missing)));
    let left_out = latest.coverage.left_out().map(|left_out| escape_whole(&left_out.to_string()));
    let warnings = latest.waiver_warnings.iter().map(warning::message);
    html! {
        (alert("alert", "apply is refused", &refusals))
        (alert("alert", "Not done", &failures.collect::<Vec<_>>()))
        (alert("alert mild", "Held back", &held_back.collect::<Vec<_>>()))
        (alert("alert mild", "Left out by the config file", &left_out.collect::<Vec<_>>()))
        (alert("alert mild", "Waivers to review", &warnings.collect::<Vec<_>>()))
    }
}

fn alert(class: &str, title: &str, lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            div class=(class) {
                h3 { (title) }
                ul { @for line in lines.iter().take(ROWS) { li { (line) } } }
                (more(lines.len(), ROWS))
            }
        }
    }
}

fn settings(target: &TargetRun<'_>, plan: &PlanView) -> Markup {
    let mut changes = target.effective_changes();
    changes.retain(|planned| matches!(planned.change.object(), Object::Setting(_)));
    html! {
        @if !changes.is_empty() {
            section.card {
                h3 { "Settings" }
                @for group in by_object(&changes) {
                    @if let Some(first) = group.first() {
                        p.setting { strong { (name(first.change.object())) } span.quiet { (shown(place_of(&first.reasons))) (origins(&group)) } }
                        div.diff {
                            @for line in of_setting(plan, &group) {
                                span.(class_of(line.sign)) { (line.sign.lead()) (line.text) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where `changes` come from, when that is known, as a remark behind them.
fn origins(changes: &[&PlannedChange]) -> String {
    let origins: BTreeSet<Origin> = changes.iter().filter_map(|planned| planned.origin).collect();
    let words: Vec<&str> = origins.into_iter().map(Origin::word).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn class_of(sign: Sign) -> &'static str {
    match sign {
        Sign::Added => "added",
        Sign::Removed => "removed",
        Sign::Kept | Sign::Note => "kept",
    }
}

/// The changes of tokens, those that cannot be undone first.
fn tokens(target: &TargetRun<'_>, rules: &Rules<'_>) -> Markup {
    let mut changes: Vec<&PlannedChange> = target.effective_changes();
    changes.retain(|planned| planned.change.token().is_some());
    changes.sort_by_key(|planned| !planned.change.is_irreversible());
    html! {
        @if !changes.is_empty() {
            section.card {
                h3 { "Tokens" }
                table.list {
                    thead { tr { th scope="col" { "token" } th scope="col" { "before" } th scope="col" { "after" } th scope="col" { "why" } th scope="col" { "policy" } } }
                    tbody {
                        @for planned in changes.iter().take(ROWS) {
                            @if let (Some(token), Some((before, after))) = (planned.change.token(), sides_of_token(&planned.change)) {
                                tr.(planned.change.verb()).(rules.classes(rules_of(&planned.reasons))) {
                                    td { (token_name(token)) }
                                    td.before data-label="before" { (before) }
                                    td.after data-label="after" { (after) span.quiet { (origins(&[planned])) } }
                                    td data-label="why" { (reasons(&planned.reasons)) }
                                    td.place data-label="policy" { (shown(place_of(&planned.reasons))) }
                                }
                            }
                        }
                    }
                }
                (more(changes.len(), ROWS))
            }
        }
    }
}

fn charts(run: &Run<'_>, plan: &PlanView, index: usize) -> Markup {
    let (by_rule, by_group) = (by_rule(plan, index), by_group(plan, index));
    let (ages, expiries) = (ages(plan, index), expiries(run, plan, index));
    html! {
        div.pair {
            @if !by_rule.rows.is_empty() { section.card { h3 { "Findings by rule" } (by_rule.bars()) (by_rule.table(ROWS)) } }
            @if !by_group.rows.is_empty() { section.card { h3 { "Tokens that do not comply, by group of their owner" } (by_group.bars()) (by_group.table(ROWS)) } }
            section.card { h3 { "Age of the tokens that work" } (ages.bars()) (ages.table(ROWS)) }
            section.card { h3 { "Coming expiries, by week" } (expiries.columns()) (expiries.table(ROWS)) }
        }
    }
}

fn by_rule(plan: &PlanView, index: usize) -> Figures {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    found(plan).for_each(|found| *counts.entry(found.rule.code()).or_default() += 1);
    let rows = counts.into_iter().map(|(rule, count)| (rule.to_owned(), count));
    let title = "Bar chart: how many tokens break each rule, waived ones too".to_owned();
    Figures { id: format!("rules-{index}"), title, of: "rule", rows: largest_first(rows.collect()) }
}

fn by_group(plan: &PlanView, index: usize) -> Figures {
    let rows = plan.statistics.with_findings().map(|(whose, count)| {
        let whose = match whose {
            Whose::Group(group) => format!("group {}", escape(group.as_str())),
            Whose::Owner(owner) => escape(&owner.to_string()),
        };
        (whose, count)
    });
    let title = "Bar chart: how many tokens that do not comply belong to each group".to_owned();
    Figures {
        id: format!("groups-{index}"),
        title,
        of: "group or owner",
        rows: largest_first(rows.collect()),
    }
}

/// The rows by their numbers, names in order where they are equal.
fn largest_first(mut rows: Vec<(String, u64)>) -> Vec<(String, u64)> {
    rows.sort_by_key(|(_, number)| Reverse(*number));
    rows
}

fn ages(plan: &PlanView, index: usize) -> Figures {
    let mut from = 0;
    let rows = plan.statistics.ages().map(|(until, count)| {
        let name =
            until.map_or(format!("{from} days and more"), |until| format!("{from} to {} days", until - 1));
        from = until.unwrap_or(from);
        (name, count)
    });
    let rows = rows.collect();
    let title = "Bar chart: how many working tokens there are of each age".to_owned();
    Figures { id: format!("ages-{index}"), title, of: "age", rows }
}

fn expiries(run: &Run<'_>, plan: &PlanView, index: usize) -> Figures {
    let rows = plan.statistics.expiries().map(|(until, count)| {
        let week = until.map(|until| run.at + SignedDuration::from_hours(24 * (i64::from(until) - 7)));
        (week.map_or("later".to_owned(), |week| week.strftime("%-d %b").to_string()), count)
    });
    let rows = rows.collect();
    let title = "Column chart: how many tokens end by themselves in each of the coming 13 weeks, and later"
        .to_owned();
    Figures { id: format!("expiries-{index}"), title, of: "week from", rows }
}

fn pending(plan: &PlanView, rules: &Rules<'_>) -> Markup {
    html! {
        @if !plan.pending.is_empty() {
            section.card {
                h3 { "Already scheduled to end" }
                table.list {
                    thead { tr { th scope="col" { "token" } th scope="col" { "ends on" } th scope="col" { "why" } th scope="col" { "policy" } } }
                    tbody {
                        @for pending in plan.pending.iter().take(ROWS) {
                            tr.(rules.classes(rules_of(&pending.reasons))) {
                                td { (token_name(&pending.token)) }
                                td data-label="ends on" { (day(pending.until)) }
                                td data-label="why" { (reasons(&pending.reasons)) }
                                td.place data-label="policy" { (shown(place_of(&pending.reasons))) }
                            }
                        }
                    }
                }
                (more(plan.pending.len(), ROWS))
            }
        }
    }
}

/// Tokens that nothing is done about, with why not.
fn told(title: &str, tokens: &[TokenFindings], rules: &Rules<'_>) -> Markup {
    html! {
        @if !tokens.is_empty() {
            section.card {
                h3 { (title) }
                table.list {
                    thead { tr { th scope="col" { "token" } th scope="col" { "why" } th scope="col" { "policy" } } }
                    tbody {
                        @for found in tokens.iter().take(ROWS) {
                            tr.(rules.classes(found.findings.iter().map(|finding| &finding.rule))) {
                                td { (token_name(&found.token)) }
                                td data-label="why" { ul { @for finding in &found.findings {
                                    li {
                                        (finding.rule.code()) ": " (escape_whole(&finding.message))
                                        @if let Some(waiver) = &finding.waiver {
                                            span.quiet { ", waived until " (waiver.until) ": " (escape_whole(&waiver.reason)) }
                                        }
                                    }
                                } } }
                                td.place data-label="policy" { (shown(found.findings.iter().find_map(|finding| finding.place.as_ref()))) }
                            }
                        }
                    }
                }
                (more(tokens.len(), ROWS))
            }
        }
    }
}

fn reasons(reasons: &[ChangeReason]) -> Markup {
    html! {
        ul { @for reason in reasons {
            li { @if let Some(rule) = &reason.rule { (rule.code()) ": " } (escape_whole(&reason.text)) }
        } }
    }
}

fn rules_of(reasons: &[ChangeReason]) -> impl Iterator<Item = &Rule> {
    reasons.iter().filter_map(|reason| reason.rule.as_ref())
}

fn place_of(reasons: &[ChangeReason]) -> Option<&Place> {
    reasons.iter().find_map(|reason| reason.place.as_ref())
}

/// The line of the policy, which may be broken behind each folder.
fn shown(place: Option<&Place>) -> Markup {
    let place = place.map_or(String::new(), |place| escape_whole(&place.to_string()));
    html! { @for part in place.split_inclusive('/') { (part) wbr; } }
}
