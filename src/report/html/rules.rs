//! The rules of a page, explained, as a choice that shows the findings of one of them alone: the style sheet
//! does it, without a script.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use maud::{Markup, html};

use crate::{
    model::Rule,
    plan::ChangeReason,
    report::{
        Run, TargetRun,
        advice::{about, advice},
        escape::{escape_whole, thousands},
    },
};

/// The rules with a finding on a page, each with its number there.
pub(super) struct Rules<'a>(BTreeMap<&'a Rule, usize>);

impl<'a> Rules<'a> {
    /// Those of `run`.
    pub(super) fn of(run: &Run<'a>) -> Self {
        let rules: BTreeSet<&Rule> = run.targets.iter().flat_map(listed).flatten().collect();
        Self(rules.into_iter().zip(0..).collect())
    }

    /// What hides the findings of every other rule while one is chosen, and the lists that are empty then.
    pub(super) fn style(&self) -> String {
        let mut style = String::new();
        for number in self.0.values() {
            let chosen = format!(".findings:has(.choose-{number}:checked)");
            // Writing into a `String` cannot fail.
            let _ = writeln!(
                style,
                "{chosen} tr.found:not(.rule-{number}), \
                 {chosen} section:has(tr.found):not(:has(.rule-{number})) {{ display: none; }}"
            );
        }
        style
    }

    /// The classes of a row that is about `rules`.
    pub(super) fn classes<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> String {
        let numbers: BTreeSet<usize> = rules.filter_map(|rule| self.0.get(rule).copied()).collect();
        numbers.into_iter().fold("found".to_owned(), |classes, number| format!("{classes} rule-{number}"))
    }

    /// The rules that the tokens of the target that is the one at `index` break, to choose from.
    pub(super) fn choice(&self, target: &TargetRun<'a>, index: usize) -> Markup {
        let mut counts: BTreeMap<&Rule, usize> = BTreeMap::new();
        let mut all = 0;
        for rules in listed(target) {
            all += 1;
            for rule in rules {
                *counts.entry(rule).or_default() += 1;
            }
        }
        let name = format!("rule-of-{index}");
        html! {
            @if !counts.is_empty() {
                section.card {
                    h3 { "Rules" }
                    fieldset {
                        legend.quiet { "Show the findings of" }
                        label.rule {
                            input type="radio" name=(name) checked;
                            span { strong { "every rule" } " " span.quiet { (tokens(all)) } }
                        }
                        @for (rule, count) in counts {
                            label.rule {
                                input.{ "choose-" (self.0.get(rule).copied().unwrap_or_default()) } type="radio" name=(name);
                                span {
                                    strong { (escape_whole(rule.code())) } " " span.quiet { (tokens(count)) }
                                    br;
                                    (escape_whole(&about(rule))) ". "
                                    span.quiet { "What its owner can do: " (advice(rule)) "." }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tokens(count: usize) -> String {
    format!("({})", thousands(count as u128))
}

/// The rules of each row that is listed of `target`: what was or would be changed, and what is left alone.
fn listed<'a>(target: &TargetRun<'a>) -> Vec<BTreeSet<&'a Rule>> {
    let of = |reasons: &'a [ChangeReason]| reasons.iter().filter_map(|reason| reason.rule.as_ref()).collect();
    let changes = target.effective_changes().into_iter();
    let changes = changes.filter(|planned| planned.change.token().is_some());
    let mut rows: Vec<BTreeSet<&Rule>> = changes.map(|planned| of(&planned.reasons)).collect();
    if let Some(plan) = target.latest() {
        rows.extend(plan.pending.iter().map(|pending| of(&pending.reasons)));
        let told = plan.reported.iter().chain(&plan.waived);
        rows.extend(told.map(|found| found.findings.iter().map(|finding| &finding.rule).collect()));
    }
    rows
}
