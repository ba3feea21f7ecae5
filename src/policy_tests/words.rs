//! The check that every rule and reason named in a file of policy tests exists.

use crate::{
    access::DenialReason,
    model::RuleCode,
    policy::Policy,
    policy_tests::file::{CaseSubject, TestFile, WrittenWord},
    yaml::{Code, Diagnostic, Diagnostics, structure::quoted_list},
};

/// The decision that lets a request pass.
pub(super) const PERMIT: &str = "permit";

/// Every word of `file` that means nothing under `policy`.
#[must_use]
pub fn check(file: &TestFile, policy: &Policy) -> Diagnostics {
    let own = policy.rules.iter().map(|rule| rule.name.as_ref());
    let rules: Vec<&str> = RuleCode::ALL.iter().map(|rule| rule.code()).chain(own).collect();
    let decisions: Vec<&str> =
        [PERMIT].into_iter().chain(DenialReason::ALL.map(DenialReason::code)).collect();
    let mut out = Diagnostics::default();
    for case in &file.cases {
        match &case.subject {
            CaseSubject::Token { findings, waived, .. } => {
                for word in findings.iter().chain(waived) {
                    out.extend_some(unknown(word, &rules, Code::UnknownRule, "rule"));
                }
            }
            CaseSubject::Request { decision, .. } => {
                out.extend_some(unknown(decision, &decisions, Code::UnknownWord, "decision"));
            }
            CaseSubject::Statement(_) => {}
        }
    }
    out
}

fn unknown(word: &WrittenWord, known: &[&str], code: Code, noun: &str) -> Option<Diagnostic> {
    if known.contains(&word.text.as_str()) {
        return None;
    }
    let message = format!("unknown {noun} `{}`", word.text);
    let diagnostic = Diagnostic::error(code, &word.span, word.key.as_str(), message)
        .help(format!("the {noun}s are {}", quoted_list(known)))
        .suggest(&word.text, known.iter().copied());
    Some(diagnostic)
}
