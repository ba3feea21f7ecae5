//! The parameters that select entries of the audit.

use crate::model::audit::AuditFilter;

/// Who did it.
pub const WHO: &str = "who";
/// Whose token it was done to.
pub const OWNER: &str = "owner";
/// The token that it was done to.
pub const TOKEN: &str = "token";
/// What was done.
pub const ACTION: &str = "action";
/// The first moment, in milliseconds since 1970-01-01T00:00:00Z.
pub const SINCE: &str = "since";
/// The first moment that is too late, in the same form.
pub const UNTIL: &str = "until";
/// The run that did it.
pub const RUN: &str = "run";

/// The parameters that ask for the entries that `filter` selects.
pub fn query(filter: &AuditFilter) -> impl Iterator<Item = (&'static str, String)> {
    let AuditFilter { who, owner, token, action, since, until, run } = filter;
    let parameters = [
        (WHO, who.clone()),
        (OWNER, owner.as_ref().map(ToString::to_string)),
        (TOKEN, token.map(|token| token.to_string())),
        (ACTION, action.map(|action| action.word().to_owned())),
        (SINCE, since.map(|since| since.as_millisecond().to_string())),
        (UNTIL, until.map(|until| until.as_millisecond().to_string())),
        (RUN, run.as_ref().map(ToString::to_string)),
    ];
    parameters.into_iter().filter_map(|(name, value)| Some((name, value?)))
}
