//! A list of tokens: a table for people, JSON for programs, and CSV for spreadsheets.

use std::fmt::Write;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    model::schema::schema_of_output,
    plan::ListedToken,
    saved::document::{ErrorEntry, ReasonEntry, TokenEntry},
};

use super::{
    Paint,
    escape::{counted, escape, escape_whole},
    json::{finding_entry, token},
    layout::{columns, pad},
};

/// Version of the JSON. It grows by 0.1 when something is added, by 1 when something is taken away.
const FORMAT_VERSION: &str = "1.0";
/// Columns of CSV.
const COLUMNS: [&str; 14] = [
    "target",
    "id",
    "owner",
    "description",
    "scope",
    "state",
    "created",
    "created_by",
    "last_used",
    "last_used_from",
    "expires",
    "marked_to_end",
    "findings",
    "waived",
];

/// The tokens of one target that were asked for.
pub struct TargetTokens<'a> {
    /// The name of the target.
    pub target: &'a str,
    /// Its tokens, or why they could not be read.
    pub tokens: Result<Vec<ListedToken>, String>,
}

/// What `tokens --format json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "tokenwarden tokens")]
pub struct TokensDocument {
    /// Version of this format.
    pub format_version: &'static str,
    /// The tokens, by target and identifier.
    pub tokens: Vec<ListedEntry>,
    /// Targets that could not be read.
    pub errors: Vec<ErrorEntry>,
}

/// A token of one target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedEntry {
    /// The name of the target.
    pub target: String,
    /// The token.
    #[schemars(with = "Value")]
    pub token: TokenEntry,
    /// `ending`, `endless` or `expired`.
    pub state: &'static str,
    /// When it ends by its expiry or a mark, UTC, RFC 3339; null when it does not.
    #[schemars(with = "Option<String>")]
    pub ends: Option<Timestamp>,
    /// What the policy finds on it, and acts on.
    pub findings: Vec<ReasonEntry>,
    /// What the policy finds on it under a waiver.
    pub waived: Vec<ReasonEntry>,
}

/// The JSON schema of [`TokensDocument`].
#[must_use]
pub fn schema() -> Value {
    schema_of_output::<TokensDocument>()
}

/// `targets` as JSON, with a line end.
///
/// # Errors
///
/// When it cannot be written as JSON.
pub fn json(targets: &[TargetTokens<'_>]) -> Result<String, serde_json::Error> {
    let mut document =
        TokensDocument { format_version: FORMAT_VERSION, tokens: Vec::new(), errors: Vec::new() };
    for TargetTokens { target, tokens } in targets {
        let target = (*target).to_owned();
        match tokens {
            Ok(tokens) => document.tokens.extend(tokens.iter().map(|listed| entry(&target, listed))),
            Err(message) => document.errors.push(ErrorEntry { target, message: message.clone() }),
        }
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn entry(target: &str, listed: &ListedToken) -> ListedEntry {
    let (waived, findings): (Vec<_>, Vec<_>) =
        listed.findings.iter().partition(|finding| finding.waiver.is_some());
    ListedEntry {
        target: target.to_owned(),
        token: token(&listed.token),
        state: listed.state.word(),
        ends: listed.token.ends(),
        findings: findings.into_iter().map(finding_entry).collect(),
        waived: waived.into_iter().map(finding_entry).collect(),
    }
}

/// `targets` as CSV (RFC 4180) with a head.
#[must_use]
pub fn csv(targets: &[TargetTokens<'_>]) -> String {
    let mut text = row(COLUMNS.map(str::to_owned));
    for TargetTokens { target, tokens } in targets {
        for listed in tokens.iter().flatten() {
            let it = &listed.token;
            let moment = |moment: Option<Timestamp>| moment.map_or(String::new(), |at| at.to_string());
            let rules = |waived: bool| {
                let of = listed.findings.iter().filter(|finding| finding.waiver.is_some() == waived);
                of.map(|finding| finding.rule.to_string()).collect::<Vec<_>>().join(" ")
            };
            let from = it.last_used.and_then(|last| last.from);
            text.push_str(&row([
                (*target).to_owned(),
                it.id.to_string(),
                it.owner.to_string(),
                it.description.clone(),
                it.scope.to_string(),
                listed.state.word().to_owned(),
                it.created.to_string(),
                it.created_by.as_ref().map_or(String::new(), ToString::to_string),
                moment(it.last_used.map(|last| last.at)),
                from.map_or(String::new(), |from| from.to_string()),
                moment(it.expires),
                moment(it.mark.map(|mark| mark.until)),
                rules(false),
                rules(true),
            ]));
        }
    }
    text
}

fn row<const N: usize>(cells: [String; N]) -> String {
    cells.map(|text| cell(&text)).join(",") + "\r\n"
}

/// `text` as a cell. Spreadsheets take what begins like a formula for one: it gets an apostrophe in front.
fn cell(text: &str) -> String {
    let text = escape_whole(text);
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        return text;
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// `targets` as tables for people. What could not be read is left out.
#[must_use]
pub fn text(targets: &[TargetTokens<'_>], paint: Paint) -> String {
    let mut text = String::new();
    for TargetTokens { target, tokens } in targets {
        let Ok(tokens) = tokens else { continue };
        if targets.len() > 1 {
            let _ = writeln!(text, "{}{}:\n", if text.is_empty() { "" } else { "\n" }, paint.strong(target));
        }
        let rows: Vec<_> = tokens.iter().map(cells).collect();
        let head = ["token", "owner", "scope", "last used", "ends", "what"].map(str::to_owned);
        let widths: Vec<usize> = (0..head.len() - 1)
            .map(|at| {
                let column = rows.iter().chain([&head]).filter_map(|row| row.get(at));
                column.map(|cell| columns(cell)).max().unwrap_or_default()
            })
            .collect();
        if !rows.is_empty() {
            let _ = writeln!(text, "{}", paint.strong(&line(&head, &widths)));
            for row in &rows {
                let _ = writeln!(text, "{}", line(row, &widths));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{}.", counted(tokens.len(), "token"));
    }
    text
}

fn cells(listed: &ListedToken) -> [String; 6] {
    let it = &listed.token;
    let date =
        |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
    let rules: Vec<_> = listed
        .findings
        .iter()
        .map(|finding| format!("{}{}", finding.rule, if finding.waiver.is_some() { " (waived)" } else { "" }))
        .collect();
    let rules = if rules.is_empty() { String::new() } else { format!(": {}", rules.join(", ")) };
    [
        escape(it.id.as_str()),
        escape(&it.owner.to_string()),
        it.scope.to_string(),
        date(it.last_used.map(|last| last.at)),
        date(it.ends()),
        format!("\"{}\"{rules}", escape(&it.description)),
    ]
}

fn line(cells: &[String; 6], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line += &pad(cell, width + 2);
    }
    line + cells.last().map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_breaks_its_row() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("@x", "\"'@x\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert!(!cell("a\r\nb\u{1b}[31m").contains(['\r', '\n', '\u{1b}']));
    }
}
