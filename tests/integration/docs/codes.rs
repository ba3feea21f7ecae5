//! The page of the codes has each code of the program, with its cause and what to do, and no other one.

use std::collections::BTreeSet;

use tokenwarden::{access::DenialReason, yaml::Code};

use crate::docs::pages::text;

/// The part of the page below the heading `## name`.
fn part(name: &str) -> String {
    let page = text("docs/codes.md");
    let part = page.split("\n## ").find(|part| part.starts_with(&format!("{name}\n")));
    part.unwrap_or_else(|| panic!("there is a heading `{name}`")).to_owned()
}

/// The codes of a part in which each has a heading; they have a cause and a remedy.
fn explained(part: &str) -> Vec<&str> {
    let sections = part.split("\n### ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').unwrap();
        for line in ["- Cause: ", "- Remedy: "] {
            let told = text.lines().find_map(|told| told.strip_prefix(line));
            assert!(told.is_some_and(|told| told.len() > 10), "{heading} has `{line}..`");
        }
        heading.trim_matches('`')
    });
    sections.collect()
}

#[test]
fn every_diagnostic_code_has_its_cause_and_remedy_in_the_page() {
    let part = part("Diagnostics of files");
    assert_eq!(explained(&part), Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}

#[test]
fn every_warning_of_a_plan_is_in_the_page() {
    let source = text("src/compliance/waivers.rs");
    let said: BTreeSet<_> = source.split('"').filter(|text| text.starts_with("waiver-")).collect();
    assert!(said.len() >= 3, "{said:?}");
    let diagnostics: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let others: BTreeSet<_> = said.difference(&diagnostics).copied().collect();
    let part = part("Warnings of a plan");
    assert_eq!(explained(&part).into_iter().collect::<BTreeSet<_>>(), others);
    for code in said.intersection(&diagnostics) {
        assert!(part.contains(&format!("(#{code})")), "{code}");
    }
}

#[test]
fn every_reason_of_a_refusal_is_in_the_page() {
    let part = part("Reasons of a refused request");
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows: Vec<Vec<_>> = rows.map(|row| row.split(" | ").collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 3 && row.iter().all(|cell| cell.len() > 2)), "{rows:?}");
    let codes: Vec<_> = rows.iter().map(|row| row[0].trim_end_matches('`')).collect();
    assert_eq!(codes, DenialReason::ALL.map(DenialReason::code));
}
