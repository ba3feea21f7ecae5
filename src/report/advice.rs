//! In: a rule. Out: what it is about, and what the owner of a token that breaks it can do. It refuses to
//! know a single token.

use crate::model::{Rule, RuleCode};

/// What the rule finds, as a sentence without its full stop.
pub(super) fn about(rule: &Rule) -> String {
    match rule {
        Rule::BuiltIn(code) => format!("a token that {}", code.finds()),
        Rule::Own(name) => format!("a token that breaks the policy's own rule `{name}`"),
    }
}

/// What the owner of a token that breaks it can do, as a sentence without its full stop.
pub(super) fn advice(rule: &Rule) -> &'static str {
    let Rule::BuiltIn(code) = rule else {
        return "read the rule at the line of the policy, and replace the token by one that keeps to it";
    };
    match code {
        RuleCode::OwnerInactive => {
            "let somebody who is active make a token of their own for what still needs one"
        }
        RuleCode::OwnerUnknown => "find out whose token it is, and revoke it when it is nobody's",
        RuleCode::OwnerNotPermitted => "ask for a group that may use tokens, or stop using this one",
        RuleCode::Scope => "use it for reading alone, or ask for a limit that lets it write",
        RuleCode::ScopeUnset => "nothing, unless it is used for more than its new scope allows",
        RuleCode::Lifetime => {
            "make a new token that ends within the limit, and put it where this one is used"
        }
        RuleCode::Idle | RuleCode::NeverUsed => "revoke it if nothing needs it; otherwise put it to use",
        RuleCode::PerOwner => "revoke the tokens that are not needed",
        RuleCode::Description => "make a new token whose description has the form that the policy asks for",
        RuleCode::CreatorNotPermitted => "make a token of your own, and put it where this one is used",
        RuleCode::Expired => "nothing: it does not work any more and only clutters the list",
        RuleCode::RuleError => "have the expression of the rule put right in the policy",
    }
}
