//! What a rule is about, and what the owner of a token that breaks it can do.

use crate::model::Rule;

/// What the rule finds, as a sentence without its full stop.
pub(super) fn about(rule: &Rule) -> String {
    match rule {
        Rule::BuiltIn(code) => format!("a token that {}", code.facts().finds),
        Rule::Own(name) => format!("a token that breaks the policy's own rule `{name}`"),
    }
}

/// What the owner of a token that breaks it can do, as a sentence without its full stop.
pub(super) fn advice(rule: &Rule) -> &'static str {
    match rule {
        Rule::BuiltIn(code) => code.facts().advice,
        Rule::Own(_) => {
            "read the rule at the line of the policy, and replace the token with one that complies"
        }
    }
}
