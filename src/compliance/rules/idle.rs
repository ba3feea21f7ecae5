//! The rule `idle`: the last use lies longer ago than `max_idle`. A token that was never used is the
//! subject of `never-used`.

use super::{NotTried, RuleVerdict, Subject, day};
use crate::model::LimitKey;

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    let Some(last) = subject.token.last_used else { return RuleVerdict::NotTried(NotTried::NeverUsed) };
    subject.limited(
        LimitKey::MaxIdle,
        |limit| limit.max_idle.as_ref(),
        |most| {
            (last.at < most.before(subject.now)).then(|| format!("last used {}, limit {most}", day(last.at)))
        },
    )
}
