//! The fitting of sections into a maximum length, by how important they are; what is left out is named.

/// One part of a report.
pub(super) struct Section<'a> {
    /// Its heading.
    pub(super) title: &'static str,
    /// What is before the entries, such as the head of a table.
    pub(super) lead: &'static str,
    /// Its place among all sections when it comes to cutting: the one with the lowest is cut last.
    pub(super) rank: u8,
    /// How many entries there are.
    pub(super) count: usize,
    /// The entries, each with its line ends; made one by one, so that those that are cut cost nothing.
    pub(super) entries: Box<dyn Iterator<Item = String> + 'a>,
}

impl Section<'_> {
    fn head(&self) -> String {
        format!("\n### {} ({})\n\n{}", self.title, self.count, self.lead)
    }
}

/// What is said in place of entries that were cut.
fn cut(count: usize) -> String {
    format!("\n… and {count} more, cut to keep this short.\n")
}

/// What is said in place of sections that were cut.
fn cut_whole(titles: &[&str]) -> String {
    if titles.is_empty() {
        String::new()
    } else {
        format!("\nCut to keep this short: {}.\n", titles.join(", "))
    }
}

/// `first`, then of the sections what fits into `at_most` characters, as UTF-16 counts them.
///
/// Every section keeps its heading, with its true count, before any shows entries; then they are filled
/// in the order of their rank.
pub(super) fn fit(first: String, sections: Vec<Section<'_>>, at_most: usize) -> String {
    let titles: Vec<&str> = sections.iter().map(|section| section.title).collect();
    let mut left = at_most.saturating_sub(length(&first)).saturating_sub(length(&cut_whole(&titles)));
    let mut order: Vec<(usize, Section<'_>)> = sections.into_iter().enumerate().collect();
    order.sort_by_key(|(_, section)| section.rank);

    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for (place, section) in order {
        let head = section.head();
        let frame = length(&head) + length(&cut(section.count));
        match left.checked_sub(frame) {
            Some(rest) => {
                left = rest;
                kept.push((place, head, section));
            }
            None => dropped.push((place, section.title)),
        }
    }
    let mut parts: Vec<(usize, String)> =
        kept.into_iter().map(|(place, head, section)| (place, filled(head, section, &mut left))).collect();
    parts.sort_by_key(|(place, _)| *place);
    dropped.sort_by_key(|(place, _)| *place);
    let dropped: Vec<&str> = dropped.into_iter().map(|(_, title)| title).collect();
    parts.into_iter().fold(first, |text, (_, part)| text + &part) + &cut_whole(&dropped)
}

/// The section with as many entries as `left` allows, which becomes less by them.
fn filled(head: String, section: Section<'_>, left: &mut usize) -> String {
    let (mut text, mut shown) = (head, 0);
    for entry in section.entries {
        let Some(rest) = left.checked_sub(length(&entry)) else { break };
        *left = rest;
        text.push_str(&entry);
        shown += 1;
    }
    if shown < section.count {
        text.push_str(&cut(section.count - shown));
    }
    text
}

/// How many characters `text` has, as UTF-16 counts them.
pub(super) fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(title: &'static str, rank: u8, count: usize) -> Section<'static> {
        let entries = (1..=count).map(move |number| format!("- {title} {number} 😀\n"));
        Section { title, lead: "", rank, count, entries: Box::new(entries) }
    }

    fn fitted(at_most: usize) -> String {
        fit("first\n".to_owned(), vec![section("minor", 2, 50), section("major", 1, 50)], at_most)
    }

    #[test]
    fn what_fits_is_whole_and_in_the_order_of_reading() {
        let text = fitted(10_000);
        assert!(text.starts_with("first\n\n### minor (50)\n\n- minor 1 😀\n"), "{text}");
        assert!(text.contains("- minor 50 ") && text.ends_with("- major 50 😀\n"), "{text}");
        assert!(!text.contains("cut"), "{text}");
    }

    #[test]
    fn the_least_important_is_cut_first_and_every_cut_is_counted() {
        let text = fitted(1_000);
        assert!(text.contains("- major 50 "), "{text}");
        let minor = text.matches("- minor ").count();
        assert!(minor > 0 && minor < 50, "{text}");
        assert!(text.contains(&format!("… and {} more, cut to keep this short.", 50 - minor)), "{text}");
    }

    #[test]
    fn no_length_is_ever_exceeded() {
        for at_most in (6..3_000).step_by(7) {
            let text = fitted(at_most);
            assert!(length(&text) <= at_most.max(length("first\n")) + 60, "{at_most}: {text}");
            assert!(length(&text) <= at_most || at_most < 60, "{at_most}: {text}");
        }
        assert!(fitted(60).contains("Cut to keep this short: minor, major."));
    }
}
