//! What was found on the tokens of one target.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{WaiverWarning, rules::Doubt};
use crate::{
    model::{Action, Rule, Scope, Token},
    policy::Waiver,
    yaml::Place,
};

/// One token breaking one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What is wrong, such as `no expiry, limit 1y`. May hold text from the server.
    pub message: String,
    /// The line of the policy that demands it, when one does.
    pub place: Option<Place>,
    /// What the policy does about it; nothing while a waiver holds it.
    pub action: Action,
    /// The waiver that holds it.
    pub waiver: Option<Arc<Waiver>>,
    /// The moment, UTC, before which no mark is due for it: the end of what an ended waiver leaves.
    pub marks_from: Option<Timestamp>,
}

impl Finding {
    /// When it ends `token`, UTC, as seen at `now`: the day that the token is marked with, unless what would be
    /// set now comes earlier. `None` when it does not make the token end on a day.
    #[must_use]
    pub fn ends(&self, token: &Token, now: Timestamp) -> Option<Timestamp> {
        let set = self.action.deadline(now).filter(|_| self.waiver.is_none())?;
        let mut deadlines = token.mark.into_iter().flat_map(|mark| [Some(mark.until), mark.shown]).flatten();
        let marked = deadlines.find(|until| Some(*until) >= self.marks_from);
        Some(marked.map_or(set, |until| until.min(set)))
    }

    /// Whether `action` happens because of it.
    #[must_use]
    pub fn leads_to(&self, action: Action) -> bool {
        self.waiver.is_none() && self.action == action
    }
}

/// A token with everything that is wrong with it; never without a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFindings {
    /// The token, which what is planned for it shares.
    pub token: Arc<Token>,
    /// In the order of the rules.
    pub findings: Vec<Finding>,
    /// What `narrow` lowers the scope to: the limit's `max_scope`, read-only where there is none;
    /// `None` when it rests on a group that the server does not know.
    pub narrow_to: Option<Scope>,
}

/// Everything that was found on one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Tokens with findings, in the order of their identifiers.
    pub tokens: Vec<TokenFindings>,
    /// How many tokens were seen.
    pub seen: u64,
    /// How many of them have not expired.
    pub live: u64,
    /// How many have no finding, but a rule that could not be decided.
    pub unjudged: u64,
    /// The latest moment at which a token was made or used, UTC; of those that may be believed.
    pub latest: Option<Timestamp>,
    /// Rules that could not be decided: which, for what reason, and on how many tokens.
    pub undecided: BTreeMap<(Rule, Doubt), u64>,
    /// What there is to say of the waivers.
    pub waiver_warnings: Vec<WaiverWarning>,
    /// Tokens with a mark, or a recorded deadline, of which every rule was decided and none, beside those that
    /// waivers hold, asks for their end any more. In the order of their identifiers.
    pub needlessly_marked: Vec<Token>,
}

impl Findings {
    /// How many tokens comply with every rule.
    #[must_use]
    pub fn complying(&self) -> u64 {
        self.seen.saturating_sub(self.tokens.len() as u64).saturating_sub(self.unjudged)
    }

    /// How many tokens do not comply, and waivers hold everything that is wrong with them.
    #[must_use]
    pub fn waived(&self) -> u64 {
        let waived = |found: &&TokenFindings| found.findings.iter().all(|finding| finding.waiver.is_some());
        self.tokens.iter().filter(waived).count() as u64
    }
}
