//! The rule `never-used`: the token was never used and is older than `max_unused`. A token with any use is
//! the subject of `idle`.

use super::{NotTried, RuleVerdict, Subject, day};
use crate::model::LimitKey;

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    if subject.token.last_used.is_some() {
        return RuleVerdict::NotTried(NotTried::Used);
    }
    let created = subject.token.created;
    subject.limited(
        LimitKey::MaxUnused,
        |limit| limit.max_unused.as_ref(),
        |most| {
            (created < most.before(subject.now))
                .then(|| format!("never used since {}, limit {most}", day(created)))
        },
    )
}
