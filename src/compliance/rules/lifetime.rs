//! The rule `lifetime`: the token never expires, or lives longer than `max_lifetime`. A day more than the
//! limit is forgiven: servers round an expiry to the end of a day.

use super::{RuleVerdict, Subject, day};
use crate::model::{LimitKey, Period};

const FORGIVEN: Period = Period::days(1);

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    let token = subject.token;
    subject.limited(
        LimitKey::MaxLifetime,
        |limit| limit.max_lifetime.as_ref(),
        |most| match token.expires {
            None => Some(format!("no expiry, limit {most}")),
            Some(expires) if expires > FORGIVEN.after(most.after(token.created)) => {
                Some(format!("lives from {} to {}, limit {most}", day(token.created), day(expires)))
            }
            Some(_) => None,
        },
    )
}
