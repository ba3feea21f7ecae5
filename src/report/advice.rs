//! What a rule is about, what the owner of a token that breaks it can do, and the page that says more.

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

/// Where the documentation of this version says more of the rule.
pub(super) fn page(rule: &Rule) -> String {
    let section = match rule {
        Rule::BuiltIn(code) => code.facts().code,
        Rule::Own(_) => "own-rules",
    };
    let (repository, version) = (env!("CARGO_PKG_REPOSITORY"), env!("CARGO_PKG_VERSION"));
    format!("{repository}/blob/v{version}/docs/rules.md#{section}")
}
