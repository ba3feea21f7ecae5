//! The form of a source file: a first line that says what it is, and a length that can be read.

use crate::sources;

/// Files of more than 500 lines, each with the reason.
const LONG: &[(&str, &str)] = &[];
const LINES_AT_MOST: usize = 500;
const MEDIAN_AT_MOST: usize = 150;

/// What is wrong with the form of a source file at `path` below `src`.
fn faults_of_form(path: &str, text: &str) -> Vec<&'static str> {
    let is_long = text.lines().count() > LINES_AT_MOST;
    let may_be_long = LONG.iter().any(|(long, _)| *long == path);
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push("does not say in its first line what it is");
    }
    if is_long && !may_be_long {
        faults.push("has more than 500 lines, and no reason is given here");
    }
    if !is_long && may_be_long {
        faults.push("needs no reason here any more");
    }
    faults
}

/// The median of `lengths`, the larger one of two.
fn median(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied().unwrap_or_default()
}

#[test]
fn every_file_says_what_it_is_and_is_short_or_has_a_reason() {
    let mut lengths = Vec::new();
    for (name, text) in sources() {
        assert_eq!(faults_of_form(&name, &text), [""; 0], "{name}");
        lengths.push(text.lines().count());
    }
    let median = median(lengths);
    assert!(median <= MEDIAN_AT_MOST, "the median file has {median} lines");
}

#[test]
fn a_file_that_is_long_or_does_not_say_what_it_is_is_found() {
    let long = |lines| format!("//! A file.\n{}", "\n".repeat(lines));
    assert_eq!(faults_of_form("new.rs", &long(LINES_AT_MOST - 1)), [""; 0]);
    assert_eq!(faults_of_form("new.rs", &long(LINES_AT_MOST)).len(), 1);
    assert_eq!(faults_of_form("new.rs", "use std::fs;\n").len(), 1);
    assert_eq!([median(vec![9, 1, 5]), median(vec![1, 200, 300, 2])], [5, 200]);
}
