//! The key `waivers` of a policy, an entry a line, so that each can be removed on its own.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::model::Rule;

use super::{
    super::WaiverSubject,
    yaml::{quoted, scalar},
};

/// One waiver to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverDraft {
    /// Which tokens it is for.
    pub subject: WaiverSubject,
    /// Which rules it is for; never empty.
    pub rules: BTreeSet<Rule>,
    /// What a reader should know of the subject, for a comment. May hold text from a server.
    pub about: Option<String>,
}

/// The key `waivers` with `drafts`, all for `reason` and through the day `until`, UTC; nothing without a
/// draft, since an empty list is a mistake.
#[must_use]
pub fn waivers(drafts: &[WaiverDraft], reason: &str, until: Date) -> String {
    if drafts.is_empty() {
        return String::new();
    }
    let reason = scalar(reason);
    let lines: String = drafts.iter().map(|draft| line(draft, &reason, until)).collect();
    format!("\nwaivers:                            # each of these can be removed on its own\n{lines}")
}

fn line(draft: &WaiverDraft, reason: &str, until: Date) -> String {
    let subject = match &draft.subject {
        WaiverSubject::Token(id) if is_plain_number(id.as_str()) => format!("token: {id}"),
        WaiverSubject::Token(id) => format!("token: {}", quoted(id.as_str())),
        WaiverSubject::Owner { owner, description: None } => format!("owner: {}", scalar(&owner.to_string())),
        WaiverSubject::Owner { owner, description: Some(pattern) } => {
            format!("owner: {}, description: {}", scalar(&owner.to_string()), quoted(pattern))
        }
    };
    let rules: Vec<String> = draft.rules.iter().map(|rule| scalar(rule.code())).collect();
    let about = draft.about.as_ref().map_or(String::new(), |about| format!("   # {}", quoted(about)));
    let rules = rules.join(", ");
    format!("  - {{ {subject}, rules: [{rules}], reason: {reason}, until: {until} }}{about}\n")
}

/// Whether `text` is a number as plainly as servers write one.
fn is_plain_number(text: &str) -> bool {
    text.parse::<u64>().is_ok_and(|number| number.to_string() == text)
}
