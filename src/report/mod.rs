//! In: what the pure parts of the program found. Out: text for people and data for programs. It
//! refuses to know where they are written to.

pub mod diagnostics;
