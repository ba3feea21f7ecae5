//! The log of a server: lines go through a bounded queue to a thread of their own, so that a reader that stops or a
//! disk that is full stops no request. Lines that are lost are counted, and told as soon as one can be written.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use crate::run::redact::{redact, text_of};

/// The most bytes that wait.
const WAITING: usize = 256 * 1024;
/// From this many bytes on they are written at once.
const MANY: usize = WAITING / 8;
/// How long a line waits for others: writing each by itself would wake a thread for it.
const TOGETHER: Duration = Duration::from_millis(10);
/// How long the end of the program waits for lines that wait.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Clone)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something waits, or has to be written at once.
    arrived: Condvar,
    /// Something was written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    lost: u64,
    is_writing: bool,
    /// Somebody waits for all lines to be written.
    is_urgent: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines. Returns them with the number of those that were lost.
    fn next(&self) -> (Vec<u8>, u64) {
        let is_empty = |state: &mut State| state.waiting.is_empty();
        let state = self.arrived.wait_while(self.state(), is_empty).unwrap_or_else(PoisonError::into_inner);
        let are_few = |state: &mut State| !state.is_urgent && state.waiting.len() < MANY;
        let waited = self.arrived.wait_timeout_while(state, TOGETHER, are_few);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        let next = Vec::with_capacity(MANY);
        (mem::replace(&mut state.waiting, next), mem::take(&mut state.lost))
    }

    /// What [`Self::next`] returned was written, but for as many lines as were `lost`.
    fn done(&self, lost: u64) {
        let mut state = self.state();
        state.lost += lost;
        state.is_writing = false;
        self.written.notify_all();
    }
}

impl LogQueue {
    /// Lines to `file`; `notice` makes the line that tells how many were lost.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(super) fn start(mut file: File, notice: fn(u64) -> String) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let queue = Self(Arc::clone(&shared));
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                let (lines, lost) = shared.next();
                shared.done(write(&mut file, &lines, lost, notice));
            }
        })?;
        Ok(queue)
    }

    /// Waits until everything that was logged before is written, but not indefinitely.
    pub(super) fn flush(&self) {
        let mut state = self.0.state();
        state.is_urgent = true;
        self.0.arrived.notify_one();
        let is_left = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        // What takes too long is lost.
        let _ = self.0.written.wait_timeout_while(state, FLUSH_WITHIN, is_left);
    }
}

/// Writes `lines`, after a notice of those that were `lost`. Returns how many are lost now.
fn write(file: &mut impl Write, lines: &[u8], lost: u64, notice: fn(u64) -> String) -> u64 {
    let count = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
    let text = text_of(lines);
    let text = redact(&text);
    // A line that was written in part ends before the notice.
    if lost > 0 && writeln!(file, "\n{}", notice(lost)).is_err() {
        return lost + count(text.as_bytes());
    }
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match file.write(rest) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
        }
    }
    count(rest)
}

impl Write for LogQueue {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.waiting.len() + line.len() > WAITING {
            state.lost += 1;
            return Ok(line.len());
        }
        let before = state.waiting.len();
        state.waiting.extend_from_slice(line);
        let is_many = |len| len >= MANY;
        if before == 0 || (is_many(state.waiting.len()) && !is_many(before)) {
            drop(state);
            self.0.arrived.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogQueue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A disk on which the first writes fail.
    struct Disk<'a> {
        failing: usize,
        written: &'a RefCell<Vec<u8>>,
    }

    impl Write for Disk<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.failing > 0 {
                self.failing -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_full_disk_loses_are_counted_and_told_once_there_is_room() {
        let written = RefCell::default();
        let mut disk = Disk { failing: 2, written: &written };
        let mut lost = 3;
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            lost = write(&mut disk, line.as_bytes(), lost, |lost| format!("{lost} lost"));
        }
        let text = String::from_utf8(written.into_inner()).unwrap();
        assert_eq!(text, "\n5 lost\nthree\nfour\n", "three did not fit into the queue, two onto the disk");
        assert_eq!(lost, 0);
    }

    #[test]
    fn a_line_that_a_disk_takes_in_part_is_one_of_those_that_are_lost() {
        struct Small(usize);
        impl Write for Small {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let taken = bytes.len().min(self.0);
                self.0 -= taken;
                Ok(taken)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(write(&mut Small(6), b"one\ntwo\nthree\n", 0, |_| String::new()), 2);
    }

    #[test]
    fn lines_that_nobody_writes_take_no_more_than_their_room_and_the_others_are_counted() {
        let mut queue = LogQueue(Arc::default());
        let line = vec![b'x'; 1 << 16];
        for _ in 0..20 {
            queue.write_all(&line).unwrap();
        }
        let (lines, lost) = queue.0.next();
        assert_eq!((lines.len(), lost), (WAITING, 16));
    }
}
