//! The results of policy tests as text: each failure as a difference with its reasons, what no case
//! exercises, and the counts.

use std::fmt::{self, Write};

use similar::{ChangeTag, TextDiff};

use crate::{
    policy_tests::{CaseResult, CoverageSubject, TestCoverage, TestRun},
    yaml::Place,
};

use super::{
    Paint,
    escape::{counted, escape_whole},
    layout::pad,
};

/// Writes the result of `run` for a person.
///
/// # Errors
///
/// When `out` fails.
pub fn run(run: &TestRun, paint: Paint, out: &mut impl Write) -> fmt::Result {
    for result in run.results.iter().filter(|result| !result.passed()) {
        failure(result, paint, out)?;
    }
    not_exercised(&run.coverage, paint, out)?;
    let (all, failed) = (run.results.len(), run.failed());
    let word = if failed == 0 { paint.added("passed") } else { paint.removed("failed") };
    write!(out, "{}: {word}", counted(all, "case"))?;
    if failed > 0 {
        write!(out, " ({failed} of them)")?;
    }
    writeln!(out, "; {}.", coverage(&run.coverage))
}

/// How much is exercised, in words.
pub(super) fn coverage(coverage: &TestCoverage) -> String {
    let (exercised, all) = (coverage.exercised(), coverage.items.len());
    format!("{exercised} of {all} rules and entries of the limits exercised ({} %)", coverage.percent())
}

/// What differs, a line each: what is expected of the case and does not with `-`, what does and must not
/// with `+`.
pub(super) fn difference(result: &CaseResult) -> Vec<(char, String)> {
    let of = |lines: &[String]| lines.iter().map(|line| escape_whole(line)).collect::<Vec<_>>();
    let (expected, actual) = (of(&result.expected), of(&result.actual));
    let (expected, actual): (Vec<&str>, Vec<&str>) =
        (expected.iter().map(String::as_str).collect(), actual.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&expected, &actual);
    let sign = |tag| match tag {
        ChangeTag::Delete => '-',
        ChangeTag::Insert => '+',
        ChangeTag::Equal => ' ',
    };
    diff.iter_all_changes().map(|change| (sign(change.tag()), change.value().to_owned())).collect()
}

/// What there is to exercise, in words.
pub(super) fn subject(subject: &CoverageSubject) -> String {
    match subject {
        CoverageSubject::Rule(rule) => format!("rule {}", escape_whole(rule.code())),
        CoverageSubject::LimitEntry(number) => format!("entry {number} of the limits"),
    }
}

/// Column at which the line of the policy stands.
const PLACE_COLUMN: usize = 68;

fn failure(result: &CaseResult, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let name = paint.strong(&escape_whole(&result.name));
    writeln!(out, "{} {name} ({})", paint.removed("failed:"), escape_whole(&result.place.to_string()))?;
    writeln!(out, "    - expected, + actual")?;
    for (sign, text) in difference(result) {
        let line = format!("    {sign} {text}");
        let line = match sign {
            '-' => paint.removed(&line),
            '+' => paint.added(&line),
            _ => line,
        };
        writeln!(out, "{line}")?;
    }
    if !result.because.is_empty() {
        writeln!(out, "  because")?;
    }
    for because in &result.because {
        placed(&format!("    {}", escape_whole(&because.text)), because.place.as_ref(), paint, out)?;
    }
    writeln!(out)
}

fn not_exercised(coverage: &TestCoverage, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let mut missing = coverage.items.iter().filter(|item| !item.exercised).peekable();
    if missing.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "No case exercises:\n")?;
    for item in missing {
        let text = format!("  {} ({})", subject(&item.subject), escape_whole(&item.target));
        placed(&text, item.place.as_ref(), paint, out)?;
    }
    writeln!(out)
}

fn placed(text: &str, place: Option<&Place>, paint: Paint, out: &mut impl Write) -> fmt::Result {
    let Some(place) = place else { return writeln!(out, "{text}") };
    writeln!(out, "{} {}", pad(text, PLACE_COLUMN - 1), paint.faint(&escape_whole(&place.to_string())))
}
