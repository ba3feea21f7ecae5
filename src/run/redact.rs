//! The secrets that this process knows, kept out of everything that it writes, whatever a server repeats.
//!
//! A secret is found as it is, and as JSON, URLs, HTML, XML, Markdown and Base64 (`Authorization: Basic ..`)
//! write it, also in part where a text was cut.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use regex::{Regex, RegexBuilder};

/// What replaces a secret.
const REDACTED: &str = "[redacted]";
/// Shorter ones, in characters, are not looked for: they may be part of any word, and what was left of the text
/// around them would show them.
const SHORTEST: usize = 6;
/// Of a longer one, in characters, the letters and digits are looked for as they are alone.
const LOOSE: usize = 256;
/// How large a compiled pattern may be, in bytes.
const PATTERN_AT_MOST: usize = 64 << 20;

static KNOWN: RwLock<Vec<Arc<Secret>>> = RwLock::new(Vec::new());

struct Secret {
    text: String,
    pattern: Regex,
}

/// The secret cannot be looked for.
#[derive(Debug, thiserror::Error)]
#[error("it is too long")]
pub(crate) struct TooLong;

/// Keeps `text` out of everything that is written from now on.
///
/// # Errors
///
/// When it is too long to be looked for.
pub(crate) fn remember(text: &str) -> Result<(), TooLong> {
    if text.chars().count() < SHORTEST {
        return Ok(());
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if known.iter().all(|secret| secret.text != text) {
        known.push(Arc::new(Secret::new(text)?));
    }
    Ok(())
}

/// `text` without any secret that is known.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner).clone();
    known.iter().fold(Cow::Borrowed(text), |text, secret| match secret.redact(&text) {
        Some(redacted) => Cow::Owned(redacted),
        None => text,
    })
}

impl Secret {
    fn new(text: &str) -> Result<Self, TooLong> {
        let is_short = text.chars().count() <= LOOSE;
        let whole: String = text.chars().map(|c| character(c, is_short)).collect();
        let encoded = (0..3).map(|offset| encoded(text, offset));
        let pattern = [whole].into_iter().chain(encoded).collect::<Vec<_>>().join("|");
        let pattern = RegexBuilder::new(&pattern).size_limit(PATTERN_AT_MOST).build().map_err(|_| TooLong)?;
        Ok(Self { text: text.to_owned(), pattern })
    }

    /// `text` without the secret, when it has it.
    fn redact(&self, text: &str) -> Option<String> {
        let whole = self.pattern.replace_all(text, REDACTED);
        let mut parts = whole.split('…').peekable();
        let mut redacted = String::new();
        while let Some(part) = parts.next() {
            let is_cut = parts.peek().is_some();
            let kept = if is_cut { self.without_beginning(part) } else { part };
            redacted.push_str(kept);
            redacted.push_str(if kept.len() < part.len() { REDACTED } else { "" });
            redacted.push_str(if is_cut { "…" } else { "" });
        }
        (redacted != text).then_some(redacted)
    }

    /// `part` without the beginning of the secret that it ends with, if it does.
    fn without_beginning<'a>(&self, part: &'a str) -> &'a str {
        let ends = self.text.char_indices().skip(SHORTEST).map(|(end, _)| end);
        let beginnings = ends.filter_map(|end| self.text.get(..end));
        beginnings.filter_map(|beginning| part.strip_suffix(beginning)).last().unwrap_or(part)
    }
}

/// A pattern for the ways to write `c`.
fn character(c: char, is_loose: bool) -> String {
    let plain = regex::escape(c.encode_utf8(&mut [0; 4]));
    if c.is_ascii_alphanumeric() && !is_loose {
        return plain;
    }
    let bytes = join(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02x}")));
    let units = join(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!(r"\\+u{unit:04x}")));
    let code = u32::from(c);
    let named = match c {
        ' ' => r"|\+",
        '&' => "|&amp;",
        '<' => "|&lt;",
        '>' => "|&gt;",
        '"' => "|&quot;",
        '\'' => "|&apos;",
        _ => "",
    };
    // Letters are never escaped: `\n` is another character.
    let escaped = if c.is_ascii_alphanumeric() { "" } else { r"\\*" };
    format!(
        r"(?:{escaped}{plain}|(?i:{bytes}|{units}|\\+u\{{0*{code:x}\}}|&#0*{code};|&#x0*{code:x};){named})"
    )
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().concat()
}

/// A pattern for `text` within something longer in Base64, behind `offset` bytes of a group of three.
fn encoded(text: &str, offset: usize) -> String {
    let behind = [vec![0; offset].as_slice(), text.as_bytes()].concat();
    let whole = STANDARD_NO_PAD.encode(&behind);
    // What other bytes have a part in is left out, and swallowed beside it.
    let first = (offset * 8).div_ceil(6);
    let core = whole.get(first..behind.len() * 8 / 6).unwrap_or_default();
    let core: String = core
        .chars()
        .map(|c| match c {
            '+' => r"(?:\+|-|%2[Bb]|\\u002[Bb])".to_owned(),
            '/' => r"(?:\\?/|_|%2[Ff])".to_owned(),
            other => other.to_string(),
        })
        .collect();
    format!("[A-Za-z0-9+/_-]{{0,3}}{core}[A-Za-z0-9+/_-]{{0,3}}(?:=|%3[Dd]){{0,2}}")
}

/// A writer that hands lines on without secrets.
pub(crate) struct Lines<W> {
    inner: W,
    begun: Vec<u8>,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new() }
    }

    /// The writer behind it, with everything that was written.
    ///
    /// # Errors
    ///
    /// When the rest cannot be written.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.inner)
    }

    /// Hands the first `count` bytes on.
    fn hand_on(&mut self, count: usize) -> io::Result<()> {
        let rest = self.begun.split_off(count);
        let lines = std::mem::replace(&mut self.begun, rest);
        self.inner.write_all(redact(&String::from_utf8_lossy(&lines)).as_bytes())
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if bytes.contains(&b'\n')
            && let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n')
        {
            self.hand_on(end + 1)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on(self.begun.len())?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const PASSWORD: &str = "pä\"s/w&o <r>d_1+'\\";

    fn cleaned(text: &str) -> String {
        Secret::new(PASSWORD).unwrap().redact(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn a_secret_is_found_in_every_form_in_which_it_may_be_repeated() {
        let json = serde_json::to_string(PASSWORD).unwrap();
        let json = json.trim_matches('"');
        let twice = serde_json::to_string(json).unwrap();
        let percent = join(PASSWORD.bytes().map(|byte| format!("%{byte:02X}")));
        let url = reqwest::Url::parse_with_params("http://x/", [("p", PASSWORD)]).unwrap();
        let basic = |user: &str| STANDARD.encode(format!("{user}:{PASSWORD}"));
        let safe = URL_SAFE.encode(format!("me:{PASSWORD}"));
        let markdown: String = PASSWORD
            .chars()
            .flat_map(|c| [Some('\\').filter(|_| !c.is_alphanumeric()), Some(c)])
            .flatten()
            .collect();
        let entities = join(PASSWORD.chars().map(|c| format!("&#{};", u32::from(c))));
        for form in [
            PASSWORD,
            json,
            twice.trim_matches('"'),
            &percent,
            &percent.to_lowercase(),
            url.query().unwrap().strip_prefix("p=").unwrap(),
            &basic("me"),
            &basic("you"),
            &basic("warden"),
            &basic("me").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"),
            &safe,
            &markdown,
            &entities,
            &maud::html! { (PASSWORD) }.into_string(),
            &json.replace('ä', "\\u00E4").replace('/', "\\/"),
        ] {
            let clean = cleaned(&format!("before ({form}) behind"));
            // Of the name before a password in Base64, whole groups may stay.
            let rest = clean.strip_prefix("before (").unwrap().strip_suffix("[redacted]) behind");
            let is_of_a_name = |rest: &str| {
                ["me:", "you:", "warden:"]
                    .map(|name| STANDARD.encode(name))
                    .iter()
                    .any(|name| name.starts_with(rest))
            };
            assert!(rest.is_some_and(is_of_a_name), "{form}: {clean}");
        }
    }

    #[test]
    fn a_secret_that_was_cut_is_found_and_other_text_stays() {
        assert_eq!(cleaned("it is pä\"s/w&… or so"), "it is [redacted]… or so");
        for other in ["it is pä\"s… or so", "pä\"s/w&o", "", "…"] {
            assert_eq!(cleaned(other), other);
        }
    }

    #[test]
    fn a_word_is_not_taken_for_a_secret_and_a_long_secret_is_found() {
        assert!(remember("read").is_ok());
        assert_eq!(redact("read-only"), "read-only");
        let long = "aB3-_.".repeat(2_000);
        let secret = Secret::new(&long).unwrap();
        assert_eq!(secret.redact(&format!("<{long}>")).unwrap(), "<[redacted]>");
        assert_eq!(secret.redact(&format!("{}…", &long[..300])).unwrap(), "[redacted]…");
    }

    #[test]
    fn lines_lose_secrets_however_they_are_cut_into_writes() {
        let secret = "only for this test 1";
        remember(secret).unwrap();
        let mut lines = Lines::new(Vec::new());
        for part in ["a only for th", "is test 1 b\nc only", " for this test 1"] {
            lines.write_all(part.as_bytes()).unwrap();
        }
        assert_eq!(lines.finish().unwrap(), b"a [redacted] b\nc [redacted]");
    }
}
