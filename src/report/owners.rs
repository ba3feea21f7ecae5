//! Notices in Markdown for owners whose tokens end or lose something, or whose waivers end soon: which,
//! when, why and what to do; and an index of the notices for the program that delivers them. Owners who
//! have nothing to expect get none.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write,
};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    compliance::{Finding, WaiverStanding, WaiverWarning},
    model::{Owner, OwnerKind, Rule, RuleCode, Token, TokenId, Verb, brief},
    plan::{Change, ChangeReason, TokenStep},
    yaml::Place,
};

use super::{
    Run, TargetRun,
    advice::advice,
    difference::{day, expiry},
    hash::hash,
    markdown::inline,
    subject::token_name,
};

/// Name of the file that lists the notices of a folder.
pub const INDEX: &str = "index.json";
/// Version of the form of [`Index`].
const FORMAT_VERSION: &str = "1.0";
/// How much of an owner's name is in the name of a file, in characters.
const NAME: usize = 60;

/// What one owner is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whom it is for, as plans show owners.
    pub owner: String,
    /// Name of its file: letters, digits, `-`, `_` and `~` before `.md`, and no two owners share one.
    pub file: String,
    /// The notice, Markdown.
    pub text: String,
    /// How many tokens it is about.
    pub tokens: usize,
}

/// The notices of a folder, for the program that delivers them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Index {
    /// Version of this format.
    pub format_version: String,
    /// One for each notice, in the order of the owners.
    pub notices: Vec<IndexEntry>,
}

/// One notice of a folder.
#[derive(Debug, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Whom it is for, as plans show owners: `mary`, `project PLAT`, `repository PLAT/app`.
    pub owner: String,
    /// Name of its file.
    pub file: String,
    /// How many tokens it is about.
    pub tokens: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { format_version: FORMAT_VERSION.to_owned(), notices: Vec::new() }
    }
}

impl Index {
    /// Adds the entry of `notice`.
    pub fn add(&mut self, notice: Notice) {
        let Notice { owner, file, tokens, .. } = notice;
        self.notices.push(IndexEntry { owner, file, tokens });
    }
}

/// Whether `name` is one that a notice could have: never a path that leads somewhere else.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let stem = name.strip_suffix(".md").unwrap_or_default();
    !stem.is_empty() && stem.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_~".contains(&c))
}

/// Whether a file `name` in a folder of notices is one that is written there.
#[must_use]
pub fn is_own_file(name: &str) -> bool {
    let is_of = |kind: OwnerKind| name.strip_prefix(kind.word()).is_some_and(|rest| rest.starts_with('-'));
    name == INDEX || is_file_name(name) && OwnerKind::ALL.into_iter().any(is_of)
}

/// A notice for each owner with something to expect, in the order of the owners; each is made when its turn comes.
pub fn notices(run: &Run<'_>) -> impl Iterator<Item = Notice> {
    let mut owners: BTreeMap<Owner, BTreeMap<(&str, &TokenId), Coming<'_>>> = BTreeMap::new();
    for target in &run.targets {
        collect(target, &mut owners);
    }
    owners.into_values().filter_map(|tokens| notice(run, tokens.into_values().collect()))
}

/// What is to come for one token.
struct Coming<'a> {
    target: &'a str,
    token: &'a Token,
    /// A lower scope, an expiry and a revocation, whichever there is.
    changes: Vec<&'a Change>,
    /// The expiry that is set already, UTC.
    ends: Option<Timestamp>,
    reasons: Vec<&'a ChangeReason>,
    /// What is wrong with it under waivers that end soon.
    waived: Vec<&'a Finding>,
}

impl Coming<'_> {
    /// What is wrong with it under waivers that end soon, with their last days; nothing that matters to a
    /// token that is gone by then.
    fn waived(&self) -> impl Iterator<Item = (&Finding, Date)> {
        let stays = !self.is_revoked();
        let waived = self.waived.iter().filter(move |_| stays);
        waived.filter_map(|finding| Some((*finding, finding.waiver.as_ref()?.until)))
    }

    fn is_revoked(&self) -> bool {
        self.changes.iter().any(|change| change.verb() == Verb::Revoke)
    }

    /// When it ends, when that is because of the policy.
    fn end(&self) -> Option<Timestamp> {
        let set = self.changes.iter().find_map(|change| change.token_step()?.1.deadline());
        set.or(self.ends)
    }
}

fn collect<'a>(
    target: &TargetRun<'a>,
    owners: &mut BTreeMap<Owner, BTreeMap<(&'a str, &'a TokenId), Coming<'a>>>,
) {
    let name = target.name;
    let mut coming = |token: &'a Token, add: &dyn Fn(&mut Coming<'a>)| {
        let tokens = owners.entry(token.owner.folded()).or_default();
        let none = || Coming {
            target: name,
            token,
            changes: Vec::new(),
            ends: None,
            reasons: Vec::new(),
            waived: Vec::new(),
        };
        add(tokens.entry((name, &token.id)).or_insert_with(none));
    };
    for planned in target.effective_changes() {
        let Some(token) = planned.change.token() else { continue };
        coming(token, &|one| {
            one.changes.push(&planned.change);
            one.reasons.extend(&planned.reasons);
        });
    }
    let Some(latest) = target.latest() else { return };
    for pending in &latest.pending {
        coming(&pending.token, &|one| {
            // After `apply`, what was made to expire is pending: that was said already.
            if one.end().is_none() {
                one.ends = Some(pending.until);
                one.reasons.extend(&pending.reasons);
            }
        });
    }
    let ends_soon = |warning: &&WaiverWarning| warning.standing == WaiverStanding::EndsSoon;
    let ending: HashSet<&Place> =
        latest.waiver_warnings.iter().filter(ends_soon).map(|warning| &warning.waiver.place).collect();
    let is_ending =
        |finding: &&Finding| finding.waiver.as_ref().is_some_and(|waiver| ending.contains(&waiver.place));
    for found in &latest.waived {
        for finding in found.findings.iter().filter(is_ending) {
            coming(&found.token, &|one| one.waived.push(finding));
        }
    }
}

fn notice(run: &Run<'_>, mut tokens: Vec<Coming<'_>>) -> Option<Notice> {
    // What ends first stands first, what ends at once before it, what does not end behind it.
    tokens.sort_by_key(|one| (Reverse(one.is_revoked()), one.end().is_none(), one.end()));
    let owner = &tokens.first()?.token.owner;
    let mut text = format!("# API tokens of {}\n\n", inline(&brief(owner)));
    // Writing into a `String` cannot fail.
    let _ = writeln!(
        text,
        "As of {}, the policy on API tokens has consequences for {}:",
        day(run.at),
        if tokens.len() == 1 { "this token".to_owned() } else { format!("these {} tokens", tokens.len()) }
    );
    for one in &tokens {
        let _ = write!(text, "\n## {} on {}\n\n", inline(&heading(one.token)), inline(one.target));
        for line in consequences(one, run.was_applied()) {
            let _ = writeln!(text, "- **{line}**");
        }
        for reason in &one.reasons {
            let rule = reason.rule.as_ref().map_or("", Rule::code);
            let _ = writeln!(text, "- Why: {}", why(rule, &reason.text, reason.place.as_ref()));
        }
        for (finding, until) in one.waived() {
            let why = why(finding.rule.code(), &finding.message, finding.place.as_ref());
            let _ = writeln!(text, "- Waived until {until}: {why}");
        }
        for advice in advices(one) {
            let _ = writeln!(text, "- What to do: {advice}.");
        }
    }
    Some(Notice { owner: owner.to_string(), file: file_name(owner), text, tokens: tokens.len() })
}

/// What is wrong by `rule`, and the line of the policy that says so.
fn why(rule: &str, message: &str, place: Option<&Place>) -> String {
    let place = place.map_or(String::new(), |place| format!(" ({})", inline(&place.to_string())));
    format!("{}: {}{place}", inline(rule), inline(message))
}

/// What a token is called in a notice to its owner.
fn heading(token: &Token) -> String {
    let name = token_name(token);
    let of_owner = format!(" of {}", super::escape(&token.owner.to_string()));
    name.strip_suffix(&of_owner).map_or(name.clone(), str::to_owned)
}

fn consequences(one: &Coming<'_>, applied: bool) -> Vec<String> {
    if one.is_revoked() {
        let text = if applied {
            "It was revoked."
        } else {
            "It will be revoked by the next run. That cannot be undone."
        };
        return vec![text.to_owned()];
    }
    let narrowed = one.changes.iter().filter_map(|change| match change.token_step()?.1 {
        TokenStep::Narrow { to } if applied => {
            Some(format!("Its scope is {to} now, it was {}.", one.token.scope))
        }
        TokenStep::Narrow { to } => Some(format!("Its scope will be {to}, it is {}.", one.token.scope)),
        TokenStep::Expire { .. } | TokenStep::Mark { .. } | TokenStep::Unmark | TokenStep::Revoke => None,
    });
    let ends = one.end().map(|at| match one.ends {
        Some(_) => format!("It ends on {}.", day(at)),
        None if applied => format!("It ends on {} instead of {}.", day(at), expiry(one.token.expires)),
        None => format!("It will end on {} instead of {}.", day(at), expiry(one.token.expires)),
    });
    let untils: BTreeSet<Date> = one.waived().map(|(_, until)| until).collect();
    let waived = untils
        .into_iter()
        .map(|until| format!("The waiver for it ends on {until}, after which the policy holds for it."));
    ends.into_iter().chain(narrowed).chain(waived).collect()
}

/// What there is to do, each advice once.
fn advices(one: &Coming<'_>) -> Vec<&'static str> {
    let waived = || one.waived().map(|(finding, _)| &finding.rule);
    let rules = || one.reasons.iter().filter_map(|reason| reason.rule.as_ref()).chain(waived());
    if one.is_revoked() && !rules().any(|rule| *rule == RuleCode::Expired) {
        return vec!["where it is still needed, use another token that complies with the policy"];
    }
    let mut advices: Vec<&str> = Vec::new();
    for rule in rules() {
        let advice = advice(rule);
        if !advices.contains(&advice) {
            advices.push(advice);
        }
    }
    advices
}

/// A name that is a file's on every system, and no other owner's: what is not a plain name gets a part of
/// its hash, behind a `~` that no plain name has.
fn file_name(owner: &Owner) -> String {
    let folded = owner.folded();
    let name = match &folded {
        Owner::User(user) => user.folded().to_owned(),
        Owner::Project(project) => project.to_lowercase(),
        // No part can have this between them, so that no two repositories come to the same.
        Owner::Repository { project, slug } => format!("{project}\0{slug}").to_lowercase(),
    };
    let kind = owner.kind().word();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().count() <= NAME && name.chars().all(plain) {
        return format!("{kind}-{name}.md");
    }
    let shown: String = name.chars().take(NAME).map(|c| if plain(c) { c } else { '-' }).collect();
    let hash: String = hash(&[&name]).chars().take(16).collect();
    format!("{kind}-{shown}~{hash}.md")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_owner_has_a_file_of_its_own_whose_name_leads_nowhere() {
        let long = "x".repeat(500);
        let users =
            ["mary", "../../etc/passwd", "a/b", "a\\b", "a-b", "", "..", "con", "ü", "a b", &long, "index"];
        let owners = users.map(|user| Owner::User(user.into())).into_iter().chain([
            Owner::Project("mary".to_owned()),
            Owner::Repository { project: "a".to_owned(), slug: "b".to_owned() },
            Owner::Project("a/b".to_owned()),
        ]);
        let names: Vec<String> = owners.map(|owner| file_name(&owner)).collect();
        for name in &names {
            assert!(is_file_name(name) && name.len() < 120 && name != INDEX, "{name}");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert_eq!(names.first().unwrap(), "user-mary.md");
    }

    #[test]
    fn the_same_owner_written_otherwise_has_the_same_file() {
        let name = |user: &str| file_name(&Owner::User(user.into()));
        assert_eq!(name("Mary"), name("mary"));
        assert_eq!(name("Mary Smith"), name("mary smith"));
    }

    #[test]
    fn only_names_of_notices_are_taken_for_such() {
        for other in ["", ".md", "../x.md", "a/b.md", "index.json", "a\\b.md", "/x.md", "x.md.md"] {
            assert!(!is_file_name(other), "{other}");
        }
    }
}
