//! A snapshot: what is wrong with one stands at a line, and a whole one is written again as it was.
#![no_main]

use std::{collections::BTreeSet, io::Cursor};

use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    inventory::{
        InventoryReader,
        snapshot::{self, About, GroupSelection, Snapshot, SnapshotError},
    },
    model::Token,
    targets::{self, Sight},
};

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
    let snapshot = match open(bytes) {
        Ok(snapshot) => snapshot,
        Err(error) => return has_place(&error, lines),
    };
    let Ok((tokens, _)) = tokens(&snapshot) else { return };
    let written = write(&snapshot);
    let again = open(&written).expect("what was written");
    assert_eq!(self::tokens(&again).expect("what was written").0, tokens);
    assert_eq!(write(&again), written, "a snapshot of a snapshot says something else");
});

fn open(bytes: &[u8]) -> Result<Snapshot<Cursor<&[u8]>>, SnapshotError> {
    Snapshot::open("snapshot", Cursor::new(bytes), |_, kind| targets::calls_of(kind, Sight::default()))
}

fn has_place(error: &SnapshotError, lines: u64) {
    if let SnapshotError::NoRecord { line, .. }
    | SnapshotError::BadRecord { line, .. }
    | SnapshotError::OutOfOrder { line } = error
    {
        assert!((1..=lines).contains(line), "{error}, of {lines} lines");
    }
}

fn tokens(
    reader: &impl InventoryReader,
) -> Result<(Vec<Token>, tokenwarden::inventory::Coverage), tokenwarden::inventory::ReadError> {
    let mut tokens = Vec::new();
    let coverage = now(reader.tokens(&mut |token| tokens.push(token)))?;
    Ok((tokens, coverage))
}

fn write(snapshot: &Snapshot<Cursor<&[u8]>>) -> Vec<u8> {
    let about = About {
        target: snapshot.target(),
        kind: snapshot.kind(),
        seen_at: snapshot.seen_at(),
        budget: snapshot.budget().cloned(),
    };
    let groups = now(snapshot.groups()).expect("the groups of a snapshot").unwrap_or_default();
    let (asked, mut written) = (GroupSelection::Named(BTreeSet::from_iter(groups)), Vec::new());
    now(snapshot::write(&about, &asked, snapshot, &mut written)).expect("what was read can be written");
    written
}

/// What comes of work that waits for nothing.
fn now<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match work.as_mut().poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("a snapshot is read without waiting"),
    }
}
