//! The tables of tokens that are changed in the Markdown report: a row for each token, in the table of the
//! gravest thing that happens to it. What the policy's change does comes before what is due without it.

use crate::{
    model::Verb,
    plan::PlannedChange,
    report::{Run, TargetRun, difference::of_token, subject::token_name, summary::by_object},
};

use super::{
    escape::inline,
    fit::Section,
    sections::{TABLE, cell_of, is_due_anyway, of_target, origin_of, place_of, reasons},
};

/// The gravest first: each verb, the title of its table before and after, the same for tokens of which
/// others are in a table above, and the rank of the table.
const TABLES: [(Verb, [&str; 2], [&str; 2], u8); 5] = [
    (Verb::Revoke, ["Tokens to revoke", "Tokens revoked"], ["", ""], 4),
    (
        Verb::Expire,
        ["Tokens to expire", "Tokens made to expire"],
        ["More tokens to expire", "More tokens made to expire"],
        6,
    ),
    (Verb::Mark, ["Tokens to mark", "Tokens marked"], ["More tokens to mark", "More tokens marked"], 6),
    (Verb::Unmark, ["Marks to remove", "Marks removed"], ["More marks to remove", "More marks removed"], 7),
    (
        Verb::Narrow,
        ["Tokens to narrow", "Tokens narrowed"],
        ["More tokens to narrow", "More tokens narrowed"],
        7,
    ),
];

/// One token with everything that is done to it.
type Row<'r, 'a> = (&'r TargetRun<'a>, Vec<&'a PlannedChange>);

/// The tables that have a row.
pub(super) fn of<'a>(run: &'a Run<'a>) -> Vec<Section<'a>> {
    let rows = run.planned().flat_map(|(target, _)| {
        let mut changes = target.effective_changes();
        changes.retain(|planned| planned.change.token().is_some());
        by_object(&changes).into_iter().map(move |group| (target, group))
    });
    let (anyway, mut rows): (Vec<Row<'_, '_>>, Vec<_>) =
        rows.partition(|(_, changes)| is_due_anyway(changes));
    let mut sections = Vec::new();
    for (verb, titles, titles_of_others, rank) in TABLES {
        let is_of_verb =
            |(_, changes): &Row<'_, '_>| changes.iter().any(|planned| planned.change.verb() == verb);
        let is_elsewhere =
            sections.iter().any(|(_, above, _): &(_, Vec<Row<'_, '_>>, _)| above.iter().any(is_of_verb));
        let (of_verb, others) = rows.into_iter().partition(is_of_verb);
        rows = others;
        let [future, past] = if is_elsewhere { titles_of_others } else { titles };
        sections.push((if run.was_applied() { past } else { future }, of_verb, rank));
    }
    let past = run.was_applied();
    let title =
        if past { "Tokens changed without a change of the policy" } else { "Tokens due without this change" };
    sections.push((title, anyway, 8));
    sections.into_iter().map(|(title, rows, rank)| table(run, title, rows, rank)).collect()
}

fn table<'a>(run: &'a Run<'a>, title: &'static str, rows: Vec<Row<'a, 'a>>, rank: u8) -> Section<'a> {
    let count = rows.len();
    let entries = rows.into_iter().filter_map(move |(target, changes)| {
        let token = changes.first()?.change.token()?;
        let what = distinct(
            changes
                .iter()
                .filter_map(|planned| Some(inline(&of_token(&planned.change)?) + &origin_of(planned))),
        );
        let why = distinct(changes.iter().map(|planned| reasons(&planned.reasons)));
        let places =
            distinct(changes.iter().filter_map(|planned| Some(cell_of(place_of(&planned.reasons)?))));
        let target = of_target(run, target);
        Some(format!("| {target}{} | {what} | {why} | {places} |\n", inline(&token_name(token))))
    });
    Section { title, lead: TABLE, rank, count, entries: Box::new(entries) }
}

/// Each of `parts` once.
fn distinct(parts: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = Vec::new();
    for part in parts {
        if !shown.contains(&part) {
            shown.push(part);
        }
    }
    shown.join("; ")
}
