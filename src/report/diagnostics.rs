//! Diagnostics as text with the source lines, in the manner of rustc, or as JSON.

use std::{collections::HashMap, fmt::Write as _, ops::Range, sync::Arc};

use annotate_snippets::{Annotation, AnnotationKind, Level, Origin, Renderer, Snippet};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    model::schema::schema_of,
    yaml::{self, Diagnostic, Diagnostics, Severity, Sources, Span},
};

/// The longest part of a source line that is shown, in characters.
const LINE_AT_MOST: usize = 160;
/// Wide enough that the renderer cuts no line again; escapes take more columns than characters.
const TERMINAL_COLUMNS: usize = 20 * LINE_AT_MOST;
/// The longest message that is shown, in characters.
const MESSAGE_AT_MOST: usize = 400;

/// The diagnostics as text, each with its source line and an empty line behind it; with colour
/// (ANSI escape sequences) when `colour`.
#[must_use]
pub fn text(diagnostics: &Diagnostics, sources: &Sources, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(TERMINAL_COLUMNS);
    let lines = Lines::of(sources);
    let mut text = String::new();
    for diagnostic in diagnostics.iter() {
        text.push_str(&one(diagnostic, &lines, &renderer));
        text.push('\n');
    }
    text
}

fn one(diagnostic: &Diagnostic, lines: &Lines<'_>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(sentence(&diagnostic.message))
        .id(diagnostic.code.as_str())
        .element(origin(&diagnostic.span, &diagnostic.path));
    if let Some((line, span)) = lines.excerpt(&diagnostic.span) {
        group = group.element(snippet(&diagnostic.span, line, AnnotationKind::Primary.span(span)));
    }
    for related in &diagnostic.related {
        if let Some((line, span)) = lines.excerpt(&related.span) {
            let label = sentence(&related.message);
            group = group.element(origin(&related.span, "")).element(snippet(
                &related.span,
                line,
                AnnotationKind::Context.span(span).label(label),
            ));
        }
    }
    let mut text = String::new();
    for line in renderer.render(&[group]).lines().filter(|line| !is_bare_separator(line)) {
        // Without a source line the renderer leaves no room for line numbers.
        text.push_str(if line.starts_with("-->") { " " } else { "" });
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(help) = &diagnostic.help {
        text.push_str("help: ");
        text.push_str(&sentence(help));
        text.push('\n');
    }
    text
}

/// Whether `line` is the `:::` that the renderer puts before a source line whose place is above
/// it already: the place is written by us, since it also names the key.
fn is_bare_separator(line: &str) -> bool {
    let mut rest = line.to_owned();
    while let Some(start) = rest.find("\u{1b}[") {
        let end = rest.get(start..).and_then(|code| code.find('m')).map_or(rest.len(), |at| start + at + 1);
        rest.replace_range(start..end, "");
    }
    rest.trim() == ":::"
}

/// `file:line:column`, and the path of the key when there is one.
fn origin<'a>(span: &Span, path: &str) -> Origin<'a> {
    let place = &span.place;
    let mut text = format!("{}:{}:{}", escape(&place.file, MESSAGE_AT_MOST), place.line, place.column);
    if !path.is_empty() {
        // Writing into a `String` cannot fail.
        let _ = write!(text, ", at `{}`", escape(path, MESSAGE_AT_MOST));
    }
    Origin::path(text)
}

fn snippet<'a>(span: &Span, line: String, part: Annotation<'a>) -> Snippet<'a, Annotation<'a>> {
    let number = usize::try_from(span.place.line).unwrap_or(usize::MAX);
    Snippet::source(line).line_start(number).fold(false).annotation(part)
}

/// Where the lines of each source begin, in bytes, so that every diagnostic finds its line at once.
struct Lines<'a>(HashMap<&'a Arc<str>, (&'a str, Vec<usize>)>);

impl<'a> Lines<'a> {
    fn of(sources: &'a Sources) -> Self {
        Self(
            sources
                .iter()
                .map(|(path, text)| (path, (text.as_ref(), yaml::line_starts(text).collect())))
                .collect(),
        )
    }

    /// The line in which `span` begins, safe to show, and the part of it that is marked.
    fn excerpt(&self, span: &Span) -> Option<(String, Range<usize>)> {
        let (text, starts) = self.0.get(&span.place.file)?;
        let start = starts.partition_point(|&start| start <= span.start).checked_sub(1);
        let line_start = start.and_then(|index| starts.get(index)).copied().unwrap_or(0);
        let next = start.and_then(|index| starts.get(index + 1)).copied().unwrap_or(text.len());
        let line = text.get(line_start..next).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let from = line.floor_char_boundary(span.start.saturating_sub(line_start));
        let to = line.floor_char_boundary(span.end.saturating_sub(line_start)).max(from);
        Some(cut(line, from..to))
    }
}

/// `line` with everything harmless, no longer than what can be read, and where `span` is in it. As much of the line is
/// looked at as is shown: every mistake in it asks for it.
fn cut(line: &str, span: Range<usize>) -> (String, Range<usize>) {
    let before = line.get(..span.start).unwrap_or_default();
    let from = before.char_indices().rev().nth(LINE_AT_MOST / 2 - 1).map_or(0, |(at, _)| at);
    let mut shown = if from > 0 { "…".to_owned() } else { String::new() };
    shown.push_str(&escape(before.get(from..).unwrap_or_default(), LINE_AT_MOST));
    let start = shown.len();
    shown.push_str(&escape(line.get(span.clone()).unwrap_or_default(), LINE_AT_MOST / 2));
    let end = shown.len();
    shown.push_str(&escape(line.get(span.end..).unwrap_or_default(), LINE_AT_MOST / 2));
    (shown, start..end)
}

/// `text` with everything harmless. What is too long loses its middle, where a long name is: a sentence ends
/// with what to do.
fn sentence(text: &str) -> String {
    let surplus = text.chars().count().saturating_sub(MESSAGE_AT_MOST);
    if surplus == 0 {
        return escape(text, MESSAGE_AT_MOST);
    }
    let half = MESSAGE_AT_MOST / 2;
    let begin: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(half + surplus).collect();
    format!("{}…{}", escape(&begin, half), escape(&end, half))
}

/// `text` with control and bidirectional characters as escapes, cut at `at_most` characters.
fn escape(text: &str, at_most: usize) -> String {
    let mut safe = String::with_capacity(text.len().min(4 * at_most));
    for (count, c) in text.chars().enumerate() {
        if count == at_most {
            safe.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            // Writing into a `String` cannot fail.
            let _ = write!(safe, "{}", c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Characters that change the direction of text or cannot be seen (Unicode, general category Cf).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The last line of a report: how many errors and warnings there are in how many files.
#[must_use]
pub fn summary(diagnostics: &Diagnostics, files: usize) -> String {
    let errors = diagnostics.count(Severity::Error);
    let warnings = diagnostics.count(Severity::Warning);
    let files = counted(files, "file");
    match (errors, warnings) {
        (0, 0) => format!("{files} valid"),
        (0, warnings) => format!("{files} valid, {}", counted(warnings, "warning")),
        (errors, 0) => format!("{} in {files}", counted(errors, "error")),
        (errors, warnings) => {
            format!("{}, {} in {files}", counted(errors, "error"), counted(warnings, "warning"))
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What `validate --format json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "tokenwarden diagnostics")]
pub struct DiagnosticsDocument {
    /// Version of this format: `1`.
    pub format_version: u32,
    /// Whether the files can be used: no error was found.
    pub valid: bool,
    /// How many files were read.
    pub files: usize,
    /// How many errors were found.
    pub errors: usize,
    /// How many warnings were found.
    pub warnings: usize,
    /// Each error and warning, by file, line and column.
    pub diagnostics: Vec<DiagnosticDocument>,
}

/// One error or warning.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DiagnosticDocument {
    /// `error` or `warning`.
    pub severity: String,
    /// Its stable code, such as `empty-networks`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where it is.
    #[serde(flatten)]
    pub place: PlaceDocument,
    /// Path of the key that it is about, such as `tokens.limits[0].max_scope`.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schemars(default)]
    pub path: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The literal text to write in place of the marked one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub related: Vec<RelatedDocument>,
}

/// A place in a file.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PlaceDocument {
    /// The file, as the config file or the command line names it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The marked bytes of the file, from 0 and behind a byte order mark: the first one and the one behind the last.
    pub bytes: [usize; 2],
}

/// Another place that belongs to an error or warning.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RelatedDocument {
    /// Where it is.
    #[serde(flatten)]
    pub place: PlaceDocument,
    /// What is there.
    pub message: String,
}

/// The JSON schema of [`DiagnosticsDocument`], draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    schema_of::<DiagnosticsDocument>()
}

/// The diagnostics of `files` files as data.
#[must_use]
pub fn document(diagnostics: &Diagnostics, files: usize) -> DiagnosticsDocument {
    DiagnosticsDocument {
        format_version: 1,
        valid: !diagnostics.have_errors(),
        files,
        errors: diagnostics.count(Severity::Error),
        warnings: diagnostics.count(Severity::Warning),
        diagnostics: diagnostics.iter().map(diagnostic_document).collect(),
    }
}

fn diagnostic_document(diagnostic: &Diagnostic) -> DiagnosticDocument {
    DiagnosticDocument {
        severity: diagnostic.severity.word().to_owned(),
        code: diagnostic.code.as_str().to_owned(),
        message: diagnostic.message.clone(),
        place: place_document(&diagnostic.span),
        path: diagnostic.path.clone(),
        help: diagnostic.help.clone(),
        replacement: diagnostic.replacement.clone(),
        related: diagnostic
            .related
            .iter()
            .map(|related| RelatedDocument {
                place: place_document(&related.span),
                message: related.message.clone(),
            })
            .collect(),
    }
}

fn place_document(span: &Span) -> PlaceDocument {
    PlaceDocument {
        file: span.place.file.to_string(),
        line: span.place.line,
        column: span.place.column,
        bytes: [span.start, span.end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_keeps_what_to_do() {
        let shown = sentence(&format!("`{}` is no network; write `10.0.0.0/8`", "x".repeat(5_000)));
        assert!(
            shown.starts_with("`xxx") && shown.ends_with("x` is no network; write `10.0.0.0/8`"),
            "{shown}"
        );
        assert_eq!(shown.chars().count(), MESSAGE_AT_MOST + 1);
        assert_eq!(sentence(&"é".repeat(400)), "é".repeat(400));
    }
}
