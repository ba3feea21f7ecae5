//! The runtime that a command works in, and what becomes of the command when a signal asks it to stop.

use std::{future::Future, time::Duration};

use crate::run::stop::{self, Hangup};

use super::{CommandResult, output};

/// How long threads that wait for the system may keep the process after its work has ended.
const LINGER: Duration = Duration::from_secs(2);

/// Does `work`, which changes nothing outside of one transaction: it is dropped when a signal asks to stop.
///
/// # Errors
///
/// When the threads for it cannot be had, it was interrupted, or the work fails.
pub(super) fn block_on(work: impl Future<Output = CommandResult>) -> CommandResult {
    block_on_to_the_end(Hangup::Stops, async { stop::unless_requested(work).await? })
}

/// Does `work`, which looks for itself whether it was asked to stop, and ends in order.
///
/// # Errors
///
/// When the threads for it cannot be had, or the work fails.
pub(super) fn block_on_to_the_end(
    hangup: Hangup,
    work: impl Future<Output = CommandResult>,
) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        stop::watch(hangup, output::note_of_a_key)?;
        work.await
    });
    runtime.shutdown_timeout(LINGER);
    done
}
