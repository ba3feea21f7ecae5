//! What people are shown of plans, and how: colour, width, and how much of it.

use crate::{
    model::{Owner, Rule, Token},
    plan::PlannedChange,
};

use super::{Layout, Paint};

/// How many tokens of one kind are listed where nobody says it.
const LISTED: usize = 50;

/// What people are shown of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The colour.
    pub paint: Paint,
    /// The width.
    pub layout: Layout,
    /// How much.
    pub detail: DetailLevel,
    /// Tokens of these owners alone; of all when there is none.
    pub owners: Vec<Owner>,
    /// Tokens with a finding of these rules alone, by their codes; all when there is none.
    pub rules: Vec<String>,
    /// How many tokens of one kind are listed at most.
    pub limit: Option<usize>,
}

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetailLevel {
    /// Counts by rule and owner, and no token by itself.
    Summary,
    /// What would be done and what is held back; of the rest as much as can be read, with the count of what is not.
    #[default]
    Brief,
    /// Everything.
    All,
    /// What was changed on the server, and nothing else.
    Drift,
}

impl View {
    /// Everything, as a file or a pipe has it.
    #[must_use]
    pub fn whole(paint: Paint) -> Self {
        Self { detail: DetailLevel::All, ..Self::brief(paint, Layout::default()) }
    }

    /// What is shown where nobody asks for more or less.
    #[must_use]
    pub fn brief(paint: Paint, layout: Layout) -> Self {
        Self { paint, layout, detail: DetailLevel::Brief, owners: Vec::new(), rules: Vec::new(), limit: None }
    }

    /// Whether it leaves out what is not of some owner or rule.
    pub(super) fn is_filtered(&self) -> bool {
        !self.owners.is_empty() || !self.rules.is_empty()
    }

    /// Whether a plan without changes is told in a few lines.
    pub(super) fn is_short(&self) -> bool {
        self.detail == DetailLevel::Brief && !self.is_filtered() && self.limit.is_none()
    }

    /// How many tokens of one kind are listed.
    pub(super) fn at_most(&self) -> usize {
        self.limit.unwrap_or(if self.detail == DetailLevel::All { usize::MAX } else { LISTED })
    }

    /// Whether it shows `token`, on which `rules` found something.
    pub(super) fn shows<'a>(&self, token: &Token, rules: impl IntoIterator<Item = &'a Rule>) -> bool {
        let is_of_owner = |owner: &Owner| owner.folded() == token.owner.folded();
        let is_of_rule = |rule: &Rule| self.rules.iter().any(|wanted| wanted == rule.code());
        (self.owners.is_empty() || self.owners.iter().any(is_of_owner))
            && (self.rules.is_empty() || rules.into_iter().any(is_of_rule))
    }

    /// Whether it shows `planned`; settings are of no owner and of no rule.
    pub(super) fn shows_change(&self, planned: &PlannedChange) -> bool {
        match planned.change.token() {
            Some(token) => {
                self.shows(token, planned.reasons.iter().filter_map(|reason| reason.rule.as_ref()))
            }
            None => !self.is_filtered(),
        }
    }

    /// What it leaves out by owner and rule, as the end of a sentence that begins with "only".
    pub(super) fn confined_to(&self) -> Option<String> {
        let owners: Vec<_> = self.owners.iter().map(|owner| format!("`{owner}`")).collect();
        let rules: Vec<_> = self.rules.iter().map(|rule| format!("`{rule}`")).collect();
        match (owners.is_empty(), rules.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("tokens of {}", owners.join(", "))),
            (true, false) => Some(format!("findings of {}", rules.join(", "))),
            (false, false) => Some(format!("tokens of {} with {}", owners.join(", "), rules.join(", "))),
        }
    }
}
