//! In: changes. Out: the order in which they are done, so that nobody is shut out half way: first
//! what opens, then what must be seen to work, last what closes. It refuses to know any server.

use crate::model::{Limit, Reach, SettingKey, TokenId};

use super::{Change, PlannedChange, change::Object};

/// The parts of a run. A failure in one stops before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// The phase that `change` belongs to.
#[must_use]
pub fn phase(change: &Change) -> Phase {
    let opens = match change {
        Change::Grant(_) | Change::Admit(_) => true,
        Change::SetPasswordAuthentication { before, after } => before.union(after) == *after,
        Change::SetLimits { before, after } => loosens(before, after),
        Change::SetClientAddress { .. } => return Phase::Verify,
        Change::Withdraw(_)
        | Change::Refuse(_)
        | Change::Narrow { .. }
        | Change::Expire { .. }
        | Change::Mark { .. }
        | Change::Unmark { .. }
        | Change::Revoke { .. } => false,
    };
    if opens { Phase::Expand } else { Phase::Contract }
}

/// Sorts changes into the order in which they are done: by phase, settings before tokens, tokens
/// by verb with revocations last, then by identifier.
pub(super) fn sort(changes: &mut [PlannedChange]) {
    changes.sort_by(|a, b| key(&a.change).cmp(&key(&b.change)));
}

fn key(change: &Change) -> (Phase, u8, Option<SettingKey>, Option<&TokenId>) {
    let rank = match change {
        Change::Expire { .. } | Change::Mark { .. } => 1,
        Change::Unmark { .. } => 2,
        Change::Narrow { .. } => 3,
        Change::Revoke { .. } => 4,
        _ => 0,
    };
    match change.object() {
        Object::Setting(setting) => (phase(change), rank, Some(setting), None),
        Object::Token(token) => (phase(change), rank, None, Some(&token.id)),
    }
}

/// Whether no token that `before` admits is refused by `after`: the same owners in the same order,
/// each under limits that are at least as high. Anything else counts as closing.
fn loosens(before: &[Limit], after: &[Limit]) -> bool {
    after.is_empty()
        || before.len() == after.len()
            && before.iter().zip(after).all(|(before, after)| after.is_no_narrower_than(before))
}
