//! The journal: an append-only record of what runs did, one file a run.
//!
//! Files survive a crash at any moment, and tell later runs what they must know. They hold no secrets, and
//! a file is never changed once the run that wrote it is over.

mod error;
mod file;
mod folder;
mod glance;
mod history;
mod lock;
mod record;
mod recording;
mod regular;
mod run_file;

pub use error::JournalError;
pub use file::{BadJournal, JournalFile};
pub use folder::{ItsTokens, JournalFolder, Past, Sought};
pub use history::{history, merge};
pub use lock::{LockError, RunLock};
pub use record::{Before, Begun, FORMAT_VERSION, Record, schema};
pub use recording::Recording;
pub use run_file::{RunFile, is_file_name};
