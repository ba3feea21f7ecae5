//! What people and programs read.
//!
//! Text for a terminal, JSON for programs, and one report a kind for other readers, from plans, outcomes
//! and diagnostics. Text from a server is never trusted. Where a report goes is not known here.

mod advice;
pub mod audit;
pub mod compare;
pub mod diagnostics;
mod difference;
mod escape;
pub mod event;
pub mod explain;
pub mod explain_json;
mod findings;
pub mod fleet;
mod hash;
pub mod html;
pub mod journal;
pub mod json;
pub mod junit;
mod layout;
pub mod markdown;
pub mod metrics;
pub mod outcome;
pub mod owners;
mod paint;
mod purpose;
mod run;
pub mod sarif;
mod subject;
mod summary;
pub mod test_json;
pub mod test_junit;
pub mod test_text;
pub mod text;
pub mod tokens;
mod unseen;
mod view;
pub mod warning;

pub(crate) use escape::capitalised;
pub use escape::{escape, escape_whole};
pub use layout::Layout;
pub use paint::Paint;
pub use run::{Applied, Calls, Run, TargetRun};
pub use subject::change_line;
pub use view::{DetailLevel, View};
