//! The rule `idle`: the last use lies longer ago than `max_idle`. A token that was never used is the
//! subject of `never-used`.

use super::{NotTried, Subject, Verdict, day};
use crate::model::LimitKey;

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let Some(last) = subject.token.last_used else { return Verdict::NotTried(NotTried::NeverUsed) };
    subject.limited(
        LimitKey::MaxIdle,
        |limit| limit.max_idle.as_ref(),
        |most| {
            (last.at < most.before(subject.now)).then(|| format!("last used {}, limit {most}", day(last.at)))
        },
    )
}
