//! Tokens that were made or used at a moment that has not come yet: nothing is decided about them.

use jiff::Timestamp;

use crate::model::Token;

use super::HeldBack;

/// As many of them are named one by one.
const NAMED: u64 = 20;

/// The tokens whose dates lie in the future of their server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OddDates {
    /// How many there are.
    pub tokens: u64,
    /// The latest of these dates, UTC.
    pub latest: Option<Timestamp>,
}

impl OddDates {
    /// Whether so few of `seen` tokens are odd records, rather than witnesses of a clock that is, or was, wrong:
    /// three, or 2 %.
    #[must_use]
    pub fn are_few_of(&self, seen: u64) -> bool {
        self.tokens <= 3 || self.tokens.saturating_mul(50) <= seen
    }
}

/// The fold over all tokens that finds them.
#[derive(Default)]
pub(super) struct OddDatesFold {
    found: OddDates,
    held_back: Vec<HeldBack>,
}

impl OddDatesFold {
    /// Whether `token` is one of them where no date is later than `latest`, UTC; none is where nobody knows that.
    pub(super) fn observe(&mut self, token: &Token, latest: Option<Timestamp>) -> bool {
        let last = token.made_or_used();
        let Some(latest) = latest.filter(|latest| last > *latest) else { return false };
        self.found.tokens += 1;
        self.found.latest = self.found.latest.max(Some(last));
        if self.found.tokens <= NAMED {
            let reason = format!(
                "it was made or used at {last:.0}, and on the server it was {latest:.0} at the latest: nothing is \
                 decided about it before then; `tokenwarden revoke` revokes it all the same"
            );
            self.held_back.push(held(format!("token {}", token.id), reason, 1));
        }
        true
    }

    /// Those that were found, and what is held back because of them.
    pub(super) fn finish(mut self) -> (OddDates, Vec<HeldBack>) {
        let more = self.found.tokens.saturating_sub(NAMED);
        if more > 0 {
            let reason = "they were made or used in the future as well".to_owned();
            self.held_back.push(held(format!("{more} more tokens"), reason, more));
        }
        (self.found, self.held_back)
    }
}

fn held(subject: String, reason: String, tokens: u64) -> HeldBack {
    HeldBack { subject, place: None, reason, tokens: Some(tokens), tolerated: false }
}
