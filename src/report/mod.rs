//! What people and programs read.
//!
//! In: plans, outcomes, diagnostics. Out: text for a terminal and JSON for programs. It refuses to
//! know where its text goes, and trusts no text that came from a server.

pub mod diagnostics;
mod escape;
pub mod fleet;
pub mod json;
pub mod outcome;
mod paint;
mod subject;
mod summary;
pub mod text;
pub mod warning;

pub use escape::{escape, escape_whole};
pub use paint::Paint;
