//! Signals that ask the program to stop. The first is a request: nothing new is begun, and what is under
//! way is finished. The second ends the process at once.
//!
//! A server is stopped by SIGINT and SIGTERM and told by SIGHUP; signals that mean nothing to it do nothing, where the
//! system would end it. What ends a process whatever it does, or says that it is broken, is left to the system, and so
//! is SIGQUIT: it ends the server at once.

use std::{future::Future, io, process, sync::LazyLock};

use tokio::sync::watch;

/// Whether the process was asked to stop.
static REQUEST: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Tells of each SIGHUP that does not ask to stop.
static HANGUPS: LazyLock<watch::Sender<()>> = LazyLock::new(|| watch::Sender::new(()));

/// Changes with each SIGHUP from now on.
pub(crate) fn hangups() -> watch::Receiver<()> {
    HANGUPS.subscribe()
}

/// The program was asked to stop before it changed anything.
#[derive(Debug, thiserror::Error)]
#[error("interrupted: nothing was changed")]
pub(crate) struct Interrupted;

/// Whether the program was asked to stop.
pub(crate) fn is_requested() -> bool {
    *REQUEST.borrow()
}

/// Ready once the program is asked to stop.
pub(crate) async fn requested() {
    // The sender lives as long as the process: waiting cannot fail.
    let _ = REQUEST.subscribe().wait_for(|requested| *requested).await;
}

/// What `work` comes to, unless the program is asked to stop meanwhile: then `work` is dropped.
///
/// # Errors
///
/// When the program was asked to stop.
pub(crate) async fn unless_requested<T>(work: impl Future<Output = T>) -> Result<T, Interrupted> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = requested() => Err(Interrupted),
    }
}

/// What is done with SIGHUP, which a terminal sends when it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hangup {
    /// It asks to stop, unless the program was started to survive it, as `nohup` does.
    Stops,
    /// Anyone who waits for [`hangups`] does something else, or nobody does: a server does not belong to a
    /// terminal.
    Told,
}

/// Handles signals from now on, and tells of the first that asks to stop. Must be called within the runtime.
///
/// # Errors
///
/// When the system does not hand over its signals.
pub(crate) fn watch(hangup: Hangup, tell: fn(&str)) -> io::Result<()> {
    let mut signals = signals::Signals::new(hangup)?;
    if hangup == Hangup::Told {
        signals::pass_over()?;
    }
    tokio::spawn(async move {
        signals.next().await;
        if hangup == Hangup::Stops {
            tell("stopping after changes under way have finished; a second signal ends at once");
        }
        REQUEST.send_replace(true);
        let number = signals.next().await;
        #[expect(clippy::disallowed_methods, reason = "a second signal asks for no orderly end")]
        // As a shell tells of a process that a signal has ended.
        process::exit(128 + number);
    });
    Ok(())
}

#[cfg(unix)]
mod signals {
    use std::{fs, future, io};

    use rustix::process::Signal;
    use tokio::signal::unix::{self, SignalKind, signal};

    use super::Hangup;

    pub(crate) struct Signals {
        interrupt: unix::Signal,
        terminate: unix::Signal,
        /// `None` when it stays ignored.
        hangup: Option<unix::Signal>,
        on_hangup: Hangup,
    }

    impl Signals {
        pub(crate) fn new(on_hangup: Hangup) -> io::Result<Self> {
            let hangup = SignalKind::hangup();
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: if is_ignored(hangup) { None } else { Some(signal(hangup)?) },
                on_hangup,
            })
        }

        /// The number of the next signal that asks to stop.
        pub(crate) async fn next(&mut self) -> i32 {
            loop {
                let hangup = async {
                    match &mut self.hangup {
                        Some(signal) => signal.recv().await,
                        None => future::pending().await,
                    }
                };
                let kind = tokio::select! {
                    _ = self.interrupt.recv() => SignalKind::interrupt(),
                    _ = self.terminate.recv() => SignalKind::terminate(),
                    _ = hangup => SignalKind::hangup(),
                };
                if kind == SignalKind::hangup() && self.on_hangup == Hangup::Told {
                    if super::HANGUPS.send(()).is_err() {
                        tracing::info!("SIGHUP is ignored");
                    }
                    continue;
                }
                return kind.as_raw_value();
            }
        }
    }

    /// Those that mean nothing to a server and would end it. SIGPIPE is ignored from the start.
    const MEANINGLESS: [Signal; 6] =
        [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::IO];

    /// Those of Linux beside them: of the power supply and of a coprocessor that nobody has, and in real time, as far as
    /// they can be handled.
    #[cfg(target_os = "linux")]
    fn further() -> impl Iterator<Item = i32> {
        [Signal::POWER, Signal::STKFLT].map(Signal::as_raw).into_iter().chain(32..=64)
    }

    #[cfg(not(target_os = "linux"))]
    fn further() -> impl Iterator<Item = i32> {
        std::iter::empty()
    }

    /// Does nothing on signals that mean nothing, from now on, but to log them.
    pub(crate) fn pass_over() -> io::Result<()> {
        // A file that may not grow any more: the write fails, which is enough, and a line of the log may be what fails.
        let _installed = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
        for number in MEANINGLESS.map(Signal::as_raw) {
            ignore(number)?;
        }
        for number in further() {
            // The C library keeps some of those in real time to itself, glibc two and musl three.
            let _may_be_kept = ignore(number);
        }
        Ok(())
    }

    fn ignore(number: i32) -> io::Result<()> {
        let mut meaningless = signal(SignalKind::from_raw(number))?;
        tokio::spawn(async move {
            while meaningless.recv().await.is_some() {
                tracing::info!(signal = number, "a signal that means nothing to a server is ignored");
            }
        });
        Ok(())
    }

    /// Whether the process was started with the signal ignored, as far as the system tells.
    fn is_ignored(kind: SignalKind) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
        let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or_default();
        mask.checked_shr(bit).is_some_and(|shifted| shifted & 1 == 1)
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;

    use super::Hangup;

    pub(crate) fn pass_over() -> io::Result<()> {
        Ok(())
    }

    /// Ctrl-C on Unix has this number.
    const INTERRUPT: i32 = 2;

    pub(crate) struct Signals;

    impl Signals {
        pub(crate) fn new(_: Hangup) -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits for Ctrl-C.
        pub(crate) async fn next(&mut self) -> i32 {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            INTERRUPT
        }
    }
}
