//! The comparison of two policies as text.

use std::fmt::{self, Write};

use crate::report::{Layout, Paint, escape::escape_whole};

use super::{Compared, told, words};

/// Writes `compared` for a person. The commands of examples are never broken: they are there to be copied.
///
/// # Errors
///
/// When `out` fails.
pub fn comparison(compared: &Compared, layout: Layout, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let fitted = |line: String| layout.fit(&line);
    writeln!(out, "{}", fitted(format!("{}.", paint.strong(&escape_whole(&compared.headline())))))?;
    for remark in compared.remarks() {
        writeln!(out, "{}", fitted(escape_whole(&remark)))?;
    }
    for one in told(compared) {
        let sign = match one.sign {
            '+' => paint.added("+"),
            '-' => paint.removed("-"),
            other => paint.changed(&other.to_string()),
        };
        let subject = escape_whole(&one.subject);
        match &one.place {
            None => writeln!(out, "\n  {sign} {subject}")?,
            Some(place) => {
                let place = paint.faint(&escape_whole(&place.to_string()));
                let left = format!("  {sign} {subject}");
                writeln!(out, "\n{}", layout.whole_behind(&left, layout.place_column(), &place))?;
            }
        }
        for line in &one.lines {
            writeln!(out, "{}", fitted(format!("      {}", escape_whole(line))))?;
        }
        if let (Some(before), Some(after)) = (&one.before, &one.after) {
            let line = format!("      before: {}; after: {}", escape_whole(before), escape_whole(after));
            writeln!(out, "{}", fitted(line))?;
        }
        if let Some(token) = &one.token {
            writeln!(out, "      {}", escape_whole(token))?;
        }
        if let Some(hits) = &one.today {
            writeln!(out, "{}", fitted(format!("      today: {}", words::of_hits(hits))))?;
        }
        if let Some(question) = &one.example {
            writeln!(out, "      {}", question.command_line())?;
        }
    }
    Ok(())
}
