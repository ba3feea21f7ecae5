//! A plain YAML file of the operator of a server: its value, or what is wrong with it and where. Neither lines of the
//! file nor what is in them are repeated: there may be a secret anywhere.

use serde::de::DeserializeOwned;
use serde_yaml::Error;

use super::{
    source::{first_line, innermost, line_starts},
    structure::quoted_list,
};

/// The most nodes that a file may have: a directory of a million users, several times over.
const NODES_AT_MOST: usize = 20_000_000;
/// The most nodes that aliases may stand for.
const REPLAYED_AT_MOST: usize = 100_000;

/// What the YAML `text` says, in a document with the keys `keys`.
///
/// # Errors
///
/// What is wrong, with line and column and, where a line begins with one of the keys, that.
pub(crate) fn read<T: DeserializeOwned>(text: &str, keys: &[&str]) -> Result<T, String> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: NODES_AT_MOST,
            max_events: 2 * NODES_AT_MOST,
            max_total_scalar_bytes: usize::MAX,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: REPLAYED_AT_MOST },
    };
    serde_yaml::from_str_with_options(text, options)
        .map_err(|error| refusal(text, innermost(error.without_snippet()), keys))
}

/// What `error` says of `text`.
fn refusal(text: &str, error: &Error, keys: &[&str]) -> String {
    let what = words(error, keys);
    let Some((line, column)) = error.location().map(|at| (at.line(), at.column())) else { return what };
    let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let start = line_starts(text).nth(index).unwrap_or(text.len());
    let written = first_line(text.get(start..).unwrap_or_default());
    let key = written.trim_start_matches(['-', ' ']).split(':').next().unwrap_or_default();
    let is_unknown = matches!(error, Error::SerdeUnknownField { .. } | Error::SerdeMissingField { .. });
    if keys.contains(&key) && !is_unknown {
        format!("line {line}, column {column}, in `{key}`: {what}")
    } else {
        format!("line {line}, column {column}: {what}")
    }
}

/// What `error` says, without anything that the file says.
fn words(error: &Error, keys: &[&str]) -> String {
    match error {
        Error::Eof { .. } => "the file is empty".to_owned(),
        Error::MultipleDocuments { .. } => "the file holds more than one YAML document".to_owned(),
        Error::SerdeUnknownField { expected, .. } => {
            format!("unknown key; the keys here are {}", quoted_list(expected))
        }
        Error::SerdeUnknownVariant { expected, .. } => {
            format!("expected one of {}", quoted_list(expected))
        }
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        Error::SerdeInvalidType { expected, .. }
        | Error::SerdeInvalidValue { expected, .. }
        | Error::SerdeInvalidLength { expected, .. } => format!("expected {expected}"),
        Error::DuplicateMappingKey { .. } => "duplicate key".to_owned(),
        Error::Message { msg, .. } => harmless(msg, keys).unwrap_or("this value cannot be used").to_owned(),
        Error::ExternalMessage { msg, .. } => {
            let line = msg.lines().next().unwrap_or_default();
            let reason = harmless(line, &[]).map(|line| format!(": {line}"));
            format!("invalid YAML{}", reason.unwrap_or_default())
        }
        _ => "this value cannot be used here, or is not valid YAML".to_owned(),
    }
}

/// The part of `message` that repeats nothing of the file: all of it when it quotes no more than the `keys`, otherwise what
/// it says is to be written.
fn harmless<'a>(message: &'a str, keys: &[&str]) -> Option<&'a str> {
    let quotes_keys = message.split('`').skip(1).step_by(2).all(|quoted| keys.contains(&quoted));
    if quotes_keys && !message.contains(['"', '\'']) {
        return Some(message);
    }
    let (_, advice) = message.rsplit_once("; ")?;
    ["write ", "use "].iter().any(|verb| advice.starts_with(verb)).then_some(advice)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::read;
    use crate::model::Period;

    #[test]
    fn a_file_with_very_many_nodes_is_read() {
        let text = format!("[{}]", "1, ".repeat(300_000));
        assert_eq!(read::<Vec<u8>>(&text, &[]).map(|numbers| numbers.len()), Ok(300_000));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        let levels = (1..10).map(|level| {
            let before = format!("*a{}, ", level - 1).repeat(10);
            format!("a{level}: &a{level} [{before}]\n")
        });
        let text: Vec<_> = std::iter::once(first).chain(levels).collect();
        assert!(read::<BTreeMap<String, serde_json::Value>>(&text.concat(), &[]).is_err());
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only mistakes are looked at")]
    struct Document {
        count: u8,
        active: Option<bool>,
        names: Option<Vec<String>>,
        word: Option<Word>,
        age: Option<Period>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        Never,
        Always,
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_without_what_is_there() {
        for (text, words) in [
            ("count: 1\nnames: [hunter2\n", "invalid YAML"),
            ("count: 1\nhunter2: 1\n", "line 2, column 1: unknown key; the keys here are `count`, `active`"),
            ("active: true\n", "the key `count` is missing"),
            ("count: hunter2\n", "line 1, column 8, in `count`: "),
            ("count: 1\nactive: hunter2\n", "line 2, column 9, in `active`: "),
            ("count: 1\nnames: hunter2\n", "line 2, column 8, in `names`: "),
            ("count: 1\nword: hunter2\n", "expected one of `never`, `always`"),
            ("count: 1\nage: hunter2\n", "in `age`: use a number and a unit"),
            ("count: 1\n\"hunter2\": 1\n\"hunter2\": 2\n", "line 2"),
            ("count: 1\nnames: [*hunter2]\n", "line 2"),
            ("count: 1\nnames: !hunter2 x\n", ""),
            ("hunter2\n", "line 1"),
        ] {
            let told = read::<Document>(text, &["count", "active", "names", "word", "age"]).unwrap_err();
            assert!(told.contains(words) && !told.contains("hunter2"), "{text}: {told}");
        }
    }
}
