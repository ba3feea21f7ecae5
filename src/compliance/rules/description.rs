//! The rule `description`: the description does not match the pattern of the limit. The description is
//! shown only by the report, which escapes it.

use super::{Subject, Verdict, words_not_known};
use crate::model::LimitKey;

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let verdict = subject.limited(
        LimitKey::Description,
        |limit| limit.description.as_ref(),
        |pattern| {
            (!pattern.matches(&subject.token.description))
                .then(|| format!("the description does not match `{pattern}`"))
        },
    );
    match verdict {
        Verdict::Complies { .. } | Verdict::Fails { .. } if subject.is_cut => words_not_known(),
        verdict => verdict,
    }
}
