//! What is published of the run of a saved plan.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    model::{Why, brief},
    plan::{PlanView, PlannedChange},
    report::{Run, change_line, escape_whole, markdown},
    yaml::Place,
};

use super::{Annotation, AnnotationSeverity, DataItem, DataValue, Publication, insights::DETAILS};

/// What is left of a comment for the marker behind it, in characters.
const MARKER: usize = 200;
/// How many changes are named at one line of the policy.
const NAMED: usize = 5;
/// What is left of a message to say how many parts had no room, in characters.
const MORE: usize = 40;

impl Publication {
    /// What there is to publish of `run`, whose policy lies in the folder `root` of the repository (empty
    /// for its root). `key` tells it from other plans in the same pull request.
    #[must_use]
    pub fn of(run: &Run<'_>, root: &str, key: &str) -> Self {
        let plans = || run.planned().map(|(_, plan)| plan);
        let sum = |of: fn(&PlanView) -> u64| plans().map(of).sum::<u64>();
        let number = |title, of| DataItem { title, value: DataValue::Number(sum(of)) };
        let (seen, complying) = (sum(|plan| plan.tokens.seen), sum(|plan| plan.tokens.complying));
        let irreversible =
            sum(|plan| plan.changes.iter().filter(|planned| planned.change.is_irreversible()).count() as u64);
        let share = (complying * 100).checked_div(seen).unwrap_or(100);
        let verdict = run.policy_verdict.as_ref();
        let verdict = verdict
            .map(|verdict| DataItem { title: "Policy", value: DataValue::Text(verdict.shift().to_string()) });
        Self {
            key: key.to_owned(),
            title: match irreversible {
                0 => "tokenwarden".to_owned(),
                1 => "tokenwarden: 1 change cannot be undone".to_owned(),
                more => format!("tokenwarden: {more} changes cannot be undone"),
            },
            comment: markdown::report(run, markdown::CHARACTERS_AT_MOST - MARKER),
            passed: run.policy_verdict.as_ref().is_none_or(|verdict| verdict.missed().is_none())
                && run.targets.iter().all(|target| target.refusals.is_empty())
                && run.unread().next().is_none()
                && plans().all(PlanView::is_whole),
            summary: markdown::headline(run),
            data: verdict
                .into_iter()
                .chain([
                    number("Changes", |plan| plan.changes.len() as u64),
                    DataItem { title: "Cannot be undone", value: DataValue::Number(irreversible) },
                    number("Held back", |plan| plan.held_back.len() as u64),
                    number("Waived tokens", |plan| plan.tokens.waived),
                    DataItem { title: "Complying", value: DataValue::Percentage(share) },
                    number("Tokens", |plan| plan.tokens.seen),
                ])
                .collect(),
            annotations: annotations(run, root),
        }
    }

    /// The same with `map` done to all of its text.
    #[must_use]
    pub fn map_text(self, map: &dyn Fn(&str) -> String) -> Self {
        let annotation =
            |annotation: Annotation| Annotation { message: map(&annotation.message), ..annotation };
        Self {
            comment: map(&self.comment),
            summary: map(&self.summary),
            annotations: self.annotations.into_iter().map(annotation).collect(),
            ..self
        }
    }
}

/// A remark for every line of the policy that asks for something, and for what stops the plan.
fn annotations(run: &Run<'_>, root: &str) -> Vec<Annotation> {
    let mut annotations = Vec::new();
    for target in &run.targets {
        let unread = target.plan.as_ref().err().map(Why::kept);
        let why = unread.into_iter().chain(target.refusals.iter().map(String::as_str));
        annotations.extend(why.map(|why| Annotation {
            message: whole(format!("{}: ", target.name), why.lines().map(escape_whole), usize::MAX, "\n"),
            severity: AnnotationSeverity::High,
            path: None,
            line: 0,
        }));
    }
    let mut demanded: BTreeMap<&Place, Vec<&PlannedChange>> = BTreeMap::new();
    for (_, plan) in run.planned() {
        for planned in &plan.changes {
            if let Some(place) = planned.reasons.iter().find_map(|reason| reason.place.as_ref()) {
                demanded.entry(place).or_default().push(planned);
            }
        }
        for held in &plan.held_back {
            if let Some(place) = &held.place {
                let message = format!("held back: {}: {}", brief(&held.subject), escape_whole(&held.reason));
                annotations.push(at(place, root, AnnotationSeverity::Medium, message));
            }
        }
        for warning in &plan.waiver_warnings {
            let message = crate::report::warning::line(warning);
            annotations.push(at(&warning.waiver.place, root, AnnotationSeverity::Low, message));
        }
    }
    annotations.extend(demanded.into_iter().map(|(place, changes)| demand(place, root, &changes)));
    annotations
}

/// What one line of the policy asks for.
fn demand(place: &Place, root: &str, changes: &[&PlannedChange]) -> Annotation {
    let irreversible = changes.iter().any(|planned| planned.change.is_irreversible());
    let lines = changes.iter().map(|planned| change_line(planned));
    let severity = if irreversible { AnnotationSeverity::High } else { AnnotationSeverity::Medium };
    at(place, root, severity, whole(String::new(), lines, NAMED, "; "))
}

/// `first` and behind it `at_most` of `parts`, as far as there is room in a message, each of them whole; the
/// others are counted.
fn whole(first: String, parts: impl Iterator<Item = String>, at_most: usize, between: &str) -> String {
    let parts: Vec<String> = parts.collect();
    let count = parts.len();
    let mut message = first;
    let room = DETAILS - MORE;
    for (index, part) in parts.iter().enumerate() {
        let is_full = message.chars().count() + between.len() + part.chars().count() > room;
        if index == at_most || (is_full && index > 0) {
            let _ = write!(message, "{between}and {} more", count - index);
            break;
        }
        message.push_str(if index == 0 { "" } else { between });
        message.push_str(part);
    }
    message
}

fn at(place: &Place, root: &str, severity: AnnotationSeverity, message: String) -> Annotation {
    let root = root.trim_matches('/');
    let file = place.file.trim_start_matches("./");
    let path = if root.is_empty() { file.to_owned() } else { format!("{root}/{file}") };
    Annotation { message, severity, path: Some(path), line: place.line }
}
