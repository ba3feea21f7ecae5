//! A text as it is written into a file, in quotes where YAML would take it for something else.

use std::{borrow::Cow, sync::Arc};

use super::{
    node::{At, Value},
    source,
};

/// `text` as it can be written in place of any value.
pub(crate) fn scalar(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        return Cow::Owned(serde_json::Value::from(text).to_string());
    }
    if is_word(text) || stays(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', "''")))
}

/// Whether `text` is a plain word, as most texts are, which every version of YAML reads as itself.
pub(crate) fn is_word(text: &str) -> bool {
    let has_meaning = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(is_part)
        && !text.ends_with(':')
        && !has_meaning
}

/// Whether `text` is read as itself in a list, of either style, and behind a key.
fn stays(text: &str) -> bool {
    [format!("[{text}]"), format!("\n- {text}\n")].iter().all(|list| {
        let file = Arc::from("");
        let parsed = source::parse(&file, format!("k: {list}").as_bytes());
        parsed.root.as_ref().is_some_and(|root| {
            let items: Vec<_> = At::root(root).get("k").iter().flat_map(At::items).collect();
            matches!(items.as_slice(), [item] if matches!(&item.node.value, Value::Text(read) if read == text))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn a_text_is_in_quotes_where_yaml_would_take_it_for_something_else() {
        for text in
            ["idle", "read-only", "/rest/x", "a b", "/x#y", "10.0.0.0/8", "X-Forwarded-For", "2001:db8::/32"]
        {
            assert_eq!(scalar(text), text);
        }
        for (text, written) in [
            ("", "''"),
            ("true", "'true'"),
            ("null", "'null'"),
            ("5", "'5'"),
            ("/x: y", "'/x: y'"),
            ("/x #y", "'/x #y'"),
            ("a,b", "'a,b'"),
            ("it's: so", "'it''s: so'"),
            ("*a", "'*a'"),
            ("- a", "'- a'"),
            ("a]", "'a]'"),
            (" a", "' a'"),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }
}
