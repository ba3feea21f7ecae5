//! The log of a server: lines go through a bounded queue to a thread of their own, so that a reader that stops or a
//! disk that is full stops no request. Lines that are lost are counted, and told as soon as one can be written.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

use crate::run::redact::redact;

/// So many lines wait at most.
const WAITING: usize = 1024;
/// How long the end of the program waits for lines that wait.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Everything before it is to be written by now.
    Flush(SyncSender<()>),
}

/// Where lines go.
#[derive(Clone)]
pub(super) struct LogQueue {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl LogQueue {
    /// Lines to `file`; `notice` makes the line that tells how many were lost.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(super) fn start(file: File, notice: fn(u64) -> String) -> io::Result<Self> {
        let (queue, lines) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new().name("log".to_owned()).spawn(move || write(file, &lines, &counted, notice))?;
        Ok(Self { queue, lost })
    }

    /// Waits until everything is written that was logged before, but not for ever.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        let began = Instant::now();
        let mut flush = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(flush) {
            if began.elapsed() > FLUSH_WITHIN {
                return;
            }
            flush = back;
            thread::sleep(Duration::from_millis(10));
        }
        // An error means that it takes too long: what waits is lost.
        let _ = written.recv_timeout(FLUSH_WITHIN);
    }
}

fn write(mut file: impl Write, lines: &Receiver<Message>, lost: &AtomicU64, notice: fn(u64) -> String) {
    for message in lines {
        match message {
            Message::Line(line) => {
                let missing = lost.load(Ordering::Relaxed);
                // A line that was written in part ends before the notice.
                let told = missing == 0 || writeln!(file, "\n{}", notice(missing)).is_ok();
                if told {
                    lost.fetch_sub(missing, Ordering::Relaxed);
                }
                if !told || file.write_all(&line).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Message::Flush(done) => {
                let _ = done.try_send(());
            }
        }
    }
}

impl Write for LogQueue {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let line_without = redact(&String::from_utf8_lossy(line)).into_owned();
        if self.queue.try_send(Message::Line(line_without.into())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
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

    /// A disk on which so many writes fail.
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
        let (queue, lines) = sync_channel(10);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            queue.send(Message::Line(line.into())).unwrap();
        }
        drop(queue);
        let (written, lost) = (RefCell::default(), AtomicU64::new(3));
        write(Disk { failing: 2, written: &written }, &lines, &lost, |lost| format!("{lost} lost"));
        let text = String::from_utf8(written.into_inner()).unwrap();
        assert_eq!(text, "\n5 lost\nthree\nfour\n", "three did not fit into the queue, two onto the disk");
        assert_eq!(lost.into_inner(), 0);
    }
}
