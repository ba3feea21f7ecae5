//! What only the world has, each in one place: the clock of the system, the environment of the process, and files that
//! somebody else may have put there.

mod clock;
pub(crate) mod environment;
pub(crate) mod regular_file;

pub(crate) use clock::system_time;
