//! The HTML report of a run, one self-contained page: what is so, what changes, what was found, how old the
//! tokens are and when they end. It has only text, tables, drawings and a choice of rules that the style sheet
//! obeys: its content security policy lets a browser run and load nothing.

mod chart;
mod lead;
mod rules;
mod target;

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::{
    Run,
    escape::{escape_whole, thousands},
    summary::{ChangeCounts, Tense, compliance_of},
};
use rules::Rules;

const STYLE: &str = include_str!("style.css");
/// How many rows a table has at most, so that a browser can show the page; the JSON has them all.
const ROWS: usize = 1_000;

/// The run as an HTML page.
#[must_use]
pub fn report(run: &Run<'_>) -> String {
    let names: Vec<String> = run.targets.iter().map(|target| escape_whole(target.name)).collect();
    let title = format!("API tokens on {}", names.join(", "));
    let rules = Rules::of(run);
    let style = format!("{STYLE}{}", rules.style());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(content_security_policy(&style));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (escape_whole(&title)) " – tokenwarden" }
                style { (PreEscaped(&style)) }
            }
            body {
                header {
                    h1 { (escape_whole(&title)) }
                    p.quiet { (if run.was_applied() { "Applied for " } else { "Planned for " }) (run.at.strftime("%Y-%m-%d %H:%M UTC")) }
                }
                main {
                    @if let Some(lead) = run.lead() { p { strong { (escape_whole(&lead)) } } }
                    (lead::lead(run))
                    @if run.targets.len() > 1 { (overview(run)) }
                    @for (index, one) in run.targets.iter().enumerate() {
                        (target::section(run, one, index, &rules))
                    }
                }
                footer { "Made by tokenwarden " (env!("CARGO_PKG_VERSION")) ". This page runs no scripts \
                                                                             and loads nothing from elsewhere." }
            }
        }
    };
    page.into_string() + "\n"
}

/// Lets the one style sheet in, by its hash, and nothing else.
fn content_security_policy(style: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

/// A line for each target, with a link to what is said about it.
fn overview(run: &Run<'_>) -> Markup {
    let tense = if run.was_applied() { Tense::Past } else { Tense::Future };
    html! {
        section.card {
            h3 { "Targets" }
            table.list {
                thead { tr { th scope="col" { "target" } th scope="col" { "tokens" } th scope="col" { "changes" } th.number scope="col" { "held back" } } }
                tbody {
                    @for (index, target) in run.targets.iter().enumerate() {
                        tr {
                            td { a href=(format!("#target-{index}")) { (escape_whole(target.name)) } }
                            @match target.latest() {
                                Some(plan) => {
                                    td data-label="tokens" { (compliance_of(plan)) }
                                    td data-label="changes" { (ChangeCounts::of(&target.effective_changes()).text(tense)) }
                                    td.number data-label="held back" { (thousands(plan.held_back.len() as u128)) }
                                }
                                None => { td.failed colspan="3" { "could not be read" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// That a table was cut, when it was.
fn more(rows: usize, shown: usize) -> Markup {
    html! {
        @if rows > shown {
            p.quiet { "… and " (thousands((rows - shown) as u128)) " more; the JSON report has them all." }
        }
    }
}
