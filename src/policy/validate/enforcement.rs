//! The section `tokens.enforcement`: the action for each rule, and the mistakes in it. Own rules may be in
//! another layer than their actions: whether such a rule exists is known once all layers are.

use crate::{
    model::Action,
    yaml::{Code, Diagnostic, Diagnostics, node::At, structure::quoted_list, values::period},
};

use super::{
    super::{Enforcement, document::EnforcementKeys, layer::UNMANAGED},
    Extent,
    rules::Known,
    sourced,
};

/// What happens on a finding of each rule.
pub(super) fn actions(
    tokens: Option<&At<'_>>,
    known: &Known,
    extent: Extent,
    out: &mut Diagnostics,
) -> Enforcement {
    let mut enforcement = Enforcement::default();
    let Some(section) = tokens.and_then(|tokens| tokens.get("enforcement")) else {
        return enforcement;
    };
    for (key, at) in section.entries() {
        if key == EnforcementKeys::DEFAULT {
            let actions = Actions { of: "a rule", admitted: EnforcementKeys::DEFAULT_ACTIONS };
            enforcement.default = actions.read(&at, extent, out).unwrap_or(enforcement.default);
        } else if let Some(rule) = known.find(key) {
            let actions = Actions { of: rule.code(), admitted: rule.actions() };
            if let Some(action) = actions.read(&at, extent, out) {
                enforcement.rules.insert(rule, sourced(&at, action));
            }
        } else if extent == Extent::Whole {
            out.push(known.unknown(key, at.key, &at.path, &[EnforcementKeys::DEFAULT], |rule| {
                section.get(rule).is_some()
            }));
        }
    }
    enforcement
}

/// The actions that one key admits.
struct Actions<'a> {
    of: &'a str,
    admitted: &'static [&'static str],
}

impl Actions<'_> {
    fn read(&self, at: &At<'_>, extent: Extent, out: &mut Diagnostics) -> Option<Action> {
        if !at.is_map() {
            let word = at.text().filter(|word| *word != UNMANAGED)?;
            return self.known(word, at, out).then(|| action(word, Action::DEFAULT_GRACE));
        }
        let grace_at = at.get("grace");
        let grace = grace_at.as_ref().map_or(Some(Action::DEFAULT_GRACE), |at| period(at, out));
        let Some(word_at) = at.get("action") else {
            if extent == Extent::Whole {
                let message = "the key `action` is missing";
                out.push(
                    Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message)
                        .help(format!("write one of {}", quoted_list(self.admitted))),
                );
            }
            return None;
        };
        let word = word_at.text()?;
        if let Some(grace_at) = grace_at.filter(|_| word != "expire") {
            let message = format!("`grace` works only with `expire`, not with `{word}`");
            let help = if self.admitted.contains(&"expire") {
                "remove `grace`, or write `action: expire`"
            } else {
                "remove `grace`"
            };
            out.push(
                Diagnostic::error(Code::GraceWithoutExpire, grace_at.key, grace_at.path.as_str(), message)
                    .help(help),
            );
        }
        self.known(word, &word_at, out).then(|| grace.map(|grace| action(word, grace))).flatten()
    }

    /// Whether `word` is an admitted action; reports it when it is not.
    fn known(&self, word: &str, at: &At<'_>, out: &mut Diagnostics) -> bool {
        if self.admitted.contains(&word) {
            return true;
        }
        let help = format!("write one of {}", quoted_list(self.admitted));
        let mistake = if EnforcementKeys::DEFAULT_ACTIONS.contains(&word) {
            let message = format!("action `{word}` is not available for rule `{}`", self.of);
            Diagnostic::error(Code::ActionNotForRule, at.span(), at.path.as_str(), message).help(help)
        } else {
            let message = format!("unknown action `{word}`");
            Diagnostic::error(Code::UnknownAction, at.span(), at.path.as_str(), message)
                .help(help)
                .suggest(word, self.admitted.iter().copied())
        };
        out.push(mistake);
        false
    }
}

/// The action with the word `word`, which is an admitted one.
fn action(word: &str, grace: crate::model::Period) -> Action {
    match word {
        "narrow" => Action::Narrow,
        "expire" => Action::Expire { grace },
        "revoke" => Action::Revoke,
        _ => Action::Report,
    }
}
