//! The layout of text in columns: how wide it is on a terminal, and where its lines break.

use std::fmt::{self, Write};

use unicode_width::UnicodeWidthStr;

/// Columns of a reader that has no width, such as a file or a pipe.
const OF_A_PIPE: usize = 200;
/// A narrower terminal is taken for as wide as this.
const NARROWEST: usize = 40;
/// A column of words is at least as wide as this; otherwise its words go below.
const NARROWEST_COLUMN: usize = 24;
/// How much further in a line goes on than it began.
const HANGING: usize = 4;

/// How many columns a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    width: usize,
}

impl Default for Layout {
    /// That of a pipe.
    fn default() -> Self {
        Self { width: OF_A_PIPE }
    }
}

impl Layout {
    /// Breaks no line.
    pub const UNBROKEN: Self = Self { width: usize::MAX };

    /// For a terminal of `width` columns. Wider than 200 no line is easy to read.
    #[must_use]
    pub fn of_terminal(width: usize) -> Self {
        Self { width: width.clamp(NARROWEST, OF_A_PIPE) }
    }

    /// Column at which the line of the policy stands: 56 of 80, and 68 where there is room.
    pub(super) fn place_column(self) -> usize {
        56 + self.beyond_80() * 3 / 10
    }

    /// Column at which the reason stands behind what happens: 42 of 80, and 52 where there is room.
    pub(super) fn reason_column(self) -> usize {
        42 + self.beyond_80() / 4
    }

    fn beyond_80(self) -> usize {
        self.width.saturating_sub(80).min(40)
    }

    /// `text` with every line that is too long broken between words. A wide gap between columns gives way first;
    /// what follows stays in the last column where that has room, and is indented otherwise. A word is never cut.
    #[must_use]
    pub fn fit(self, text: &str) -> String {
        let mut fitted = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end_matches('\n');
            if columns(bare) <= self.width {
                fitted.push_str(line);
            } else {
                fitted.push_str(&self.fit_line(bare));
                fitted.push_str(&line[bare.len()..]);
            }
        }
        fitted
    }

    /// `text` with every message in it broken as by [`fit`](Self::fit); lines of a file that it shows, and what points
    /// at them, stay as they are.
    #[must_use]
    pub fn fit_messages(self, text: &str) -> String {
        let fitted = |line| if begins_with_a_letter(line) { self.fit(line) } else { str::to_owned(line) };
        text.split_inclusive('\n').map(fitted).collect()
    }

    fn fit_line(self, line: &str) -> String {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let Some((left, right)) = last_gap(line) else { return self.wrap(line, indent + HANGING) };
        let (before, after) = (columns(left), columns(right));
        if before + 2 + after <= self.width {
            return format!("{left}{:gap$}{right}", "", gap = self.width - before - after);
        }
        let column = columns(line) - after;
        let hanging = if column + NARROWEST_COLUMN <= self.width { column } else { indent + HANGING };
        self.wrap(line, hanging)
    }

    /// `line` broken between words; it goes on at the column `hanging`.
    fn wrap(self, line: &str, hanging: usize) -> String {
        let mut wrapped = String::with_capacity(line.len() + 16);
        let (mut at, mut is_first) = (0, true);
        let mut rest = line;
        while !rest.is_empty() {
            let word_at = rest.len() - rest.trim_start_matches(' ').len();
            let (blanks, from_word) = rest.split_at(word_at);
            let (word, after) = from_word.split_at(from_word.find(' ').unwrap_or(from_word.len()));
            let width = columns(word);
            if is_first || at + blanks.len() + width <= self.width {
                wrapped.push_str(blanks);
                at += blanks.len();
            } else {
                // A word that its column has no room for goes where it has more.
                let column = if hanging + width <= self.width { hanging } else { hanging.min(10) };
                wrapped.push('\n');
                wrapped.extend(std::iter::repeat_n(' ', column));
                at = column;
            }
            wrapped.push_str(word);
            (at, is_first, rest) = (at + width, is_first && word.is_empty(), after);
        }
        wrapped
    }

    /// `left` up to `column`, and each of `rights` behind it or all of them below it, a line each that is broken
    /// between words where it has to be.
    pub(super) fn two_columns(self, left: &str, column: usize, rights: &[String]) -> String {
        let has_room = columns(left) <= column && column + 1 + NARROWEST_COLUMN <= self.width;
        let mut lefts = std::iter::once(left).chain(std::iter::repeat(""));
        let lines: Vec<_> = rights
            .iter()
            .zip(&mut lefts)
            .map(|(right, left)| format!("{} {right}", pad(left, column)))
            .collect();
        let lines: Vec<_> = if has_room || lines.iter().all(|line| columns(line) <= self.width) {
            lines.iter().map(|line| self.wrap(line, column + 1)).collect()
        } else {
            let (hanging, indent) = (below(left), below(left) + HANGING);
            let below = |right| self.wrap(&format!("{:hanging$}{right}", ""), indent);
            std::iter::once(self.wrap(left, hanging)).chain(rights.iter().map(below)).collect()
        };
        lines.join("\n")
    }

    /// `left` up to `column`, and `right` behind it; nearer, or below it, where it has no room as a whole.
    pub(super) fn whole_behind(self, left: &str, column: usize, right: &str) -> String {
        let line = format!("{} {right}", pad(left, column));
        if columns(&line) <= self.width {
            return line;
        }
        match self.width.checked_sub(columns(right) + 1) {
            Some(nearer) if columns(left) <= nearer => format!("{} {right}", pad(left, nearer)),
            _ => {
                let hanging = below(left);
                let right = self.wrap(&format!("{:hanging$}{right}", ""), hanging);
                format!("{}\n{right}", self.wrap(left, hanging))
            }
        }
    }
}

/// A writer that hands lines on as [`Layout::fit`] breaks them.
pub(super) struct Fitted<W> {
    layout: Layout,
    begun: String,
    inner: W,
}

impl<W: Write> Fitted<W> {
    pub(super) fn new(layout: Layout, inner: W) -> Self {
        Self { layout, begun: String::new(), inner }
    }

    /// Hands on the last line, which may have no end.
    pub(super) fn finish(mut self) -> fmt::Result {
        self.hand_on()
    }

    fn hand_on(&mut self) -> fmt::Result {
        self.inner.write_str(&self.layout.fit(&self.begun))?;
        self.begun.clear();
        Ok(())
    }
}

impl<W: Write> Write for Fitted<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            self.begun.push_str(part);
            if part.ends_with('\n') {
                self.hand_on()?;
            }
        }
        Ok(())
    }
}

/// The column at which goes on what has no room behind `left`.
fn below(left: &str) -> usize {
    left.len() - left.trim_start_matches(' ').len() + HANGING
}

/// How many columns `text` takes on a terminal; what colours it takes none.
pub(super) fn columns(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().map_or(0, UnicodeWidthStr::width);
    let coloured = parts.map(|part| part.split_once('m').map_or(part, |(_, shown)| shown));
    first + coloured.map(UnicodeWidthStr::width).sum::<usize>()
}

/// Whether a letter is the first that is seen of `text`.
fn begins_with_a_letter(mut text: &str) -> bool {
    while let Some((_, shown)) = text.strip_prefix('\u{1b}').and_then(|code| code.split_once('m')) {
        text = shown;
    }
    text.starts_with(char::is_alphabetic)
}

/// `text` with blanks behind it, up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{:missing$}", "", missing = width.saturating_sub(columns(text)))
}

/// What is left and right of the last gap between columns.
fn last_gap(line: &str) -> Option<(&str, &str)> {
    let (left, right) = line.rsplit_once("  ")?;
    let left = left.trim_end_matches(' ');
    (!left.is_empty() && !right.is_empty()).then_some((left, right))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    proptest! {
        #[test]
        fn lines_fit_however_they_are_cut_into_writes(
            parts in vec(
                select(vec!["a", "some words", "  ", "\n", "a long word\nand ", "a-word-nearly-as-wide-as-a-line", "\n\n"]),
                0..40,
            ),
        ) {
            let (layout, mut fitted) = (Layout::of_terminal(40), String::new());
            let mut lines = Fitted::new(layout, &mut fitted);
            for part in &parts {
                lines.write_str(part).unwrap();
            }
            lines.finish().unwrap();
            prop_assert_eq!(fitted, layout.fit(&parts.concat()));
        }
    }

    #[test]
    fn lines_break_between_words_and_go_on_in_their_column() {
        let layout = Layout::of_terminal(40);
        let line = "  one two three four five six seven eight nine";
        assert_eq!(layout.fit(line), "  one two three four five six seven\n      eight nine");
        let columns = "      left    right one two three four five six seven";
        assert_eq!(
            layout.fit(columns),
            "      left    right one two three four\n              five six seven"
        );
    }

    #[test]
    fn of_what_is_wrong_with_a_file_only_the_messages_break() {
        let shown = "3 |   allow: [] # as long as somebody wrote this line\n  |          ^^ here, where it says nothing\n";
        let text =
            format!("{shown}\u{1b}[1m\u{1b}[96mhelp\u{1b}[0m: write `anywhere` to lift the restriction\n");
        let fitted = Layout::of_terminal(40).fit_messages(&text);
        let broken = "\u{1b}[1m\u{1b}[96mhelp\u{1b}[0m: write `anywhere` to lift the\n    restriction\n";
        assert_eq!(fitted, format!("{shown}{broken}"));
        assert_eq!(Layout::UNBROKEN.fit_messages(&text), text);
    }

    #[test]
    fn a_gap_gives_way_before_a_line_breaks() {
        let layout = Layout::of_terminal(40);
        assert_eq!(
            layout.fit("  + rule complies                      base.yaml:30\n"),
            "  + rule complies           base.yaml:30\n"
        );
    }

    #[test]
    fn a_word_is_never_cut() {
        let layout = Layout::of_terminal(40);
        let word = "x".repeat(60);
        assert_eq!(layout.fit(&format!("  {word} and more")), format!("  {word}\n      and more"));
    }

    #[test]
    fn wide_and_combining_characters_and_colours_count_as_they_are_seen() {
        assert_eq!(columns("日本"), 4);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(columns("\u{1b}[31mred\u{1b}[0m"), 3);
        assert_eq!(pad("日本", 6), "日本  ");
    }
}
