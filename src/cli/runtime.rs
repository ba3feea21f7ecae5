//! In: work that waits for files and sockets. Out: what it came to. It refuses to know what the work is.

use std::future::Future;

use super::CommandResult;

/// Does `work` and waits for it.
///
/// # Errors
///
/// When the threads for it cannot be had, or the work fails.
pub(super) fn block_on(work: impl Future<Output = CommandResult>) -> CommandResult {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
