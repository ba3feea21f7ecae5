//! Texts of a document with white space around them, which is rarely meant and never seen: a name with a line
//! end behind it is another name.

use crate::model::is_blank;

use super::{
    Code, Diagnostic, Diagnostics, Span,
    node::{At, Node, Value},
    scalar::scalar,
};

/// How a text over several lines loses its last line end.
const BLOCKS: &str = "write `>-` in place of `>` or `>+`, and `|-` in place of `|` or `|+`";

/// The longest text that is shown as what to write, in characters.
const SHOWN_AT_MOST: usize = 80;

/// Warns of every key and text at `at` and below it with white space around it. `is_meant` knows the values in
/// which blanks have a meaning, and `is_secret` those that are not shown.
pub(crate) fn report(
    at: &At<'_>,
    is_meant: fn(&At<'_>) -> bool,
    is_secret: fn(&At<'_>) -> bool,
    out: &mut Diagnostics,
) {
    if !has_space(at.node) {
        return;
    }
    if let Value::Text(text) = &at.node.value {
        let text = if is_meant(at) { text.trim_matches(' ') } else { text };
        out.extend_some(warning(text, at.span(), &at.path, is_secret(at)));
    }
    for (key, below) in at.entries() {
        out.extend_some(warning(key, below.key, &below.path, false));
        report(&below, is_meant, is_secret, out);
    }
    for item in at.items() {
        report(&item, is_meant, is_secret, out);
    }
}

/// Whether there is white space around any key or text of `node`. Where there is none, nothing is to be told, whatever
/// has a meaning.
fn has_space(node: &Node) -> bool {
    let around = |text: &str| text.starts_with(is_blank) || text.ends_with(is_blank);
    match &node.value {
        Value::Text(text) => around(text),
        Value::List(items) => items.iter().any(has_space),
        Value::Map(map) => map.iter().any(|entry| around(&entry.key) || has_space(&entry.node)),
        Value::Null | Value::Bool(_) | Value::Number { .. } => false,
    }
}

fn warning(text: &str, span: &Span, path: &str, is_secret: bool) -> Option<Diagnostic> {
    let line_end = ['\n', '\r'];
    let meant = meant(text)?;
    let message = format!("the text {}", where_space_is(text));
    let is_shown = !is_secret && !meant.contains(line_end) && meant.chars().count() <= SHOWN_AT_MOST;
    let help = match (text.ends_with(line_end), is_shown) {
        (true, true) => format!("{BLOCKS}, or write `{}`", scalar(meant)),
        (true, false) => BLOCKS.to_owned(),
        (false, true) => format!("write `{}`", scalar(meant)),
        (false, false) => "remove the white space around it".to_owned(),
    };
    Some(Diagnostic::warning(Code::SurroundingSpace, span, path, message).help(help))
}

/// Warns of white space around `text`, which an expression at `span` compares with something.
pub(crate) fn of_literal(text: &str, span: &Span, path: &str) -> Option<Diagnostic> {
    let meant = meant(text)?;
    let message = format!("the text {text:?} {}", where_space_is(text));
    Some(Diagnostic::warning(Code::SurroundingSpace, span, path, message).help(format!("write {meant:?}")))
}

/// `text` without the white space around it, when it has some and is more than that.
fn meant(text: &str) -> Option<&str> {
    Some(text.trim_matches(is_blank)).filter(|meant| *meant != text && !meant.is_empty())
}

fn where_space_is(text: &str) -> &'static str {
    if text.ends_with(['\n', '\r']) {
        "ends with a line end, which is part of it"
    } else if text.ends_with(is_blank) {
        "ends with white space, which is part of it"
    } else {
        "begins with white space, which is part of it"
    }
}
