//! Texts of a document with white space around them, which is rarely meant and never seen: a name with a line
//! end behind it is another name.

use super::{
    Code, Diagnostic, Diagnostics, Mark,
    node::{At, Value},
};

/// The longest text that is shown as what to write, in characters.
const SHOWN_AT_MOST: usize = 80;

/// Warns of every key and text at `at` and below it with white space around it. `is_meant` knows the values in
/// which blanks have a meaning, and `is_secret` those that are not shown.
pub(super) fn report(
    at: &At<'_>,
    is_meant: fn(&At<'_>) -> bool,
    is_secret: fn(&At<'_>) -> bool,
    out: &mut Diagnostics,
) {
    if let Value::Text(text) = &at.node.value {
        let text = if is_meant(at) { text.trim_matches(' ') } else { text };
        out.extend_some(warning(text, at.mark(), &at.path, is_secret(at)));
    }
    for (key, below) in at.entries() {
        out.extend_some(warning(key, below.key, &below.path, false));
        report(&below, is_meant, is_secret, out);
    }
    for item in at.items() {
        report(&item, is_meant, is_secret, out);
    }
}

fn warning(text: &str, mark: &Mark, path: &str, is_secret: bool) -> Option<Diagnostic> {
    let meant = text.trim_matches(is_space);
    if meant == text || meant.is_empty() {
        return None;
    }
    let line_end = ['\n', '\r'];
    let message = if text.ends_with(line_end) {
        "the text ends with a line end, which is part of it"
    } else if text.ends_with(is_space) {
        "the text ends with white space, which is part of it"
    } else {
        "the text begins with white space, which is part of it"
    };
    let is_shown = !is_secret && !meant.contains(line_end) && meant.chars().count() <= SHOWN_AT_MOST;
    let help = match (text.ends_with(line_end), is_shown) {
        (true, true) => format!("write `>-` in place of `>`, `|-` in place of `|`, or `{meant}`"),
        (true, false) => "write `>-` in place of `>`, or `|-` in place of `|`".to_owned(),
        (false, true) => format!("write `{meant}`"),
        (false, false) => "remove the white space around it".to_owned(),
    };
    Some(Diagnostic::warning(Code::SurroundingSpace, mark, path, message).help(help))
}

/// White space, and what has no width.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}
