//! In: a settings file in which somebody may have written a secret. Out: its text with every such
//! value masked, so that no report shows it, and which keys hold secrets. Byte positions stay.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::super::node::{Entry, Node, Value};

/// Keys under which people write a secret itself, with the key to use instead.
const LITERALS: [(&str, &str); 10] = [
    ("password", "password_env"),
    ("passwd", "password_env"),
    ("pass", "password_env"),
    ("token", "token_env"),
    ("pat", "token_env"),
    ("api_token", "token_env"),
    ("access_token", "token_env"),
    ("secret", "token_env"),
    ("bearer", "bearer_env"),
    ("bearer_token", "bearer_env"),
];

/// The key to use instead of `key`, when that is one under which people write a secret itself.
pub(super) fn instead_of(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    LITERALS.iter().find(|(literal, _)| *literal == key).map(|(_, instead)| *instead)
}

/// Keys below `auth` whose values are no secrets and may be shown.
const HARMLESS: [&str; 1] = ["user"];

/// `text` with every value masked that is a secret or may be one.
pub(super) fn masked(text: &str, root: Option<&Node>) -> String {
    let mut ranges = Vec::new();
    if let Some(root) = root {
        collect(root, false, &mut ranges);
    } else {
        // Without a tree only the lines can tell.
        ranges.extend(SECRET_LINE.captures_iter(text).filter_map(|found| Some(found.get(1)?.range())));
    }
    mask(text, &ranges)
}

#[expect(clippy::expect_used, reason = "a fixed pattern, used by every test of this file")]
static SECRET_LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?im)(?:pass|token|secret|bearer|pat|url)[a-z_]*["']?\s*:[ \t]*(\S.*)$"#)
        .expect("a valid pattern")
});

/// The bytes of every value in `node` that is a secret or may be one; all of them when
/// `everything`.
fn collect(node: &Node, everything: bool, ranges: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Map(map) => {
            for Entry { key, node, .. } in map.iter().chain(map.repeated()) {
                let secret = key == "auth" || instead_of(key).is_some() || everything;
                collect(node, secret && !HARMLESS.contains(&key.as_str()), ranges);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, everything, ranges)),
        Value::Text(text) if !everything && !has_user_info(text) => {}
        _ if everything || matches!(node.value, Value::Text(_)) => {
            ranges.push(node.mark.start..node.mark.end);
        }
        _ => {}
    }
}

/// Whether `text` is a URL with credentials in it.
pub(super) fn has_user_info(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
    })
}

/// `text` with a star for every byte in `ranges`; line ends stay.
fn mask(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in
            bytes.get_mut(range.clone()).into_iter().flatten().filter(|byte| !byte.is_ascii_whitespace())
        {
            *byte = b'*';
        }
    }
    // A range that cuts a character leaves bytes that are none.
    String::from_utf8(bytes).unwrap_or_else(|_| text.lines().map(|_| "\n").collect())
}
