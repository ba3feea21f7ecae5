//! What a plan consists of: changes with their reasons, what is held back, and tokens that end on a day.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Change, Origin};
use crate::{
    model::{Period, Rule, Token},
    yaml::Place,
};

/// A change with the reasons for it; never without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// What is to be done.
    pub change: Change,
    /// Why.
    pub reasons: Vec<ChangeReason>,
    /// Where it comes from, when the plan was compared with a baseline.
    pub origin: Option<Origin>,
    /// How much time is left to anyone who uses the token, at least and from when it is done, when the end
    /// that it gets was not promised before.
    pub grace: Option<Period>,
}

impl PlannedChange {
    /// Whether it is too late for it at `now`, UTC: the token would end earlier than was promised.
    #[must_use]
    pub fn is_too_late(&self, now: Timestamp) -> bool {
        let end = self.change.token_step().and_then(|(_, step)| step.deadline());
        end.is_some_and(|end| end < self.grace.map_or(now, |grace| grace.after(now)))
    }

    pub(super) fn new(change: Change, reasons: Vec<ChangeReason>) -> Self {
        Self { change, reasons, origin: None, grace: None }
    }
}

/// Why something is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeReason {
    /// The rule that failed, for changes of tokens.
    pub rule: Option<Rule>,
    /// What is wrong; empty for changes of settings. May hold text from the server.
    pub text: String,
    /// The line of the policy that demands it.
    pub place: Option<Place>,
}

/// Something that is wanted and is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// What it is about: a setting, a rule, a token or an owner.
    pub subject: String,
    /// The line of the policy that wants it.
    pub place: Option<Place>,
    /// Why it is not done.
    pub reason: String,
    /// How many tokens it is about, when it is about tokens.
    pub tokens: Option<u64>,
    /// Whether a run goes on without failing: the target cannot do it at all and the config file says to go
    /// on anyway, or it rests on somebody who is not in the directory.
    pub tolerated: bool,
}

/// A token that will be refused by itself, or is to be revoked, on a day that is already set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The token.
    pub token: Arc<Token>,
    /// Its expiry, or the day that it is marked with, UTC.
    pub until: Timestamp,
    /// Why it must end.
    pub reasons: Vec<ChangeReason>,
}
