//! `--summary`, `--owner`, `--rule`, `--limit` and `--all`: how much of a plan people are shown.

use clap::Args;

use crate::{
    model::Owner,
    report::{DetailLevel, View},
};

use super::{Global, output};

/// How much of a plan people are shown. The plan itself stays whole: in every other form, in files, and for what is
/// applied.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What is shown")]
pub(super) struct ViewArgs {
    /// Show counts by rule and owner in place of lists
    #[arg(long, conflicts_with_all = ["limit", "all"])]
    summary: bool,
    /// List only tokens of this owner, such as `mary` or `project PLAT`; may be repeated
    #[arg(long, value_name = "OWNER")]
    owner: Vec<Owner>,
    /// List only tokens with a finding of this rule, such as `lifetime`; may be repeated
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// List COUNT tokens of each kind at most [default: 50]
    #[arg(long, value_name = "COUNT", conflicts_with = "all")]
    limit: Option<usize>,
    /// List everything, also what is only reported where nothing changes
    #[arg(long)]
    all: bool,
}

impl ViewArgs {
    /// What standard output shows.
    pub(super) fn view(&self, global: &Global) -> View {
        let detail = match (self.summary, self.all) {
            (true, _) => DetailLevel::Summary,
            (false, true) => DetailLevel::All,
            (false, false) => DetailLevel::Brief,
        };
        View {
            detail,
            owners: self.owner.clone(),
            rules: self.rule.clone(),
            limit: self.limit,
            ..View::brief(output::paint(global), output::layout())
        }
    }

    /// What standard output shows of drift.
    pub(super) fn of_drift(&self, global: &Global) -> View {
        let view = self.view(global);
        View { detail: if self.all || self.summary { view.detail } else { DetailLevel::Drift }, ..view }
    }
}
