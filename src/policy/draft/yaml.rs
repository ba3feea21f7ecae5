//! Any text as a YAML scalar, on one line and without invisible characters.

use std::fmt::Write;

/// Words that YAML or one of its readers takes for something else than text.
const TAKEN: [&str; 15] = [
    "null",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "nan",
    "inf",
    "infinity",
    "none",
    "unmanaged",
    "default",
];

/// The longest line that a list is written on, in bytes.
const LINE: usize = 100;

/// `text` as a scalar: bare when nothing else could be read in it, otherwise in quotes.
pub(super) fn scalar(text: &str) -> String {
    if is_bare(text) {
        text.to_owned()
    } else if text.contains(['\\', '"']) && text.chars().all(is_seen) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        quoted(text)
    }
}

/// `text` in double quotes, with escapes for what is not simply seen.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        // Writing into a `String` cannot fail.
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            c if is_seen(c) => write!(quoted, "{c}"),
            c if u32::from(c) <= 0xffff => write!(quoted, "\\u{:04X}", u32::from(c)),
            c => write!(quoted, "\\U{:08X}", u32::from(c)),
        };
    }
    quoted.push('"');
    quoted
}

/// An address, a network or a range as a scalar.
pub(super) fn network(text: &str) -> String {
    if text.starts_with(':') || text.ends_with(':') { quoted(text) } else { text.to_owned() }
}

/// `key: [a, b]`, or a line for each item when that would be too long for one.
pub(super) fn list(key: &str, items: &[String]) -> Vec<String> {
    let one_line = format!("{key}: [{}]", items.join(", "));
    if one_line.len() <= LINE { vec![one_line] } else { block(key, items) }
}

/// `key:` with a line for each item.
pub(super) fn block(key: &str, items: &[String]) -> Vec<String> {
    let items = items.iter().map(|item| format!("  - {item}"));
    [format!("{key}:")].into_iter().chain(items).collect()
}

fn is_bare(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.split(' ').all(|word| !word.is_empty() && word.chars().all(inner))
        && !TAKEN.contains(&text.to_ascii_lowercase().as_str())
}

/// Whether `c` shows as what it is: no control, bidirectional or other invisible character.
pub(super) fn is_seen(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bare_only_when_nothing_else_can_be_read_in_it() {
        for bare in ["developers", "ci-bots", "a b", "X-Forwarded-For", "team/one.two"] {
            assert_eq!(scalar(bare), bare);
        }
        for (text, written) in [
            ("", r#""""#),
            ("Yes", r#""Yes""#),
            ("1e3", r#""1e3""#),
            (" a", r#"" a""#),
            ("a: b", r#""a: b""#),
            ("a #b", r#""a #b""#),
            ("*a", r#""*a""#),
            (r"^\d+ it's", r"'^\d+ it''s'"),
            ("say \"hi\"", "'say \"hi\"'"),
            ("a\nb\u{202e}\u{1f5ff}", "\"a\\u000Ab\\u202E\u{1f5ff}\""),
            ("\\\n", r#""\\\u000A""#),
        ] {
            assert_eq!(scalar(text), written);
        }
    }
}
