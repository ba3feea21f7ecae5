//! The target of a request, taken apart in the only way in which it can be read.

use std::borrow::Cow;

use crate::model::percent;

/// A target that could be read in two ways, so that nobody is asked which one was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    /// It is not a path.
    #[error("the target of a request is a path that begins with `/`")]
    Form,
    /// It has a character in it that belongs into no path or query.
    #[error(
        "a path has no `;`, `\\`, `#`, quotes, braces, spaces, control characters or letters beyond ASCII in it; encode them"
    )]
    Character,
    /// It encodes what needs no encoding, or what would be read once more.
    #[error(
        "a path has no encoded `/`, `\\`, `;`, control characters, letters, digits, `.`, `_` and `-` in it, and nothing that is encoded twice"
    )]
    Encoding,
    /// It has a segment that is empty, consists of dots, or begins or ends with a space.
    #[error("a path has no empty segments, none of dots, and none that begins or ends with a space")]
    Segment,
    /// It has a word in another case.
    #[error("the words of a path are in lower case")]
    Case,
    /// It names a place that is somewhere else.
    #[error("tokens are managed below `/rest/access-tokens/`, and nowhere else")]
    Place,
    /// It is a request about tokens that nobody knows.
    #[error("no such request about tokens is known")]
    Tokens,
    /// Its query says twice what it says, or in two ways.
    #[error("the query names one service, and one time")]
    Service,
    /// Its query has a password in it.
    #[error("a query has no user or password in it")]
    Password,
}

/// Where the server behind serves what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    context: Vec<String>,
    git: Vec<String>,
}

impl Prefixes {
    /// Below `context_path`, which is empty for a server at the root, with Git below `git_prefix` of that.
    #[must_use]
    pub fn new(context_path: &str, git_prefix: &str) -> Self {
        let segments =
            |text: &str| text.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
        Self { context: segments(context_path), git: segments(git_prefix) }
    }

    /// `segments` without those of the context path; all of them when they lie beside it.
    pub(super) fn below_context<'a>(&self, segments: &'a [&'a str]) -> Result<&'a [&'a str], Ambiguous> {
        Ok(if begins_with(segments, &self.context)? {
            segments.get(self.context.len()..).unwrap_or_default()
        } else {
            segments
        })
    }

    /// What of `segments`, which are those below the context path, lies below the prefix of Git; `None` when they do
    /// not lie there.
    pub(super) fn below_git<'a>(&self, segments: &'a [&'a str]) -> Result<Option<&'a [&'a str]>, Ambiguous> {
        let lies_there = !self.git.is_empty() && begins_with(segments, &self.git)?;
        Ok(segments.get(self.git.len()..).filter(|_| lies_there))
    }
}

fn begins_with(segments: &[&str], words: &[String]) -> Result<bool, Ambiguous> {
    let mut begins = segments.len() >= words.len();
    for (segment, word) in segments.iter().zip(words) {
        begins &= is_word(Some(segment), word)?;
        if !begins {
            break;
        }
    }
    Ok(begins)
}

/// Whether `segment` is `word`.
///
/// # Errors
///
/// When it is the same word in another case.
pub(super) fn is_word(segment: Option<&str>, word: &str) -> Result<bool, Ambiguous> {
    match segment {
        Some(segment) if segment == word => Ok(true),
        Some(segment) if segment.eq_ignore_ascii_case(word) => Err(Ambiguous::Case),
        Some(segment) if !segment.is_ascii() && folded(segment) == folded(word) => Err(Ambiguous::Case),
        _ => Ok(false),
    }
}

/// The form in which words compare under the widest reading of case: `ſ` is `s`, and the Kelvin sign is `k`.
pub(super) fn folded(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

/// A target that can be read in one way alone.
#[derive(Debug)]
pub(super) struct RequestTarget<'a> {
    /// The segments of the path, decoded; the last one is empty when the path ends with a slash.
    segments: Vec<Cow<'a, str>>,
    /// Names and values of the query, decoded.
    query: Vec<(String, String)>,
}

/// Names of what OAuth and its kin carry in a query.
const CREDENTIALS: [&str; 4] = ["access_token", "oauth_token", "oauth_consumer_key", "jwt"];
/// Names under which a password is carried in a query.
const PASSWORDS: [&str; 2] = ["os_username", "os_password"];

impl<'t> RequestTarget<'t> {
    /// Reads `target`: a path and its query.
    pub(super) fn read(target: &'t str) -> Result<Self, Ambiguous> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix('/').ok_or(Ambiguous::Form)?;
        if !path.bytes().all(is_plain) || !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Ambiguous::Character);
        }
        let last = path.split('/').count().saturating_sub(1);
        let segments = path.split('/').enumerate().map(|(place, text)| segment(text, place == last));
        let segments = segments.collect::<Result<_, _>>()?;
        let target = Self { segments, query: pairs(query) };
        if target.has(&PASSWORDS) {
            return Err(Ambiguous::Password);
        }
        Ok(target)
    }

    pub(super) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(AsRef::as_ref).collect()
    }

    /// The values of `name` in the query.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.has(&CREDENTIALS)
    }

    fn has(&self, names: &[&str]) -> bool {
        self.query.iter().any(|(name, _)| names.iter().any(|other| name.eq_ignore_ascii_case(other)))
    }
}

/// Whether a byte stands for itself in a path, and for nothing else.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b';' | b'\\' | b'#' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}')
}

/// One segment of a path, decoded. All its bytes are plain.
fn segment(text: &str, is_last: bool) -> Result<Cow<'_, str>, Ambiguous> {
    if (text.is_empty() && !is_last) || matches!(text, "." | "..") {
        return Err(Ambiguous::Segment);
    }
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut encoded = text.split('%');
    let _ = encoded.next();
    for part in encoded {
        let (digits, rest) = part.split_at_checked(2).ok_or(Ambiguous::Encoding)?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal);
        let byte = byte.ok_or(Ambiguous::Encoding)?;
        if is_never_encoded(byte) || (byte == b'%' && begins_with_code(rest)) {
            return Err(Ambiguous::Encoding);
        }
    }
    let decoded = percent::decode(text).ok_or(Ambiguous::Encoding)?;
    if decoded.trim() != decoded || decoded.contains(char::is_control) {
        return Err(Ambiguous::Segment);
    }
    Ok(Cow::Owned(decoded))
}

/// Whether no client encodes this byte, or a server could take it for more than a character once it is decoded.
fn is_never_encoded(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._/\\;".contains(&byte)
}

/// Whether `rest`, behind an encoded `%`, makes that the beginning of another code.
fn begins_with_code(rest: &str) -> bool {
    // The digits themselves can be encoded no more than other letters.
    rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2
}

/// Names and values of a query, each read once: `+` is a space, and `;` separates as `&` does.
fn pairs(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| String::from_utf8_lossy(&percent::bytes(&text.replace('+', " "))).into_owned();
    let pairs = query.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}
