//! A journal file: a damaged one says at which line, a whole one is written again as it was, and one that was cut
//! by a crash can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    journal::{Begun, FORMAT_VERSION, JournalFile, Record},
    report::{Paint, journal},
};

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').count();
    let file = match JournalFile::read("run.jsonl", bytes) {
        Ok(Some(file)) => file,
        Ok(None) => return assert!(lines <= 1, "whole lines that say nothing"),
        Err(error) => {
            let error = error.to_string();
            let place = (1..=lines).any(|line| error.contains(&format!("at line {line}: ")));
            return assert!(place, "{error}, of {lines} lines");
        }
    };
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
    let cut = bytes.len().wrapping_mul(31) % (end + 1);
    assert!(JournalFile::read("run.jsonl", &bytes[..cut]).is_ok(), "a file that was cut cannot be read");
    assert_eq!(
        JournalFile::read("run.jsonl", written(&file).as_bytes()).expect("what was written"),
        Some(file.clone())
    );

    let _ = file.deadlines_afterwards();
    let mut told = String::new();
    journal::run(&file.run, Paint { colour: false }, &mut told).expect("a text takes everything");
    journal::table(&[file.run], Paint { colour: false }, &mut told).expect("a text takes everything");
    assert!(!told.contains('\u{1b}'), "what a journal says controls the terminal: {told:?}");
});

fn written(file: &JournalFile) -> String {
    let deadlines = file.deadlines.iter().map(|(id, at)| (id.as_str().to_owned(), *at)).collect();
    let begun = Begun {
        format_version: FORMAT_VERSION.to_owned(),
        number: file.number,
        head: file.run.head.clone(),
        deadlines,
        settled: file.settled.clone(),
        before: file.before.clone(),
    };
    let changes = || (0u32..).zip(&file.run.changes);
    let planned = changes().map(|(change, of)| Record::Planned { change, note: of.note.clone() });
    let attempted =
        changes().filter_map(|(change, of)| Some(Record::Attempted { change, at: of.attempted? }));
    let results =
        changes().filter_map(|(change, of)| Some(Record::Result { change, result: of.result.clone()? }));
    let ended = file.run.ended.map(|at| Record::Ended { at });
    let records = [Record::Begun(Box::new(begun))].into_iter().chain(planned).chain(attempted).chain(results);
    records.chain(ended).map(|record| record.line().expect("a record is JSON")).collect()
}
