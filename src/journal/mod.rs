//! The journal: an append-only record of what runs did, one file a run.
//!
//! In: what a run is about to do, and what became of it. Out: files that survive a crash at any moment,
//! and from them what later runs must know. It refuses to hold secrets, and to change a file once the
//! run that wrote it is over.

mod file;
mod folder;
mod glance;
mod history;
mod lock;
mod record;
mod recording;
mod regular;

pub use file::{BadJournal, JournalFile};
pub use folder::{ItsTokens, JournalError, JournalFolder, Past, RunFile, Sought, is_file_name};
pub use history::{history, merge};
pub use lock::{LockError, RunLock};
pub use record::{Before, Begun, FORMAT_VERSION, Record, schema};
pub use recording::Recording;
