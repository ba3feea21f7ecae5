//! YAML files that people write: from bytes to a tree in which every value knows its place, with all mistakes
//! at once.
//!
//! The policy, the config file and the policy tests are read with it.

use std::{fmt, sync::Arc};

pub mod diagnostic;
pub(crate) mod masking;
pub(crate) mod node;
mod part;
mod path;
pub(crate) mod plain;
mod raw;
pub(crate) mod scalar;
mod shape;
pub(crate) mod source;
pub(crate) mod structure;
pub(crate) mod surrounding_space;
pub(crate) mod values;

pub use diagnostic::{Code, Diagnostic, Diagnostics, Related, Severity, Sources, Span};
pub use source::FILE_BYTES_AT_MOST;
pub(crate) use source::{first_line, line_starts};

/// Where in a file something stands. Ordered by file, then line, then column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Path of the file, as the config file or the command line names it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    /// `file:line`, the form that terminals and editors make a link of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
