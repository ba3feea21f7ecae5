//! Names of environment variables, as files give them. In the place of one there may be the secret itself.

/// Whether `text` can be the name of an environment variable.
pub(crate) fn is_variable_name(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What to say behind "the environment variable" of `name`, which stands under `key`. A name is shown when it is written in capitals,
/// as most are: any other one may be a secret.
pub(crate) fn variable_words(key: &str, name: &str) -> String {
    if is_variable_name(name) && !name.contains(|c: char| c.is_ascii_lowercase()) {
        format!("`{name}`")
    } else {
        format!("named in `{key}`")
    }
}

#[cfg(test)]
mod tests {
    use super::{is_variable_name, variable_words};

    #[test]
    fn a_name_in_capitals_is_shown_and_what_may_be_a_secret_is_not() {
        for (name, possible, shown) in [
            ("BITBUCKET_PASSWORD", true, true),
            ("_P2", true, true),
            ("hunter2", true, false),
            ("Passw0rd", true, false),
            ("4711", false, false),
            ("HUNTER-2", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_variable_name(name), possible, "{name}");
            assert_eq!(variable_words("token_env", name).contains(&format!("`{name}`")), shown, "{name}");
        }
    }
}
