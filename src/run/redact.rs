//! The secrets that this process knows, kept out of everything that it writes, whatever a server repeats.
//!
//! A secret is found as it is, and as JSON, URLs, HTML, XML, Markdown and Base64 (`Authorization: Basic ..`)
//! write it, also in part where a text was cut. None of these forms goes beyond a line, so that lines can be looked
//! through one by one.

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
/// How much is looked through together, in bytes, where much is written.
const PIECE: usize = 64 << 10;
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

/// Keeps `text` out of everything that is written from now on; of several lines each one by itself as well.
///
/// # Errors
///
/// When it is too long to be looked for.
pub(crate) fn remember(text: &str) -> Result<(), TooLong> {
    text.lines().filter(|line| *line != text).try_for_each(remember)?;
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

/// The text of `bytes` that are to be looked through, with a sign for what is not UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    // What is UTF-8 throughout, as nearly everything is, is found so in less time.
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Hands on to `out` what `write` writes, without any secret that is known, and returns `out`. No more than some lines
/// of it are kept at a time.
///
/// # Errors
///
/// When `write` fails, or `out` does.
pub(crate) fn through<W: Write>(
    out: W,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    let mut lines = Lines { piece: PIECE, ..Lines::new(out) };
    write(&mut lines)?;
    lines.finish()
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
    /// How much waits for more before it is handed on, in bytes.
    piece: usize,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new(), piece: 0 }
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
        let lines = self.begun.get(..count).unwrap_or_default();
        self.inner.write_all(redact(&text_of(lines)).as_bytes())?;
        self.begun.drain(..count);
        Ok(())
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if self.begun.len() >= self.piece
            && bytes.contains(&b'\n')
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
    use proptest::{collection::vec, prelude::*, sample::select};

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
    fn of_a_secret_of_several_lines_each_is_found() {
        remember("-- for this test 3\nand its second line\n.").unwrap();
        assert_eq!(redact("a -- for this test 3\nb and its second line\n."), "a [redacted]\nb [redacted]\n.");
    }

    proptest! {
        #[test]
        fn what_is_looked_through_in_pieces_is_what_it_is_as_a_whole(
            parts in vec((text(), 0..3_usize), 0..40),
            piece in 0..200_usize,
            cuts in vec(0..30_usize, 1..20),
        ) {
            let secrets = ["only for \"this\" test 2", "pä/w&o<r>d_2"];
            for secret in secrets {
                remember(secret).unwrap();
            }
            let whole: String = parts.into_iter().map(|(text, behind)| match secrets.get(behind) {
                Some(secret) => text + secret,
                None => text,
            }).collect();
            let mut lines = Lines { piece, ..Lines::new(Vec::new()) };
            let (mut rest, mut cuts) = (whole.as_bytes(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(rest.len().min(cuts.next().unwrap() + 1));
                lines.write_all(part).unwrap();
                rest = behind;
            }
            let written = String::from_utf8(lines.finish().unwrap()).unwrap();
            prop_assert_eq!(&written, &redact(&whole));
            prop_assert!(secrets.iter().all(|secret| !written.contains(secret)));
        }
    }

    /// Text with forms of the secrets of the test that looks through it, and with what may be taken for parts of them.
    fn text() -> impl Strategy<Value = String> {
        let encoded = STANDARD.encode("me:only for \"this\" test 2");
        let forms =
            ["only for \"th", "only for…", "is\" test 2", "\n", "…", "\\", "%20", " ", "=", "ä", &encoded];
        select(forms.map(str::to_owned).to_vec())
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
