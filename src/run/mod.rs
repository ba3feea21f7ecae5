//! What a run is: from the files in a folder, over sessions with servers, to plans, and from approved plans to
//! outcomes, on the record. It knows no exit code and no terminal: it returns kinds of failure, and what it has
//! to say on the way goes to a [`Listener`].

pub mod apply;
mod base;
mod child;
pub mod clock;
pub mod credential;
pub mod doctor;
mod embedded;
mod ending;
pub mod front;
mod hold;
mod listener;
pub mod offline;
pub mod plan;
pub mod reading;
pub mod records;
pub mod redact;
pub mod reviewed;
pub mod session;
pub mod stop;
pub mod workspace;

pub use base::Base;
pub use ending::{Ending, Failure};
pub use listener::{Listener, Progress};
pub use workspace::Workspace;
