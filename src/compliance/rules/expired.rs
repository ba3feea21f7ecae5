//! The rule `expired`: the token expired long ago and is still listed. The server refuses such a token
//! anyway; what is left is to tidy up, so the rule waits a month.

use super::{NotTried, RuleVerdict, Subject, day};
use crate::model::Period;

/// How long an expired token may stay listed, so that people can still find out why it ended.
const LISTED: Period = Period::days(30);

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    match subject.token.expires {
        Some(expires) if expires <= subject.now => {
            if LISTED.after(expires) < subject.now {
                RuleVerdict::Fails { message: format!("expired on {}", day(expires)), place: None }
            } else {
                RuleVerdict::COMPLIES
            }
        }
        Some(_) | None => RuleVerdict::NotTried(NotTried::NotExpired),
    }
}
