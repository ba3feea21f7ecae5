//! The name of what a change or a finding is about, for people, and its address for programs.

use crate::{
    model::Token,
    plan::{Object, PlannedChange},
};

use super::{
    difference::of_token,
    escape::{escape, escape_whole, quoted},
};

/// What people read: `permissions.create`, `token 4711 "nightly build" of ci-deploy`.
pub(super) fn name(object: Object<'_>) -> String {
    match object {
        Object::Setting(key) => key.path().to_owned(),
        Object::Token(token) => token_name(token),
    }
}

/// What people read of a change, on one line.
#[must_use]
pub fn change_line(planned: &PlannedChange) -> String {
    let object = name(planned.change.object());
    let what = of_token(&planned.change).unwrap_or_else(|| planned.change.verb().to_string());
    let why: Vec<String> = planned
        .reasons
        .iter()
        .filter_map(|reason| Some(format!("{}: {}", reason.rule.as_ref()?, escape_whole(&reason.text))))
        .collect();
    if why.is_empty() {
        format!("{object}: {what}")
    } else {
        format!("{object}: {what} ({})", why.join("; "))
    }
}

/// What people read of a token.
pub(super) fn token_name(token: &Token) -> String {
    format!(
        "token {} {} of {}",
        escape(token.id.as_str()),
        quoted(&token.description),
        escape(&token.owner.to_string())
    )
}
