//! A piece of a server's text, short enough to be in one of our own sentences.

use std::fmt;

/// How much of a server's text is shown, in characters.
const SHOWN: usize = 120;

/// `text` cut at 120 characters, with `…` behind what was cut. Sentences are never cut themselves, so that what
/// to do, which they end with, is always there: every name and description goes into them through this.
#[must_use]
pub fn brief(text: impl fmt::Display) -> String {
    let mut text = text.to_string();
    if let Some((at, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(brief("é".repeat(120)), "é".repeat(120));
        assert_eq!(brief("é".repeat(121)), "é".repeat(120) + "…");
    }
}
