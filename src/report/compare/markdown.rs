//! The comparison of two policies as Markdown.

use crate::report::{
    escape::counted,
    markdown::{CHARACTERS_AT_MOST, inline},
};

use super::{Compared, Told, told, words};

/// All that was compared, for a comment: no longer than one may be, and what has no room is counted.
#[must_use]
pub fn report(all: &[Compared]) -> String {
    let blocks = all.iter().flat_map(|compared| {
        let differences = told(compared).into_iter().map(|told| difference(&told));
        let remarks = compared.remarks().into_iter().map(|remark| format!("{}\n\n", inline(&remark)));
        [format!("**{}.**\n\n", inline(&compared.headline()))].into_iter().chain(remarks).chain(differences)
    });
    let (mut report, mut left_out) = (String::new(), 0);
    for block in blocks {
        // Room for the line that counts the rest.
        if left_out == 0
            && report.encode_utf16().count() + block.encode_utf16().count() + 100 < CHARACTERS_AT_MOST
        {
            report.push_str(&block);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        report.extend(["\nThere is no room for ", &counted(left_out, "more difference"), ".\n"]);
    }
    report
}

fn difference(told: &Told) -> String {
    let place =
        told.place.as_ref().map_or(String::new(), |place| format!(" ({})", inline(&place.to_string())));
    let mut lines: Vec<String> = told.lines.iter().map(|line| inline(line)).collect();
    if let (Some(before), Some(after)) = (&told.before, &told.after) {
        lines.push(format!("before: {}; after: {}", inline(before), inline(after)));
    }
    lines.extend(told.token.as_deref().map(inline));
    lines.extend(told.today.as_ref().map(|hits| inline(&format!("today: {}", words::of_hits(hits)))));
    lines.extend(told.example.as_ref().map(|question| inline(&question.command_line())));
    let lines: String = lines.iter().map(|line| ["  - ", line, "\n"].concat()).collect();
    format!("- `{}` {}{place}\n{lines}", told.sign, inline(&told.subject))
}
