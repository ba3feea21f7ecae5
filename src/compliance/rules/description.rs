//! The rule `description`: the description does not match the pattern of the limit. The description is
//! shown only by the report, which escapes it.

use super::{RuleVerdict, Subject, words_not_known};
use crate::model::LimitKey;

pub(super) fn check(subject: &Subject<'_>) -> RuleVerdict {
    let verdict = subject.limited(
        LimitKey::Description,
        |limit| limit.description.as_ref(),
        |pattern| {
            (!pattern.matches(&subject.token.description))
                .then(|| format!("the description does not match `{pattern}`"))
        },
    );
    match verdict {
        RuleVerdict::Complies { .. } | RuleVerdict::Fails { .. } if subject.is_cut => words_not_known(),
        verdict => verdict,
    }
}
