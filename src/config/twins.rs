//! What is said of targets that are on one and the same server.
//!
//! They share its rails, its budget and its lock, whatever they are called. Names of one machine that only
//! its resolver knows, and links to one store, are found out when a run asks the server.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

use crate::{
    model::{OwnerKind, canonical_address, wildcard},
    yaml::{Code, Diagnostic, Diagnostics, node::At},
};

use super::{Connection, TargetDeclaration};

/// The most work that comparing the projects of targets may take, about one for two patterns that begin alike.
const WORK: usize = 1 << 22;

/// A target of the file.
struct Located<'a, 'b> {
    target: &'a TargetDeclaration,
    at: &'a At<'b>,
    projects: Projects,
}

impl<'a> Located<'a, '_> {
    /// What [`share_tokens`] asks for.
    fn looks(&self) -> (&'a Connection, &Projects) {
        (&self.target.connection, &self.projects)
    }
}

/// Reports every target that is on the same server as an earlier one; each comes with where it stands.
pub(super) fn report(targets: &[(TargetDeclaration, At<'_>)], out: &mut Diagnostics) {
    let known: Vec<Located<'_, '_>> = targets
        .iter()
        .map(|(target, at)| Located { target, at, projects: Projects::of(&target.connection) })
        .collect();
    let mut earlier: HashMap<_, Vec<&Located<'_, '_>>> = HashMap::new();
    let mut work = WORK;
    for one in &known {
        let servers = servers(&one.target.connection);
        let twins = || servers.iter().filter_map(|server| earlier.get(server)).flatten();
        let found = twins()
            .map(|twin| (twin, share_tokens(one.looks(), twin.looks(), &mut work)))
            .find(|(_, share)| *share != Some(false))
            .or_else(|| Some((twins().next()?, Some(false))));
        if let Some((twin, share)) = found {
            out.extend_some(diagnostic(one, twin, share));
        }
        for server in servers {
            earlier.entry(server).or_default().push(one);
        }
    }
}

fn diagnostic(one: &Located<'_, '_>, twin: &Located<'_, '_>, share: Option<bool>) -> Option<Diagnostic> {
    let help = match (&one.target.connection, &twin.target.connection, share) {
        (_, _, Some(false)) => {
            "nothing to do if this is intended: their rails count together, and runs on them are applied \
             one at a time"
        }
        (_, _, None) => {
            "make sure that no project is in both: they have too many patterns of `projects` to compare here"
        }
        (Connection::Bitbucket { .. }, Connection::Bitbucket { .. }, _) => {
            "give them other `areas` or `projects`, or keep one of them: both manage the same tokens, and \
             would undo each other's changes"
        }
        _ => "keep one of them: both manage all tokens, and would undo each other's changes",
    };
    let (at, twin_at) = (place(one.target, one.at)?, place(twin.target, twin.at)?);
    let message = format!("`{}` is the same server as `{}`", one.target.name, twin.target.name);
    let found = Diagnostic::warning(Code::SameServer, at.span(), at.path.as_str(), message);
    Some(found.help(help).relate(twin_at.span(), "the other target"))
}

/// Where a target says which server it is.
fn place<'a>(target: &TargetDeclaration, at: &At<'a>) -> Option<At<'a>> {
    at.get(if matches!(target.connection, Connection::Embedded { .. }) { "store" } else { "url" })
}

/// The servers behind a connection, each in one form for all ways to write it.
fn servers(connection: &Connection) -> Vec<(bool, String)> {
    match connection {
        Connection::Embedded { store, .. } => {
            let parts = store
                .split('/')
                .enumerate()
                .filter(|(index, part)| *part != "." && (*index == 0 || !part.is_empty()));
            vec![(true, parts.map(|(_, part)| part).collect::<Vec<_>>().join("/"))]
        }
        called => called.servers().map(|server| (false, canonical_address(&server.url))).collect(),
    }
}

/// Whether there may be tokens that both look at, if they are the same server. So it is when they have too many patterns
/// to compare.
#[must_use]
pub fn may_share_tokens(one: &Connection, other: &Connection) -> bool {
    let (projects, its_projects) = (Projects::of(one), Projects::of(other));
    share_tokens((one, &projects), (other, &its_projects), &mut { WORK }) != Some(false)
}

/// Whether there are tokens that both look at, if they are the same server; `None` when finding that out would take more
/// than what is left of `work`.
fn share_tokens(
    (one, projects): (&Connection, &Projects),
    (other, its_projects): (&Connection, &Projects),
    work: &mut usize,
) -> Option<bool> {
    let (areas, its_areas) = match (one, other) {
        (Connection::Bitbucket { areas, .. }, Connection::Bitbucket { areas: its_areas, .. }) => {
            (areas, its_areas)
        }
        // The tokens of the app, and Bitbucket's own.
        (Connection::Bitbucket { .. }, Connection::Resolution { .. })
        | (Connection::Resolution { .. }, Connection::Bitbucket { .. }) => return Some(false),
        _ => return Some(true),
    };
    let looks_at = |areas: &[OwnerKind], area| areas.is_empty() || areas.contains(&area);
    let both = |area| looks_at(areas, area) && looks_at(its_areas, area);
    if both(OwnerKind::User) {
        Some(true)
    } else if both(OwnerKind::Project) || both(OwnerKind::Repository) {
        projects.meet(its_projects, work)
    } else {
        Some(false)
    }
}

/// The projects that a target looks at, in the form in which they compare: without regard to case.
#[derive(Default)]
struct Projects {
    keys: BTreeSet<String>,
    /// What has a star in it, by the text before the first one.
    patterns: BTreeMap<String, Vec<String>>,
}

impl Projects {
    fn of(connection: &Connection) -> Self {
        match connection {
            Connection::Bitbucket { projects, .. } => projects.iter().map(String::as_str).collect(),
            _ => Self::default(),
        }
    }

    /// Whether there is a key of a project that both look at; `None` when that takes more than what is left of `work`.
    fn meet(&self, other: &Self, work: &mut usize) -> Option<bool> {
        if self.are_all() || other.are_all() {
            return Some(true);
        }
        let (fewer, more) = if self.keys.len() < other.keys.len() { (self, other) } else { (other, self) };
        *work = work.checked_sub(fewer.keys.len() + 1)?;
        if fewer.keys.iter().any(|key| more.keys.contains(key)) {
            return Some(true);
        }
        let meets = self.meet_behind(other, true, work)? || other.meet_behind(self, false, work)?;
        Some(meets)
    }

    fn are_all(&self) -> bool {
        self.keys.is_empty() && self.patterns.is_empty()
    }

    /// Whether a pattern here meets something of `other` that begins with what the pattern begins with; patterns that
    /// begin with the same count when `same`.
    fn meet_behind(&self, other: &Self, same: bool, work: &mut usize) -> Option<bool> {
        let ends = |pattern: &str| pattern.rsplit('*').next().unwrap_or_default().len();
        for (begins, patterns) in &self.patterns {
            let from = (Bound::Included(begins.as_str()), Bound::Unbounded);
            let keys = other.keys.range::<str, _>(from).take_while(|key| key.starts_with(begins.as_str()));
            let from = if same { from } else { (Bound::Excluded(begins.as_str()), Bound::Unbounded) };
            let others = other.patterns.range::<str, _>(from);
            let others =
                others.take_while(|(other, _)| other.starts_with(begins.as_str())).flat_map(|(_, of)| of);
            for (its, is_key) in keys.map(|key| (key, true)).chain(others.map(|its| (its, false))) {
                for pattern in patterns {
                    *work = work.checked_sub(1 + (pattern.len() + its.len()) / 64)?;
                    let meets = if is_key {
                        wildcard(pattern, its)
                    } else {
                        // What is between their ends fits behind each other into the text.
                        let ends = ends(pattern).min(ends(its));
                        pattern.as_bytes().iter().rev().take(ends).eq(its.as_bytes().iter().rev().take(ends))
                    };
                    if meets {
                        return Some(true);
                    }
                }
            }
        }
        Some(false)
    }
}

impl<'a> FromIterator<&'a str> for Projects {
    fn from_iter<I: IntoIterator<Item = &'a str>>(written: I) -> Self {
        let mut projects = Self::default();
        for project in written.into_iter().map(str::to_lowercase) {
            match project.split_once('*') {
                None => drop(projects.keys.insert(project)),
                Some((begins, _)) => {
                    projects.patterns.entry(begins.to_owned()).or_default().push(project);
                }
            }
        }
        projects
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether one of `one` and one of `other` match the same text.
    fn meet(one: &[&str], other: &[&str]) -> Option<bool> {
        let projects = |written: &[&str]| written.iter().copied().collect::<Projects>();
        projects(one).meet(&projects(other), &mut { WORK })
    }

    proptest! {
        #[test]
        fn patterns_that_match_the_same_text_meet_and_those_that_meet_do_not_differ_at_their_ends(
            one in "[ab*]{0,5}", other in "[ab*]{0,5}", text in "[ab]{0,8}",
        ) {
            let meets = meet(&[&one], &[&other]) == Some(true);
            if wildcard(&one, &text) && wildcard(&other, &text) {
                prop_assert!(meets);
            }
            prop_assert_eq!(meet(&[&other], &[&one]), Some(meets));
            // A text for both, made of one behind the other.
            if meets && one.contains('*') && other.contains('*') {
                let longer = |a: &str, b: &str| if a.len() > b.len() { a.to_owned() } else { b.to_owned() };
                let begins = |pattern: &str| pattern.split('*').next().unwrap().to_owned();
                let ends = |pattern: &str| pattern.rsplit('*').next().unwrap().to_owned();
                let text = longer(&begins(&one), &begins(&other)) + &one.replace('*', "") + &other.replace('*', "")
                    + &longer(&ends(&one), &ends(&other));
                prop_assert!(wildcard(&one, &text) && wildcard(&other, &text), "{} {} {}", one, other, text);
            }
        }

        #[test]
        fn two_lists_meet_when_one_of_each_does(
            one in prop::collection::vec("[abÄ*]{0,4}", 1..5), other in prop::collection::vec("[abä*]{0,4}", 1..5),
        ) {
            let all = |written: &[String]| written.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            let (one, other) = (all(&one), all(&other));
            let pairs = |one: &str| other.split(',').any(|other| meet(&[one], &[other]) == Some(true));
            let lists = [&one, &other].map(|list| list.split(',').collect::<Vec<_>>());
            prop_assert_eq!(meet(&lists[0], &lists[1]), Some(one.split(',').any(pairs)));
        }
    }

    #[test]
    fn what_takes_too_much_work_is_not_decided() {
        let all: Vec<String> = (0..3_000).map(|number| format!("*{number}a")).collect();
        let others: Vec<String> = (0..3_000).map(|number| format!("*{number}b")).collect();
        let [all, others] = [&all, &others].map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(meet(&all, &others), None);
        assert_eq!(meet(&all[..100], &others), Some(false));
    }
}
