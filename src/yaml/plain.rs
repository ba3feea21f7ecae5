//! A plain YAML file of the operator of a server: its value, or what is wrong with it and where. Lines of
//! the file are never repeated: there may be a secret in them.

use serde::de::DeserializeOwned;

/// The most nodes that a file may have: a directory of a million users, several times over.
const NODES_AT_MOST: usize = 20_000_000;
/// The most nodes that aliases may stand for.
const REPLAYED_AT_MOST: usize = 100_000;

/// What the YAML `text` says.
///
/// # Errors
///
/// What is wrong, with line and column.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: NODES_AT_MOST,
            max_events: 2 * NODES_AT_MOST,
            max_total_scalar_bytes: usize::MAX,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: REPLAYED_AT_MOST },
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| error.without_snippet().to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::read;

    #[test]
    fn a_file_with_very_many_nodes_is_read() {
        let text = format!("[{}]", "1, ".repeat(300_000));
        assert_eq!(read::<Vec<u8>>(&text).map(|numbers| numbers.len()), Ok(300_000));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        let levels = (1..10).map(|level| {
            let before = format!("*a{}, ", level - 1).repeat(10);
            format!("a{level}: &a{level} [{before}]\n")
        });
        let text: Vec<_> = std::iter::once(first).chain(levels).collect();
        assert!(read::<BTreeMap<String, serde_json::Value>>(&text.concat()).is_err());
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_without_the_line() {
        let told = read::<BTreeMap<String, u8>>("a: 1\nb: [hunter2\n").unwrap_err();
        assert!(told.contains("line") && !told.contains("hunter2"), "{told}");
    }
}
