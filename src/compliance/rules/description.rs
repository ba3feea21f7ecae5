//! `description`: the description does not match. In: the pattern of the limit. Out: a verdict. It
//! refuses to show the description: that is the report's, which escapes it.

use super::{Subject, Verdict};

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    subject.limited(
        "description",
        |limit| limit.description.clone(),
        |pattern| {
            (!pattern.matches(&subject.token.description))
                .then(|| format!("the description does not match `{pattern}`"))
        },
    )
}
