//! The mark in the description of a token, which is told from the owner's words and put behind them. A mark
//! that was not made with the key is not believed.
//!
//! A mark is how a token is made to end on a server that cannot bring an expiry nearer: it says on which
//! day a run will revoke the token. It is a suffix of the description, behind one space unless nothing
//! else is there:
//!
//! ```text
//! nightly build [tokenwarden: ends 2026-12-08 5f1c09ab34de77f20c81]
//! ```
//!
//! The day begins at midnight UTC. Behind it stand the first 80 bits, in lower-case hexadecimal, of
//! HMAC-SHA-256 (RFC 2104, whose least length for a truncated code is 80 bits) over
//! `tokenwarden mark 1`, the address of the server in its one form, the day and the identifier of the token,
//! with a zero byte between them; marks of earlier versions have the name of the target in place of the
//! address. Anyone who may rename a token can take its mark off, but can neither write a later day nor
//! carry a mark over from another token. White space behind it, or none before it, takes nothing from a mark;
//! everything else that is not exactly such a suffix, or does not verify, is part of the owner's words.

use std::iter;

use hmac::{Hmac, Mac};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::{Token, TokenId, digest::hex, is_blank};

/// What every mark begins with.
const HEAD: &str = "[tokenwarden: ends ";
/// Bytes of a date, `2026-12-08`.
const DATE: usize = 10;
/// Hexadecimal characters of the code.
const CODE: usize = 20;
/// How long every mark is, in characters, without the space before it.
const LENGTH: usize = HEAD.len() + DATE + 1 + CODE + 1;
/// What stands for the words that had to go.
const CUT: char = '…';
/// The words of a token of which nothing but the mark is left, where a description cannot be empty.
const UNNAMED: &str = "unnamed";

/// The deadline of a token on a server that cannot set an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The moment from which on a run revokes the token, UTC midnight.
    pub until: Timestamp,
    /// The day written in the description, UTC midnight. It is another one than `until`, or nothing,
    /// when the record of an earlier run knows better, since somebody took that mark off.
    pub shown: Option<Timestamp>,
}

impl Mark {
    /// Whether the description says what counts.
    #[must_use]
    pub fn stands(self) -> bool {
        self.shown == Some(self.until)
    }
}

/// The key that marks are made and verified with.
///
/// It has no `Debug`, `Display` or `Serialize`, and is wiped when it is dropped.
#[derive(Clone)]
pub struct MarkKey(SecretString);

/// The text is too short for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key for marks has fewer than {} bytes; make one with `openssl rand -hex 32`",
    MarkKey::BYTES_AT_LEAST
)]
pub struct ShortKey;

impl MarkKey {
    /// The least length of a key, in bytes.
    pub const BYTES_AT_LEAST: usize = 16;

    /// The key that is the bytes of `text`, without white space around it.
    ///
    /// # Errors
    ///
    /// When it is shorter than 16 bytes.
    pub fn new(text: &str) -> Result<Self, ShortKey> {
        let text = text.trim();
        if text.len() < Self::BYTES_AT_LEAST { Err(ShortKey) } else { Ok(Self(SecretString::from(text))) }
    }
}

/// Somebody renamed a token since it was planned to mark it, and the mark would cut the new words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was renamed since the plan was made, and its mark has no room behind the new description")]
pub struct NoRoom;

/// Makes and reads the marks of one target.
#[derive(Clone)]
pub struct Marker {
    key: MarkKey,
    server: String,
    earlier: Vec<String>,
    room: usize,
}

impl Marker {
    /// A marker for the server known as `server`, whose descriptions have room for `room` UTF-16 code units,
    /// which is how Java servers count.
    #[must_use]
    pub fn new(key: MarkKey, server: impl Into<String>, room: usize) -> Self {
        Self { key, server: server.into(), earlier: Vec::new(), room }
    }

    /// The same, which also reads the marks that were made for the server when it was known as `name`.
    #[must_use]
    pub fn or_of(mut self, name: impl Into<String>) -> Self {
        self.earlier.push(name.into());
        self
    }

    /// The owner's words in `text`, the whole description of the token `id`, and the mark that stands
    /// behind them. Of several marks, one behind the other, the earliest counts.
    #[must_use]
    pub fn read<'a>(&self, text: &'a str, id: &TokenId) -> (&'a str, Option<Mark>) {
        let (mut words, mut first) = (text, None);
        // White space that its owner puts around it makes a mark no part of the words.
        while let Some((before, until)) = self.split(words.trim_end_matches(is_blank), id) {
            words = before;
            first = Some(first.map_or(until, |first: Timestamp| first.min(until)));
        }
        (words, first.map(|until| Mark { until, shown: Some(until) }))
    }

    /// The whole description of `token`, which is `text` by now, with a mark for the day that begins at
    /// `until`; `None` when it has one that counts: of that day, or of an earlier one that was not there when
    /// `token` was planned with.
    ///
    /// # Errors
    ///
    /// When words that were not planned with have no room beside the mark.
    pub fn marked(&self, text: &str, token: &Token, until: Timestamp) -> Result<Option<String>, NoRoom> {
        let (words, mark) = self.read(text, &token.id);
        let planned = token.mark.and_then(|mark| mark.shown);
        let stands = |shown| shown == until || (shown < until && planned != Some(shown));
        if mark.is_some_and(|mark| stands(mark.until)) {
            return Ok(None);
        }
        if words != token.description && fitting(words, self.room) != words {
            return Err(NoRoom);
        }
        Ok(Some(self.write(words, &token.id, until)))
    }

    /// The whole description of the token `id`: `words` and a mark for the day that begins at `until`.
    /// If both do not fit, the end of the words is cut off.
    #[must_use]
    pub fn write(&self, words: &str, id: &TokenId, until: Timestamp) -> String {
        let day = day(until);
        let mark = format!("{HEAD}{day} {}]", self.code(&self.server, id, day));
        match fitting(words, self.room) {
            words if words.is_empty() => mark,
            words => format!("{words} {mark}"),
        }
    }

    /// The whole description of a token whose words are `words` once its mark is gone; never empty.
    #[must_use]
    pub fn unmarked(words: &str) -> &str {
        if words.trim().is_empty() { UNNAMED } else { words }
    }

    fn split<'a>(&self, text: &'a str, id: &TokenId) -> Option<(&'a str, Timestamp)> {
        let (before, mark) = text.split_at_checked(text.len().checked_sub(LENGTH)?)?;
        let words = before.strip_suffix(' ').unwrap_or(before);
        let (date, rest) = mark.strip_prefix(HEAD)?.split_at_checked(DATE)?;
        let code = rest.strip_prefix(' ')?.strip_suffix(']')?;
        let day: Date = date.parse().ok()?;
        let until = day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
        // The date is also compared as text: a parser may take more than one form.
        let verifies = |server: &String| {
            let made = self.code(server, id, day);
            bool::from(subtle::ConstantTimeEq::ct_eq(made.as_bytes(), code.as_bytes()))
        };
        let is_ours = iter::once(&self.server).chain(&self.earlier).any(verifies);
        (day.to_string() == date && is_ours).then_some((words, until))
    }

    fn code(&self, server: &str, id: &TokenId, day: Date) -> String {
        // HMAC takes keys of every length: the error that its trait knows never comes.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.0.expose_secret().as_bytes()) else {
            return String::new();
        };
        mac.update(format!("tokenwarden mark 1\0{server}\0{day}\0{id}").as_bytes());
        let code = mac.finalize().into_bytes();
        hex(code.get(..CODE / 2).unwrap_or_default())
    }
}

/// `words` as far as they fit beside a mark in a description with room for `room` UTF-16 code units; cut
/// words end with `…`.
#[must_use]
pub fn fitting(words: &str, room: usize) -> String {
    let room = room.saturating_sub(LENGTH + 1);
    if units(words) <= room {
        return words.to_owned();
    }
    let mut kept = String::new();
    let mut left = room.saturating_sub(CUT.len_utf16());
    for character in words.chars() {
        let Some(rest) = left.checked_sub(character.len_utf16()) else { break };
        left = rest;
        kept.push(character);
    }
    kept.push(CUT);
    kept
}

/// Whether the words of `token` are what [`fitting`] left of longer ones beside the mark that it has, in a
/// description with room for `room` UTF-16 code units.
#[must_use]
pub fn is_cut(token: &Token, room: usize) -> bool {
    // A character of two units may have left one of the room.
    let least = room.saturating_sub(LENGTH + 2);
    let is_shown = token.mark.is_some_and(|mark| mark.shown.is_some());
    is_shown && token.description.ends_with(CUT) && units(&token.description) >= least
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

fn day(moment: Timestamp) -> Date {
    moment.to_zoned_datetime(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Owner, TokenScope};

    const ROOM: usize = 255;

    fn marker(key: &str, target: &str) -> Marker {
        Marker::new(MarkKey::new(key).unwrap(), target, ROOM)
    }

    fn ours() -> Marker {
        marker("a key of sixteen bytes or more", "prod")
    }

    fn until(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_mark_of_the_name_that_a_target_had_stands_and_one_of_the_address_needs_no_name() {
        let (key, id) = ("a key of sixteen bytes or more", TokenId::new("7"));
        let until = "2026-12-08T00:00:00Z".parse().unwrap();
        let now = marker(key, "bitbucket.example.com").or_of("prod");
        for made in [marker(key, "prod"), now.clone()] {
            assert_eq!(now.read(&made.write("nightly", &id, until), &id).0, "nightly");
        }
        let renamed = marker(key, "bitbucket.example.com").or_of("production");
        assert_eq!(renamed.read(&now.write("nightly", &id, until), &id).0, "nightly");
        let elsewhere = marker(key, "test.example.com").or_of("prod").write("nightly", &id, until);
        assert_eq!(now.read(&elsewhere, &id), (elsewhere.as_str(), None));
    }

    proptest! {
        #[test]
        fn a_mark_reads_back_behind_any_words(words in ".{0,90}", id in "[0-9]{1,12}", day in 0i64..30_000) {
            let (id, then) = (TokenId::new(id), Timestamp::from_second(day * 86_400).unwrap());
            let text = ours().write(&words, &id, then);
            prop_assert_eq!(ours().read(&text, &id), (words.as_str(), Some(Mark { until: then, shown: Some(then) })));
        }

        #[test]
        fn a_mark_fits_whatever_the_words_and_is_never_cut_itself(words in "(?s).{0,400}", room in 80usize..300) {
            let (id, then) = (TokenId::new("075905477751"), until("2026-12-08T00:00:00Z"));
            let marker = Marker { room, ..ours() };
            let text = marker.write(&words, &id, then);
            prop_assert!(units(&text) <= room);
            let (kept, mark) = marker.read(&text, &id);
            prop_assert_eq!(mark.map(|mark| mark.until), Some(then));
            if units(&words) + LENGTH < room {
                prop_assert_eq!(kept, words);
            } else {
                prop_assert!(kept.strip_suffix(CUT).is_some_and(|kept| words.starts_with(kept)));
            }
        }

        #[test]
        fn no_other_text_is_a_mark(text in "(?s).{0,80}") {
            prop_assert_eq!(ours().read(&text, &TokenId::new("1")), (text.as_str(), None));
        }

        #[test]
        fn a_mark_with_one_character_changed_is_part_of_the_words(at in 0usize..LENGTH, by in "[0-9a-f \\]]") {
            let id = TokenId::new("7");
            let text = ours().write("nightly", &id, until("2026-12-08T00:00:00Z"));
            let at = text.len() - LENGTH + at;
            let changed = format!("{}{by}{}", &text[..at], &text[at + 1..]);
            prop_assume!(changed != text);
            prop_assert_eq!(ours().read(&changed, &id), (changed.as_str(), None));
        }
    }

    #[test]
    fn white_space_that_somebody_puts_around_a_mark_makes_it_no_part_of_the_words() {
        let (id, then) = (TokenId::new("7"), until("2026-12-08T00:00:00Z"));
        let mark = ours().write("", &id, then);
        for text in [
            format!("nightly {mark} "),
            format!("nightly {mark} \t\r\n"),
            format!("nightly {mark}\u{a0}\u{200b}"),
            format!("nightly{mark}"),
            format!("nightly {mark} {mark} "),
            format!("nightly {mark}  {mark}"),
        ] {
            let (words, read) = ours().read(&text, &id);
            assert_eq!((words, read.map(|mark| mark.until)), ("nightly", Some(then)), "{text:?}");
        }
        assert_eq!(ours().read("nightly ", &id), ("nightly ", None), "words stay as they are");
    }

    #[test]
    fn the_form_of_a_mark_stays_what_it_is() {
        let text =
            ours().write("nightly build", &TokenId::new("075905477751"), until("2026-12-08T00:00:00Z"));
        insta::assert_snapshot!(text, @"nightly build [tokenwarden: ends 2026-12-08 4883279666c15eaca1d5]");
        assert_eq!(text.len(), "nightly build ".len() + LENGTH);
    }

    #[test]
    fn a_mark_is_for_one_token_of_one_target_and_one_key() {
        let (id, then) = (TokenId::new("7"), until("2026-12-08T00:00:00Z"));
        let text = ours().write("", &id, then);
        assert_eq!(ours().read(&text, &id).0, "");
        for (marker, id) in [
            (ours(), TokenId::new("07")),
            (marker("a key of sixteen bytes or more", "test"), id.clone()),
            (marker("another key of enough bytes", "prod"), id.clone()),
        ] {
            assert_eq!(marker.read(&text, &id), (text.as_str(), None));
        }
    }

    #[test]
    fn a_mark_with_words_behind_it_is_part_of_them() {
        let (id, then) = (TokenId::new("7"), until("2026-12-08T00:00:00Z"));
        let text = ours().write("nightly", &id, then);
        let text = format!("{text} v2");
        assert_eq!(ours().read(&text, &id), (text.as_str(), None));
    }

    #[test]
    fn of_several_marks_the_earliest_counts_and_none_is_part_of_the_words() {
        let (id, early, late) =
            (TokenId::new("7"), until("2026-12-08T00:00:00Z"), until("2026-12-20T00:00:00Z"));
        for (first, second) in [(early, late), (late, early), (early, early)] {
            let text = ours().write(&ours().write("nightly", &id, first), &id, second);
            assert_eq!(ours().read(&text, &id), ("nightly", Some(Mark { until: early, shown: Some(early) })));
        }
        let other = ours().write("nightly", &TokenId::new("8"), early);
        let text = ours().write(&other, &id, late);
        assert_eq!(ours().read(&text, &id).0, other, "that of another token is part of the words");
    }

    fn token(description: &str, mark: Option<Mark>) -> Token {
        Token {
            id: TokenId::new("7"),
            owner: Owner::User("mary".into()),
            description: description.to_owned(),
            scope: TokenScope::Unset,
            created: until("2026-01-01T00:00:00Z"),
            created_by: None,
            last_used: None,
            expires: None,
            mark,
        }
    }

    #[test]
    fn a_mark_is_replaced_by_a_later_one_only_where_the_plan_saw_it() {
        let (id, early, late) =
            (TokenId::new("7"), until("2026-12-08T00:00:00Z"), until("2026-12-20T00:00:00Z"));
        let with = |day| ours().write("nightly", &id, day);
        let seen = |day| token("nightly", Some(Mark { until: day, shown: Some(day) }));
        assert_eq!(ours().marked(&with(early), &seen(early), late), Ok(Some(with(late))));
        assert_eq!(ours().marked(&with(early), &token("nightly", None), late), Ok(None), "another run's");
        assert_eq!(ours().marked(&with(late), &seen(early), late), Ok(None), "it is so already");
        assert_eq!(ours().marked(&with(late), &seen(late), early), Ok(Some(with(early))));
        assert_eq!(ours().marked("nightly", &token("nightly", None), early), Ok(Some(with(early))));
    }

    #[test]
    fn words_that_were_written_since_the_plan_are_not_cut() {
        let (long, then) = ("x".repeat(250), until("2026-12-08T00:00:00Z"));
        assert_eq!(ours().marked(&long, &token("nightly", None), then), Err(NoRoom));
        let cut = ours().marked(&long, &token(&long, None), then).unwrap().unwrap();
        assert_eq!(units(&cut), ROOM, "the plan said so");
    }

    #[test]
    fn cut_words_are_known_for_what_they_are() {
        let (id, then) = (TokenId::new("7"), until("2026-12-08T00:00:00Z"));
        let seen = |words: &str| {
            let text = ours().write(words, &id, then);
            let (kept, mark) = ours().read(&text, &id);
            token(kept, mark)
        };
        for words in [
            "x".repeat(250),
            "\u{1f511}".repeat(125),
            format!("x{}", "\u{1f511}".repeat(125)),
            "é".repeat(250),
        ] {
            assert!(is_cut(&seen(&words), ROOM), "{words}");
        }
        for words in ["nightly".to_owned(), "nightly…".to_owned(), "x".repeat(ROOM - LENGTH - 1)] {
            assert!(!is_cut(&seen(&words), ROOM), "{words}");
        }
        assert!(
            !is_cut(&token(&format!("{}…", "x".repeat(230)), None), ROOM),
            "without a mark nothing was cut"
        );
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(MarkKey::new("  fifteen bytes!  ").is_err());
        assert!(MarkKey::new("sixteen bytes !!").is_ok());
    }
}
