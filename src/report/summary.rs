//! In: changes. Out: how many of what they come to, in one line, counted by what they are about: a
//! setting that is changed in two steps is one setting. It refuses to know which of them were done.

use crate::plan::{Object, PlannedChange};

use super::escape::counted;

/// Whether it is going to be done, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    /// `2 settings to change`.
    Future,
    /// `2 settings changed`.
    Past,
}

/// Such as `2 settings to change, 1 token to revoke`; `nothing` for no change.
pub(super) fn summary(changes: &[&PlannedChange], tense: Tense) -> String {
    summary_of_all(&[changes.to_vec()], tense)
}

/// The same over several targets, each with its changes.
pub(super) fn summary_of_all(targets: &[Vec<&PlannedChange>], tense: Tense) -> String {
    let is_setting = |group: &Vec<&PlannedChange>| {
        group.first().is_some_and(|first| matches!(first.change.object(), Object::Setting(_)))
    };
    let settings = targets.iter().flat_map(|changes| by_object(changes)).filter(is_setting).count();
    let of =
        |action: &str| targets.iter().flatten().filter(|planned| planned.change.action() == action).count();
    let parts: Vec<String> = [
        (settings, "setting", "to change", "changed"),
        (of("narrow"), "token", "to narrow", "narrowed"),
        (of("expire"), "token", "to expire", "made to expire"),
        (of("mark"), "token", "to mark", "marked"),
        (of("unmark"), "token", "to unmark", "unmarked"),
        (of("revoke"), "token", "to revoke", "revoked"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, noun, future, past)| {
        let verb = if tense == Tense::Future { future } else { past };
        format!("{} {verb}", counted(count, noun))
    })
    .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// The changes, those of one setting or one token together: settings, then tokens in the order in
/// which they are first changed.
pub(super) fn by_object<'a>(changes: &[&'a PlannedChange]) -> Vec<Vec<&'a PlannedChange>> {
    let mut sorted = changes.to_vec();
    let rank = |change: &PlannedChange| match change.change.object() {
        Object::Setting(key) => (false, Some(key), false, None),
        Object::Token(token) => (true, None, change.change.is_irreversible(), Some(token.id.clone())),
    };
    sorted.sort_by_cached_key(|change| rank(change));
    sorted.chunk_by(|a, b| rank(a) == rank(b)).map(<[_]>::to_vec).collect()
}
