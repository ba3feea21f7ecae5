//! `scope`: the token reaches further than `max_scope`. In: the limit. Out: a verdict. A token that
//! is older than scopes counts as read-write.

use super::{Subject, Verdict};

pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let scope = subject.token.scope;
    subject.limited(
        "max_scope",
        |limit| limit.max_scope,
        |most| (scope.effective() > most).then(|| format!("{scope}, limit {most}")),
    )
}
