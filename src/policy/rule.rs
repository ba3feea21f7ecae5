//! An own rule, from one valid entry of `tokens.rules`.

use std::sync::Arc;

use crate::{
    model::{Expression, Rule},
    yaml::Place,
};

/// A rule of the policy's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRule {
    /// Its name, kebab-case, and not that of a built-in rule.
    pub name: Arc<str>,
    /// The condition under which a token breaks it.
    pub when: Expression,
    /// What is wrong with such a token.
    pub message: String,
    /// Where the entry begins.
    pub place: Place,
}

impl OwnRule {
    /// The rule by its name.
    #[must_use]
    pub fn rule(&self) -> Rule {
        Rule::Own(Arc::clone(&self.name))
    }
}
