//! The secrets of tokens in a text, known by their form, as far as they tell which token each is of.

use std::collections::BTreeSet;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    TokenId, TokenSecret,
    secret::{LENGTH, PREFIX, SecretHash},
};

/// What newer Bitbuckets begin a secret with.
pub const BITBUCKET_PREFIX: &str = "BBDC-";
/// How many characters of a Bitbucket secret hold the identifier, and hardly more.
const HEAD: usize = 24;
/// Characters of a secret of Bitbucket behind its beginning, and the digits of its identifier.
const WHOLE: usize = 44;
const DIGITS: usize = 12;

/// Which token a secret is of. Never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The secret has the identifier in it.
    Id(TokenId),
    /// The server that issued the secret knows it by the hash.
    Hash(SecretHash),
}

/// The secrets in `text`, each once: `tw_..` of our own server, and those of Bitbucket with `BBDC-` and without.
#[must_use]
pub fn traces(text: &str) -> Vec<Trace> {
    let mut ids = BTreeSet::new();
    let mut traces: Vec<Trace> = Vec::new();
    for (at, _) in text.match_indices(PREFIX) {
        if let Some(secret) = text.get(at..at + LENGTH).and_then(TokenSecret::parse) {
            let trace = Trace::Hash(secret.hash());
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
    }
    let marked = text.match_indices(BITBUCKET_PREFIX).map(|(at, found)| at + found.len());
    ids.extend(marked.filter_map(|at| bitbucket_id(text.get(at..)?)));
    ids.extend((0..text.len()).filter_map(|at| bare(text, at)));
    traces.extend(ids.into_iter().map(Trace::Id));
    traces
}

/// Whether `text` has something in it that is, or was, the secret of a token, also when nobody can tell which: it is
/// hidden, cut or mistyped.
#[must_use]
pub fn hints(text: &str) -> bool {
    let is_word = |rest: &str| rest.bytes().take(20).filter(u8::is_ascii_alphanumeric).count() == 20;
    let begins_ours = |(at, found): (usize, &str)| text.get(at + found.len()..).is_some_and(is_word);
    text.contains(BITBUCKET_PREFIX)
        || text.contains("REDACTED")
        || text.match_indices(PREFIX).any(begins_ours)
}

/// The identifier of the token of Bitbucket whose secret is `secret`, when it has the form of one: Base64 of the
/// identifier, a colon and random bytes, as in the examples of the specification. Newer servers write
/// `BBDC-` before it, and both alphabets of RFC 4648 are seen.
#[must_use]
pub fn bitbucket_id(secret: &str) -> Option<TokenId> {
    let head: String = secret.strip_prefix(BITBUCKET_PREFIX).unwrap_or(secret).chars().take(HEAD).collect();
    id_in(&decode(&head)?)
}

/// The identifier that the bytes of a secret of Bitbucket begin with.
fn id_in(bytes: &[u8]) -> Option<TokenId> {
    let digits: String = bytes.iter().copied().take_while(u8::is_ascii_digit).map(char::from).collect();
    let is_id = digits.len() >= 6 && bytes.get(digits.len()) == Some(&b':');
    is_id.then(|| TokenId::new(digits))
}

/// The identifier in the secret that begins at `at` without `BBDC-`. It has the one length, so that hardly
/// anything else is taken for one.
fn bare(text: &str, at: usize) -> Option<TokenId> {
    let bytes = text.as_bytes();
    // The first digit of the identifier makes one of three letters.
    let begins = matches!(bytes.get(at), Some(b'M'..=b'O'));
    let is_apart = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    if !begins || !is_apart(at.checked_sub(1).and_then(|before| bytes.get(before))) {
        return None;
    }
    let secret = text.get(at..at + WHOLE).filter(|_| is_apart(bytes.get(at + WHOLE)))?;
    let read = decode(secret)?;
    let id = id_in(&read)?;
    (read.len() == WHOLE / 4 * 3 && id.as_str().len() == DIGITS).then_some(id)
}

/// The bytes of `text` in either alphabet, as far as it goes.
fn decode(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let standard = |character| match character {
        '-' => '+',
        '_' => '/',
        other => other,
    };
    GeneralPurpose::new(&STANDARD, lenient).decode(text.chars().map(standard).collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ";

    fn id(digits: &str) -> Trace {
        Trace::Id(TokenId::new(digits))
    }

    #[test]
    fn the_identifier_of_a_token_is_found_in_its_secret() {
        for secret in [
            EXAMPLE.to_owned(),
            format!("BBDC-{EXAMPLE}"),
            "BBDC-MjUyOTczNTE1MDY5Ov__-_-_-H8AVOECHv0saruQ@x".to_owned(),
        ] {
            assert_eq!(bitbucket_id(&secret), Some(TokenId::new("252973515069")), "{secret}");
        }
        for other in ["password", "tw_abc", "", "BBDC-", "MTIzNDU2Nzg5MDEy"] {
            assert_eq!(bitbucket_id(other), None, "{other}");
        }
    }

    #[test]
    fn secrets_are_found_wherever_they_stand_in_a_text() {
        let ours = TokenSecret::from_random([7; 32]);
        let text = |secret: &str| {
            [
                secret.to_owned(),
                format!("é{secret}é"),
                format!("curl -H 'Authorization: Bearer {secret}' https://git"),
                format!("https://sam:{secret}@git.example.com/scm/p/r.git"),
                format!("token={secret}&x=1 and again {secret}\n"),
                format!("path/{secret}/path"),
            ]
        };
        for text in text(ours.expose()) {
            assert_eq!(traces(&text), [Trace::Hash(ours.hash())], "{text}");
        }
        for text in text(EXAMPLE).into_iter().chain(text(&format!("BBDC-{EXAMPLE}"))) {
            assert_eq!(traces(&text), [id("252973515069")], "{text}");
        }
        assert_eq!(traces(&format!("BBDC-{}...", &EXAMPLE[..24])), [id("252973515069")], "a cut one");
        let both = format!("{} BBDC-{EXAMPLE}", ours.expose());
        assert_eq!(traces(&both).len(), 2);
    }

    #[test]
    fn nothing_else_is_taken_for_a_secret_and_what_may_be_one_is_said() {
        let ours = TokenSecret::from_random([7; 32]);
        let wrong_check = format!("{}x", &ours.expose()[..51]);
        for (text, is_hint) in [
            (String::new(), false),
            ("tw_ and M and O and tw_short".to_owned(), false),
            (format!("x{EXAMPLE}"), false),
            (format!("{EXAMPLE}x"), false),
            (EXAMPLE[..43].to_owned(), false),
            ("TWVycnkgY2hyaXN0bWFzIGFuZCBhIGhhcHB5IG5ldyB5".to_owned(), false),
            (wrong_check, true),
            ("BBDC-MjUy...".to_owned(), true),
            ("secret: REDACTED".to_owned(), true),
        ] {
            assert_eq!(traces(&text), [], "{text}");
            assert_eq!(hints(&text), is_hint, "{text}");
        }
        assert!(!format!("{:?}", traces(ours.expose())).contains(ours.expose()));
    }
}
