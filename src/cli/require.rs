//! `--require`: what is to be proved of a policy that is compared with an earlier one.

use clap::{Args, ValueEnum};

use crate::model::Requirement;

/// What is to be proved.
#[derive(Debug, Args)]
pub(super) struct RequireArgs {
    /// Exit with 2 unless this is proved of the policy, compared with the baseline
    #[arg(long, value_enum, value_name = "VERDICT")]
    require: Option<Require>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Require {
    /// It permits exactly the same
    Equivalent,
    /// It permits nothing that was not permitted
    NoLooser,
    /// It permits less, and nothing that was not permitted
    Stricter,
}

impl RequireArgs {
    /// What is required, when something is.
    pub(super) fn said(&self) -> Option<Requirement> {
        self.require.map(|require| match require {
            Require::Equivalent => Requirement::Equivalent,
            Require::NoLooser => Requirement::NoLooser,
            Require::Stricter => Requirement::Stricter,
        })
    }
}
