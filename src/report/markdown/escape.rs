//! Escaping of foreign text for Markdown: it cannot make a link, mention, image, HTML, emphasis or the end
//! of a table cell.

use crate::report::escape::escape_whole;

/// Between the two halves of what a host would make a link or a mention of, on top of Markdown and
/// therefore whatever is escaped in Markdown. It is not seen.
const BREAK: char = '\u{200b}';

/// `text` within a line or a cell of a table. What is somebody else's alone is cut before.
pub(in crate::report) fn inline(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in unlinked(&escape_whole(text)).chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            // A table cell ends at an escaped bar too, with some hosts.
            '|' => shown.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '$' => shown.extend(['\\', c]),
            other => shown.push(other),
        }
    }
    shown
}

/// `lines` as a block of code that is shown as a difference.
pub(super) fn difference(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| unlinked(line)).collect();
    let longest = lines.iter().map(|line| longest_run(line, '`')).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}diff\n{}\n{fence}\n", lines.join("\n"))
}

fn longest_run(text: &str, of: char) -> usize {
    let (mut longest, mut now) = (0, 0);
    for c in text.chars() {
        now = if c == of { now + 1 } else { 0 };
        longest = longest.max(now);
    }
    longest
}

/// `text` without anything that a host would make a link or a mention of by itself.
fn unlinked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if (c == '.' && ends_with_www(&shown)) || (c == '/' && shown.ends_with(":/")) {
            shown.push(BREAK);
        }
        shown.push(c);
        if matches!(c, '@' | '#') {
            shown.push(BREAK);
        }
    }
    shown
}

fn ends_with_www(text: &str) -> bool {
    let mut back = text.chars().rev();
    (0..3).all(|_| back.next().is_some_and(|c| c.eq_ignore_ascii_case(&'w')))
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser};

    use super::*;

    /// What a reader of Markdown makes of `text`: text and everything else.
    fn parsed(text: &str) -> (String, Vec<String>) {
        let (mut shown, mut others) = (String::new(), Vec::new());
        for event in Parser::new_ext(text, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
            match event {
                Event::Text(text) => shown.push_str(&text),
                other => others.push(format!("{other:?}")),
            }
        }
        (shown, others)
    }

    #[test]
    fn a_line_shows_hostile_text_and_is_nothing_but_text() {
        for hostile in [
            "[a](http://evil.example) ![b](x.png) <img src=x onerror=alert(1)>",
            "**bold** _it_ ~~gone~~ `code` $x$ a | b \\| c",
            "<!-- comment --> &amp; &lt; \\",
        ] {
            let (shown, others) = parsed(&format!("x {}", inline(hostile)));
            assert_eq!(shown.replace(BREAK, ""), format!("x {}", hostile.trim_end()), "{hostile}");
            let paragraph = ["Start(Paragraph)", "End(Paragraph)"];
            assert_eq!(others, paragraph, "{hostile}");
        }
    }

    #[test]
    fn what_a_host_links_by_itself_is_broken_in_two() {
        let shown = inline("@mary #12 https://evil.example WWW.evil.example a@b.example");
        for linked in ["@m", "#1", "://", "WWW.", "@b"] {
            assert!(!shown.contains(linked), "{linked} in {shown}");
        }
    }

    #[test]
    fn a_block_of_code_ends_where_it_should() {
        let block = difference(&["+ a ```` b".to_owned(), "- ``` @x".to_owned()]);
        let (shown, others) = parsed(&format!("{block}\nafter"));
        assert_eq!(shown.replace(BREAK, ""), "+ a ```` b\n- ``` @x\nafter");
        assert_eq!(others.len(), 4, "a block of code and a paragraph: {others:?}");
    }
}
