//! `--only`: the part that a run is confined to.

use clap::ValueEnum;

use crate::plan::{Part, Purpose};

/// The part that a run is confined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Only {
    /// The settings of the server
    Settings,
    /// The tokens that are there
    Tokens,
}

impl From<Option<Only>> for Purpose {
    fn from(only: Option<Only>) -> Self {
        match only {
            None => Self::Comply,
            Some(Only::Settings) => Self::ComplyOnly(Part::Settings),
            Some(Only::Tokens) => Self::ComplyOnly(Part::Tokens),
        }
    }
}
