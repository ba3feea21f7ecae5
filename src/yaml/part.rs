//! The place in the file of a part of a text, which may be written there over several lines.

use std::{ops::Range, sync::Arc};

use super::{
    Place, Span,
    node::{Node, Value},
    source::{line_starts, number},
};

impl Node {
    /// Where the bytes `range` of the text here stand in the file; `None` when they are written there in another form,
    /// such as with escapes, or behind an alias.
    pub(crate) fn part(&self, range: Range<usize>) -> Option<Span> {
        let Value::Text(text) = &self.value else { return None };
        let (written, quote) = match &self.written {
            Some(written) => (written.as_ref(), 0),
            // As it is, or in quotes.
            None => (text.as_str(), (self.span.end - self.span.start).checked_sub(text.len())? / 2),
        };
        let part = if self.written.is_some() { aligned(written, text, &range)? } else { range };
        let before = written.get(..part.start)?;
        let line_start = line_starts(before).last().unwrap_or(0);
        let breaks = number(line_starts(before).count() - 1);
        let characters = number(before.get(line_start..)?.chars().count());
        let Place { file, line, column } = &self.span.place;
        let column = if breaks == 0 { column + number(quote) + characters } else { 1 + characters };
        Some(Span {
            place: Place { file: Arc::clone(file), line: line + breaks, column },
            start: self.span.start + quote + part.start,
            end: self.span.start + quote + part.end,
        })
    }
}

/// How `written`, which is what the file has, is to be kept beside its `text`: nothing unless it is neither the text
/// itself nor that in quotes.
pub(super) fn unlike(written: &str, text: &str) -> Option<Box<str>> {
    let is_like = written == text || unquoted(written) == Some(text);
    (!is_like).then(|| written.into())
}

/// What is between the quotes of `written`, when it has them.
fn unquoted(written: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| written.strip_prefix(quote)?.strip_suffix(quote))
}

/// Where the bytes `range` of `text` are in `written`, which differs from it in white space alone: lines are folded and
/// indented. An escape always leaves fewer characters than it is written with, and with it they are not the same.
fn aligned(written: &str, text: &str, range: &Range<usize>) -> Option<Range<usize>> {
    let within = unquoted(written).and_then(|inner| {
        let part = matched(inner, text, range)?;
        Some(part.start + 1..part.end + 1)
    });
    within.or_else(|| matched(written, text, range))
}

fn matched(written: &str, text: &str, range: &Range<usize>) -> Option<Range<usize>> {
    let mut there = solid(written);
    let (mut before, mut part) = (0, None);
    for (at, c) in solid(text) {
        let (place, same) = there.next()?;
        if same != c {
            return None;
        }
        let end = place + c.len_utf8();
        if at < range.start {
            before = end;
        } else if at < range.end {
            let start = part.map_or(place, |part: Range<usize>| part.start);
            part = Some(start..end);
        }
    }
    there.next().is_none().then(|| part.unwrap_or(before..before))
}

/// The characters of `text` that are no white space.
fn solid(text: &str) -> impl Iterator<Item = (usize, char)> {
    text.char_indices().filter(|(_, c)| !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::super::{node::At, source};
    use super::*;

    #[test]
    fn a_part_of_a_text_is_found_where_it_is_written() {
        for (value, expected) in [
            ("a == wrong", Some((1, 9))),
            ("'a == wrong'", Some((1, 10))),
            ("\"ä == wrong && é\"", Some((1, 10))),
            ("a ==\n  wrong", Some((2, 3))),
            ("a\n    == wrong", Some((2, 8))),
            ("'a ==\n\n   wrong'", Some((3, 4))),
            ("\"a ==\r\n  wrong\"", Some((2, 3))),
            ("\"a == \\\n  wrong\"", None),
            ("\"\\x61 == wrong\"", None),
            ("\"\\L == wrong\"", None),
            ("'a == '''' || wrong'", None),
            ("|\n  a ==\n    wrong\n", Some((3, 5))),
            (">- # why\n\n    a\n    == wrong\n", Some((4, 8))),
            ("|2\n    'a' ==\n  wrong'\n", Some((3, 3))),
        ] {
            let file = Arc::from("file.yaml");
            let text = format!("k: {value}\n");
            let root = source::parse(&file, text.as_bytes()).root.unwrap();
            let at = At::root(&root).get("k").unwrap();
            let start = at.text().unwrap().find("wrong").unwrap();
            let found = at.node.part(start..start + "wrong".len());
            if let Some(span) = &found {
                assert_eq!(text.get(span.start..span.end), Some("wrong"), "{value}");
            }
            let place = found.map(|span| (span.place.line, span.place.column));
            assert_eq!(place, expected, "{value}");
        }
    }

    #[test]
    fn an_alias_is_marked_where_it_is_used() {
        let text = "a: &name [x, 5]\nb: *name\nc: &text >-\n  x\n  y\nd: [*text]\ne: { <<: { f: 1 } }\n";
        let root = source::parse(&Arc::from("file.yaml"), text.as_bytes()).root.unwrap();
        let root = At::root(&root);
        let marked = |at: &At<'_>| text.get(at.span().start..at.span().end).map(str::to_owned);
        assert_eq!(marked(&root.get("b").unwrap()).as_deref(), Some("*name"));
        let inside: Vec<_> = root.get("b").unwrap().items().map(|item| marked(&item)).collect();
        assert_eq!(inside, [Some("x".to_owned()), Some("5".to_owned())]);
        let used = root.get("d").unwrap().item(0).unwrap();
        assert_eq!((marked(&used).as_deref(), used.node.part(0..1)), (Some("*text"), None));
        assert_eq!(marked(&root.find(&["e", "f"]).unwrap()).as_deref(), Some("1"));
    }
}
