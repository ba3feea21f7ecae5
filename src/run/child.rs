//! A child process with a time limit, and what it wrote. After the limit it is terminated with everything
//! that it started.

use std::{
    io::{self, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::stop;

/// How many bytes of its output are read.
const BYTES_AT_MOST: u64 = 64 << 10;
/// How often it is looked whether a program has ended, or is to be ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A program did not do what was wanted of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("it cannot be run")]
    Run(#[from] io::Error),
    #[error("it ended with an error")]
    Failed,
    #[error("it did not end within {seconds} seconds and was terminated", seconds = .0.as_secs())]
    TooSlow(Duration),
    #[error("it was terminated because the run was interrupted")]
    Interrupted,
}

/// What the program `name` writes to its standard output when it is run with `arguments` in `folder`, for as
/// long as `limit` at most.
///
/// # Errors
///
/// When it cannot be run, fails, takes longer, or the run is interrupted: then it is ended, with everything
/// that it has started.
pub(crate) fn output(
    name: &str,
    arguments: &[String],
    folder: &Path,
    limit: Duration,
) -> Result<Vec<u8>, ChildError> {
    let until = Instant::now() + limit;
    let mut command = Command::new(name);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn()?;
    let done = finish(&mut child, until);
    if !matches!(done, Ok(Some(_))) {
        end(&mut child);
    }
    match done? {
        Some((output, true)) => Ok(output),
        Some((_, false)) => Err(ChildError::Failed),
        None if stop::is_requested() => Err(ChildError::Interrupted),
        None => Err(ChildError::TooSlow(limit)),
    }
}

/// What `child` wrote, and whether it ended well; `None` when it has not ended at `until`.
fn finish(child: &mut Child, until: Instant) -> io::Result<Option<(Vec<u8>, bool)>> {
    let Some(output) = child.stdout.take() else { return Ok(None) };
    let Some(output) = read(output, until)? else { return Ok(None) };
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some((output, status.success()))),
            None if is_over(until) => return Ok(None),
            None => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Everything up to the end of `output`; `None` when that has not come at `until`.
fn read(output: ChildStdout, until: Instant) -> io::Result<Option<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    // It ends with the program, at the latest when that is ended.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(BYTES_AT_MOST).read_to_end(&mut bytes).map(|_| bytes);
        // Nobody may be waiting any more.
        let _ = sender.send(read);
    });
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(read) => return read.map(Some),
            Err(RecvTimeoutError::Timeout) if !is_over(until) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// Whether a program that may run until this moment is to be ended.
fn is_over(until: Instant) -> bool {
    Instant::now() >= until || stop::is_requested()
}

/// Ends `child` and, where the system has groups of processes, everything that it has started. What cannot
/// be ended has ended by itself.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
