//! What people are shown of a plan.

use std::ops::Add;

use jiff::Timestamp;

use crate::{
    compliance::{Statistics, TokenFindings, WaiverWarning},
    inventory::Coverage,
    model::{AddressSet, LastChange, run::Settled},
};

use super::{HeldBack, Pending, PlannedChange, Purpose, RefusedUse, Remark, Spent};

/// Everything that a person needs to judge a plan: what reports show, and what a saved plan keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanView {
    /// What it is for.
    pub purpose: Purpose,
    /// The name of the target in the config file.
    pub target: String,
    /// The address of the server, without credentials.
    pub url: String,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// Who changed its settings last, and when, where it tells.
    pub settings_changed: Option<LastChange>,
    /// The moment that it was made for, UTC.
    pub made_for: Timestamp,
    /// SHA-256 of the canonical form of the policy, in hexadecimal.
    pub policy_fingerprint: String,
    /// What would be done, in the order in which it would be.
    pub changes: Vec<PlannedChange>,
    /// What would be done too, were the plan not confined to a part; in the same order.
    pub left_out: Vec<PlannedChange>,
    /// What is wanted and cannot be done for now.
    pub held_back: Vec<HeldBack>,
    /// Tokens whose remedy is in place and whose deadline has not come.
    pub pending: Vec<Pending>,
    /// Findings that the policy only reports.
    pub reported: Vec<TokenFindings>,
    /// Findings that waivers hold; each has its waiver.
    pub waived: Vec<TokenFindings>,
    /// What there is to say of the waivers.
    pub waiver_warnings: Vec<WaiverWarning>,
    /// How many tokens there are.
    pub tokens: TokenCounts,
    /// What all tokens come to, by scope, age, expiry and owner.
    pub statistics: Statistics,
    /// Who would no longer be let in from where they came from.
    pub refused_use: RefusedUse,
    /// The names that the policy gives to ranges of addresses.
    pub network_names: Vec<(String, AddressSet)>,
    /// What was not seen, be it that it could not be, or that the config file leaves it out.
    pub coverage: Coverage,
    /// What earlier runs did within the window, which counts against the rails; `None` when nobody
    /// keeps a record, so that every run is judged by itself.
    pub spent: Option<Spent>,
    /// What became of the changes that an interrupted run had begun.
    pub settled: Vec<Settled>,
    /// What else there is to know.
    pub remarks: Vec<Remark>,
}

impl PlanView {
    /// Whether everything that was looked for was seen, and nothing is to be done or held back.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.changes.is_empty() && self.is_whole()
    }

    /// Whether everything that was looked for was seen, and nothing is held back beyond what the settings
    /// file tolerates. What the config file leaves out is not looked for.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.held_back.iter().all(|held| held.tolerated) && self.coverage.unseen().next().is_none()
    }
}

/// How many tokens there are, and how many of them comply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// All that were seen.
    pub seen: u64,
    /// Those that have not expired.
    pub live: u64,
    /// Those that comply with every rule.
    pub complying: u64,
    /// Those without a finding of which not every rule could be decided.
    pub unjudged: u64,
    /// Those whose every finding is held by a waiver; they are not among the complying ones.
    pub waived: u64,
}

impl Add for TokenCounts {
    type Output = Self;

    /// The tokens of two targets together.
    fn add(self, more: Self) -> Self {
        Self {
            seen: self.seen + more.seen,
            live: self.live + more.live,
            complying: self.complying + more.complying,
            unjudged: self.unjudged + more.unjudged,
            waived: self.waived + more.waived,
        }
    }
}
