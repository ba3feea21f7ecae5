//! The rule `expired`: the token expired long ago and is still listed. The server refuses such a token
//! anyway; what is left is to tidy up, so the rule waits a month.

use super::{NotTried, Subject, Verdict, day};
use crate::model::Period;

/// How long an expired token may stay listed, so that people can still find out why it ended.
const LISTED: Period = Period::days(30);

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    match subject.token.expires {
        Some(expires) if expires <= subject.now => {
            if LISTED.after(expires) < subject.now {
                Verdict::Fails { message: format!("expired on {}", day(expires)), place: None }
            } else {
                Verdict::COMPLIES
            }
        }
        Some(_) | None => Verdict::NotTried(NotTried::NotExpired),
    }
}
