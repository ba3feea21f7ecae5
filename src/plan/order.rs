//! The order of changes, so that nobody is shut out half way: first what opens, then what must be seen to
//! work, last what closes.

use serde::{Deserialize, Serialize};

use crate::model::{SettingKey, TokenId};

use super::{Change, PlannedChange, TokenStep};

/// The parts of a run. A failure in one stops before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// What opens: grants, admitted networks, passwords on, higher limits.
    Expand,
    /// What must be seen to work before anything closes: the source of the client's address.
    Verify,
    /// What closes: withdrawals, refused networks, lower limits, passwords off, tokens.
    Contract,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Expand, Self::Verify, Self::Contract];

    /// Its word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Verify => "verify",
            Self::Contract => "contract",
        }
    }
}

/// Sorts changes into the order in which they are done: by phase, settings before tokens, tokens
/// by verb with revocations last, then by identifier.
pub(super) fn sort(changes: &mut [PlannedChange]) {
    changes.sort_by(|a, b| key(&a.change).cmp(&key(&b.change)));
}

fn key(change: &Change) -> (Phase, Option<usize>, Option<SettingKey>, Option<&TokenId>) {
    match change {
        Change::Setting { before, .. } => (change.phase(), None, Some(before.key()), None),
        Change::Token { token, step } => {
            let place = TokenStep::VERBS.iter().position(|verb| *verb == step.verb());
            (change.phase(), place, None, Some(&token.id))
        }
    }
}
