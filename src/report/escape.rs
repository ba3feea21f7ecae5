//! Escaping of foreign text for a terminal: no control sequence, nothing that turns the direction of
//! writing, no endless line. The reports in HTML and Markdown escape on top of it.

use std::fmt::Write;

use crate::model::brief;

/// A name, a description or other text that is somebody else's alone: with control, bidirectional and other
/// invisible characters as `\u{..}`, cut at 120 characters.
#[must_use]
pub fn escape(text: &str) -> String {
    escape_whole(&brief(text))
}

/// As [`escape`], but not cut: for a sentence of ours, whatever it has in it of somebody else.
#[must_use]
pub fn escape_whole(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\'' | '\\') || !needs_escape(c) {
            shown.push(c);
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(shown, "{}", c.escape_debug());
        }
    }
    shown
}

/// Whether `c` is not simply seen: Rust's own list of printable characters decides, and knows the
/// bidirectional and zero-width ones.
fn needs_escape(c: char) -> bool {
    c.escape_debug().len() > 1
}

/// `text` escaped and in double quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('"', "\\\""))
}

/// `number` with a comma between thousands.
pub(super) fn thousands(number: u128) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `text` with a capital at its beginning.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// `1 token`, `2 tokens`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number as u128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_server_cannot_steer_a_terminal() {
        assert_eq!(escape("a\u{1b}[31m\r\nb"), "a\\u{1b}[31m\\r\\nb");
        assert_eq!(escape("left\u{202e}thgir\u{200b}"), "left\\u{202e}thgir\\u{200b}");
        assert_eq!(escape("grüße, \"日本\" \\ 'x'"), "grüße, \"日本\" \\ 'x'");
        assert_eq!(quoted("a \"b\""), "\"a \\\"b\\\"\"");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = escape(&"x".repeat(500));
        assert_eq!(shown.chars().count(), 121);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1_000, 4_029, 1_234_567].map(thousands),
            ["0", "999", "1,000", "4,029", "1,234,567"]
        );
    }
}
