//! Whom a server takes the caller for, as the header `X-AUSERNAME` of its answers says.
//!
//! Bitbucket URL-encodes the name (`ann%40example.com`), with `+` or `%20` for a space. A server that writes
//! the name as it is shows that by a character that URL-encoding never leaves.

use reqwest::header::{HeaderMap, HeaderName};

use crate::model::{UserName, percent};

use super::HttpCredential;

const USER_NAME: HeaderName = HeaderName::from_static("x-ausername");

/// The user whom an answer with these `headers` names. That is the name in `presented` when both can be the
/// same person. `None` where the server names nobody, or the text cannot be read: it is never taken for the
/// name of somebody else.
pub(super) fn caller(headers: &HeaderMap, presented: &HttpCredential) -> Option<UserName> {
    let written = headers.get(USER_NAME).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())?;
    let decoded = decoded(written);
    if let HttpCredential::Basic { user, .. } = presented {
        let user = UserName::new(user.as_str());
        if names(headers, &user) == Some(true) {
            return Some(user);
        }
    }
    decoded.filter(|name| !name.trim().is_empty() && !name.contains(char::is_control)).map(UserName::new)
}

/// Whether an answer with these `headers` names `user`, in whichever way it writes the name; `None` where it names
/// nobody.
pub(crate) fn names(headers: &HeaderMap, user: &UserName) -> Option<bool> {
    let written = headers.get(USER_NAME)?;
    let text = std::str::from_utf8(written.as_bytes()).unwrap_or_default();
    let is_user = |reading: String| *user == reading.into();
    Some(
        text == user.as_str()
            || is_user(text.to_owned())
            || percent::decode(text).is_some_and(is_user)
            || decoded(text).is_some_and(is_user),
    )
}

fn decoded(written: &str) -> Option<String> {
    let stays = |character: char| character.is_ascii_alphanumeric() || "-._~!*'()+%".contains(character);
    if written.chars().all(stays) {
        percent::decode(&written.replace('+', " "))
    } else {
        Some(written.to_owned()).filter(|name| !name.contains('%'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(written: &[u8], user: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_NAME, written.try_into().unwrap());
        let credential = match user {
            Some(user) => HttpCredential::Basic { user: user.to_owned(), secret: "x".into() },
            None => HttpCredential::Bearer("x".into()),
        };
        caller(&headers, &credential).map(String::from)
    }

    #[test]
    fn the_name_is_decoded_and_a_broken_one_is_nobody() {
        for (written, name) in [
            ("mary", Some("mary")),
            ("Ann.O%27Neil%40Example.com", Some("Ann.O'Neil@Example.com")),
            ("ann%20lee", Some("ann lee")),
            ("ann+lee", Some("ann lee")),
            ("ann%2Blee", Some("ann+lee")),
            ("j%C3%BCrgen", Some("jürgen")),
            ("jürgen", Some("jürgen")),
            ("ann+x@example.com", Some("ann+x@example.com")),
            ("100%", None),
            ("ann%4", None),
            ("ann@example.com%4", None),
            ("j%FCrgen", None),
            ("a%0Ab", None),
            ("", None),
            ("%20", None),
        ] {
            assert_eq!(named(written.as_bytes(), None).as_deref(), name, "{written}");
        }
        assert_eq!(named(b"j\xfcrgen", None), None, "not UTF-8");
    }

    #[test]
    fn the_user_that_we_signed_in_as_is_preferred_when_it_can_be_the_same_person() {
        for (written, user, name) in [
            ("ann%40example.com", "Ann@example.com", "Ann@example.com"),
            ("ann+lee", "ann+lee", "ann+lee"),
            ("ann+lee", "ann lee", "ann lee"),
            ("ann%2Blee", "ann+lee", "ann+lee"),
            ("100%", "100%", "100%"),
            ("ann%40example.com", "bob", "ann@example.com"),
        ] {
            assert_eq!(named(written.as_bytes(), Some(user)).as_deref(), Some(name), "{written} {user}");
        }
        assert_eq!(named(b"100%", Some("bob")), None);
    }
}
