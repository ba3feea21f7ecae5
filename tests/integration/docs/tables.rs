//! The tables in the pages have a row for each thing that the program has, and say the same of it.

use std::{collections::BTreeSet, path::Path};

use clap::CommandFactory;
use serde_json::Value;
use tokenwarden::{
    cli::{CommandLine, code},
    model::{RuleCode, Verb, audit::AuditAction, rails::RailClass},
    run::Ending,
};

use crate::docs::pages::{pages, repository, text};

/// The cells of the rows of all tables of a page whose first cell holds something in backticks.
fn rows(page: &str) -> Vec<Vec<String>> {
    let page = text(page);
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").map(|cell| cell.trim().to_owned()).collect());
    rows.filter(|row: &Vec<String>| row[0].contains('`')).collect()
}

/// What stands in backticks.
fn named(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_matches(['[', ']']).to_owned())
}

/// What the table below the heading `## heading` of a page lists.
fn listed(page: &str, heading: &str) -> Vec<String> {
    let text = text(page);
    let part = text.split("\n## ").find_map(|part| part.strip_prefix(&format!("{heading}\n"))).unwrap();
    part.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect()
}

/// Whether `text` holds `word` as a whole word.
fn holds(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').any(|other| other == word)
}

#[test]
fn the_policy_page_lists_the_rules_in_their_order() {
    assert_eq!(listed("docs/policy.md", "Which rules there are"), RuleCode::ALL.map(RuleCode::code));
}

#[test]
fn the_page_of_the_rails_has_each_with_its_defaults() {
    let mut listed = Vec::new();
    for row in rows("docs/rails.md") {
        for name in named(&row[0]) {
            let class = RailClass::ALL.into_iter().find(|class| class.key() == name).unwrap();
            let rail = class.default_rail();
            assert_eq!(row[2], format!("{}, {}, {}", rail.amount, rail.percent, rail.floor), "{name}");
            listed.push(name);
        }
    }
    assert_eq!(
        listed.into_iter().collect::<BTreeSet<_>>(),
        RailClass::ALL.map(|class| class.key().to_owned()).into()
    );
}

#[test]
fn the_page_of_the_exit_codes_has_each() {
    use Ending::{Done, Error, Invalid, Partly, Pending, Refused, Usage};
    let page = text("docs/exit-codes.md");
    let listed: BTreeSet<u8> =
        page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
    let mut all = [Usage, Invalid, Refused, Partly, Error, Pending, Done];
    assert_eq!(listed, all.map(code).into());
    all.sort();
    let order = all.map(|exit| code(exit).to_string()).join(", ");
    assert!(page.contains(&format!("the first of {order} counts")), "{order}");
}

#[test]
fn the_page_of_the_reports_has_each_kind() {
    let mut program = CommandLine::command();
    program.build();
    let plan = program.find_subcommand("plan").unwrap();
    let format = plan.get_arguments().find(|argument| argument.get_id() == "format").unwrap();
    let kinds = format.get_possible_values().into_iter().map(|kind| kind.get_name().to_owned());
    let listed: BTreeSet<_> = rows("docs/reports.md").iter().flat_map(|row| named(&row[0])).collect();
    assert_eq!(listed, kinds.chain(["owners".to_owned()]).collect());
}

/// Whether `word` begins like an option: two hyphens and a letter.
fn is_option(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[test]
fn every_option_that_a_page_shows_is_one_of_the_program() {
    let known = text("docs/command-line.md");
    let mut options = 0;
    for page in pages().into_iter().chain(["README.md".to_owned()]) {
        for line in text(&page).lines() {
            // A command as it is typed, and an option by itself.
            let typed = line.contains("tokenwarden ").then(|| line.to_owned());
            for shown in named(line).filter(|shown| is_option(shown)).chain(typed) {
                for option in shown.split([' ', '`', '=', '(', ')']).filter(|word| is_option(word)) {
                    options += 1;
                    let option = option.trim_end_matches([',', '.', ':', ';']);
                    assert!(holds(&known, option), "{page}: {option}");
                }
            }
        }
    }
    assert!(options > 50, "{options}");
}

#[test]
fn the_readme_names_every_command() {
    let program = CommandLine::command();
    let listed: BTreeSet<_> = rows("README.md").iter().flat_map(|row| named(&row[0])).collect();
    for command in program.get_subcommands().map(clap::Command::get_name) {
        // What is read by shells, `man` and editors is on the page of the command line.
        if !["schema", "completions", "man"].contains(&command) {
            assert!(listed.contains(command), "{command}");
        }
    }
}

#[test]
fn the_page_of_the_audit_has_each_action() {
    let actions: Vec<_> = AuditAction::ALL.iter().map(|action| action.word()).collect();
    assert_eq!(listed("docs/server/audit.md", "Actions"), actions);
}

#[test]
fn the_page_of_the_codes_has_each_action_of_a_change() {
    assert_eq!(listed("docs/codes.md", "Actions of a change"), Verb::ALL.map(Verb::word));
}

#[test]
fn the_page_of_the_codes_has_each_result_of_a_change() {
    let schema: Value = serde_json::from_str(&text("schema/journal.schema.json")).unwrap();
    let fates = schema["$defs"]["Fate"]["oneOf"].as_array().unwrap();
    let fates: Vec<_> = fates.iter().map(|fate| fate["const"].as_str().unwrap()).collect();
    assert_eq!(listed("docs/codes.md", "Results of a change"), fates);
}

/// The names of all keys in a JSON schema.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_policies_and_config_files_is_in_their_pages() {
    let documents = [
        ("policy", &["policy", "waivers", "own-rules", "rules"][..]),
        ("settings", &["configuration", "targets/bitbucket", "targets/resolution", "rails", "lockouts"]),
    ];
    for (schema, pages) in documents {
        let mut found = BTreeSet::new();
        keys(&serde_json::from_str(&text(&format!("schema/{schema}.schema.json"))).unwrap(), &mut found);
        assert!(found.len() > 20, "{found:?}");
        let pages: String = pages.iter().map(|page| text(&format!("docs/{page}.md"))).collect();
        let missing: Vec<_> = found.iter().filter(|key| !holds(&pages, key)).collect();
        assert!(missing.is_empty(), "{schema}: {missing:?}");
    }
}

#[test]
fn every_path_that_contributors_are_sent_to_is_there() {
    let mut paths = 0;
    for page in ["CONTRIBUTING.md", "docs/development.md", "docs/architecture.md"] {
        for path in named(&text(page)) {
            let place = path.split('/').next().unwrap();
            let is_path = path.contains('/')
                && ["src", "tests", "docs", "examples", "schema", "fuzz", ".ci"].contains(&place)
                && !path.contains(' ')
                && !path.contains("NAME");
            if is_path {
                paths += 1;
                assert!(repository().join(Path::new(&path)).exists(), "{page}: {path}");
            }
        }
    }
    assert!(paths > 15, "{paths}");
}

#[test]
fn the_architecture_page_has_each_part_of_the_program() {
    let map = text("src/lib.rs");
    let parts: BTreeSet<_> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let listed = listed("docs/architecture.md", "Parts");
    assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), parts);
}
